"""Tasks of a component: started together, stopped together, and never lost in
silence."""

from __future__ import annotations

import asyncio
import time

import pytest
import structlog
from virtual_time import in_virtual_time

from collectors.background_tasks import BackgroundTasks


async def test_leaving_ends_every_task() -> None:
    tasks = BackgroundTasks()
    started = [tasks.start(asyncio.sleep(60), f"sleep-{n}") for n in range(3)]
    await tasks.stop()
    assert all(task.cancelled() for task in started)


async def test_a_task_that_fails_is_logged_at_once_and_the_others_go_on() -> None:
    async def fail() -> None:
        raise OSError("the disk is gone")

    tasks = BackgroundTasks()
    with structlog.testing.capture_logs() as logs:
        tasks.start(fail(), "writer")
        other = tasks.start(asyncio.sleep(60), "reader")
        await asyncio.sleep(0.01)
        assert not other.done()
    [line] = logs
    assert line["event"] == "background_task_failed"
    assert line["task"] == "writer"
    assert line["error"] == "OSError('the disk is gone')"
    await tasks.stop()


async def test_a_task_that_is_about_to_end_may_do_so() -> None:
    ended = []

    async def finish() -> None:
        await asyncio.sleep(0.05)
        ended.append(True)

    tasks = BackgroundTasks()
    tasks.start(finish(), "finish")
    await tasks.stop(wait_s=5.0)
    assert ended


@in_virtual_time
async def test_stopping_waits_no_longer_than_allowed() -> None:
    tasks = BackgroundTasks()
    task = tasks.start(asyncio.sleep(60), "slow")
    begun_s = time.monotonic()
    await tasks.stop(wait_s=5.0)
    assert time.monotonic() - begun_s == pytest.approx(5.0)
    assert task.cancelled()
