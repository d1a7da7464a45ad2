"""What an estate needs in processors, memory, disk and network, from measured costs.
Pure: the arithmetic of docs/scale.md."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

COSTS = Path(__file__).with_name("measured_costs.toml")
PERIOD_S = 60.0
DAY_S = 86_400.0
MONTH_DAYS = 365 / 12
SWITCHES = (1_000, 10_000, 100_000)
LAPTOPS = (2_000, 60_000, 1_000_000)
DARK = "alert, most devices dark"
ROLES = ("poll", "ingest", "store", "alert", DARK)
Costs = dict[str, dict[str, float]]


class Need(NamedTuple):
    """`share`: of what one process, or the machine of `measured_costs.toml`, can do."""

    resource: str
    amount: float
    unit: str
    share: float


def read_costs(path: Path = COSTS) -> Costs:
    costs: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    return costs


def row_rates(costs: Costs, switches: int, laptops: int) -> tuple[float, float]:
    """Rows of polls and rows of laptops each second, while all laptops are on."""
    return (
        switches * costs["switch"]["rows"] / PERIOD_S,
        laptops * costs["laptop"]["rows"] / costs["laptop"]["delivery_s"],
    )


def needs(costs: Costs, switches: int, laptops: int) -> list[Need]:
    """Everything that this estate needs while all laptops are on."""
    switch, laptop, journal = costs["switch"], costs["laptop"], costs["journal"]
    influx, alert, machine = costs["influxdb"], costs["alert"], costs["machine"]
    embedded = costs["embedded"]
    poll_rows, report_rows = row_rates(costs, switches, laptops)
    rows = poll_rows + report_rows
    read_us = (
        poll_rows * journal["poll_read_us"] + report_rows * journal["report_read_us"]
    )
    deliveries = laptops / laptop["delivery_s"]
    series = switches * switch["rows"]
    # Rows about the network for 400 days, those about laptops for 30; laptops are on
    # for a part of the day.
    stored_gb = (
        influx["row_bytes"]
        * 1e-9
        * (
            poll_rows * DAY_S * machine["days"]
            + report_rows * laptop["hours_a_day"] * 3600 * machine["personal_days"]
        )
    )
    memory_mb = (
        5 * costs["process"]["start_mb"]
        + switches * switch["poller_kb"] / 1000
        + series * alert["series_bytes"] * 1e-6
    )
    # The embedded store alone has them.
    tops_gb = (
        switches
        * embedded["ports"]
        * 1e-9
        * machine["days"]
        * (embedded["tops_day_bytes"] + embedded["tops_month_bytes"] / MONTH_DAYS)
    )
    wire_bits = 8 * (
        switches / PERIOD_S * switch["wire_bytes"]
        + deliveries * laptop["delivery_bytes"]
    )
    journal_mb_s = 1e-6 * (
        poll_rows * journal["poll_row_bytes"]
        + report_rows * journal["report_row_bytes"]
    )
    one = {
        "poll": switches / PERIOD_S * switch["poll_cpu_ms"] / 1000,
        "ingest": deliveries * laptop["delivery_cpu_ms"] / 1000,
        "store": (rows * influx["writer_us"] + read_us) * 1e-6,
        "alert": (poll_rows * alert["row_us"] + read_us) * 1e-6,
        DARK: (poll_rows * alert["dark_row_us"] + read_us) * 1e-6,
    }
    server = rows * influx["server_us"] * 1e-6
    return [
        *(Need(role, cores, "cores", cores) for role, cores in one.items()),
        Need("InfluxDB", server, "cores", server / machine["cores"]),
        Need("memory", memory_mb / 1000, "GB", memory_mb / 1000 / machine["memory_gb"]),
        Need("store's disk", stored_gb, "GB", stored_gb / machine["disk_gb"]),
        Need(
            "tops of days and months, embedded store",
            tops_gb,
            "GB",
            tops_gb / machine["disk_gb"],
        ),
        Need(
            "journal's disk",
            journal_mb_s,
            "MB/s",
            journal_mb_s / machine["disk_mb_per_s"],
        ),
        Need(
            "network",
            wire_bits * 1e-6,
            "Mbit/s",
            wire_bits * 1e-9 / machine["network_gbit_s"],
        ),
    ]


def first_bottleneck(found: list[Need], of_process: bool) -> Need:
    """What reaches its limit first as the estate grows: a role, of which there is one
    process with one core, or something of the machine."""
    return max(
        (need for need in found if (need.resource in ROLES) == of_process),
        key=lambda need: need.share,
    )


def outage_hours(costs: Costs, switches: int, laptops: int) -> float:
    """How long the journal holds rows while the store is down, by its default size."""
    journal = costs["journal"]
    poll_rows, report_rows = row_rates(costs, switches, laptops)
    bytes_per_s = (
        poll_rows * journal["poll_row_bytes"]
        + report_rows * journal["report_row_bytes"]
    )
    return journal["max_bytes"] / bytes_per_s / 3600


def processes(costs: Costs, need: Need) -> int:
    """How many processes of that role, none busier than `machine.busiest`."""
    return max(1, math.ceil(need.amount / costs["machine"]["busiest"]))


def table(costs: Costs, sizes: list[tuple[int, int]]) -> str:
    """A Markdown table: a row for each resource, a column for each estate."""
    columns = [needs(costs, *size) for size in sizes]
    head = " | ".join(_size(*size) for size in sizes)
    lines = [f"| | {head} |", "|---" * (len(sizes) + 1) + "|"]
    for row in zip(*columns, strict=True):
        cells = " | ".join(
            f"{_shown(need.amount)} ({_shown(need.share * 100)} %)" for need in row
        )
        lines.append(f"| {row[0].resource}, {row[0].unit} | {cells} |")
    hours = " | ".join(_shown(outage_hours(costs, *size)) for size in sizes)
    lines.append(f"| a journal of 2 GiB holds, hours | {hours} |")
    for title, of_process in (("role", True), ("of the machine", False)):
        firsts = [first_bottleneck(column, of_process).resource for column in columns]
        lines.append(f"| **first bottleneck, {title}** | {' | '.join(firsts)} |")
    return "\n".join(lines)


def page_part(costs: Costs) -> str:
    """What docs/scale.md contains between its marks."""
    switches = table(costs, [(count, 0) for count in SWITCHES])
    laptops = table(costs, [(0, count) for count in LAPTOPS])
    both = table(costs, list(zip(SWITCHES, LAPTOPS, strict=True)))
    parts = (("Switches alone", switches), ("Laptops alone", laptops), ("Both", both))
    return "\n\n".join(f"{title}:\n\n{found}" for title, found in parts)


def _size(switches: int, laptops: int) -> str:
    parts = [
        f"{count:,} {what}"
        for count, what in ((switches, "switches"), (laptops, "laptops"))
        if count
    ]
    return ", ".join(parts)


def _shown(value: float) -> str:
    """Two significant digits, without exponents."""
    if not value:
        return "0"
    digits = 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, digits):,.{max(digits, 0)}f}"
