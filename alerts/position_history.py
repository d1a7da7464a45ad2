"""`PositionHistory`: from where a restart reads the journal again, to refill the
window."""

from __future__ import annotations

from collections import deque

from collectors.journal import Positions

# How far back a restart reads at least: the reach of a row, so that states are known.
_LOOK_BACK_MS = 180_000
_MOST_LOOK_BACK_MS = 900_000
_STEP_MS = 10_000


class PositionHistory:
    """Positions of the last minutes. `start`: where reading began, the answer until
    they reach far enough back."""

    def __init__(self, start: Positions) -> None:
        self._start = start
        self._past: deque[tuple[int, Positions]] = deque()

    def floor(self, read: Positions, span_ms: int, now_ms: int) -> Positions:
        """Notes `read`, the position now; returns the one from before the longest
        window, `span_ms`, began."""
        back_ms = min(max(_LOOK_BACK_MS, span_ms + 60_000), _MOST_LOOK_BACK_MS)
        if not self._past or now_ms - self._past[-1][0] >= _STEP_MS:
            self._past.append((now_ms, read))
        while len(self._past) > 1 and self._past[1][0] <= now_ms - back_ms:
            self._past.popleft()
        oldest_ms, floor = self._past[0]
        return floor if oldest_ms <= now_ms - back_ms else self._start
