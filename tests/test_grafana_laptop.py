"""The board of one laptop: what happened to it, in order of time, from a real InfluxDB.
The laptop goes from home to an office; at home its DNS fails for a while, and then it
is on a metered connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grafana_asks import (
    END_MS,
    SERVERS,
    Influx,
    chosen_text,
    filled,
    running_influx,
)
from grafana_files import all_panels, grafana_dashboard, grafana_texts

from probes.wire.failure import (
    NOT_MEASURED,
    NOT_THERE,
    Outcome,
    is_failure,
    state_number,
)
from probes.wire.report import Report, Result, Whereabouts, samples
from probes.wire.sample import Sample

MINUTE_MS = 60_000
LAPTOP, OTHER = "a/b 'c' \"ü\"", "another"
PAYROLL = "Payroll & HR / 'new'"
HOURS = 6
START_MS = END_MS - HOURS * 60 * MINUTE_MS
# Minutes after the start: DNS fails, then the line is metered, then the office.
FAILED, METERED, OFFICE = range(60, 120), range(120, 180), range(180, 360)
AT_HOME = Whereabouts("home", "", "wifi", "up")
IN_OFFICE = Whereabouts("office", "town-hall", "wired", "down")


def _planted() -> Iterator[Sample]:
    for minute in range(2, HOURS * 60, 5):
        for agent in (LAPTOP, OTHER):
            yield from _report(agent, minute)


def _report(agent: str, minute: int) -> Iterator[Sample]:
    at = START_MS + minute * MINUTE_MS
    is_well = agent == OTHER or minute not in FAILED
    lookup = Outcome.OK if is_well else Outcome.NAME_SERVER_FAILED
    if agent == LAPTOP and minute in METERED:
        lookup = Outcome.METERED
    results = [
        Result("agent", 1, at, Outcome.OK),
        Result("vpn", 1, at, Outcome.NOT_CONNECTED, "", {"up": 0}),
        Result("web", 1, at, lookup, PAYROLL, {"total_ms": 80.0} if is_well else {}),
        Result("name_lookup", 1, at, lookup, "payroll.example"),
        Result(
            "call_path",
            1,
            at,
            Outcome.OK,
            "reflector",
            {"mos_estimated": 4.2 if is_well else 2.5, "loss_out_ratio": 0.0},
        ),
    ]
    where = IN_OFFICE if minute in OFFICE else AT_HOME
    report = Report(1, f"{agent}{minute}", agent, at, "test", where, tuple(results))
    yield from samples(report, "town-hall", "Moor Broadband")


@pytest.fixture(scope="module", params=SERVERS)
def influx(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Influx]:
    folder: Path = tmp_path_factory.mktemp("influx")
    with running_influx(request.param, folder) as database:
        asyncio.run(database.write(list(_planted()), rolls_up=False))
        yield database


def _panel(title: str) -> dict[str, Any]:
    document = grafana_dashboard("towpath-laptop", personal=True)
    panel: dict[str, Any] = next(
        panel for panel in all_panels(document) if panel["title"] == title
    )
    return panel


def _series(influx: Influx, title: str, name: str = "") -> list[Any]:
    """The series of the panel's query by that name, for the chosen laptop."""
    panel = _panel(title)
    targets = [t for t in panel["targets"] if t["alias"] == name or not name]
    interval = f"{int(panel['interval'].rstrip('s')) // 60}m"
    return [
        series
        for target in targets
        for series in influx.ask(
            filled(
                target["query"],
                {"agent": chosen_text(LAPTOP)},
                HOURS * 3600,
                interval,
            ),
            "towpath_personal",
            epoch="ms",
        )
    ]


@pytest.mark.service
def test_where_it_was_is_a_line_for_each_place_in_order_of_time(influx: Influx) -> None:
    series = _series(influx, "Where was it, and on which network?")
    there = {
        (s["tags"]["place"], s["tags"]["site"], s["tags"]["connection"]): [
            (time_ms - START_MS) // MINUTE_MS
            for time_ms, value in s["values"]
            if value == 1
        ]
        for s in series
    }
    home, office = there["home", "", "wifi"], there["office", "town-hall", "wired"]
    assert len(there) == 2
    assert max(home) < OFFICE.start <= min(office) + 5
    assert len(home) + len(office) >= HOURS * 60 // 5


@pytest.mark.service
def test_a_failure_a_metered_line_and_an_absent_vpn_are_three_things(
    influx: Influx,
) -> None:
    [lookups] = _series(influx, "Which tests failed, and when?", "DNS $tag_target")
    assert lookups["tags"] == {"target": "payroll.example"}
    by_minute = {
        (time_ms - START_MS) // MINUTE_MS: value
        for time_ms, value in lookups["values"]
        if value is not None
    }
    for minutes, expected in ((FAILED, 0), (METERED, 2), (OFFICE, 3)):
        inside = [
            value
            for minute, value in by_minute.items()
            if minutes.start + 15 <= minute < minutes.stop - 15
        ]
        assert inside
        assert set(inside) == {expected}
    [vpn] = _series(influx, "Which tests failed, and when?", "VPN")
    assert {value for _, value in vpn["values"] if value is not None} == {1}


@pytest.mark.service
def test_only_the_chosen_laptops_services_are_listed_with_their_worst_result(
    influx: Influx,
) -> None:
    [service] = _series(influx, "Which web services failed?")
    assert service["tags"] == {"target": PAYROLL}
    row = dict(zip(service["columns"], service["values"][0], strict=True))
    assert row["state_min"] == 0
    assert row["outcome_last"] == "ok"
    assert row["outcome_count"] == HOURS * 60 // 5
    assert row["total_ms_mean"] == pytest.approx(80.0)


@pytest.mark.service
def test_the_poor_calls_are_those_of_this_laptop(influx: Influx) -> None:
    [mos] = _series(influx, "How good were its calls?")
    values = [value for _, value in mos["values"] if value is not None]
    assert min(values) == pytest.approx(2.5)
    assert max(values) == pytest.approx(4.2)


@pytest.mark.parametrize("outcome", Outcome)
def test_the_four_kinds_of_outcomes_stay_apart(outcome: Outcome) -> None:
    kinds = {
        0: is_failure(outcome),
        1: outcome in NOT_THERE,
        2: outcome in NOT_MEASURED,
        3: outcome is Outcome.OK,
    }
    assert [number for number, holds in kinds.items() if holds] == [
        state_number(outcome)
    ]


def test_every_reason_has_words_and_the_colour_of_its_kind() -> None:
    panel = _panel("What was the last result of each test?")
    mappings = panel["fieldConfig"]["defaults"]["mappings"]
    [shown] = [each["options"] for each in mappings if each["type"] == "value"]
    assert set(shown) == {outcome.value for outcome in Outcome}
    assert shown["timeout"]["color"] != shown["metered"]["color"]
    assert not any("_" in text["text"] for text in shown.values())


def test_the_board_is_left_out_unless_it_is_asked_for() -> None:
    assert not [name for name in grafana_texts() if "laptop" in name]
    document = grafana_dashboard("towpath-laptop", personal=True)
    shown = [panel for panel in document["panels"] if panel["type"] != "row"]
    assert sum(len(panel["targets"]) for panel in shown) <= 25
    assert "towpath-shared" not in json.dumps(document)
