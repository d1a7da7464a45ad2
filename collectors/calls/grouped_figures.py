"""The figures of groups of people, none of which is about few. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec

from collectors.experience.disclosure_control import (
    Cells,
    GroupName,
    GroupSum,
    secret_cells,
    showable,
)
from collectors.experience.group_figures import rounded
from collectors.experience.other_outcomes import AtomCount, with_uncertain
from collectors.experience.value_disclosure import ShownGroups
from probes.wire.sample import Value


class OfPerson(Protocol):
    """Whatever is counted, with the person that it is about."""

    @property
    def person(self) -> int: ...


Row = TypeVar("Row", bound=OfPerson)
Atom = TypeVar("Atom", bound=Hashable)
# The rows of a group, each with the number of its call.
Numbered = Sequence[tuple[int, Row]]


class CallFigures(msgspec.Struct, Generic[Row], frozen=True):
    """One or more figures, made from the rows that pass `has_value`. `weight` is the
    field with their number."""

    weight: str
    has_value: Callable[[Row], bool]
    calculate: Callable[[Sequence[Row]], dict[str, Value]]

    def fields(self, rows: Sequence[Row]) -> dict[str, Value]:
        """Returns the figures of rows that all have the value, and their weight."""
        return {self.weight: len(rows), **self.calculate(rows)} if rows else {}


class Grouping(msgspec.Struct, Generic[Row, Atom], frozen=True):
    """Which groups there are. `atom`: what decides which groups a row is in. `names`:
    these groups. `sums`: which of some groups are sums of others."""

    atom: Callable[[Row], Atom]
    names: Callable[[Atom], list[GroupName]]
    sums: Callable[[Iterable[GroupName]], list[GroupSum]]


def group_fields(
    rows: Numbered[Row],
    figures: Sequence[CallFigures[Row]],
    least: int,
    grouping: Grouping[Row, Atom],
) -> dict[GroupName, dict[str, Value]]:
    """Returns the fields of each group that may be shown: no row, and no figure in a
    row, is about fewer than `least` people, and none can be worked out from others."""
    by_atom: dict[Atom, list[tuple[int, Row]]] = {}
    for at, end in rows:
        by_atom.setdefault(grouping.atom(end), []).append((at, end))
    names = {atom: grouping.names(atom) for atom in by_atom}
    # Many figures are about the same people, who decide which groups are shown.
    known: dict[object, ShownGroups] = {}
    fields: dict[GroupName, dict[str, Value]] = {}
    allowed: frozenset[GroupName] | None = None
    for one in figures:
        by_group: dict[GroupName, list[tuple[int, Row]]] = {}
        people: set[tuple[Atom, int]] = set()
        for atom, of_atom in by_atom.items():
            measured = [(at, end) for at, end in of_atom if one.has_value(end)]
            people.update((atom, end.person) for _, end in measured)
            if measured:
                for group in names[atom]:
                    by_group.setdefault(group, []).extend(measured)
        members_of = frozenset(people)
        if (key := (members_of, allowed)) not in known:
            known[key] = _shown(names, members_of, least, allowed, grouping)
        shown = known[key]
        found = {
            group: one.fields([end for _, end in by_group[group]])
            for group in shown.names
        }
        safe = shown.safe(_parts_of_shares(found, one.weight))
        safe = _uncertain_beside(safe, one, by_atom, names, by_group, least)
        if allowed is None:
            # The first figure has all rows: it decides which groups there are.
            allowed = safe
            for group in safe:
                members = by_group[group]
                count = len({end.person for _, end in members})
                calls = len({at for at, _ in members})
                fields[group] = {"people": rounded(count), "calls": calls}
        for group in safe:
            fields[group].update(found[group])
    return fields


def _parts_of_shares(
    found: Mapping[GroupName, dict[str, Value]], weight: str
) -> list[dict[GroupName, float]]:
    """For each share, how many it counts in each group, and how many it does not."""
    sums: dict[tuple[float, ...], dict[GroupName, float]] = {}
    names = {name for fields in found.values() for name in fields}
    for name in sorted(name for name in names if name.endswith("_ratio")):
        counts = {group: float(fields[weight]) for group, fields in found.items()}
        shares = {group: float(fields[name]) for group, fields in found.items()}
        for part in (
            {group: shares[group] * counts[group] for group in found},
            {group: (1 - shares[group]) * counts[group] for group in found},
        ):
            # Several shares are 0 everywhere: one of them tells what all of them do.
            sums.setdefault(tuple(part.values()), part)
    return list(sums.values())


def _uncertain_beside(
    safe: frozenset[GroupName],
    one: CallFigures[Row],
    by_atom: Mapping[Atom, Numbered[Row]],
    names: Mapping[Atom, list[GroupName]],
    by_group: Mapping[GroupName, Numbered[Row]],
    least: int,
) -> frozenset[GroupName]:
    """Returns which of `safe` may be shown so that no small group's share follows."""
    people = {
        group: len({end.person for _, end in of_group})
        for group, of_group in by_group.items()
    }
    small = sorted(group for group, count in people.items() if count < least)
    if not small:
        return safe
    counts: dict[str, list[AtomCount]] = {}
    for atom, of_atom in by_atom.items():
        fields = one.fields([end for _, end in of_atom if one.has_value(end)])
        for name, share in fields.items():
            if name.endswith("_ratio"):
                total = float(fields[one.weight])
                count = (names[atom], float(share) * total, total)
                counts.setdefault(name, []).append(count)
    order = sorted(safe, key=lambda group: (people[group], group))
    return with_uncertain(order, small, counts.values())


def _shown(
    group_names: Mapping[Atom, list[GroupName]],
    members: Iterable[tuple[Atom, int]],
    least: int,
    allowed: frozenset[GroupName] | None,
    grouping: Grouping[Row, Atom],
) -> ShownGroups:
    people: dict[Atom, set[int]] = {atom: set() for atom in group_names}
    for atom, person in members:
        people[atom].add(person)
    cells: dict[GroupName, list[int]] = {}
    for at, (atom, groups) in enumerate(group_names.items()):
        if people[atom]:
            for group in groups:
                cells.setdefault(group, []).append(at)
    known = Cells(list(people.values()), cells)
    sums = grouping.sums(cells)
    names = showable(known, sums, least, allowed) if cells else set()
    return ShownGroups(known, names, secret_cells(known, least), sums)


def joined_sums(
    names: Sequence[GroupName], joins: Iterable[tuple[str, str, int]]
) -> list[GroupSum]:
    """Returns which groups are sums of groups with two names joined by `/`. `joins`:
    the kind of the sum, that of its parts, and which of their names is the sum's (0 or
    1)."""
    sums: list[GroupSum] = []
    for by, parts_by, end in joins:
        for total in (name for name in names if name[0] == by):
            parts = (
                name
                for name in names
                if name[0] == parts_by and name[1].rpartition("/")[::2][end] == total[1]
            )
            sums.append(GroupSum(total, tuple(parts)))
    return sums
