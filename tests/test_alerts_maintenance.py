"""Planned maintenance: windows, calendars, and the rows that they become."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from calendar_server import CalendarServer, calendar_server
from hypothesis import given, settings
from hypothesis import strategies as st
from ical_texts import calendar_text, local_ms, utc_text
from pydantic import ValidationError
from waiting import until

from alerts.alert_access import add_silence, end_silence, list_silences
from alerts.alert_config import AlertConfig
from alerts.calendar_maintenance import MaintenanceCalendar, maintenance_from_events
from alerts.calendars.calendar_events import CalendarEvent
from alerts.maintenance_commands import (
    maintenance_add,
    maintenance_end,
    maintenance_list,
    maintenance_stop,
)
from alerts.maintenance_planner import MaintenancePlanner, calendar_troubles
from alerts.maintenance_windows import MaintenanceWindow, Scope
from alerts.planned_silences import forget_sources, plan_silences
from alerts.silence import Silence
from collectors.estate.estate_model import Estate

__all__ = ["calendar_server"]
NOW_MS = local_ms("2026-10-23 12:00")
HOUR_MS = 3_600_000
ESTATE = Estate.model_validate(
    {
        "sites": [
            {"id": "hall", "name": "Town Hall"},
            {"id": "lib", "name": "Library"},
        ],
        "devices": [{"id": "core-1", "site": "hall", "address": "10.0.0.1"}],
        "lines": [
            {
                **{"id": "hall-1", "site": "hall", "supplier": "Severn Telecom"},
                **{"down_mbps": 1, "up_mbps": 1, "device": "core-1", "port": "Gi1"},
            }
        ],
    }
)


def _silence(uid: str, start_h: int, hours: int, why: str = "") -> Silence:
    at_ms = NOW_MS + start_h * HOUR_MS
    until_ms = at_ms + hours * HOUR_MS
    return Silence(0, at_ms, until_ms, "hall", why=why, planned=1, source="s", uid=uid)


def _rows(path: Path, now_ms: int = 0) -> set[tuple[str, int, int]]:
    return {
        (s.uid, (s.from_ms - NOW_MS) // HOUR_MS, (s.until_ms - NOW_MS) // HOUR_MS)
        for s in list_silences(path, now_ms)
    }


def test_planned_times_follow_the_plan_and_what_is_over_stays(tmp_path: Path) -> None:
    path = tmp_path / "alerts.sqlite"
    first = [_silence("a", -2, 1), _silence("b", -1, 2), _silence("c", 5, 1)]
    assert plan_silences(path, "s", first, NOW_MS - 3 * HOUR_MS).added == 3
    # Moved, lengthened and dropped; the one that is over cannot be undone.
    changes = plan_silences(
        path, "s", [_silence("b", -1, 4), _silence("c", 6, 1)], NOW_MS
    )
    assert changes == (1, 1, 1)
    assert _rows(path) == {("a", -2, -1), ("b", -1, 3), ("c", 6, 7)}
    assert plan_silences(path, "s", [], NOW_MS) == (0, 0, 2)
    assert _rows(path) == {("a", -2, -1), ("b", -1, 0)}
    # A calendar that was empty for a while does not end a window for good.
    plan_silences(path, "s", [_silence("b", -1, 4)], NOW_MS + 1)
    assert ("b", -1, 3) in _rows(path)


def test_what_was_ended_by_hand_is_not_planned_again(tmp_path: Path) -> None:
    path = tmp_path / "alerts.sqlite"
    wanted = [_silence("a", -1, 3), _silence("b", 2, 1)]
    plan_silences(path, "s", wanted, NOW_MS)
    for silence in list_silences(path, NOW_MS):
        assert end_silence(path, silence.id, NOW_MS, "ada")
        assert not end_silence(path, silence.id, NOW_MS + 1, "ada")
    assert plan_silences(path, "s", wanted, NOW_MS + 1) == (0, 0, 0)
    assert _rows(path, NOW_MS + 1) == set()
    assert _rows(path) == {("a", -1, 0)}


def test_silences_made_by_hand_and_other_sources_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "alerts.sqlite"
    by_hand = add_silence(path, Silence(0, NOW_MS, NOW_MS + HOUR_MS, "hall"))
    plan_silences(path, "s", [_silence("a", 1, 1)], NOW_MS)
    plan_silences(path, "t", [], NOW_MS)
    assert len(list_silences(path, NOW_MS)) == 2
    forget_sources(path, {"t"}, NOW_MS)
    assert list_silences(path, NOW_MS) == [by_hand]


_PLANS = st.lists(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(-3, 9), st.integers(1, 5))),
    min_size=1,
    max_size=5,
)


@settings(max_examples=40)
@given(_PLANS)
def test_after_any_changes_the_future_is_the_plan_and_nothing_past_is_lost(
    plans: list[list[tuple[str, int, int]]],
) -> None:
    # The file is real, in memory: this test needs no fsync to reach a disk.
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as folder:
        _check_plans(Path(folder) / "alerts.sqlite", plans)


def _check_plans(path: Path, plans: list[list[tuple[str, int, int]]]) -> None:
    over: set[tuple[str, int, int]] = set()
    for n, plan in enumerate(plans):
        now_ms = NOW_MS + n * HOUR_MS
        wanted = {
            (uid, start): _silence(uid, start, hours) for uid, start, hours in plan
        }
        plan_silences(path, "s", wanted.values(), now_ms)
        rows = _rows(path)
        now = {(uid, start, until) for uid, start, until in rows if until > n}
        assert now == {
            (s.uid, (s.from_ms - NOW_MS) // HOUR_MS, (s.until_ms - NOW_MS) // HOUR_MS)
            for s in wanted.values()
            if s.until_ms > now_ms
        }
        # What is over may only be lengthened, by a window that goes on.
        ends = {(uid, start): until for uid, start, until in rows}
        assert all(ends[uid, start] >= until for uid, start, until in over)
        over = {row for row in rows if row[2] < n}


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ({"end": "2026-10-25 01:00"}, "is not after start 2026-10-25 02:00: are they"),
        ({}, "expected either lasts or end"),
        ({"lasts": "2h", "end": "2026-10-26 02:00"}, "expected either lasts or end"),
        ({"lasts": "0s"}, "expected a length above 0"),
        ({"lasts": "long"}, "is not a length of time"),
        ({"lasts": "2h", "site": ""}, "maintenance of everything would page nobody"),
        ({"lasts": "2h", "start": "tonight"}, "'tonight' is not a time, expected such"),
        ({"lasts": "2h", "start": "2026-02-29 02:00"}, "'2026-02-29 02:00' is not a"),
    ],
)
def test_a_window_that_cannot_be_is_one_sentence(
    window: dict[str, str], said: str
) -> None:
    usual = {"name": "n", "site": "hall", "start": "2026-10-25 02:00"}
    with pytest.raises(ValidationError, match=said):
        MaintenanceWindow.model_validate({**usual, **window})


def _event(description: str = "", location: str = "", uid: str = "u") -> CalendarEvent:
    return CalendarEvent(
        uid, NOW_MS, NOW_MS + HOUR_MS, "New switch", description, location
    )


@pytest.mark.parametrize(
    ("event", "scopes"),
    [
        (_event("site: lib"), [{"site": "lib"}]),
        (_event("Works tonight.\nSite: Town Hall\n"), [{"site": "hall"}]),
        (_event("<p>site: hall</p><br>"), [{"site": "hall"}]),
        (_event("sites: hall, lib"), [{"site": "hall"}, {"site": "lib"}]),
        (_event("supplier: severn telecom"), [{"supplier": "Severn Telecom"}]),
        (_event("device = core-1"), [{"device": "core-1"}]),
        (_event("line: hall-1", "Library"), [{"line": "hall-1"}]),
        (_event("no names", "library"), [{"site": "lib"}]),
    ],
)
def test_an_event_says_what_it_is_about(
    event: CalendarEvent, scopes: list[dict[str, str]]
) -> None:
    planned = maintenance_from_events("works", Scope(), [event], ESTATE)
    assert [silence.scope for silence in planned.silences] == scopes
    assert planned.problems == []
    first = planned.silences[0]
    assert (first.source, first.why) == ("calendar works", "New switch")
    assert first.planned
    assert len({silence.uid for silence in planned.silences}) == len(scopes)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (_event("Party"), "names no site, device, line or supplier"),
        (_event("site: halls"), "no site is called 'halls'; did you mean 'hall'?"),
        (_event("supplier: Severn"), "no line has the supplier 'Severn'"),
    ],
)
def test_an_event_about_nothing_known_silences_nothing_and_is_reported(
    event: CalendarEvent, said: str
) -> None:
    planned = maintenance_from_events("works", Scope(), [event], ESTATE)
    assert planned.silences == []
    [problem] = planned.problems
    assert problem.startswith("'New switch': ")
    assert said in problem


def test_a_calendar_of_one_site_needs_no_names() -> None:
    planned = maintenance_from_events(
        "works", Scope(site="lib"), [_event("anything", "hall")], ESTATE
    )
    assert [s.scope for s in planned.silences] == [{"site": "lib"}]


def _add(path: Path, *, now_ms: int = NOW_MS, **wanted: str) -> tuple[int, list[str]]:
    lines: list[str] = []
    fields = {"name": "by hand", "site": "hall", "who": "ada", "why": "new switch"}
    code = maintenance_add(
        path, {**fields, **wanted}, "Europe/London", now_ms, out=lines.append
    )
    return code, lines


def test_maintenance_with_a_start_in_the_future_is_added_and_listed(
    tmp_path: Path,
) -> None:
    config = AlertConfig(standing=tmp_path / "alerts.sqlite")
    path = config.standing
    code, lines = _add(path, start="2026-12-01 22:00", lasts="2h")
    assert (code, lines) == (
        0,
        ["maintenance 1 of site hall: Tue 1 Dec 22:00 to Wed 2 Dec 00:00"],
    )
    lines.clear()
    assert maintenance_list(config, ESTATE, NOW_MS, out=lines.append) == 0
    assert lines == [
        "   1  planned   Tue 1 Dec 22:00 to Wed 2 Dec 00:00: site hall, ada: new switch"
    ]
    assert maintenance_end(path, 1, "bob", NOW_MS, lines.append) == 0
    assert maintenance_end(path, 1, "bob", NOW_MS, lines.append) == 2
    assert list_silences(path, 0) == []


def test_maintenance_on_the_night_when_clocks_go_back_is_two_hours_long(
    tmp_path: Path,
) -> None:
    path = tmp_path / "alerts.sqlite"
    assert _add(path, start="2026-10-25 02:00", lasts="2h")[0] == 0
    [silence] = list_silences(path, NOW_MS)
    assert utc_text(silence.from_ms) == "2026-10-25 02:00"
    assert silence.until_ms - silence.from_ms == 2 * HOUR_MS


def test_a_window_that_recurs_has_all_times_of_the_coming_weeks(
    tmp_path: Path,
) -> None:
    config = AlertConfig(standing=tmp_path / "alerts.sqlite")
    path = config.standing
    weekly = {"rrule": "FREQ=WEEKLY;BYDAY=SU", "lasts": "2h"}
    code, lines = _add(path, start="2026-10-25 02:00", **weekly)
    assert code == 0
    assert lines[:2] == [
        "window 1 of site hall recurs. Its next times:",
        "  Sun 25 Oct 02:00 to 04:00",
    ]
    times = list_silences(path, NOW_MS)
    assert [utc_text(s.from_ms)[:10] for s in times] == [
        *("2026-10-25", "2026-11-01", "2026-11-08", "2026-11-15", "2026-11-22")
    ]
    assert {s.planned for s in times} == {1}
    lines.clear()
    assert maintenance_list(config, ESTATE, NOW_MS, out=lines.append) == 0
    assert len(lines) == 2
    assert lines[1] == "window 1: FREQ=WEEKLY;BYDAY=SU, new switch"
    assert maintenance_end(path, times[1].id, "ada", NOW_MS, lines.append) == 0
    assert len(list_silences(path, NOW_MS)) == 4
    assert maintenance_stop(path, 1, "Europe/London", NOW_MS, lines.append) == 0
    assert maintenance_stop(path, 1, "Europe/London", NOW_MS, lines.append) == 2
    assert list_silences(path, NOW_MS) == []


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"start": "2026-10-01 02:00", "lasts": "2h"}, "it is over already"),
        (
            {"start": "2026-11-01 02:00", "end": "2026-11-01 01:00"},
            "end 2026-11-01 01:00 is not after start 2026-11-01 02:00: are they "
            "swapped?",
        ),
        ({"start": "2am", "lasts": "2h"}, "--from: '2am' is not a time, expected"),
        (
            {"start": "2026-11-01 02:00", "lasts": "2h", "rrule": "FREQ=MINUTELY"},
            "'by hand' recurs MINUTELY: expected hourly or slower",
        ),
        (
            {"start": "2026-11-01 02:00", "lasts": "2h", "rrule": "every week"},
            "--rrule: ",
        ),
    ],
)
def test_maintenance_that_cannot_be_is_refused_in_one_sentence(
    tmp_path: Path, wanted: dict[str, str], said: str
) -> None:
    code, lines = _add(tmp_path / "alerts.sqlite", **wanted)
    assert code == 2
    [line] = lines
    assert line.startswith(said)
    assert not (tmp_path / "alerts.sqlite").exists()


async def test_the_planner_follows_settings_calendars_and_the_estate(
    tmp_path: Path, calendar_server: CalendarServer
) -> None:
    path = tmp_path / "alerts.sqlite"
    calendar_server.body = calendar_text(
        *(
            f"UID:{site}\nDTSTART:20261024T020000Z\nDURATION:PT1H\nSUMMARY:s\n"
            f"DESCRIPTION:site: {site}"
            for site in ("lib", "new")
        )
    )
    window = MaintenanceWindow.model_validate(
        {
            **{"name": "backup", "site": "hall", "start": "2026-01-04 02:00"},
            **{"lasts": "1h", "rrule": "FREQ=DAILY"},
        }
    )
    calendar = MaintenanceCalendar(url=calendar_server.url, every_s=1)
    now_ms, estate = NOW_MS, ESTATE
    config = AlertConfig(
        standing=path, maintenance=(window,), calendars={"works": calendar}
    )
    planner = MaintenancePlanner(config, lambda: estate, lambda: now_ms, every_s=0.02)

    def planned() -> dict[str, int]:
        counts: dict[str, int] = {}
        for silence in list_silences(path, now_ms):
            counts[silence.source] = counts.get(silence.source, 0) + 1
        return counts

    async with planner:
        await until(lambda: planned() == {"settings": 35, "calendar works": 1})
        # A site that is new in the estate makes its event usable.
        new = {"id": "new", "name": "New"}
        estate = Estate.model_validate(
            {**ESTATE.model_dump(), "sites": [*ESTATE.model_dump()["sites"], new]}
        )
        await until(lambda: planned().get("calendar works") == 2)
        calendar_server.status = 500
        now_ms += HOUR_MS
        await until(lambda: planner.feeds["works"].state.error)
        assert planned()["calendar works"] == 2
    # Without them in the settings, their times go.
    empty = AlertConfig(standing=path)
    async with MaintenancePlanner(empty, lambda: estate, lambda: now_ms, every_s=0.02):
        await until(lambda: planned() == {})


def test_the_list_says_how_old_a_calendar_is_and_what_it_cannot_use(
    tmp_path: Path, calendar_server: CalendarServer
) -> None:
    calendar_server.body = calendar_text(
        "UID:a\nDTSTART:20261024T020000Z\nDTEND:20261024T010000Z\nSUMMARY:back",
        "UID:b\nDTSTART:20261024T020000Z\nDURATION:PT1H\nSUMMARY:Party",
    )
    config = AlertConfig.model_validate(
        {
            "standing": tmp_path / "alerts.sqlite",
            "calendars": {
                "works": {"url": calendar_server.url},
                "other": {"file": "x"},
            },
        }
    )
    feed = MaintenancePlanner(config, lambda: ESTATE).feeds["works"]
    asyncio.run(feed.refresh(NOW_MS))
    calendar_server.status = 503
    asyncio.run(feed.refresh(NOW_MS + HOUR_MS))
    assert calendar_troubles(config, NOW_MS + HOUR_MS) == []
    [trouble] = calendar_troubles(config, NOW_MS + 25 * HOUR_MS)
    assert trouble.startswith("The calendar works is 1 day 1 h old: ")
    lines: list[str] = []
    assert maintenance_list(config, ESTATE, NOW_MS + HOUR_MS, out=lines.append) == 1
    assert lines[0] == "No maintenance is planned."
    assert lines[1].startswith("The calendar works is 1 h old: ")
    assert lines[2:] == [
        "  not used: 'back' ends before it begins",
        "  not used: 'Party': names no site, device, line or supplier: write "
        "`site: ID` into its description",
        "The calendar other: not fetched yet, 0 times.",
    ]
