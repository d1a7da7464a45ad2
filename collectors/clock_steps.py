"""`ClockSteps` notices that the wall clock was set, by a clock that nobody sets."""

from __future__ import annotations

import structlog

from probes.wire.clock import MonotonicClock, WallClock, steady_s

_log = structlog.get_logger()
# Time servers make smaller steps now and then.
_STEP_MS = 60_000


class ClockSteps:
    """Compares both clocks at each call with the call before."""

    def __init__(
        self, now_ms: WallClock, monotonic_s: MonotonicClock = steady_s
    ) -> None:
        self._now_ms, self._monotonic_s = now_ms, monotonic_s
        self._offset_ms = self._offset()

    def was_set(self) -> bool:
        """True once after each step of more than a minute."""
        return abs(self._step_ms()) > _STEP_MS

    def was_set_back(self) -> bool:
        """True once after each step back of more than a minute. Logs it."""
        step_ms = self._step_ms()
        if step_ms >= -_STEP_MS:
            return False
        _log.warning("clock_set_back", by_s=round(-step_ms / 1000))
        return True

    def _step_ms(self) -> float:
        before_ms, self._offset_ms = self._offset_ms, self._offset()
        return self._offset_ms - before_ms

    def _offset(self) -> float:
        return self._now_ms() - self._monotonic_s() * 1000
