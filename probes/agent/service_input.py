"""What the service of Windows (deploy/windows/towpath-agent-service.c) writes to the
agent's standard input: a line `resumed` after a sleep, and the end of input to stop."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable

RESUMED = b"resumed"
_MAX_LINE = 1_000


def watch_input(
    stop: asyncio.Event, woken: asyncio.Event, read: Callable[[], bytes] | None = None
) -> None:
    """Sets `stop` at the end of standard input, and `woken` at each `resumed`. Call it
    in the loop that waits for these."""
    loop = asyncio.get_running_loop()
    # Not sys.stdin: its lock would keep the interpreter from ending.
    read = read or (lambda: os.read(0, _MAX_LINE))

    def set_event(event: asyncio.Event) -> None:
        try:
            loop.call_soon_threadsafe(event.set)
        except RuntimeError:
            return  # the loop is closed: the agent has ended

    def watch() -> None:
        line = b""
        while True:
            try:
                part = read()
            except OSError:
                part = b""
            if not part:
                set_event(stop)
                return
            *lines, line = (line + part).split(b"\n")
            line = line[-_MAX_LINE:]
            if any(whole.strip() == RESUMED for whole in lines):
                set_event(woken)

    threading.Thread(target=watch, name="agent-input", daemon=True).start()
