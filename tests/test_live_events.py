"""Rooms before and during events: which calendar entry is in which room, what is kept
of it, and whether what the room needs is well."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_room_limits import RULES

from alerts.alert_config import AlertConfig
from alerts.calendars.calendar_events import CalendarEvent, read_events
from alerts.event_calendar import EventCalendar, without_people
from alerts.live_events.event_schedule import (
    RoomEvent,
    schedule_events,
)
from alerts.live_events.room_commands import rooms_list
from alerts.live_events.room_limits import room_limits
from alerts.live_events.room_state import RoomReadings, room_row
from alerts.live_events.room_watch import RoomWatch
from alerts.live_events.stream_watch import STREAM_STATES
from collectors.batch import Batch, batch_samples
from collectors.estate.estate_model import Estate
from probes.wire.sample import Sample, Value

LIMITS = room_limits(RULES)
LONDON = ZoneInfo("Europe/London")
HOUR_MS = 3_600_000
# Monday 4 May 2026, 14:00 in London.
START_MS = round(datetime(2026, 5, 4, 13, tzinfo=UTC).timestamp() * 1000)
COMMITTEE_ROOM = {"name": "Committee Room 1", "devices": ["enc"]}
STREAM = "http://localhost:9/live.m3u8"
ESTATE = Estate.model_validate(
    {
        "sites": [
            {"id": "hall", "name": "Town Hall"},
            {"id": "annexe", "name": "Annexe"},
        ],
        "devices": [
            {"id": "sw-2", "name": "Switch 2", "site": "hall", "address": "10.0.0.2"},
            {"id": "enc", "name": "Encoder", "site": "hall", "address": "10.0.0.3"},
        ],
        "rooms": [
            {
                "id": "chamber",
                "name": "Council Chamber",
                "names": ["The Chamber"],
                "site": "hall",
                "ports": ["sw-2 Gi1/0/12"],
                "devices": ["enc"],
                "stream_url": STREAM,
            },
            {"id": "small", "name": "Chamber", "site": "annexe", "devices": ["enc"]},
            {"id": "cr1", "site": "hall", "stream_url": STREAM, **COMMITTEE_ROOM},
            {"id": "cr1-annexe", "site": "annexe", **COMMITTEE_ROOM},
        ],
    }
)
CALENDAR = EventCalendar(url="https://committees.example/all.ics")
ICS = b"""BEGIN:VCALENDAR\r
BEGIN:VEVENT\r
UID:1@example\r
DTSTART;TZID=Europe/London:20260504T140000\r
DTEND;TZID=Europe/London:20260504T160000\r
SUMMARY:Planning committee\r
LOCATION:Council Chamber\\, Town Hall\r
ORGANIZER;CN="Ada Lovelace: clerk":mailto:ada@example.gov.uk\r
ATTENDEE;CN=Charles Babbage;ROLE=REQ-PARTICIPANT:mailto:charles\r
 @example.gov.uk\r
DESCRIPTION:Ring Grace Hopper on 01632 960000\r
X-ALT-DESC;FMTTYPE=text/html:<p>Grace Hopper</p>\r
CONTACT:Mary Somerville\r
BEGIN:VALARM\r
ATTENDEE:mailto:edith@example.gov.uk\r
END:VALARM\r
END:VEVENT\r
BEGIN:VEVENT\r
UID:2@example\r
DTSTART:20260504T170000Z\r
DTEND:20260504T180000Z\r
SUMMARY:CANCELLED - Licensing panel\r
STATUS:CONFIRMED\r
LOCATION:Council Chamber\r
END:VEVENT\r
BEGIN:VEVENT\r
UID:3@example\r
DTSTART:20260505T090000Z\r
DTEND:20260505T100000Z\r
CLASS:PRIVATE\r
SUMMARY:Appraisal of Rosalind Franklin\r
LOCATION:Elsewhere\r
X-ROOM:Council Chamber\r
END:VEVENT\r
END:VCALENDAR\r
"""
PEOPLE = (b"Ada", b"Charles", b"charles", b"Grace", b"Mary", b"edith", b"Rosalind")


def events(text: bytes, calendar: EventCalendar) -> list[CalendarEvent]:
    span = (START_MS - HOUR_MS, START_MS + 48 * HOUR_MS)
    return list(
        read_events(without_people(text, calendar), *span, "Europe/London").events
    )


def rooms_of(location: str) -> tuple[set[str], tuple[str, ...]]:
    event = CalendarEvent("u", START_MS, START_MS + HOUR_MS, "M", location=location)
    schedule = schedule_events([(CALENDAR, [event])], ESTATE, LONDON)
    return set(schedule.events), schedule.unplaced


def test_nothing_about_people_is_kept_of_a_calendar() -> None:
    kept = without_people(ICS, CALENDAR)
    assert not [name for name in PEOPLE if name in kept]
    [planning, private] = events(ICS, CALENDAR)
    assert planning.summary == "Planning committee"
    assert (planning.people, planning.description) == ((), "")
    assert private.summary == ""


def test_titles_can_be_left_out_and_what_is_called_off_is_cancelled_all_the_same() -> (
    None
):
    bare = EventCalendar(url="https://c.example/a.ics", titles=False)
    assert {event.summary for event in events(ICS, bare)} == {""}
    assert len(events(ICS, bare)) == 2


def test_a_property_of_the_councils_own_names_the_room() -> None:
    own = EventCalendar(url="https://c.example/a.ics", room_property="X-ROOM")
    assert [e.location for e in events(ICS, own)][1] == "Council Chamber"
    assert [e.location for e in events(ICS, CALENDAR)][1] == "Elsewhere"


@given(st.lists(st.sampled_from(ICS.split(b"\r\n")), max_size=30), st.binary())
def test_no_line_in_any_order_brings_a_person_back(
    lines: list[bytes], junk: bytes
) -> None:
    kept = without_people(b"\r\n".join(lines) + junk[:0] + b"\r\n", CALENDAR)
    assert not [name for name in PEOPLE[:-1] if name in kept]
    without_people(junk, CALENDAR)


@pytest.mark.parametrize(
    ("location", "rooms"),
    [
        ("Council Chamber, Town Hall", {"chamber"}),
        ("the  CHAMBER", {"chamber"}),
        ("Chamber", {"small"}),
        ("chamber", {"chamber"}),
        ("Committee Room 1, Annexe", {"cr1-annexe"}),
        ("Council Chamber; Committee Room 1 (Town Hall)", {"chamber", "cr1"}),
        ("", set()),
    ],
)
def test_a_location_names_a_room_by_its_longest_name(
    location: str, rooms: set[str]
) -> None:
    assert rooms_of(location) == (rooms, ())


@pytest.mark.parametrize(
    ("location", "sentence"),
    [
        ("Committee Room 10", "'Committee Room 10' names no room of the estate"),
        (
            "Committee Room 1",
            "'Committee Room 1' may be any of cr1, cr1-annexe: expected its site as "
            "well",
        ),
    ],
)
def test_a_location_that_is_unclear_places_nothing_and_is_listed(
    location: str, sentence: str
) -> None:
    assert rooms_of(location) == (set(), (f"the location {sentence}",))


def test_a_calendar_of_one_room_needs_no_locations() -> None:
    own = EventCalendar(url="https://c.example/a.ics", room="cr1")
    event = CalendarEvent("u", START_MS, START_MS + HOUR_MS)
    schedule = schedule_events([(own, [event])], ESTATE, LONDON)
    [placed] = schedule.events["cr1"]
    assert placed.title == "An event"


def device(id: str, at_ms: int, **fields: Value) -> Batch:
    [batch] = batch_samples(
        [Sample("device", {"device": id, "site": "hall"}, fields, at_ms)], "p", at_ms
    )
    return batch


def port(at_ms: int, **fields: Value) -> Batch:
    tags = {"room": "chamber", "site": "hall", "device": "sw-2", "port": "Gi1/0/12"}
    [batch] = batch_samples([Sample("room_port", tags, fields, at_ms)], "p", at_ms)
    return batch


def state(*batches: Batch, now_ms: int = START_MS) -> dict[str, Value]:
    readings = RoomReadings(150_000)
    readings.follow(ESTATE)
    for batch in batches:
        readings.add(batch)
    [room] = [room for room in ESTATE.rooms if room.id == "chamber"]
    event = RoomEvent("chamber", START_MS, START_MS + 2 * HOUR_MS, "Planning")
    return room_row(room, readings, LIMITS, ESTATE, event, LONDON, now_ms).fields


WELL = (
    device("sw-2", START_MS, answered=1, icmp_up=1, icmp_rtt_ms=2.0),
    device("enc", START_MS, answered=1, icmp_up=1, icmp_rtt_ms=4.0),
)


def test_a_room_works_if_all_that_it_needs_was_measured_and_is_up() -> None:
    fields = state(*WELL, port(START_MS, there=1, up=1, shut=0))
    assert (fields["state"], fields["up"], fields["ready"]) == (3, 1, 1)
    assert "text" not in fields
    assert fields["places"] == "sw-2 Gi1/0/12"
    assert fields["rtt_ms"] == 4.0
    assert fields["event_text"] == "Planning, 14:00 to 16:00"
    assert (fields["minutes_to_start"], fields["minutes_to_end"]) == (0, 120)
    assert fields["at_event"] == 1


@pytest.mark.parametrize(
    ("batches", "text"),
    [
        (
            (*WELL, port(START_MS, there=1, up=0, shut=0)),
            "port Gi1/0/12 of Switch 2 is down",
        ),
        (
            (*WELL, port(START_MS, there=1, shut=1)),
            "port Gi1/0/12 of Switch 2 is shut by an administrator",
        ),
        ((*WELL, port(START_MS, there=0)), "port Gi1/0/12 of Switch 2 is not there"),
        (
            (device("sw-2", START_MS, answered=0), WELL[1]),
            "Switch 2 does not answer",
        ),
        (
            (
                WELL[0],
                device("enc", START_MS, answered=0),
                port(START_MS, there=1, up=1),
            ),
            "Encoder does not answer",
        ),
    ],
)
def test_a_room_is_down_if_anything_that_it_needs_is(
    batches: tuple[Batch, ...], text: str
) -> None:
    fields = state(*batches)
    assert (fields["up"], fields["ready"], fields["state"]) == (0, 0, 0)
    assert (fields["text"], fields["parts_down"]) == (text, 1)


def test_what_is_not_measured_is_neither_up_nor_down() -> None:
    for fields in (
        state(),
        state(*WELL),
        # Towpath itself is cut off: the row of the device has no `answered`.
        state(device("enc", START_MS, up=0), WELL[0], port(START_MS, there=1, up=1)),
        state(*WELL, port(START_MS, there=1, up=1), now_ms=START_MS + 200_000),
    ):
        assert "up" not in fields
        assert "ready" not in fields
        assert fields["state"] == 2
        assert "measured" in str(fields["text"])


def test_damaged_packets_and_lost_echoes_make_a_room_not_ready_but_not_down() -> None:
    damaged = port(
        START_MS, there=1, up=1, shut=0, in_error_ratio=0.01, in_errors_per_s=3.0
    )
    lossy = device("enc", START_MS, answered=1, icmp_up=1, icmp_loss_ratio=0.5)
    good_port = port(START_MS, there=1, up=1, shut=0)
    for fields, figure in (
        (state(*WELL, damaged), "in_error_ratio"),
        (state(WELL[0], lossy, good_port), "loss_ratio"),
    ):
        assert (fields["up"], fields["ready"], fields["state"]) == (1, 0, 1)
        assert fields[figure] in (0.01, 0.5)
    # Pings that a firewall drops are no loss.
    filtered = device("enc", START_MS, answered=1, icmp_up=0, icmp_loss_ratio=1.0)
    assert state(WELL[0], filtered, good_port)["state"] == 3


def _config(folder: Path) -> AlertConfig:
    (folder / "all.ics").write_bytes(ICS)
    return AlertConfig.model_validate(
        {
            "standing": folder / "alerts.sqlite",
            "events": {"committees": {"file": folder / "all.ics"}},
        }
    )


def test_a_calendars_file_becomes_rows_and_a_list_and_no_person_reaches_the_disk(
    tmp_path: Path,
) -> None:
    class Rows:
        async def append(self, *batches: Batch) -> None:
            self.batches = batches

    config, now_ms = _config(tmp_path), START_MS - 30 * 60_000

    async def run() -> dict[str, Sample]:
        rows = Rows()
        watch = RoomWatch(
            config, lambda: ESTATE, rows, lambda: now_ms, 60.0, RULES, period_s=0.01
        )
        async with watch:
            for _ in range(2000):
                samples = {
                    sample.tags["room"]: sample
                    for batch in getattr(rows, "batches", ())
                    for sample in batch.samples()
                }
                if samples and "stream_state" in samples["chamber"].fields:
                    return samples
                await asyncio.sleep(0.01)
        raise AssertionError("no row with an event")

    rooms = asyncio.run(run())
    row = rooms["chamber"]
    assert row.fields["stream_state"] == STREAM_STATES["absent"]
    assert "http://localhost:9: " in str(row.fields["stream_text"])
    # No event is near there, so nobody looks at its stream.
    assert "stream_state" not in rooms["cr1"].fields
    assert row.fields["event_text"] == "Planning committee, 14:00 to 16:00"
    assert row.fields["minutes_to_start"] == 30
    kept = b"".join(p.read_bytes() for p in config.calendar_folder.iterdir())
    assert b"Planning committee" in kept
    assert not [name for name in PEOPLE if name in kept]
    said: list[str] = []
    assert rooms_list(config, ESTATE, now_ms, said.append) == 0
    assert "chamber: Council Chamber, at Town Hall" in said
    assert "  Mon 4 May: Planning committee, 14:00 to 16:00" in said
    assert "Not used: the location 'Elsewhere' names no room of the estate." in said
