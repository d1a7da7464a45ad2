"""Bounds: how much one agent may send, and which reports came before."""

from __future__ import annotations


class Allowance:
    """A token bucket (ITU-T I.371, GCRA's cousin) per agent.

    `take` gives 0 where the agent may send `count` now, else the seconds to wait.
    An agent whose bucket is full again is not remembered.
    """

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._empty_until: dict[str, float] = {}
        self._swept_s = 0.0

    def take(self, agent: str, count: int, now_s: float) -> float:
        # A request larger than the bucket empties it: it must get through some time.
        count = min(count, int(self._burst))
        # The time at which the bucket would be full says all there is to know of it.
        full_s = max(self._empty_until.get(agent, now_s), now_s) + count / self._per_s
        wait_s = full_s - now_s - self._burst / self._per_s
        if wait_s > 1e-9:
            return wait_s
        self._empty_until[agent] = full_s
        if now_s - self._swept_s > 60:
            self._sweep(now_s)
        return 0.0

    def _sweep(self, now_s: float) -> None:
        self._swept_s = now_s
        self._empty_until = {a: t for a, t in self._empty_until.items() if t > now_s}


class Remembered:
    """The last ids made durable, between `limit` / 2 and `limit` of them."""

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self._newer: set[tuple[str, str]] = set()
        self._older: set[tuple[str, str]] = set()

    def __contains__(self, key: object) -> bool:
        return key in self._newer or key in self._older

    def __len__(self) -> int:
        return len(self._newer) + len(self._older)

    def add(self, agent: str, id: str) -> None:
        self._newer.add((agent, id))
        if len(self._newer) >= self._half:
            self._older, self._newer = self._newer, set()
