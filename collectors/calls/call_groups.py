"""`teams_calls` and `room_calls`: the rows of one window of 15 minutes. Pure.

No row, and no figure in a row, is about fewer than `least` people, and none can be
worked out from the others (`collectors.experience.disclosure_control`). Windows have no
call in common, so what is hidden in one does not follow from another. Meeting rooms are
no people: they have rows of their own and are in no group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from collectors.calls.call_record import (
    MEDIA,
    CallPlace,
    CallRecord,
    Leg,
    SessionEnd,
    Size,
    StreamEnd,
)
from collectors.calls.grouped_figures import (
    CallFigures,
    Grouping,
    Numbered,
    Row,
    group_fields,
    joined_sums,
)
from collectors.calls.stream_figures import (
    GROUP_FIGURES,
    ROOM_FIGURES,
    SESSION_FIGURES,
    stream_state,
)
from collectors.experience.disclosure_control import GroupName, GroupSum
from probes.wire.sample import Sample, Value

_ALL: GroupName = ("all", "all")
_JOINED = (
    ("place", "place_connection", 0),
    ("connection", "place_connection", 1),
    ("site", "site_connection", 0),
)
# The groups that everybody is in one of, and those that are parts of one of these.
_WHOLE = ("place", "connection", "vpn", "leg", "size", "place_connection")
_PARTS = (
    (("place", "inside"), "site"),
    (("place", "outside"), "provider"),
    (("vpn", "up"), "gateway"),
)
Atom = tuple[CallPlace, Leg, Size]


def window_rows(
    records: Sequence[CallRecord],
    time_ms: int,
    least: int,
    room_sites: Mapping[str, str] = {},
) -> list[Sample]:
    """Returns the rows of the calls that ended in one window, at its start `time_ms`.
    `room_sites`: room → its site."""
    samples: list[Sample] = []
    streams = [(at, end) for at, one in enumerate(records) for end in one.streams]
    for media in MEDIA:
        of_media = [(at, end) for at, end in streams if end.media == media]
        people = [(at, end) for at, end in of_media if not end.room]
        fields = group_fields(people, GROUP_FIGURES, least, _STREAMS)
        for row in fields.values():
            row["state"] = stream_state(row.get("classified"))
        samples += _samples(fields, media, time_ms)
        rooms = [(at, end) for at, end in of_media if end.room]
        for room in sorted({end.room for _, end in rooms}):
            tags = {"room": room, "site": room_sites.get(room, ""), "media": media}
            of_room = [(at, end) for at, end in rooms if end.room == room]
            row = _row_fields(of_room, ROOM_FIGURES)
            samples.append(Sample("room_calls", tags, row, time_ms))
    sessions = [
        (at, end)
        for at, one in enumerate(records)
        for end in one.sessions
        if not end.room
    ]
    fields = group_fields(sessions, SESSION_FIGURES, least, _SESSIONS)
    return samples + _samples(fields, "session", time_ms)


def _samples(
    fields: Mapping[GroupName, dict[str, Value]], media: str, time_ms: int
) -> list[Sample]:
    return [
        Sample(
            "teams_calls",
            {"by": by, "group": group, "media": media},
            fields[by, group],
            time_ms,
        )
        for by, group in sorted(fields)
    ]


def _row_fields(
    rows: Numbered[Row], figures: Iterable[CallFigures[Row]]
) -> dict[str, Value]:
    fields: dict[str, Value] = {"calls": len({at for at, _ in rows})}
    for one in figures:
        fields.update(one.fields([end for _, end in rows if one.has_value(end)]))
    return fields


def group_names(place: CallPlace, leg: Leg, size: Size = "two") -> list[GroupName]:
    """Returns the groups that an end counts in."""
    names = [
        _ALL,
        ("place", place.place),
        ("connection", place.connection),
        ("place_connection", f"{place.place}/{place.connection}"),
        ("vpn", place.vpn),
        ("leg", leg),
        ("size", size),
    ]
    if place.site:
        names.append(("site", place.site))
        names.append(("site_connection", f"{place.site}/{place.connection}"))
    if place.gateway:
        names.append(("gateway", place.gateway))
    if place.place == "outside" and place.vpn != "up":
        names.append(("provider", place.provider))
    return names


def group_sums(groups: Iterable[GroupName]) -> list[GroupSum]:
    """Returns which of the groups are sums of others."""
    names = sorted(groups)
    if not names:
        return []
    sums = [GroupSum(_ALL, tuple(g for g in names if g[0] == by)) for by in _WHOLE]
    sums += (
        GroupSum(total, tuple(g for g in names if g[0] == by))
        for total, by in _PARTS
        if total in names
    )
    return sums + joined_sums(names, _JOINED)


def _names(atom: Atom) -> list[GroupName]:
    return group_names(*atom)


_STREAMS: Grouping[StreamEnd, Atom] = Grouping(
    lambda end: (end.place, end.leg, end.size), _names, group_sums
)
_SESSIONS: Grouping[SessionEnd, Atom] = Grouping(
    lambda end: (end.place, end.leg, end.size), _names, group_sums
)
