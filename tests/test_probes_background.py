"""Blocking work in a thread: its result, its error, and a process that can end."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from probes.measure.background import in_background


async def test_the_caller_gets_the_result_or_the_exception() -> None:
    assert await in_background(int, "12") == 12
    with pytest.raises(ValueError, match="invalid literal"):
        await in_background(int, "twelve")


async def test_a_cancelled_caller_does_not_wait() -> None:
    import threading

    release = threading.Event()
    waiting = asyncio.create_task(in_background(release.wait, 60))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    release.set()


def test_a_process_ends_even_if_work_is_still_running() -> None:
    script = (
        "import asyncio, time\n"
        "from probes.measure.background import in_background\n"
        "async def main():\n"
        "    task = asyncio.create_task(in_background(time.sleep, 600))\n"
        "    await asyncio.sleep(0.05)\n"
        "    task.cancel()\n"
        "asyncio.run(main())\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script],
        timeout=60,
        check=False,
        cwd=Path(__file__).resolve().parents[1],
    )
    assert finished.returncode == 0
