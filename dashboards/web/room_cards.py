"""Whether an event in a room can go ahead, from states that others have judged: the
room's own, its switches', its site's lines, and maintenance. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from alerts.live_events.speed_test_freezes import FREEZE_LEAD_MS, frozen_span
from alerts.silence import Silence
from collectors.estate.estate_model import Estate, Line, Room
from collectors.natural_order import natural_order
from collectors.store.query import Row
from dashboards import figure_text
from dashboards.state_levels import LEVEL_ORDER, Level, use_level
from dashboards.web.page_queries import MINUTE_MS
from dashboards.web.site_state import DeviceNow, LineNow

# From when a card is shown, and when the room is looked at again, before an event. The
# rule `room_not_ready` begins with the first.
CHECKED_MIN = (60, 15)
_VERDICTS: dict[Level, str] = {
    "bad": "No go",
    "warn": "Look at it first",
    "none": "Not known",
    "ok": "Go",
}
_MOVE_IT = "Ask whoever planned it to move it."
# The field `state` of a room.
_ROOM_STATES: dict[int, tuple[Level, str]] = {
    0: ("bad", "Down"),
    1: ("warn", "Packets are damaged or lost"),
    2: ("none", "Not measured"),
    3: ("ok", "Working"),
}
# The field `stream_state` of a room.
_STREAM_STATES: dict[int, tuple[Level, str]] = {
    0: ("bad", "Not there"),
    1: ("bad", "Standing still"),
    2: ("none", "Not measured"),
    3: ("ok", "Advancing"),
}


@dataclass(frozen=True)
class RoomCheck:
    """One thing that the event needs, and how it is. `text`: more about it. `do`: what
    helps, and who is rung."""

    what: str
    level: Level
    word: str
    text: str = ""
    do: str = ""


@dataclass(frozen=True)
class RoomCard:
    """A room and the event that is there or is next. `earlier`: how it was 60 and 15
    minutes before."""

    room: Room
    site_name: str
    event: str
    starts_ms: int | None
    ends_ms: int | None
    checks: tuple[RoomCheck, ...]
    earlier: tuple[RoomCheck, ...] = ()

    @property
    def level(self) -> Level:
        levels = (check.level for check in self.checks)
        return min(levels, key=LEVEL_ORDER.__getitem__, default="none")

    @property
    def verdict(self) -> str:
        return _VERDICTS[self.level]

    def is_due(self, now_ms: int) -> bool:
        """Whether the event is within the hour, or lasts."""
        return (
            self.starts_ms is not None
            and self.starts_ms - now_ms <= CHECKED_MIN[0] * MINUTE_MS
            and (self.ends_ms is None or self.ends_ms > now_ms)
        )


def room_check(what: str, row: Row | None) -> RoomCheck:
    """Returns how a room is, by its row."""
    state = None if row is None else row.values.get("state_last")
    if row is None or not isinstance(state, int | float):
        return RoomCheck(what, "none", "Not measured")
    level, word = _ROOM_STATES.get(int(state), ("none", "Not measured"))
    # `last` finds a text from before all was well again.
    text = "" if level == "ok" else str(row.values.get("text_last") or "")
    return RoomCheck(what, level, word, text)


def stream_check(what: str, row: Row | None, minutes_before: float) -> RoomCheck:
    """Returns whether the stream advanced, by the room's row at that time. Until 15
    minutes before an event it need not."""
    state = None if row is None else row.values.get("stream_state_last")
    if row is None or not isinstance(state, int | float):
        return RoomCheck(what, "none", "Not measured")
    level, word = _STREAM_STATES.get(int(state), ("none", "Not measured"))
    if level == "bad" and minutes_before > CHECKED_MIN[-1]:
        level = "warn"
    text = "" if level == "ok" else str(row.values.get("stream_text_last") or "")
    return RoomCheck(what, level, word, text)


def room_card(
    room: Room,
    row: Row | None,
    estate: Estate,
    devices: Mapping[str, DeviceNow],
    lines: Iterable[LineNow],
    silences: Iterable[Silence],
    now_ms: int,
) -> RoomCard:
    """Returns the card of a room. `row`: of `page_queries.room_now`."""
    starts_ms, ends_ms = (
        _time(row, f"minutes_to_{edge}_last", now_ms) for edge in ("start", "end")
    )
    site_name = estate.site(room.site).name.strip() or room.site
    name = room.name or room.id
    needs = room_check("What the room needs", row)
    checks = [replace(needs, do=_room_advice(needs.level, name, site_name))]
    if room.stream_url and starts_ms is not None:
        before = (starts_ms - now_ms) / MINUTE_MS
        # Nobody looks at it earlier.
        if before <= CHECKED_MIN[0]:
            stream = stream_check("Live stream", row, before)
            checks.append(replace(stream, do=_stream_advice(stream, site_name)))
    for id in room.switches:
        device = devices.get(id)
        if device is not None:
            what = f"Switch {device.device.name or id}"
            is_bad = device.level == "bad"
            do = f"Ring {site_name}: is its power on?" if is_bad else ""
            checks.append(RoomCheck(what, device.level, device.word, do=do))
    own = [line for line in lines if line.line.site == room.site]
    checks += [_line_check(line, site_name) for line in own]
    if starts_ms is not None and any(r.ndt7_url for r in estate.reflectors):
        checks.append(_speed_test_check(starts_ms, ends_ms, now_ms))
    checks += [
        RoomCheck("Maintenance", "warn", "Planned then", silence.why, _MOVE_IT)
        for silence in silences
        if starts_ms is not None and _clashes(silence, room, starts_ms, ends_ms, own)
    ]
    event = "" if row is None else str(row.values.get("event_text_last") or "")
    return RoomCard(room, site_name, event, starts_ms, ends_ms, tuple(checks))


def checked_times(card: RoomCard, now_ms: int) -> list[tuple[int, int]]:
    """Returns (minutes before, time) of when the room was looked at before its
    event."""
    if card.starts_ms is None:
        return []
    return [
        (minutes, card.starts_ms - minutes * MINUTE_MS)
        for minutes in CHECKED_MIN
        if card.starts_ms - minutes * MINUTE_MS <= now_ms
    ]


def earlier_checks(card: RoomCard, minutes: int, row: Row | None) -> list[RoomCheck]:
    """Returns how the room and its stream were so many minutes before the event."""
    when = f"{minutes} minutes before"
    checks = [room_check(when, row)]
    if card.room.stream_url:
        checks.append(stream_check(f"Live stream {when}", row, minutes))
    return checks


def in_order(cards: Sequence[RoomCard], now_ms: int) -> list[RoomCard]:
    """Returns the cards: events that are due, the worst first, then the next ones."""
    return sorted(
        cards,
        key=lambda card: (
            not card.is_due(now_ms),
            LEVEL_ORDER[card.level] if card.is_due(now_ms) else 0,
            card.starts_ms is None,
            card.starts_ms or 0,
            natural_order(card.room.name or card.room.id),
        ),
    )


def _room_advice(level: Level, room: str, site: str) -> str:
    if level == "bad":
        what = f"Ring {site}: check power, cable and socket in {room}."
        return f"{what} Tell the committee clerk at once."
    if level == "warn":
        return f"Change the cable in {room}, or use another socket, in a pause."
    if level == "none":
        return f"Towpath does not see it: ask {site} to try the room."
    return ""


def _stream_advice(check: RoomCheck, site: str) -> str:
    if check.level == "warn":
        return f"Ask {site} to start the encoder in time."
    if check.level == "bad":
        return (
            f"Open the stream as a viewer does. If it has stopped, ring {site}: does "
            "the encoder send? If it does, ring the provider of the stream. Tell the "
            "committee clerk."
        )
    if check.level == "none":
        return "Open the stream as a viewer does: Towpath does not see it."
    return ""


def _line_check(line: LineNow, site: str) -> RoomCheck:
    name = f"Line {line.line.id}"
    do = _line_advice(line, site) if line.level in ("bad", "warn") else ""
    if line.use is None:
        return RoomCheck(name, line.level, line.word, do=do)
    free = figure_text.percent(max(0.0, 1 - line.use))
    return RoomCheck(name, line.level, line.word, f"{free} of it is free", do)


def _line_advice(line: LineNow, site: str) -> str:
    if use_level(line.use) in ("bad", "warn"):
        # A full line works; only what fills it can be stopped.
        return f"Stop copies and updates at {site} until the event is over."
    if line.line.supplier:
        return f"Ring {_supplier_text(line.line)}."
    return f"Ring {site}: is its power on?"


def _supplier_text(line: Line) -> str:
    number = f" on {line.supplier_phone}" if line.supplier_phone else ""
    circuit = f", circuit {line.circuit_ref}" if line.circuit_ref else ""
    return f"{line.supplier}{number}{circuit}"


def _speed_test_check(starts_ms: int, ends_ms: int | None, now_ms: int) -> RoomCheck:
    """What laptops at the site are told; what each of them does, nobody here knows."""
    from_ms, _ = frozen_span(starts_ms, ends_ms or starts_ms)
    if now_ms >= from_ms:
        text = "laptops here run none until the event is over"
        return RoomCheck("Speed tests", "ok", "Stopped", text)
    minutes = FREEZE_LEAD_MS // MINUTE_MS
    text = f"laptops here run none from {minutes} minutes before the event"
    return RoomCheck("Speed tests", "ok", "Will stop", text)


def _clashes(
    silence: Silence,
    room: Room,
    starts_ms: int,
    ends_ms: int | None,
    lines: Sequence[LineNow],
) -> bool:
    """Whether work is planned during the event on what the room depends on."""
    if not silence.planned or silence.rule:
        return False
    if not (
        silence.from_ms < (ends_ms or starts_ms + 1) and silence.until_ms > starts_ms
    ):
        return False
    limits = (
        (silence.site, {room.site}),
        (silence.device, set(room.all_devices)),
        (silence.line, {line.line.id for line in lines}),
        (silence.supplier, {line.line.supplier for line in lines}),
    )
    return all(not named or named in own for named, own in limits)


def _time(row: Row | None, name: str, now_ms: int) -> int | None:
    minutes = None if row is None else row.values.get(name)
    if not isinstance(minutes, int | float):
        return None
    return now_ms + round(minutes * MINUTE_MS)
