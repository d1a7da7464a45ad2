"""Runs an installation until it is stopped."""

from __future__ import annotations

import asyncio
import gc
import signal

import structlog

from towpath.run import Installation
from towpath.systemd import notify

_log = structlog.get_logger()
_STOP_S = 4.5
# Almost nothing here has cycles: the rest is freed without the garbage collector. With
# Python's own numbers (700, 10, 10) it searches the tables and rows of a thousand
# devices several times a minute, for a quarter of the processor time.
GC_THRESHOLDS = (50_000, 20, 20)


async def serve(installation: Installation) -> None:
    """Runs until SIGTERM or SIGINT; SIGHUP re-reads the estate. Stops within 5 s."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)

    def reload_estate() -> None:
        notify("RELOADING=1")
        installation.estate.reload()
        notify("READY=1")

    loop.add_signal_handler(signal.SIGHUP, reload_estate)
    async with installation:
        _log.info(
            "towpath_runs",
            roles=list(installation.roles),
            pieces=[name for name, _ in installation.pieces],
        )
        # The objects made at start-up stay: the garbage collector can skip them.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        notify("READY=1")
        await stop.wait()
        # Else DuckDB finds objects at the end that nobody freed, and reports them.
        gc.unfreeze()
        notify("STOPPING=1")
        _log.info("towpath_stops")
        # A task that hangs must not delay the stop: the journal is on disk anyway.
        loop.call_later(_STOP_S, _give_up)
    _log.info("towpath_stopped")


def _give_up() -> None:
    waiting = [task.get_name() for task in asyncio.all_tasks() if not task.done()]
    _log.error("stop_took_too_long", waiting_for=waiting)
    signal.raise_signal(signal.SIGKILL)
