"""Blocking work beside the loop: its result, its failure, and no hold on the end."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from probes.measure.background import in_background


async def test_what_was_returned_or_raised_comes_back() -> None:
    assert await in_background(int, "12") == 12
    with pytest.raises(ValueError, match="invalid literal"):
        await in_background(int, "twelve")


async def test_what_is_cancelled_is_waited_for_no_longer() -> None:
    import threading

    release = threading.Event()
    waiting = asyncio.create_task(in_background(release.wait, 60))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    release.set()


def test_a_process_ends_whatever_still_works_in_it() -> None:
    script = (
        "import asyncio, time\n"
        "from probes.measure.background import in_background\n"
        "async def main():\n"
        "    task = asyncio.create_task(in_background(time.sleep, 600))\n"
        "    await asyncio.sleep(0.05)\n"
        "    task.cancel()\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        timeout=60,
        check=False,
        cwd=Path(__file__).resolve().parents[1],
    )
    assert done.returncode == 0
