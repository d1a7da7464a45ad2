"""Which groups may be shown so that no small group can be worked out. Pure.

A cell is a group that might be shown, made of atoms: the finest groups people's rows
fall into. A line says that a total is the sum of its parts, and perhaps of a rest
that is never shown. Hiding small cells is not enough: what is known of a line less
what is shown of it is a group too. Here, until nothing changes:

- a cell with fewer than `least` people is hidden;
- what is the only unknown of a line is known (a hidden total too, where all its parts
  are shown), and a difference of two known cells, one inside the other, is known;
- where a known thing, or the unknown rest of a known total, has fewer than `least`
  people, the smallest shown part of that line is hidden as well.

Last, whatever the lines say, no small cell may be a sum or difference of shown ones.

Background: Willenborg and de Waal, Elements of Statistical Disclosure Control,
chapter 4 (secondary suppression by lines of a table).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set

import msgspec

from collectors.experience.vector_span import Span

# A group: what it is grouped by, and which.
Name = tuple[str, str]
# Sets of atoms are bits of whole numbers: an inclusion is one `&`.
Bits = int


class Sum(msgspec.Struct, frozen=True):
    """`total` is the sum of `parts`, and of whatever else it holds."""

    total: Name
    parts: tuple[Name, ...]


class Cells:
    """Cells over atoms, and the people in each atom."""

    def __init__(
        self, people: Sequence[Set[str]], cells: Mapping[Name, Iterable[int]]
    ) -> None:
        self._people = people
        self.bits: dict[Name, Bits] = {
            name: sum(1 << atom for atom in set(atoms)) for name, atoms in cells.items()
        }
        self._counted: dict[Bits, int] = {}

    def count(self, bits: Bits) -> int:
        """How many people there are in a set of atoms."""
        if bits not in self._counted:
            found: set[str] = set()
            left = bits
            while left:
                lowest = left & -left
                found |= self._people[lowest.bit_length() - 1]
                left ^= lowest
            self._counted[bits] = len(found)
        return self._counted[bits]


def showable(
    cells: Cells,
    lines: Sequence[Sum],
    least: int,
    allowed: Set[Name] | None = None,
) -> set[Name]:
    """The names of the cells that may be shown together; of those `allowed` only."""
    shown = {
        name
        for name, bits in cells.bits.items()
        if cells.count(bits) >= least and (allowed is None or name in allowed)
    }
    while (victim := _victim(cells, lines, least, shown)) is not None:
        shown.discard(victim)
    # Larger groups first: what is left out for the others' sake is small.
    small = [bits for bits in cells.bits.values() if cells.count(bits) < least]
    span = Span(small, len(shown))
    order = sorted(shown, key=lambda name: (-cells.count(cells.bits[name]), name))
    return {name for name in order if span.tell(cells.bits[name])}


def _victim(
    cells: Cells, lines: Sequence[Sum], least: int, shown: set[Name]
) -> Name | None:
    """A shown cell that must be hidden as others could be worked out with it."""
    known = set(shown)
    moved = True
    while moved:
        moved = False
        for line in lines:
            total = cells.bits[line.total]
            unknown = total
            missing = []
            for part in line.parts:
                if part in known:
                    unknown &= ~cells.bits[part]
                else:
                    missing.append(part)
            rest = total
            for part in line.parts:
                rest &= ~cells.bits[part]
            if line.total in known:
                if unknown and cells.count(unknown) < least:
                    return _smallest(cells, shown & {*line.parts, line.total} or shown)
                if len(missing) == 1 and not rest:
                    known.add(missing[0])
                    moved = True
            elif not missing and not rest:
                known.add(line.total)
                moved = True
    return _nested(cells, least, shown, known)


def _nested(
    cells: Cells, least: int, shown: set[Name], known: set[Name]
) -> Name | None:
    """The same for any two known cells, one inside the other, of whatever lines."""
    ordered = sorted(
        ((cells.bits[name].bit_count(), cells.bits[name], name) for name in known),
        key=lambda entry: entry[0],
    )
    for at, (_, inner, inner_name) in enumerate(ordered):
        for _, outer, outer_name in ordered[at + 1 :]:
            if inner & outer != inner or inner == outer:
                continue
            if cells.count(outer & ~inner) < least:
                both = shown & {inner_name, outer_name}
                return _smallest(cells, both or shown)
    return None


def _smallest(cells: Cells, names: Set[Name]) -> Name:
    return min(names, key=lambda name: (cells.count(cells.bits[name]), name))
