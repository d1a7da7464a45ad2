"""Sessions and rate limits of the reflector. Pure: callers pass in the time. Memory is
limited whatever arrives."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

from collectors.ip_networks import Network, is_in, parse_address

Key = TypeVar("Key")


class StampSessions(Generic[Key]):
    """Counts packets by session. A new session replaces the one idle for longest. An
    active one is used every few ms, so a flood of new ones does not replace it."""

    def __init__(self, most: int, idle_s: float) -> None:
        self._most, self._idle_s = most, idle_s
        self._counts: OrderedDict[Key, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def count(self, key: Key, now_s: float) -> int:
        """The number of earlier packets of this session."""
        seen, last_s = self._counts.get(key, (0, now_s))
        if now_s - last_s > self._idle_s:
            seen = 0
        self._counts[key] = (seen + 1, now_s)
        self._counts.move_to_end(key)
        if len(self._counts) > self._most:
            self._counts.popitem(last=False)
        return seen

    def expire(self, now_s: float) -> None:
        """Removes sessions that have been idle for too long."""
        while self._counts:
            key, (_seen, last_s) = next(iter(self._counts.items()))
            if now_s - last_s <= self._idle_s:
                return
            del self._counts[key]


class SourceRates(Generic[Key]):
    """A token bucket of one second's depth per key, for at most `most` keys."""

    def __init__(self, per_s: float, most: int) -> None:
        self._per_s, self._most = per_s, most
        self._buckets: OrderedDict[Key, tuple[float, float]] = OrderedDict()

    def allow(self, key: Key, now_s: float) -> bool:
        """Takes one token of `key`. False if there is none."""
        left, last_s = self._buckets.get(key, (self._per_s, now_s))
        left = min(self._per_s, left + max(0.0, now_s - last_s) * self._per_s)
        allowed = left >= 1
        self._buckets[key] = (left - allowed, now_s)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return allowed


class AllowList:
    """Checks whether an address is in one of the networks. Without networks, every
    address is allowed."""

    _REMEMBER = 10_000

    def __init__(self, networks: tuple[Network, ...]) -> None:
        self._networks = networks
        self._known: dict[str, bool] = {}

    def allows(self, address: str) -> bool:
        if not self._networks:
            return True
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= self._REMEMBER:
                self._known.clear()
            known = self._known[address] = self._is_in(address)
        return known

    def _is_in(self, text: str) -> bool:
        address = parse_address(text)
        return address is not None and is_in(address, self._networks)
