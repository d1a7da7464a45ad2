"""A few extra short rounds when things turn bad, so that the bad minutes are measured
while they last.

Bounded, so that a bad line is not made worse, and 5,000 laptops behind one dead
reflector do not overload it.
"""

from __future__ import annotations

from collections.abc import Sequence

from probes.wire.failure import is_failure
from probes.wire.policy import BURST_ROUNDS_MS, BURSTS_PER_DAY
from probes.wire.probe_list import find_probe
from probes.wire.report import Result

# Each laptop starts at a moment of its own.
SPREAD_MS = 60_000
BETWEEN_MS = 1_800_000
DAY_MS = 86_400_000


class BurstSchedule:
    """`rounds_after(results, …)` after each round: the times of extra rounds, usually
    none.

    A burst starts if a sign that was good, or unknown, turns bad: at most every half
    hour and three times a day. No further burst starts while it stays bad.
    """

    def __init__(self) -> None:
        self._bad: set[tuple[str, str]] = set()
        self._started_ms: list[int] = []

    def rounds_after(
        self, results: Sequence[Result], now_ms: int, chance: float
    ) -> tuple[int, ...]:
        """Returns when to measure again, in ms since 1970. `chance` is uniform in
        [0, 1)."""
        turned_bad = False
        for result in results:
            probe = find_probe(result.probe)
            if probe is None or probe.burst != "sign":
                continue
            key = result.probe, result.target
            if is_bad(result):
                turned_bad |= key not in self._bad
                self._bad.add(key)
            else:
                self._bad.discard(key)
        # A clock that was set back must not prevent bursts for ever.
        self._started_ms = [
            start_ms
            for start_ms in self._started_ms
            if now_ms - DAY_MS < start_ms <= now_ms
        ]
        last_ms = self._started_ms[-1] if self._started_ms else now_ms - BETWEEN_MS
        if (
            not turned_bad
            or len(self._started_ms) >= BURSTS_PER_DAY
            or now_ms - last_ms < BETWEEN_MS
        ):
            return ()
        self._started_ms.append(now_ms)
        first_ms = now_ms + int(chance * SPREAD_MS)
        return tuple(first_ms + after_ms for after_ms in BURST_ROUNDS_MS)

    @property
    def is_bad(self) -> bool:
        """Whether any sign is bad now."""
        return bool(self._bad)


def is_bad(result: Result) -> bool:
    """Whether the user would notice what this result shows. Pure."""
    return is_failure(result.outcome) or result.values.get("poor") == 1
