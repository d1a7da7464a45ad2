"""Common times for all work that is done every few seconds or minutes.

To wake an idle process costs more than most of this work. So what is done every 5, 30
or 60 s wakes it together, and with the polls, whose phases follow the wall clock too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from collectors.failure_log import FailureLog


def seconds_to_next(every_s: float, now_s: float, least: float = 0.5) -> float:
    """Returns the seconds until the next multiple of `every_s` that is at least the
    part `least` of it away: a timer may be early, and what has just been done is not
    due again. Pure."""
    to_next_s = every_s - now_s % every_s
    return to_next_s if to_next_s >= every_s * least else to_next_s + every_s


async def sleep_with_others(every_s: float) -> None:
    """Sleeps until the next common time of what is done every `every_s`."""
    await asyncio.sleep(seconds_to_next(every_s, time.time()))


async def repeat_with_others(
    every_s: float, work: Callable[[], Awaitable[object]], failures: FailureLog
) -> None:
    """Does the work at each common time of what is done every `every_s`, from the next
    one on, until cancelled. What fails is logged and tried again at the next."""
    while True:
        await sleep_with_others(every_s)
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - the next time it may work
            failures.failed(error)
        else:
            failures.recovered()
