"""`TokenBuckets`: limits each of many keys to a burst and a sustained rate. Pure."""

from __future__ import annotations

_SWEEP_S = 60
_MANY = 100_000


class TokenBuckets:
    """A token bucket (ITU-T I.371, GCRA's cousin) per key: an agent, an address.

    `take` returns 0 if `key` may do `count` now, otherwise the seconds to wait. A key
    whose bucket is full again takes no memory.
    """

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._full_at_s: dict[str, float] = {}
        self._swept_s, self._kept = 0.0, _MANY

    def take(self, key: str, count: int, now_s: float) -> float:
        # A request larger than the bucket empties it, so that it gets through at all.
        count = min(count, int(self._burst))
        # The state of a bucket is the time at which it is full.
        full_s = max(self._full_at_s.get(key, now_s), now_s) + count / self._per_s
        wait_s = full_s - now_s - self._burst / self._per_s
        if wait_s > 1e-9:
            return wait_s
        self._note(key, full_s, now_s)
        return 0.0

    def owe(self, key: str, count: int, now_s: float, most_s: float) -> float:
        """Takes `count`, even if it is not available yet, and returns the seconds until
        it is. Takes nothing and returns `most_s` if that would take longer."""
        full_s = max(self._full_at_s.get(key, now_s), now_s) + count / self._per_s
        wait_s = full_s - now_s - self._burst / self._per_s
        if wait_s > most_s:
            return most_s
        self._note(key, full_s, now_s)
        return max(0.0, wait_s)

    def left(self, key: str, now_s: float) -> float:
        """How much `key` may take at `now_s`."""
        full_s = max(self._full_at_s.get(key, now_s), now_s)
        return self._burst - (full_s - now_s) * self._per_s

    def _note(self, key: str, full_s: float, now_s: float) -> None:
        self._full_at_s[key] = full_s
        if now_s - self._swept_s > _SWEEP_S or len(self._full_at_s) > 2 * self._kept:
            self._sweep(now_s)

    def _sweep(self, now_s: float) -> None:
        self._swept_s = now_s
        self._full_at_s = {k: t for k, t in self._full_at_s.items() if t > now_s}
        self._kept = max(_MANY, len(self._full_at_s))
