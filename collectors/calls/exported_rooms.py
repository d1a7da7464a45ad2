"""`teams_room`: rows of rooms, from what Microsoft's portals export of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date

import msgspec

from collectors.calls.room_sheet import RoomLine
from collectors.calls.stream_verdict import verdict_fields
from collectors.estate.estate_model import Room
from collectors.local_days import midnight_ms
from probes.wire.sample import Sample, Value


class RoomRows(msgspec.Struct, frozen=True):
    """The rows; how many lines are of accounts that are no room's (`others`), and the
    rooms with an account that the sheet does not have (`missing`)."""

    samples: tuple[Sample, ...]
    others: int
    missing: tuple[str, ...]


def room_rows(
    lines: Iterable[RoomLine], rooms: Sequence[Room], today: date
) -> RoomRows:
    """Returns a row for each room and day; `today` is that of lines without one."""
    by_account = {
        account.casefold(): room for room in rooms for account in room.accounts
    }
    found: dict[tuple[str, date], list[RoomLine]] = {}
    sites: dict[str, str] = {}
    others = 0
    for line in lines:
        room = by_account.get(line.account)
        if room is None:
            others += 1
            continue
        sites[room.id] = room.site
        found.setdefault((room.id, line.day or today), []).append(line)
    samples = tuple(
        Sample(
            "teams_room",
            {"room": room_id, "site": sites[room_id]},
            _fields(parts),
            midnight_ms(day, UTC),
        )
        for (room_id, day), parts in sorted(found.items())
    )
    missing = [room.id for room in rooms if room.accounts and room.id not in sites]
    return RoomRows(samples, others, tuple(missing))


def _fields(parts: Sequence[RoomLine]) -> dict[str, Value]:
    """A room with several devices is as well as its worst one."""
    fields: dict[str, Value] = {}
    rated = [part for part in parts if part.health is not None]
    if rated:
        worst = min(rated, key=lambda part: part.health or 0)
        fields |= {"health": worst.health or 0, "health_text": worst.health_text}
    elif texts := [part.health_text for part in parts if part.health_text]:
        fields["health_text"] = texts[0]
    shares = [part.healthy for part in parts if part.healthy is not None]
    if shares:
        fields["healthy_ratio"] = min(shares)
    # Of the room, so every device of it has the same.
    meetings = [part.meetings for part in parts if part.meetings is not None]
    seconds = [part.meetings_s for part in parts if part.meetings_s is not None]
    if meetings:
        fields["meetings"] = max(meetings)
    if seconds:
        fields["meetings_s"] = max(seconds)
    if models := sorted({part.model for part in parts if part.model}):
        fields["model"] = ", ".join(models)
    return fields | _stream_fields(parts)


def _stream_fields(parts: Sequence[RoomLine]) -> dict[str, Value]:
    """Of streams, the dashboard has a row for each kind of call; they are added."""
    good, poor, unclassified = (
        sum(getattr(part, name) or 0 for part in parts)
        for name in ("good", "poor", "unclassified")
    )
    return verdict_fields(good, poor, unclassified)
