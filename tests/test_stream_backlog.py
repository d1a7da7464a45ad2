"""A reader that is far behind, of large messages, on a connection that takes little at
once: the server ends it. `make soak`."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from journal_places import JournalPlace
from nats_servers import running_nats
from test_journal_log import ids, rows

from collectors.batch import Batch

_ROWS, _BATCHES = 2_500, 24


def _large(first: int) -> Batch:
    """About 400 kB that do not compress."""
    batch, chance = rows(first, _ROWS), random.Random(first)
    time, _, *others = batch.columns
    devices = [chance.randbytes(150).hex() for _ in range(_ROWS)]
    return Batch(batch.source, 0, batch.schema, (time, devices, *others))


@pytest.mark.soak
@pytest.mark.timeout(120)
async def test_a_reader_that_is_cut_off_as_too_slow_requests_less_and_reads_all_once(
    tmp_path: Path,
) -> None:
    # No server that takes messages of 1 MiB may keep less for a connection.
    with running_nats(tmp_path / "nats", f"max_pending: {1 << 20}\n") as server:
        place = JournalPlace(tmp_path, server)
        async with place.connection, place.journal("poll") as journal:
            for first in range(0, _ROWS * _BATCHES, _ROWS):
                await journal.append(_large(first))
            found: list[int] = []
            async with place.reader("store") as reader:
                while len(found) < _ROWS * _BATCHES:
                    if chunk := await reader.read():
                        found += ids(chunk.batches)
                        reader.passed(chunk.positions)
        ended = server.log.read_text().count("Slow Consumer")
    assert found == list(range(_ROWS * _BATCHES))
    print(f"the server ended {ended} connections")
