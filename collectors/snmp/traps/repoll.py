"""Polls a device at once after a trap that reports a change, and again later.

A trap is a claim; polls confirm it or end it. The second poll is needed because agents
answer from a cache of some seconds, and because a link that went down may come back up.
After a change of a sensor (power, fan, battery, temperature) all sensors are read, and
once more when no cache is that old.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Protocol

import msgspec

from probes.wire.clock import MonotonicClock

_AGAIN_S = 5.0
# Rules believe a poll against a trap if it came half a minute later
# (alerts/evaluation/conditions.py).
_CONFIRM_S = 35.0
# While traps keep coming, sensors are read ever more seldom, down to their interval.
_LONGEST_S = 300.0


class PollSoon(Protocol):
    """Polls a device now, if `health` with all its sensors; False if it is unknown."""

    def __call__(self, device: str, health: bool = False) -> bool: ...


class CallLater(Protocol):
    """As `call_later` of an event loop."""

    def __call__(
        self, delay: float, callback: Any, /, *args: Any
    ) -> asyncio.TimerHandle: ...


class _Repolled(msgspec.Struct):
    """When a device was polled after traps and reported a change, and how soon its
    sensors may be read again."""

    polled_s: float = float("-inf")
    health_s: float = float("-inf")
    changed_s: float = float("-inf")
    gap_s: float = _AGAIN_S


class Repolls:
    """Limits polls after traps to two per device in five seconds."""

    def __init__(
        self,
        poll_soon: PollSoon,
        monotonic_s: MonotonicClock = time.monotonic,
        call_later: CallLater | None = None,
    ) -> None:
        self._poll_soon, self._monotonic_s = poll_soon, monotonic_s
        self._call_later = call_later
        self._repolled: dict[str, _Repolled] = {}
        self._later: dict[tuple[str, bool], asyncio.TimerHandle] = {}

    def request(self, device: str, health: bool = False) -> None:
        """Poll the device now, unless it was polled just now, and once more later.
        `health`: read its sensors too."""
        now_s = self._monotonic_s()
        repolled = self._repolled.setdefault(device, _Repolled())
        if health:
            repolled.changed_s = now_s
            since_s = now_s - repolled.health_s
            health = since_s >= repolled.gap_s
            if health:
                longer_s = min(2 * repolled.gap_s, _LONGEST_S)
                repolled.gap_s = _AGAIN_S if since_s > _LONGEST_S else longer_s
                repolled.health_s = now_s
            self._poll_later(device, _CONFIRM_S, health=True)
        if health or now_s - repolled.polled_s >= _AGAIN_S:
            if not self._poll_soon(device, health=health):
                return
            repolled.polled_s = now_s
        self._poll_later(device, _AGAIN_S, health=False)

    def close(self) -> None:
        for handle in self._later.values():
            handle.cancel()
        self._later.clear()

    def _poll_later(self, device: str, after_s: float, health: bool) -> None:
        key = (device, health)
        if key not in self._later:
            call_later = self._call_later or asyncio.get_running_loop().call_later
            self._later[key] = call_later(after_s, self._poll_again, *key)

    def _poll_again(self, device: str, health: bool) -> None:
        del self._later[device, health]
        changed_s = self._repolled[device].changed_s
        too_early_s = changed_s + _CONFIRM_S - self._monotonic_s()
        if health and too_early_s > 1.0:
            self._poll_later(device, too_early_s, health=True)
            return
        if self._poll_soon(device, health=health):
            self._repolled[device].polled_s = self._monotonic_s()
