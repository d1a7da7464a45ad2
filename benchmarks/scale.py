"""What 1,000 to 100,000 switches and 2,000 to 1,000,000 laptops need, from the measured
costs of measured_costs.toml, and a simulation of the largest: bursts, outages, and
which part is more than a minute behind first.

    python -m benchmarks scale [--write docs/scale.md] [--check]
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.scale_needs import (
    DARK,
    LAPTOPS,
    SWITCHES,
    Costs,
    needs,
    page_part,
    processes,
    read_costs,
)
from benchmarks.scale_run import Estate, Events, Installation

BEGIN, END = "<!-- scale: begin -->", "<!-- scale: end -->"
_LASTS_S = 5_400.0
# When something happens.
_AT_S, _OVER_S = 1_800.0, 2_400.0
SCENARIOS: tuple[tuple[str, Events], ...] = (
    ("an ordinary hour and a half", Events()),
    ("all laptops at nine, within five minutes", Events(laptops_at_s=_AT_S)),
    ("all laptops at nine, within one minute", Events(_AT_S, laptops_within_s=60)),
    ("a tenth of the switches back after 10 min", Events(line_down=(_AT_S, _OVER_S))),
    ("a writer killed for 10 min", Events(writer_down=(_AT_S, _OVER_S))),
    ("the store down for 10 min", Events(store_down=(_AT_S, _OVER_S))),
)


def sized(costs: Costs, switches: int, laptops: int) -> Estate:
    """An installation with enough processes of each role for this estate."""
    found = {need.resource: need for need in needs(costs, switches, laptops)}
    count = {name: processes(costs, need) for name, need in found.items()}
    return Estate(
        switches,
        laptops,
        pollers=count["poll"],
        ingests=count["ingest"],
        writers=count["store"],
        store_cores=count["InfluxDB"],
        alerts=count[DARK],
    )


def simulate(costs: Costs, estate: Estate, events: Events) -> Installation:
    """The installation after the scenario. Raises `RuntimeError` if batches are neither
    stored nor waiting nor lost."""
    installation = Installation(costs, estate, events)
    installation.run(_LASTS_S)
    accounted = installation.stored.count + installation.waiting
    if installation.made != accounted + installation.lost_polls:
        raise RuntimeError(f"made {installation.made}, accounted for {accounted}")
    return installation


def outcome_row(title: str, installation: Installation) -> str:
    """A row of the table of scenarios."""
    first = installation.first_late()
    breaks = f"{first[0]}, from minute {first[1] / 60:.0f}" if first else "nothing"
    queue = max(installation.stations, key=lambda station: station.most_rows)
    cells = (
        title,
        _seconds(installation.stored.percentile_s(50)),
        _seconds(installation.stored.percentile_s(99)),
        _seconds(installation.stored.percentile_s(100)),
        _seconds(installation.alerted.percentile_s(99)),
        f"{queue.name}: {queue.most_rows:,} rows",
        f"{installation.ingest.turned_away:,}",
        f"{installation.lost_polls:,}",
        f"{installation.waiting:,}",
        breaks,
    )
    return f"| {' | '.join(cells)} |"


_TITLES = (
    "what happens",
    "stored after: median",
    "p99",
    "latest",
    "alert reader p99",
    "longest queue",
    "turned away, and sent again",
    "polls lost",
    "waiting at the end",
    "first to keep something waiting for a minute",
)
HEAD = f"| {' | '.join(_TITLES)} |\n{'|---' * len(_TITLES)}|"


def scenario_table(
    costs: Costs, estate: Estate, scenarios: Sequence[tuple[str, Events]] = SCENARIOS
) -> str:
    rows = [outcome_row(t, simulate(costs, estate, e)) for t, e in scenarios]
    return "\n".join([HEAD, *rows])


def document_part(costs: Costs) -> str:
    """What docs/scale.md contains between its marks."""
    largest = sized(costs, SWITCHES[-1], LAPTOPS[-1])
    as_today = dataclasses.replace(largest, alerts=1)
    return "\n\n".join(
        (
            page_part(costs),
            "### The largest, simulated",
            f"{_processes(largest)}:",
            scenario_table(costs, largest),
            "The same with one alert reader, as today:",
            scenario_table(costs, as_today, SCENARIOS[:2]),
        )
    )


def run(options: Sequence[str] = ()) -> dict[str, Any]:
    """Prints the tables; `--write FILE` puts them between the marks of a page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks scale")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--check", action="store_true", help="against a real journal")
    arguments = parser.parse_args(list(options))
    costs = read_costs()
    begun_s = time.process_time()
    if arguments.check:
        from benchmarks.scale_check import check_model

        return check_model(costs)
    text = document_part(costs)
    print(text)
    if arguments.write:
        page = arguments.write.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        after = rest.partition(END)[2]
        written = f"{before}{BEGIN}\n{text}\n{END}{after}"
        arguments.write.write_text(written, encoding="utf-8")
    return {"processor_s": time.process_time() - begun_s}


def _processes(estate: Estate) -> str:
    return (
        f"{estate.switches:,} switches and {estate.laptops:,} laptops, with "
        f"{estate.pollers} pollers, {estate.ingests} processes of ingest, "
        f"{estate.writers} writers, {estate.store_cores} cores of InfluxDB and "
        f"{estate.alerts} alert readers"
    )


def _seconds(value: float | None) -> str:
    return "none" if value is None else f"{value:.1f} s"
