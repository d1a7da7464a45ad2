"""Where a device has nothing, as far as its answers to GETNEXT show. Pure.

The profile of a maker has the tables of all its models, and a device has few of them,
and few of their columns. What follows one OID also shows that there is nothing up to
there.
"""

from __future__ import annotations

from bisect import bisect_right

from collectors.snmp.session.oids import parts

_Arcs = tuple[int, ...]


class EmptyRanges:
    """Ranges of OIDs, each after one OID and before another."""

    def __init__(self) -> None:
        self._starts: list[_Arcs] = []
        # The OID that follows; None if the range reaches to the end of the tree.
        self._ends: dict[_Arcs, _Arcs | None] = {}

    def add(self, after: str, following: str) -> None:
        """Record that `following` is the first OID after `after`; empty: there is
        none. An answer that goes back shows nothing."""
        start, end = parts(after), parts(following) if following else None
        if end is not None and end <= start:
            return
        if start not in self._ends:
            self._starts.insert(bisect_right(self._starts, start), start)
        self._ends[start] = end

    def covers(self, base: str) -> bool:
        """Return True if there is certainly nothing below `base`."""
        return self.holds(base) is False

    def holds(self, base: str) -> bool | None:
        """Return whether there is something below `base`; None if that is not known."""
        arcs = parts(base)
        at = bisect_right(self._starts, arcs)
        if at == 0:
            return None
        end = self._ends[self._starts[at - 1]]
        if end is None:
            return False
        return end[: len(arcs)] == arcs if end > arcs else None
