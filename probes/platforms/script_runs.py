"""Keeps proxy scripts that do not end from piling up: each call of one would hold a
thread, and perhaps a processor, for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from probes.platforms.proxies import SCRIPT_S
from probes.wire.clock import MonotonicClock

T = TypeVar("T")


class ScriptRuns:
    """The runs of scripts in progress, by the script's address."""

    def __init__(self, monotonic_s: MonotonicClock = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._began_s: dict[str, list[float]] = {}

    def run(self, script: str, work: Callable[[], T]) -> T:
        """Returns what `work` does. Raises `TimeoutError` at once if an earlier run of
        the script has not ended in `SCRIPT_S`."""
        now_s = self._monotonic_s()
        with self._lock:
            began_s = self._began_s.setdefault(script, [])
            if began_s and now_s - began_s[0] >= SCRIPT_S:
                raise TimeoutError(f"the proxy script {script} has not ended yet")
            began_s.append(now_s)
        try:
            return work()
        finally:
            with self._lock:
                began_s.remove(now_s)
