"""`teams_calls` and `room_calls`: the rows of one window of 15 minutes. Pure.

No row, and no figure in a row, is about fewer than `least` people, and none can be
worked out from the others (`collectors.experience.disclosure_control`). Windows have no
call in common, so what is hidden in one does not follow from another. Meeting rooms are
no people: they have rows of their own and are in no group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from collectors.calls.call_record import MEDIA, CallPlace, CallRecord, Leg
from collectors.calls.stream_figures import (
    GROUP_FIGURES,
    ROOM_FIGURES,
    SESSION_FIGURES,
    CallFigures,
    Row,
    stream_state,
)
from collectors.experience.disclosure_control import (
    Cells,
    GroupName,
    GroupSum,
    showable,
)
from collectors.experience.group_figures import rounded
from collectors.experience.value_disclosure import ShownGroups
from probes.wire.sample import Sample, Value

_ALL: GroupName = ("all", "all")
# The groups that everybody is in one of, and those that are parts of one of these.
_WHOLE = ("place", "connection", "vpn", "leg", "place_connection")
_PARTS = (
    (("place", "inside"), "site"),
    (("place", "outside"), "provider"),
    (("vpn", "up"), "gateway"),
)
Atom = tuple[CallPlace, Leg]


# The rows of a group, each with the number of its call.
Numbered = Sequence[tuple[int, Row]]


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
        fields = _group_fields(people, GROUP_FIGURES, least)
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
    fields = _group_fields(sessions, SESSION_FIGURES, least)
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


def _group_fields(
    rows: Numbered[Row], figures: Sequence[CallFigures[Row]], least: int
) -> dict[GroupName, dict[str, Value]]:
    """Returns the fields of each group that may be shown."""
    atoms = tuple(dict.fromkeys((end.place, end.leg) for _, end in rows))
    fields: dict[GroupName, dict[str, Value]] = {}
    allowed: frozenset[GroupName] | None = None
    for one in figures:
        measured = [(at, end) for at, end in rows if one.has_value(end)]
        by_group: dict[GroupName, list[tuple[int, Row]]] = {}
        for at, end in measured:
            for group in group_names(end.place, end.leg):
                by_group.setdefault(group, []).append((at, end))
        shown = _shown(atoms, measured, least, allowed)
        found = {
            group: one.fields([end for _, end in by_group[group]])
            for group in shown.names
        }
        safe = shown.safe(_parts_of_shares(found, one.weight))
        if allowed is None:
            # The first figure has all rows: it decides which groups there are.
            allowed = safe
            for group in safe:
                members = by_group[group]
                people = len({end.person for _, end in members})
                calls = len({at for at, _ in members})
                fields[group] = {"people": rounded(people), "calls": calls}
        for group in safe:
            fields[group].update(found[group])
    return fields


def _parts_of_shares(
    found: Mapping[GroupName, dict[str, Value]], weight: str
) -> list[dict[GroupName, float]]:
    """For each share, how many it counts in each group, and how many it does not."""
    sums: list[dict[GroupName, float]] = []
    names = {name for fields in found.values() for name in fields}
    for name in sorted(name for name in names if name.endswith("_ratio")):
        counts = {group: float(fields[weight]) for group, fields in found.items()}
        shares = {group: float(fields[name]) for group, fields in found.items()}
        sums.append({group: shares[group] * counts[group] for group in found})
        sums.append({group: (1 - shares[group]) * counts[group] for group in found})
    return sums


def _shown(
    atoms: Sequence[Atom],
    rows: Numbered[Row],
    least: int,
    allowed: frozenset[GroupName] | None,
) -> ShownGroups:
    people: dict[Atom, set[int]] = {atom: set() for atom in atoms}
    for _, end in rows:
        people[end.place, end.leg].add(end.person)
    cells: dict[GroupName, list[int]] = {}
    for at, atom in enumerate(atoms):
        if people[atom]:
            for group in group_names(*atom):
                cells.setdefault(group, []).append(at)
    known = Cells(list(people.values()), cells)
    sums = group_sums(cells)
    names = showable(known, sums, least, allowed) if cells else set()
    return ShownGroups(known, names, least, sums=sums)


def group_names(place: CallPlace, leg: Leg) -> list[GroupName]:
    """Returns the groups that an end counts in."""
    names = [
        _ALL,
        ("place", place.place),
        ("connection", place.connection),
        ("place_connection", f"{place.place}/{place.connection}"),
        ("vpn", place.vpn),
        ("leg", leg),
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
    for by, parts_by, end in (
        ("place", "place_connection", 0),
        ("connection", "place_connection", 1),
        ("site", "site_connection", 0),
    ):
        for total in (g for g in names if g[0] == by):
            parts = (
                g
                for g in names
                if g[0] == parts_by and g[1].rpartition("/")[::2][end] == total[1]
            )
            sums.append(GroupSum(total, tuple(parts)))
    return sums
