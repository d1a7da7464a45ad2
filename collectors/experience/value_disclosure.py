"""Decides which groups' shares may be shown so that their values reveal no small group.
Pure.

`disclosure_control` makes sure that no small group is a sum or difference of shown
ones, whatever the values are. Values can tell more: nothing is less than none. If 32
laptops at home have two poor calls and 13 of them, of one site, have both, all others
at home have none. So the other parts of other sites are known, and what is left of a
site may be a small group. This is the zero rule of secondary suppression (Willenborg
and de Waal, chapter 4; the jackknife of the same kind for totals that are all).

What is known to have none is taken out of every group, and what is left is checked as
before. It is done for the share and for its opposite (all calls were poor). That
nobody of at least ten laptops has something is a figure of ten laptops, and may be
known of each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from itertools import combinations

from collectors.experience.disclosure_control import (
    Bits,
    Cells,
    GroupName,
    GroupSum,
)
from collectors.experience.vector_span import VectorSpan


class ShownGroups:
    """Groups that may be shown if their values are not looked at. `secrets`: what
    nobody may work out."""

    def __init__(
        self,
        cells: Cells,
        names: Set[GroupName],
        secrets: Sequence[Bits],
        sums: Sequence[GroupSum] = (),
    ) -> None:
        self._cells, self.names = cells, frozenset(names)
        self._secrets = secrets
        self._order = sorted(
            self.names, key=lambda name: (cells.bits[name].bit_count(), name)
        )
        self._sums = [one for one in sums if one.total in self.names]

    def safe(self, sums: Sequence[Mapping[GroupName, float]]) -> frozenset[GroupName]:
        """Returns the groups whose values may be shown. Each of `sums` has, for every
        group, a sum that no part can have less than 0 of."""
        names = self.names
        if not self._secrets:
            return names
        while True:
            left = names
            for values in sums:
                left = self._safe(left, values)
            if left == names:
                return names
            names = left

    def _safe(
        self,
        names: frozenset[GroupName],
        values: Mapping[GroupName, float],
    ) -> frozenset[GroupName]:
        none = self._known_none(names, values)
        if not none:
            return names
        bits = self._cells.bits
        secrets = {left for secret in self._secrets if (left := secret & ~none)}
        span = VectorSpan(sorted(secrets), len(names))
        return frozenset(
            name
            for name in reversed(self._order)
            if name in names and (not (left := bits[name] & ~none) or span.add(left))
        )

    def _known_none(
        self,
        names: frozenset[GroupName],
        values: Mapping[GroupName, float],
    ) -> Bits:
        """Returns the atoms that are known to have none."""
        bits = self._cells.bits
        none, before = 0, -1
        while none != before:
            before = none
            # What is left of each group, with the sum that it has in any case.
            left: dict[Bits, float] = {}
            for name in self._order:
                if name in names:
                    left[bits[name] & ~none] = values[name]
            for one in self._sums:
                if one.total in names:
                    parts = [part for part in one.parts if part in names]
                    rest = bits[one.total]
                    for part in parts:
                        rest &= ~bits[part]
                    total = sum(values[part] for part in parts)
                    left.setdefault(rest & ~none, values[one.total] - total)
            for cell, value in left.items():
                if _is_none(value):
                    none |= cell
            # Only groups with the same sum can differ by none.
            by_value: dict[int, list[Bits]] = {}
            for cell, value in left.items():
                if cell & ~none:
                    by_value.setdefault(round(value * 1e4), []).append(cell)
            for cells in by_value.values():
                for one_cell, other in combinations(cells, 2):
                    both = one_cell & other
                    if both in (one_cell, other):
                        none |= one_cell ^ other
        return none


def _is_none(value: float) -> bool:
    return math.isclose(value, 0.0, abs_tol=1e-6)
