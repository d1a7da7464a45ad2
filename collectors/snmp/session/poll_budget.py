"""How much time one device may take for a poll, and how much it may send."""

from __future__ import annotations

import time
from collections.abc import Iterable

from collectors.snmp.session.session import Failed, Value
from probes.wire.failure import Outcome

# Octets that one device may send in one poll, names and values together. A chassis of
# some thousand ports sends 5 MB, which takes four times that in memory.
MAX_OCTETS = 16_000_000


class PollBudget:
    """Time on a monotonic clock, and octets, for one poll of one device."""

    def __init__(self, seconds: float, octets: int = MAX_OCTETS) -> None:
        self._ends = time.monotonic() + seconds
        self._octets = octets

    @property
    def full(self) -> bool:
        """True if the device has sent more than it may."""
        return self._octets < 0

    def renewed(self, seconds: float) -> PollBudget:
        """A budget with fresh time, but no fresh octets."""
        return PollBudget(seconds, self._octets)

    def count(self, values: Iterable[Value], names: Iterable[str] = ()) -> None:
        """Counts an answer; `names` only if we did not send them ourselves.

        Raises `Failed` if the device has sent too much.
        """
        octets = sum(map(len, names))
        for value in values:
            if type(value) is bytes or type(value) is str:
                octets += len(value)
        self._octets -= octets
        if self.full:
            self.check()

    def check(self) -> None:
        """Raises `Failed` if nothing is left."""
        if self.full:
            raise Failed(Outcome.BUDGET_SPENT, "the device sends too much for one poll")
        if time.monotonic() > self._ends:
            raise Failed(
                Outcome.BUDGET_SPENT, "the device's time for a poll is used up"
            )
