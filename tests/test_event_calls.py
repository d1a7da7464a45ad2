"""Events in rooms beside the calls that Microsoft recorded at their time and site."""

from __future__ import annotations

import accessible
from council_page import CSS, NOW_MS, page_client, page_text
from report_group_rows import COUNCIL, october_ms, report_content
from report_month import csv_tables
from store_doubles import AlertList, MemoryStore
from test_report_recorded_calls import reading, recorded
from test_web_rooms import ROOM, estate

from collectors.estate.estate_model import Room
from collectors.store.query import Row
from dashboards.event_calls import PastEvent, event_calls, past_events
from dashboards.report.report_html import render_html, style_sheet
from probes.wire.sample import Sample

STEP_MS = 900_000
PLANNING = "Planning Committee, 18:00 to 20:00"


def lasting(room: str, text: str, from_ms: int, steps: int) -> list[Sample]:
    """A room before, during and after an event: two rows for each quarter."""
    return [
        Sample(
            "room",
            {"room": room, "site": "town-hall"},
            {"at_event": int(0 <= at < 2 * steps), "event_text": text},
            from_ms + at * STEP_MS // 2,
        )
        for at in range(-2, 2 * steps + 2)
    ]


def step(room: str, text: str, at: int, inside: float = 1) -> Row:
    return Row(
        at * STEP_MS,
        {"room": room},
        {"at_event_min": inside, "event_text_last": text},
    )


def test_an_event_is_the_whole_steps_in_which_it_lasted() -> None:
    rows = [
        step("b", "Cabinet", 5),
        step("a", "Cabinet", 4, 0),
        step("a", "Cabinet", 5),
        # At 6 the room was not measured.
        step("a", "Cabinet", 7),
        step("a", "Licensing", 8),
        # The same again a week later is another event.
        step("a", "Cabinet", 700),
    ]
    assert past_events(rows) == [
        PastEvent("a", "Cabinet", 5 * STEP_MS, 8 * STEP_MS),
        PastEvent("a", "Licensing", 8 * STEP_MS, 9 * STEP_MS),
        PastEvent("a", "Cabinet", 700 * STEP_MS, 701 * STEP_MS),
        PastEvent("b", "Cabinet", 5 * STEP_MS, 6 * STEP_MS),
    ]


def test_what_is_not_known_of_an_event_says_why() -> None:
    rooms = [Room(id="a", site="hall", ports=("sw Gi1",))]
    events = [step("a", "Cabinet", 5)]
    few = Row(
        5 * STEP_MS, {"group": "hall"}, {"poor_ratio_mean": 0.5, "classified_sum": 12}
    )
    elsewhere = Row(5 * STEP_MS, {"group": "depot"}, few.values)
    read = Row(None, {}, {"reading_max": 1})
    hour = 4 * STEP_MS
    for at_sites, is_read, now_ms, state in (
        ([few], [read], 99 * hour, "too few"),
        ([elsewhere], [], 99 * hour, "not shown"),
        ([], [read], 4 * hour, "not yet"),
        ([], [read], 99 * hour, "not shown"),
        ([], [], 99 * hour, "no record"),
    ):
        [one] = event_calls(rooms, [events, at_sites, [], is_read], now_ms)
        assert (one.state, bool(one.why)) == (state, True)


def test_the_page_of_a_room_has_calls_of_past_events() -> None:
    begin_ms = (NOW_MS - 30 * 3_600_000) // STEP_MS * STEP_MS
    rows = [
        *lasting("chamber", PLANNING, begin_ms, 4),
        recorded("site", "town-hall", begin_ms, 0.25),
        # As people left it; and a call that ended too long after it.
        recorded("site", "town-hall", begin_ms + 6 * STEP_MS, 0.05),
        recorded("site", "town-hall", begin_ms + 9 * STEP_MS, 1.0),
        recorded("site", "library", begin_ms, 1.0),
    ]
    with page_client(MemoryStore(rows), estate=estate(), alerts=AlertList()) as client:
        page = client.get("/rooms/chamber").text
    text = page_text(page)
    assert PLANNING in text
    assert "15.0% 200 none recorded" in text
    assert accessible.findings(page, CSS) == []


def test_the_report_has_calls_during_events_in_every_format() -> None:
    begin_ms = october_ms(6, 18)
    room = {"room": "chamber", "site": "town-hall", "media": "audio"}
    shares = {"classified": 40, "poor_ratio": 0.1, "streams": 50}
    rows = [
        *lasting("chamber", PLANNING, begin_ms, 8),
        recorded("site", "town-hall", begin_ms + 2 * STEP_MS, 0.2),
        Sample("room_calls", room, {**shares}, begin_ms + 8 * STEP_MS),
        reading(begin_ms),
    ]
    whole = COUNCIL.model_copy(update={"rooms": (ROOM,)})
    content = report_content(MemoryStore(rows), whole)
    [one] = content.events
    assert (one.state, one.poor, one.streams) == ("measured", 0.2, 100)
    assert (one.room_poor, one.room_streams) == (0.1, 40)
    html = render_html(content)
    assert PLANNING in html
    assert accessible.findings(html, style_sheet()) == []
    table = csv_tables(content)["events"]
    # The event may have begun within the quarter-hour before.
    assert "event,first whole quarter-hour (UTC),poor at the site" in table
    assert f'chamber,town-hall,"{PLANNING}"' in table
    assert "Calls during events" not in render_html(report_content(MemoryStore()))
