"""Figures of tables and stats, as Grafana would get them from a real InfluxDB, against
the same figures worked out from the rows. An outage has to show."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import council
import pytest
import reference_answers
from grafana_asks import (
    CHOICES,
    END_MS,
    SERVERS,
    EmbeddedInflux,
    Influx,
    database_of,
    filled,
    personal_rows,
    running_influx,
    selections,
)
from grafana_asks import (
    figures as present_figures,
)
from grafana_files import all_panels, grafana_dashboard
from hardware_rows import ROLES, hardware_rows

from alerts import rule_files as alert_rules
from collectors.server_measurements import CATALOGUE
from collectors.store.influxql import Grafana, render
from collectors.store.query import Pick, Query
from dashboards.grafana import BOARDS, render_files
from dashboards.grafana.board import OVER_TIME, Board, Panel, PanelQuery
from dashboards.grafana.classic_sites import QUERY
from dashboards.grafana_config import GrafanaConfig
from probes.wire.sample import Sample, Value

HOUR_MS = 3_600_000
START_MS = END_MS - HOUR_MS
# Ten of sixty polls of one switch fail, twenty minutes before the end.
OUTAGE = (END_MS - 30 * 60_000, END_MS - 20 * 60_000)
# This one stops ten minutes before the end and sends nothing more.
GONE_MS = END_MS - 10 * 60_000
RESTARTS = 4
COUNTS = {"retries", "ports_up", "agents"}
# What figures are weighted by: without differences every mean would be the plain one.
WEIGHTS = {
    field.weight
    for measurement in CATALOGUE
    for field in measurement.fields
    if field.weight
}


def _restless(sample: Sample) -> Iterator[Sample]:
    """The row with figures that differ from minute to minute and from subject to
    subject, so that a wrong row or a wrong mean is a wrong figure."""
    minute = (sample.time_ms - START_MS) // 60_000
    device = sample.tags.get("device")
    if device == "lib-sw2" and sample.time_ms >= GONE_MS:
        return
    phase = zlib.crc32(json.dumps(sample.tags, sort_keys=True).encode()) % 100
    fields: dict[str, Value] = {}
    for name, value in sample.fields.items():
        if isinstance(value, float):
            value *= 1 + 0.3 * math.sin(minute * 1.7 + phase)
        elif isinstance(value, int) and (name in COUNTS or name in WEIGHTS):
            value += (minute + phase) % 7
        fields[name] = value
    if sample.measurement == "device" and device == "th-sw1" and fields["up"]:
        fields["restarted"] = int(minute in (5, 12, 40, 59))
    yield Sample(sample.measurement, sample.tags, fields, sample.time_ms)


@pytest.fixture(scope="module")
def rows() -> list[Sample]:
    steady = council.samples(START_MS, END_MS, down={"th-sw1": OUTAGE})
    return [
        *(row for sample in steady for row in _restless(sample)),
        *hardware_rows(START_MS, END_MS),
        *personal_rows(),
    ]


@pytest.fixture(scope="module")
def rows_of(rows: list[Sample]) -> Mapping[str, list[Sample]]:
    """The rows of each measurement."""
    held: dict[str, list[Sample]] = {}
    for row in rows:
        held.setdefault(row.measurement, []).append(row)
    return held


@pytest.fixture(scope="module", params=SERVERS)
def influx(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[Sample],
) -> Iterator[Influx]:
    folder = tmp_path_factory.mktemp("influx")
    with running_influx(request.param, folder) as held:
        asyncio.run(held.write(rows))
        yield held


def _panel_document(board: Board, panel: Panel) -> dict[str, Any]:
    found: dict[str, Any] = next(
        each
        for each in all_panels(grafana_dashboard(board.uid, board.personal))
        if (each["title"], each["type"]) == (panel.title, panel.kind)
    )
    return found


def _seconds(document: dict[str, Any]) -> int:
    """The range a panel asks for: its own if it has one, else the board's hour."""
    return 60 * int(document.get("timeFrom", "60m").rstrip("m"))


COLLAPSED = {
    panel.title
    for board in BOARDS
    for row in board.rows
    if row.collapsed
    for panel in row.panels
}
FIGURES = [
    (board, panel)
    for board in BOARDS
    for panel in board.panels
    if panel.kind not in OVER_TIME and not panel.sparkline
]


@pytest.mark.service
@pytest.mark.parametrize(
    ("board", "panel"), FIGURES, ids=[f"{b.uid}: {p.title}" for b, p in FIGURES]
)
def test_every_table_and_stat_has_one_row_per_subject_and_its_true_figures(
    influx: Influx, rows_of: Mapping[str, list[Sample]], board: Board, panel: Panel
) -> None:
    document = _panel_document(board, panel)
    seconds = _seconds(document)
    database, choices = database_of(board), selections(influx, board)
    own = [one for one in document.get("targets", ()) if one["refId"] != QUERY]
    for target, written in zip(panel.targets, own, strict=True):
        intervals = [
            interval
            for interval in INTERVALS_MS
            if interval == "1m" or f'_{interval}"' in written["query"]
        ]
        for interval, chosen in itertools.product(intervals, choices):
            text = filled(written["query"], chosen, seconds, interval)
            series = influx.ask(text, database)
            if interval == "1m" and not present_figures(series):
                continue
            rows = rows_of.get(target.query.measurement, [])
            expected = _expected(influx, rows, target, chosen, seconds, interval)
            _assert_figures(series, expected, target.query)
            if interval == intervals[-1]:
                break
        else:
            assert panel.title in COLLAPSED


INTERVALS_MS = {"1m": 60_000, "5m": 300_000, "1h": HOUR_MS}


def _expected(
    influx: Influx,
    rows: list[Sample],
    target: PanelQuery,
    chosen: dict[str, str],
    seconds: int,
    interval: str,
) -> dict[reference_answers.Tags, dict[str, Value]]:
    """The figures from the rows. A roll-up has whole buckets only: those that start in
    the range. The embedded store is exact for any range."""
    from_ms = END_MS - seconds * 1000
    if interval != "1m" and not isinstance(influx, EmbeddedInflux):
        from_ms += -from_ms % INTERVALS_MS[interval]
    patterns = {tag: chosen[name] for tag, name in target.variables.items()}
    patterns |= {tag: f".*{chosen[n]}.*" for tag, n in target.searches.items()}
    return reference_answers.answer(target.query, rows, from_ms, END_MS, patterns)


def _assert_figures(
    series: list[Any],
    expected: dict[reference_answers.Tags, dict[str, Value]],
    query: Query,
) -> None:
    assert [len(one_series["values"]) for one_series in series] == [1] * len(expected)
    for one_series in series:
        subject = tuple(one_series.get("tags", {}).items())
        figures = dict(
            zip(one_series["columns"][1:], one_series["values"][0][1:], strict=True)
        )
        there = {name: v for name, v in figures.items() if v is not None}
        wanted = {
            name: v if isinstance(v, str) else pytest.approx(v)
            for name, v in expected.pop(tuple(sorted(subject, key=_by(query)))).items()
        }
        assert there == wanted, subject
    assert not expected


def _by(query: Query) -> Any:
    return lambda tag: query.group_by.index(tag[0])


def _asked(influx: Influx, board: Board, title: str, **choices: str) -> list[Any]:
    panel = next(panel for panel in board.panels if panel.title == title)
    document = _panel_document(board, panel)
    query = document["targets"][0]["query"]
    text = filled(query, {**CHOICES, **choices}, _seconds(document))
    return influx.ask(text, "towpath")


SITE = next(board for board in BOARDS if board.uid == "towpath-site")
SWITCH = next(board for board in BOARDS if board.uid == "towpath-switch")
VPN = next(board for board in BOARDS if board.uid == "towpath-vpn")


@pytest.mark.service
def test_ten_of_sixty_polls_lost_and_four_restarts_are_shown_as_such(
    influx: Influx,
) -> None:
    (answered,) = _asked(influx, SWITCH, "How often did it answer?")
    (restarts,) = _asked(influx, SWITCH, "How often did it restart?")
    assert answered["values"][0][1] == pytest.approx(50 / 60)
    assert restarts["values"][0][1] == RESTARTS
    devices = _asked(influx, SITE, "Which devices answer badly?")
    names = {each["tags"]["device"] for each in devices}
    assert names - ROLES.keys() == {
        *("th-sw1", "th-sw2", "th-sw3", "lib-sw1", "lib-sw2")
    }
    at = devices[0]["columns"].index("answered_mean")
    shares = {each["tags"]["device"]: each["values"][0][at] for each in devices}
    assert shares["th-sw1"] == pytest.approx(50 / 60)


@pytest.mark.service
def test_what_has_stopped_sending_has_no_figure_of_now(influx: Influx) -> None:
    for title in ("How many ports are up?", "How long has it run?"):
        assert _asked(influx, SWITCH, title)
        assert not _asked(influx, SWITCH, title, device="lib-sw2")


@pytest.mark.service
@pytest.mark.parametrize("interval", ["1m", "5m", "30m"])
def test_an_outage_shows_in_the_states_over_time_at_any_zoom(
    influx: Influx, interval: str
) -> None:
    panel = next(p for p in SWITCH.panels if p.title == "When did it answer?")
    query = _panel_document(SWITCH, panel)["targets"][0]["query"]
    (states,) = influx.ask(filled(query, CHOICES, interval=interval), "towpath")
    seen = {value for _, value in states["values"]}
    assert {0, 1} <= seen
    minutes = int(interval.rstrip("m"))
    down = sum(value == 0 for _, value in states["values"])
    assert 10 / minutes <= down <= 10 / minutes + 2


@pytest.mark.service
def test_the_share_of_vpns_that_are_up_is_the_newest_of_all_laptops(
    influx: Influx, rows: list[Sample]
) -> None:
    newest = max(
        (
            row
            for row in rows
            if row.measurement == "experience" and row.tags["group"] == "all"
        ),
        key=lambda row: row.time_ms,
    )
    (share,) = _asked(influx, VPN, "How many have the VPN up?")
    assert share["values"][0][1] == newest.fields["vpn_up_ratio"]


def test_a_query_without_an_interval_has_no_buckets_whatever_its_own_are() -> None:
    query = Query("device", (Pick("up", "mean"),), 0, 1, (), ("device",), 60_000)
    device = CATALOGUE.measurement("device")
    assert "time(" not in render(query, device, Grafana(interval=""))
    assert "GROUP BY time($__interval)" in render(query, device, Grafana())
    assert "GROUP BY time(60000ms)" in render(query, device)


def test_every_state_over_time_has_the_colours_of_its_words() -> None:
    shown = 0
    for board in BOARDS:
        for panel in board.panels:
            if panel.kind == "state-timeline":
                defaults = _panel_document(board, panel)["fieldConfig"]["defaults"]
                assert defaults["color"] == {"mode": "palette-classic"}
                colours = [
                    value["color"]
                    for value in defaults["mappings"][0]["options"].values()
                ]
                assert len(set(colours)) >= 2
                shown += 1
    assert shown >= 8


def test_exported_messages_give_figures_with_their_units() -> None:
    rules = alert_rules.load_rules(CATALOGUE)
    texts = render_files(GrafanaConfig(), rules)[0]
    text = texts["provisioning/alerting/towpath-rules.yaml"]
    assert "{{ (index" not in text
    words = " ".join(text.split())
    assert '{{ printf "%.0f" (index .Values "V").Value }} ms' in words
    assert '{{ printf "%.3g" (index .Values "V").Value }} %' in words
    assert "{{ humanizeDuration (index" in words
