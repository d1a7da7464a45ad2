"""Runs blocking work in a thread: a system command, a look-up without an asynchronous
form. Unlike the thread of a pool, this one never delays the end of the process. It ends
with its work, because each takes memory (a megabyte under Wine)."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_background(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Returns or raises what `work` does. If the caller is cancelled, the thread runs
    on and its result is dropped."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def set_outcome(result: T | None, error: Exception | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = work(*args, **kwargs)
        except Exception as raised:  # noqa: BLE001 (raised again by the await below)
            error = raised
        # The loop may have ended in the meantime.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(set_outcome, result, error)

    threading.Thread(target=run, name="background", daemon=True).start()
    return await future


async def in_background_within(
    limit_s: float, default: T, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Returns or raises what `work` does, and `default` if it takes longer."""
    try:
        async with asyncio.timeout(limit_s):
            return await in_background(work, *args, **kwargs)
    except TimeoutError:
        return default
