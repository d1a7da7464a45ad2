"""Decides which groups may be shown so that no small group can be worked out. Pure.

A cell is a group that might be shown. It is made of atoms: the finest groups that
people's rows belong to. A sum (`GroupSum`) is a total with its parts, and possibly a
rest that is never shown. Hiding small cells is not enough, because a shown total minus
its shown parts is a group, too. These steps are repeated until nothing changes:

- A cell with fewer than `least` people is hidden.
- The only unknown part of a sum counts as known. So does a hidden total if all its
  parts are shown, and the difference of two known cells, one inside the other.
- If something known, or the unknown rest of a known total, has fewer than `least`
  people, the smallest shown part of that sum is hidden as well.

Finally, no small cell may be a sum or difference of any shown ones.

Background: Willenborg and de Waal, Elements of Statistical Disclosure Control,
chapter 4 (secondary suppression by lines of a table).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence, Set

import msgspec

from collectors.experience.vector_span import VectorSpan

# A group: what it is grouped by, and its value.
GroupName = tuple[str, str]
# A set of atoms as the bits of an integer, so that a subset test is one `&`.
Bits = int


class GroupSum(msgspec.Struct, frozen=True):
    """`total` is the sum of `parts` and of anything else in it."""

    total: GroupName
    parts: tuple[GroupName, ...]


class Cells:
    """The cells as sets of atoms, and the people in each atom."""

    def __init__(
        self, people: Sequence[Set[Hashable]], cells: Mapping[GroupName, Iterable[int]]
    ) -> None:
        self._people = people
        self.bits: dict[GroupName, Bits] = {
            name: sum(1 << atom for atom in set(atoms)) for name, atoms in cells.items()
        }
        self._counted: dict[Bits, int] = {}

    def count(self, bits: Bits) -> int:
        """Returns the number of people in a set of atoms."""
        if bits not in self._counted:
            people: set[Hashable] = set()
            left = bits
            while left:
                lowest = left & -left
                people |= self._people[lowest.bit_length() - 1]
                left ^= lowest
            self._counted[bits] = len(people)
        return self._counted[bits]


def showable(
    cells: Cells,
    sums: Sequence[GroupSum],
    least: int,
    allowed: Set[GroupName] | None = None,
) -> set[GroupName]:
    """Returns the cells that may be shown together, among those `allowed`."""
    shown = {
        name
        for name, bits in cells.bits.items()
        if cells.count(bits) >= least and (allowed is None or name in allowed)
    }
    while (cell := _next_to_hide(cells, sums, least, shown)) is not None:
        shown.discard(cell)
    # Larger groups first, so that what must be left out is small.
    small = secret_cells(cells, least)
    span = VectorSpan(small, len(shown))
    order = sorted(shown, key=lambda name: (-cells.count(cells.bits[name]), name))
    return {name for name in order if span.add(cells.bits[name])}


def secret_cells(cells: Cells, least: int) -> list[Bits]:
    """Returns the cells that nobody may work out."""
    return [bits for bits in cells.bits.values() if cells.count(bits) < least]


def _next_to_hide(
    cells: Cells, sums: Sequence[GroupSum], least: int, shown: set[GroupName]
) -> GroupName | None:
    """Returns a shown cell that would reveal a small group, or None."""
    known = set(shown)
    changed = True
    while changed:
        changed = False
        for sum_ in sums:
            total = cells.bits[sum_.total]
            unknown = total
            missing = []
            for part in sum_.parts:
                if part in known:
                    unknown &= ~cells.bits[part]
                else:
                    missing.append(part)
            rest = total
            for part in sum_.parts:
                rest &= ~cells.bits[part]
            if sum_.total in known:
                if unknown and cells.count(unknown) < least:
                    return _smallest(cells, shown & {*sum_.parts, sum_.total} or shown)
                if len(missing) == 1 and not rest:
                    known.add(missing[0])
                    changed = True
            elif not missing and not rest:
                known.add(sum_.total)
                changed = True
    return _nested(cells, least, shown, known)


def _nested(
    cells: Cells, least: int, shown: set[GroupName], known: set[GroupName]
) -> GroupName | None:
    """Does the same for any two known cells, one inside the other."""
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


def _smallest(cells: Cells, names: Set[GroupName]) -> GroupName:
    return min(names, key=lambda name: (cells.count(cells.bits[name]), name))
