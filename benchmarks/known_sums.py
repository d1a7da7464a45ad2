"""What follows from known sums of unknown whole numbers that are not negative: the
least and the most that any other sum can be. Pure.

Linear programming by the simplex method on a dense table, in fractions of whole numbers
so that no rounding error counts as a result. The bounds are those of any real solution,
rounded inwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple


class Bounds(NamedTuple):
    """The least and the most that a sum can be; `most` is None if it has no limit."""

    least: int
    most: int | None

    @property
    def is_exact(self) -> bool:
        return self.least == self.most


class KnownSums:
    """Sets of unknowns, each with its known sum. Unknowns that are always in the same
    sets are one column."""

    def __init__(self, sums: Mapping[frozenset[int], int]) -> None:
        sets = list(sums)
        members: dict[int, list[int]] = {}
        for row, unknowns in enumerate(sets):
            for unknown in unknowns:
                members.setdefault(unknown, []).append(row)
        columns: dict[tuple[int, ...], set[int]] = {}
        for unknown, rows in members.items():
            columns.setdefault(tuple(rows), set()).add(unknown)
        self._columns = list(columns.values())
        self._known = set(members)
        patterns = list(columns)
        matrix = [
            [Fraction(row in pattern) for pattern in map(set, patterns)]
            for row in range(len(sets))
        ]
        self._table, self._basis = _first_basis(
            matrix, [Fraction(sums[one]) for one in sets]
        )

    def bounds(self, unknowns: Iterable[int]) -> Bounds:
        """Returns the bounds of the sum of `unknowns`."""
        wanted = set(unknowns)
        whole = [column <= wanted for column in self._columns]
        part = [bool(column & wanted) for column in self._columns]
        least = self._least([Fraction(one) for one in whole])
        if wanted - self._known:
            return Bounds(math.ceil(least or 0), None)
        most = self._least([-Fraction(one) for one in part])
        return Bounds(
            math.ceil(least or 0), None if most is None else math.floor(-most)
        )

    def _least(self, costs: Sequence[Fraction]) -> Fraction | None:
        """The minimum of the sum by `costs`; None if there is no limit."""
        return _minimise(self._table, self._basis, costs)


_Table = list[list[Fraction]]


def _first_basis(matrix: _Table, sums: Sequence[Fraction]) -> tuple[_Table, list[int]]:
    """Returns a solved table, with the sums in its last column, and its basis."""
    count = len(matrix[0]) if matrix else 0
    table = [
        [*row, *(Fraction(at == other) for other in range(len(matrix))), total]
        for at, (row, total) in enumerate(zip(matrix, sums, strict=True))
    ]
    basis = [count + at for at in range(len(matrix))]
    helpers = [Fraction(0)] * count + [Fraction(1)] * len(matrix)
    if _minimise(table, basis, helpers) != 0:
        raise ValueError("the sums contradict each other")
    # Helpers still in the basis are 0: replace them, or drop what repeats others.
    for at in reversed(range(len(table))):
        if basis[at] >= count:
            entering = next((c for c in range(count) if table[at][c]), None)
            if entering is None:
                del table[at], basis[at]
            else:
                _pivot(table, basis, at, entering)
    return [[*row[:count], row[-1]] for row in table], basis


def _minimise(
    table: _Table, basis: list[int], costs: Sequence[Fraction]
) -> Fraction | None:
    """Pivots to the minimum, by Bland's rule, which always ends."""
    while True:
        reduced = [*costs, Fraction(0)]
        for row, at in zip(table, basis, strict=True):
            if factor := costs[at]:
                for column, value in enumerate(row):
                    if value:
                        reduced[column] -= factor * value
        entering = next((c for c, cost in enumerate(reduced[:-1]) if cost < 0), None)
        if entering is None:
            return -reduced[-1]
        ratios = [
            (row[-1] / row[entering], basis[at], at)
            for at, row in enumerate(table)
            if row[entering] > 0
        ]
        if not ratios:
            return None
        _pivot(table, basis, min(ratios)[2], entering)


def _pivot(table: _Table, basis: list[int], at: int, entering: int) -> None:
    value = table[at][entering]
    if value != 1:
        table[at] = [one / value for one in table[at]]
    row = table[at]
    filled = [column for column, one in enumerate(row) if one]
    for other, line in enumerate(table):
        if other != at and (factor := line[entering]):
            for column in filled:
                line[column] -= factor * row[column]
    basis[at] = entering
