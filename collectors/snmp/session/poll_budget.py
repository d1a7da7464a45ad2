"""How much time one device may take for a poll, and how much it may send."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

import msgspec

from collectors.snmp.session.session import BUDGET_SPENT, Failed, Value
from probes.wire.clock import MonotonicClock
from probes.wire.failure import Outcome

# Octets that one device may send in one poll, names and values together. A chassis of
# some thousand ports sends 5 MB, which takes four times that in memory.
MAX_OCTETS = 16_000_000


class OctetAllowance(msgspec.Struct):
    """What a device may still send: for one poll, or for a reading of many polls."""

    left: int = MAX_OCTETS


class PollBudget:
    """Time on a monotonic clock, and octets, for one poll of one device."""

    def __init__(
        self,
        seconds: float,
        allowance: OctetAllowance | None = None,
        monotonic_s: MonotonicClock = time.monotonic,
    ) -> None:
        self._monotonic_s = monotonic_s
        self._ends_s = monotonic_s() + seconds
        self._allowance = allowance or OctetAllowance()

    @property
    def full(self) -> bool:
        """True if the device has sent more than it may."""
        return self._allowance.left < 0

    @property
    def left_s(self) -> float:
        return self._ends_s - self._monotonic_s()

    def at_most(
        self, seconds: float = math.inf, allowance: OctetAllowance | None = None
    ) -> PollBudget:
        """A budget of at most so much of the time that is left, with the same octets
        unless there is another `allowance`."""
        left_s = max(0.0, self.left_s)
        return PollBudget(
            min(seconds, left_s), allowance or self._allowance, self._monotonic_s
        )

    def count(self, values: Iterable[Value], names: Iterable[str] = ()) -> None:
        """Counts an answer; `names` only if we did not send them ourselves.

        Raises `Failed` if the device has sent too much.
        """
        octets = sum(map(len, names))
        for value in values:
            if type(value) is bytes or type(value) is str:
                octets += len(value)
        self._allowance.left -= octets
        if self.full:
            self.check()

    def check(self, needed_s: float = 0.0) -> None:
        """Raises `Failed` if nothing is left, or less than `needed_s`."""
        if self.full:
            raise Failed(Outcome.BUDGET_SPENT, "the device sends too much for one poll")
        if self.left_s <= needed_s:
            raise Failed(Outcome.BUDGET_SPENT, BUDGET_SPENT)
