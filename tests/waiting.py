"""Waiting for a condition: `until` in an event loop, `wait_until` outside one."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable

import pytest


async def until(
    condition: Callable[[], object],
    what: str = "the condition",
    seconds: float = 30.0,
    every_s: float = 0.01,
) -> None:
    """Waits until `condition()` is true; fails the test with `what` after `seconds`.

    A condition that reads files may return an awaitable, such as
    `asyncio.to_thread(...)`.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:g} s for {what}")
        await asyncio.sleep(every_s)


def wait_until(
    condition: Callable[[], object],
    what: str,
    seconds: float = 20.0,
    every_s: float = 0.05,
) -> None:
    """Waits until `condition()` is true; fails the test with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:g} s for {what}")
        time.sleep(every_s)
