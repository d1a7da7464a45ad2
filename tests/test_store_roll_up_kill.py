"""A writer that is killed leaves nothing that is not rolled up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import killed_roll_ups
import pytest
import services
from rolled_store import Rolled, tidy, write

HOUR = 3_600_000


def _write_until_killed(arguments: tuple[str, ...], first: int, lines: int) -> int:
    """Runs a writer from hour `first` on, kills it after it has printed so many lines,
    and returns the first hour that it has not written."""
    writer = subprocess.Popen(
        [sys.executable, killed_roll_ups.__file__, *arguments, str(first)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    )
    assert writer.stdout is not None
    said = [writer.stdout.readline() for _ in range(lines)]
    with contextlib.suppress(subprocess.TimeoutExpired):
        # Between two lines, while it writes or rolls up.
        writer.wait(0.001 * lines)
    writer.kill()
    said += writer.stdout.readlines()
    writer.wait()
    writer.stdout.close()
    return first + sum(line.startswith("written") for line in said)


async def _sums(rolled: Rolled, step: str, of_rows: bool) -> dict[Any, Any]:
    """(line, bucket) → number, sum and maximum: of the roll-up, or of its rows."""
    columns = 'count("down_bps"), sum("down_bps"), max("down_bps") FROM "line"'
    if not of_rows:
        columns = (
            'sum("down_bps_n"), sum("down_bps_sum"), max("down_bps_max") '
            f'FROM "line_{step}"'
        )
    async with rolled.client() as client:
        series = await client.query(
            rolled.database,
            f'SELECT {columns} WHERE time > 0 GROUP BY time({step}), "line" fill(none)',
        )
    return {(s.tags["line"], row[0]): row[1:] for s in series for row in s.values}


@pytest.mark.service
@pytest.mark.parametrize("lines", [(1, 1, 3), (2, 3, 1)])
async def test_a_writer_that_is_killed_leaves_nothing_that_is_not_rolled_up(
    influx_server: services.Server, tmp_path: Path, lines: tuple[int, ...]
) -> None:
    """It is killed (kill -9) between rows and their roll-up, and between a roll-up and
    the file. What it had written is not written again."""
    now_ms = killed_roll_ups.START_MS + 9 * HOUR
    rolled = Rolled(influx_server, f"killed{lines[0]}", tmp_path, now_ms)
    url = f"http://127.0.0.1:{influx_server.port}"
    who = (influx_server.token, influx_server.org)
    arguments = (url, *who, rolled.database, str(tmp_path))
    hour = 0
    for count in lines:
        hour = await asyncio.to_thread(_write_until_killed, arguments, hour, count)
    assert 0 < hour < killed_roll_ups.HOURS
    # The hour that was being written comes again from the journal.
    async with rolled.store() as store:
        await write(store, killed_roll_ups.rows_of(hour))
        await tidy(rolled, store)
    for step in ("5m", "1h", "1d"):
        of_rows = await _sums(rolled, step, of_rows=True)
        assert of_rows
        assert await _sums(rolled, step, of_rows=False) == of_rows
