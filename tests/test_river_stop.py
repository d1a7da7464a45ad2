"""Stopping and re-reading: nothing that was receipted is lost, nothing is restarted."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from river import COMMUNITY, Council, Running, started
from river_laptops import Laptops, journalled
from waiting import until

from towpath.demo.simulated_switches import SimulatedPort, SimulatedSwitch


async def test_a_stop_under_load_loses_no_receipted_report(tmp_path: Path) -> None:
    council = Council(tmp_path)
    # The journal waits for a reader that comes after the stop.
    council.write_settings(journal='readers = ["test"]')
    run = Running(council)
    async with started(run), Laptops(council, https=8) as laptops:
        await laptops.more(30)
        run.signal(signal.SIGTERM)
        assert await asyncio.to_thread(run.code) == 0
        # What was answered in the last moment has come in by now.
        await until(lambda: all(e.failures for e in laptops.all), "closed doors")
        receipted = {laptop.agent: set(laptop.receipted) for laptop in laptops.all}
    assert run.count("towpath_stopped") == 1
    assert run.count("stop_took_too_long") == 0
    assert run.count("Traceback") == 0
    assert run.count("leaked") == 0
    ids_journalled = await journalled(council.config.journal.folder, "test")
    assert sum(map(len, receipted.values())) >= 8 * 30
    for agent, numbers in receipted.items():
        assert numbers <= set(ids_journalled[agent])


async def test_sighup_reads_the_estate_again_and_a_bad_file_changes_nothing(
    tmp_path: Path,
) -> None:
    council = Council(tmp_path)
    council.write_settings()
    port = SimulatedPort(1, "Gi1/0/1")
    one = SimulatedSwitch("one", [port], community=COMMUNITY)
    two = SimulatedSwitch("two", [port], community=COMMUNITY)
    async with one, two:
        council.write_estate({"one": one.port_number, "two": two.port_number})
        both = council.estate.read_text()
        council.write_estate({"one": one.port_number})
        # As large and as old as the other, so that only the signal makes a change.
        alone = council.estate.read_text()
        alone += "#" * (len(both) - len(alone))
        council.estate.write_text(alone)
        state = council.estate.stat()

        def write(text: str) -> None:
            council.estate.write_text(text)
            os.utime(council.estate, ns=(state.st_atime_ns, state.st_mtime_ns))

        run = Running(council)
        async with started(run):
            await until(lambda: one.requests > 2, "polls of the first device")
            write(both)
            await asyncio.sleep(2.5)
            assert two.requests == 0
            run.signal(signal.SIGHUP)
            await until(lambda: two.requests > 2, "polls of the added device")

            bad = both.replace('site = "hall"', 'site = "hull"')
            assert len(bad) == len(both)
            write(bad)
            run.signal(signal.SIGHUP)
            await until(lambda: run.count("estate_refused") == 1, "a refusal")
            line = next(
                line
                for line in run.log.read_text().splitlines()
                if "estate_refused" in line
            )
            assert "did you mean 'hall'" in line
            before = (one.requests, two.requests)
            await until(
                lambda: one.requests > before[0] + 2 and two.requests > before[1] + 2,
                "polls by the last good estate",
            )
            run.signal(signal.SIGTERM)
            assert await asyncio.to_thread(run.code) == 0
