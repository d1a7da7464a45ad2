"""Polls a device at once after a link trap, and once more five seconds later.

The second poll is needed because agents answer from a cache of some seconds, and
because a link that went down may come back up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

_AGAIN_S = 5.0


class Repolls:
    """Limits polls after traps to two per device in five seconds."""

    def __init__(self, poll_soon: Callable[[str], bool]) -> None:
        self._poll_soon = poll_soon
        self._polled_s: dict[str, float] = {}
        self._later: dict[str, asyncio.TimerHandle] = {}

    def request(self, device: str) -> None:
        """Poll the device now, unless it was polled just now, and once more later."""
        now_s = time.monotonic()
        if now_s - self._polled_s.get(device, float("-inf")) >= _AGAIN_S:
            if not self._poll_soon(device):
                return
            self._polled_s[device] = now_s
        if device not in self._later:
            loop = asyncio.get_running_loop()
            self._later[device] = loop.call_later(_AGAIN_S, self._poll_again, device)

    def close(self) -> None:
        for handle in self._later.values():
            handle.cancel()
        self._later.clear()

    def _poll_again(self, device: str) -> None:
        del self._later[device]
        if self._poll_soon(device):
            self._polled_s[device] = time.monotonic()
