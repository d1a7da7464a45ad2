"""Texts for Grafana over any range: only one of them reads rows, on a real InfluxDB."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest
import services
from grafana_asks import END_MS, Influx, filled

from collectors.server_measurements import CATALOGUE
from collectors.store.influxql import Grafana
from collectors.store.influxql_ranges import render_ranges, render_top
from collectors.store.query import Pick, Query
from dashboards.grafana.board import busiest
from dashboards.grafana.classic_variables import variable_json
from probes.wire.sample import Sample

INTERFACE = CATALOGUE.measurement("interface")
START_MS = END_MS - 3_600_000
FROM = re.compile('FROM "([a-z_0-9]+)"')
DAY_MS = 24 * 3_600_000
# The midnight (UTC) before the end.
MIDNIGHT_MS = END_MS - END_MS % DAY_MS
WHY = {9e6: "line", 5.0: "by 5 minutes", 60.0: "by the hour", 1440.0: "by the day"}
BUSIEST = ["Gi1/0/9", 'a "quoted" port', "Gi1/0/8"]


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    ports = {f"Gi1/0/{n}": n * 1e6 for n in range(1, 10)} | {BUSIEST[1]: 8.5e6}
    rows = [
        Sample(
            "interface",
            {"device": device, "site": "s", "role": "switch", "port": port},
            {
                "in_bps": bps if device == "sw1" else 1e9 - bps,
                "out_bps": bps,
                "up": 1,
                "expected_why": "line",
            },
            at,
        )
        for at in range(START_MS, END_MS, 60_000)
        for port, bps in ports.items()
        for device in ("sw1", "sw2")
    ]
    with services.running(
        services.influxd(tmp_path_factory.mktemp("influx"))
    ) as server:
        database = Influx(server)
        asyncio.run(database.write(rows, rolls_up=False))
        for step, value in (("5m", 5), ("1h", 60)):
            lines = [
                f"interface_{step},device=sw1 in_bps_max={value},up_min=1i,"
                f'expected_why_last="{WHY[value]}" {at}'
                for at in range(START_MS, END_MS, 300_000)
            ]
            database.write_lines(lines, "towpath")
        days = [
            "interface_1d,device=sw1 "
            f"in_bps_max={1440 + n},in_bps_n={10**n}i,up_min=1i,"
            f'expected_why_last="by the day" {MIDNIGHT_MS - n * DAY_MS}'
            for n in range(4)
        ]
        database.write_lines(days, "towpath")
        yield database


def _query(*picks: Pick, by: tuple[str, ...] = ("port",)) -> Query:
    return Query("interface", picks, 0, 1, (), by, 60_000)


def test_a_query_reads_the_roll_ups_that_answer_it() -> None:
    def read(
        *picks: Pick,
        measurement: str = "interface",
        step: int | None = None,
        estimated: bool = False,
    ):
        query = Query(measurement, picks, 0, 1, (), (), None, step)
        declared = CATALOGUE.measurement(measurement)
        text = render_ranges(query, declared, Grafana(), estimated)
        return [name.removeprefix(measurement) for name in FROM.findall(text)]

    assert read(Pick("in_bps"), Pick("up", "min")) == ["", "_5m", "_1h", "_1d"]
    assert read(Pick("in_bps", "p95")) == [""]
    assert read(Pick("in_bps"), Pick("in_bps", "p95")) == [""]
    assert read(Pick("in_bps", "p95"), step=300_000) == ["", "_5m"]
    p95 = Pick("in_bps", "p95")
    assert read(p95, step=300_000, estimated=True) == ["", "_5m", "_1d"]
    assert read(p95, step=600_000, estimated=True) == [""]
    assert read(Pick("remote_name", "last"), measurement="neighbour") == [""]
    assert read(Pick("ok", "min"), measurement="web") == [""]
    # Their rows are five minutes apart anyway.
    assert read(Pick("value"), measurement="sensor") == ["", "_1h", "_1d"]
    value = Pick("value", "p95")
    assert read(value, measurement="wireless", step=300_000, estimated=True) == [
        "",
        "_1d",
    ]


@pytest.mark.service
@pytest.mark.parametrize("every", ["$__interval", ""])
@pytest.mark.parametrize("interval", ["1m", "2m", "5m", "30m", "1h", "12h", "1d"])
def test_only_the_interval_decides_what_is_read(
    influx: Influx, interval: str, every: str
) -> None:
    # As if the roll-ups had other figures.
    picks = (Pick("in_bps", "max"), Pick("up", "min"), Pick("expected_why", "last"))
    grafana = Grafana(interval=every, variables={"device": "device"}, fill="null")
    text = render_ranges(_query(*picks, by=("device",)), INTERFACE, grafana)
    seconds = 11 * 3600 + 8 * 60 if interval == "1d" else 1800
    (series,) = influx.ask(
        filled(text, {"device": "sw1"}, seconds=seconds, interval=interval), "towpath"
    )
    figures = {tuple(row[1:]) for row in series["values"]} - {(None, None, None)}
    lowest = {"1m": 9e6, "2m": 9e6, "5m": 5.0, "30m": 5.0, "1d": 1440.0}.get(
        interval, 60.0
    )
    if interval == "12h" and not every:
        # A figure over the whole range, which is weeks long then.
        lowest = 1440.0
    assert figures == {(lowest, 1, WHY[lowest])}
    assert series["columns"] == ["time", "in_bps_max", "up_min", "expected_why_last"]


@pytest.mark.service
@pytest.mark.parametrize(
    ("hours", "days"),
    [(1, (0,)), (11, (0,)), (23, (0,)), (24, (0, 1)), (47, (0, 1)), (48, (0, 1, 2))],
)
def test_a_figure_of_weeks_begins_at_the_nearest_midnight(
    influx: Influx, hours: int, days: tuple[int, ...]
) -> None:
    """The end is at 11:07, so a range of 24 hours begins at 11:07 the day before, which
    is nearest to the midnight before, and one of 23 hours at 12:07, which is not."""
    text = render_ranges(
        _query(Pick("in_bps", "count"), by=()), INTERFACE, Grafana(interval="")
    )
    asked = filled(text, {}, seconds=hours * 3600, interval="12h")
    (series,) = influx.ask(asked, "towpath")
    assert series["values"][0][1] == sum(10**n for n in days)


@pytest.mark.service
def test_the_busiest_are_the_values_of_a_variable_in_their_order(
    influx: Influx,
) -> None:
    query = _query(Pick("in_bps", "max"), Pick("out_bps", "mean"))
    text = render_top(query, INTERFACE, 3, {"device": "device"})
    (series,) = influx.ask(filled(text, {"device": "sw1"}), "towpath")
    # Grafana takes the second column, because the first is the time.
    assert series["columns"] == ["time", "port"]
    assert [row[1] for row in series["values"]] == BUSIEST


def test_all_values_of_a_variable_of_the_busiest_are_named_in_a_query() -> None:
    variable = busiest("busiest", "Busiest", _query(Pick("in_bps", "max")), 3, {})
    document = variable_json(variable, {})
    assert document["query"] == render_top(_query(Pick("in_bps", "max")), INTERFACE, 3)
    # "All" as `.*` would show every port.
    assert "allValue" not in document
    assert document["current"]["value"] == ["$__all"]
    assert (document["refresh"], document["sort"], document["hide"]) == (2, 0, 2)


@pytest.mark.service
def test_without_rows_there_is_no_busiest(influx: Influx) -> None:
    text = render_top(_query(Pick("in_bps", "max")), INTERFACE, 3, {"device": "device"})
    assert influx.ask(filled(text, {"device": "nobody"}), "towpath") == []


@pytest.mark.service
def test_percentiles_of_means_are_of_five_minutes_at_any_interval(
    influx: Influx,
) -> None:
    query = Query(
        "interface", (Pick("in_bps", "p95"),), 0, 1, (), ("port",), None, 300_000
    )
    grafana = Grafana(interval="", variables={"device": "device"})
    text = render_ranges(query, INTERFACE, grafana)
    rows = influx.ask(filled(text, {"device": "sw1"}, interval="1m"), "towpath")
    assert {s["tags"]["port"]: s["values"][0][1] for s in rows}["Gi1/0/7"] == 7e6
    # The roll-ups have no means here.
    assert not influx.ask(filled(text, {"device": "sw1"}, interval="1d"), "towpath")


@pytest.mark.service
def test_the_busiest_are_found_among_those_that_a_search_matches(
    influx: Influx,
) -> None:
    query = _query(Pick("in_bps", "max"))
    text = render_top(query, INTERFACE, 2, {"device": "device"}, {"port": "search"})
    text = filled(text.replace("${search:regex}", "gi1"), {"device": "sw1"})
    (series,) = influx.ask(text, "towpath")
    assert [row[1] for row in series["values"]] == ["Gi1/0/9", "Gi1/0/8"]
