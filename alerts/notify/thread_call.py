"""`call_in_thread`: one blocking call, for as long as there is time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


async def call_in_thread(work: Callable[[], _T], timeout_s: float, name: str) -> _T:
    """Returns what `work` returns. Raises what it raises, or `TimeoutError`.

    A call that hangs cannot be stopped, but its thread is a daemon: it delays neither
    the caller nor the end of the process, as one of asyncio's own pool would.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[_T] = loop.create_future()

    def finish(value: _T | None, error: BaseException | None) -> None:
        if result.done():
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(value)  # type: ignore[arg-type]

    def run() -> None:
        value, failure = None, None
        try:
            value = work()
        except BaseException as error:  # noqa: BLE001 - raised in the caller instead
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(finish, value, failure)

    threading.Thread(target=run, name=name, daemon=True).start()
    async with asyncio.timeout(timeout_s):
        return await result
