"""When things go bad: a few short rounds more, so that the bad minutes are seen while
they last. Pure but for what it remembers; bounded, so that a bad line is not made worse
and 5,000 laptops behind one dead reflector do not beat on it.
"""

from __future__ import annotations

from collections.abc import Sequence

from probes.wire.failure import is_failure
from probes.wire.policy import BURST_ROUNDS_MS, BURSTS_PER_DAY
from probes.wire.report import Result

# What a change for the worse is seen by; what explains it is looked at beside it.
SIGNS = frozenset({"call_path", "web", "name_lookup"})
EXPLAIN = ("path", "vpn", "wifi", "laptop")
# Each laptop begins at a moment of its own.
SPREAD_MS = 60_000
BETWEEN_MS = 1_800_000
DAY_MS = 86_400_000


class BurstSchedule:
    """`note(results, …)` after each round: the times of more rounds, mostly none.

    A burst begins where a sign that was good, or not known, turns bad; at most every
    half hour and three times a day. While it stays bad nothing more is done.
    """

    def __init__(self) -> None:
        self._bad: set[tuple[str, str]] = set()
        self._begun_ms: list[int] = []

    def note(
        self, results: Sequence[Result], now_ms: int, chance: float
    ) -> tuple[int, ...]:
        """When to look again, in ms since 1970. `chance` is uniform in [0, 1)."""
        turned = False
        for each in results:
            if each.probe not in SIGNS:
                continue
            key = each.probe, each.target
            if is_bad(each):
                turned |= key not in self._bad
                self._bad.add(key)
            else:
                self._bad.discard(key)
        # A clock that was set back must not stop it for ever.
        self._begun_ms = [at for at in self._begun_ms if now_ms - DAY_MS < at <= now_ms]
        last_ms = self._begun_ms[-1] if self._begun_ms else now_ms - BETWEEN_MS
        if (
            not turned
            or len(self._begun_ms) >= BURSTS_PER_DAY
            or now_ms - last_ms < BETWEEN_MS
        ):
            return ()
        self._begun_ms.append(now_ms)
        begin_ms = now_ms + int(chance * SPREAD_MS)
        return tuple(begin_ms + after_ms for after_ms in BURST_ROUNDS_MS)

    @property
    def is_bad(self) -> bool:
        """Whether any sign is bad now."""
        return bool(self._bad)


def is_bad(result: Result) -> bool:
    """Whether this result is one that its user would feel. Pure."""
    return is_failure(result.outcome) or result.values.get("poor") == 1
