"""A link trap has its device polled at once, and once more a little later.

Once more, for agents answer from a cache of some seconds, and a link that has gone may
come back: what is known in the end is what was read in the end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

_AGAIN_S = 5.0


class Repolls:
    """At most two polls of a device in five seconds, however many traps come."""

    def __init__(self, poll_soon: Callable[[str], bool]) -> None:
        self._poll_soon = poll_soon
        self._polled_s: dict[str, float] = {}
        self._later: dict[str, asyncio.TimerHandle] = {}

    def poke(self, device: str) -> None:
        now_s = time.monotonic()
        if now_s - self._polled_s.get(device, float("-inf")) >= _AGAIN_S:
            if not self._poll_soon(device):
                return
            self._polled_s[device] = now_s
        if device not in self._later:
            loop = asyncio.get_running_loop()
            self._later[device] = loop.call_later(_AGAIN_S, self._again, device)

    def close(self) -> None:
        for handle in self._later.values():
            handle.cancel()
        self._later.clear()

    def _again(self, device: str) -> None:
        del self._later[device]
        if self._poll_soon(device):
            self._polled_s[device] = time.monotonic()
