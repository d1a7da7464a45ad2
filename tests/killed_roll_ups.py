"""A process that writes rows and rolls them up until it is killed: `tests` run it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import council

from collectors.server_measurements import CATALOGUE
from collectors.store.influx_http import InfluxServer
from collectors.store.influx_store import InfluxStore
from probes.wire.sample import Sample

HOUR_MS = 3_600_000
# Four hours before a midnight, so that a day ends meanwhile.
START_MS = 1_795_000_000_000 - 1_795_000_000_000 % (24 * HOUR_MS) - 4 * HOUR_MS
HOURS, LINES = 6, ("one", 'a "b"\\c')


def rows_of(hour: int) -> list[Sample]:
    """An hour of both lines, and a row that is late by an hour."""
    start = START_MS + hour * HOUR_MS
    times = [*range(start, start + HOUR_MS, 60_000), start - HOUR_MS + 30_000]
    return [
        Sample("line", {"line": line}, {"down_bps": float(time_ms % 9973)}, time_ms)
        for time_ms in times
        for line in LINES
    ]


async def write_and_roll_up(
    server: InfluxServer, database: str, folder: Path, first: int
) -> None:
    """Writes hour after hour, and says which are written: a journal would not give
    these again."""
    now_ms = START_MS
    async with InfluxStore(
        server, database, CATALOGUE, folder, lambda: now_ms
    ) as store:
        for hour in range(first, HOURS):
            await store.write(list(council.batches(iter(rows_of(hour)))))
            print(f"written {hour}", flush=True)
            # An hour is rolled up when the next one is written.
            now_ms = START_MS + (hour + 1) * HOUR_MS + 600_000
            await store.tidy(now_ms)
            print(f"rolled up {hour}", flush=True)


if __name__ == "__main__":
    url, token, org, database, folder, first = sys.argv[1:]
    asyncio.run(
        write_and_roll_up(
            InfluxServer(url, token, org), database, Path(folder), int(first)
        )
    )
