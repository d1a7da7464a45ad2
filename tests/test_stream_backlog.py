"""Readers whose connection ends: one that is far behind, and one whose last request
still waits at a server."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from journal_places import JournalPlace
from nats_servers import NatsServer, running_nats
from structlog.testing import capture_logs
from test_journal_log import drain, ids, rows

from collectors.batch import Batch
from collectors.nats.journal_streams import JournalStreams
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.stream_cursor import pull_request

_ROWS, _BATCHES = 2_500, 24


def _large(first: int) -> Batch:
    """About 400 kB that do not compress."""
    batch, chance = rows(first, _ROWS), random.Random(first)
    time, _, *others = batch.columns
    devices = [chance.randbytes(150).hex() for _ in range(_ROWS)]
    return Batch(batch.source, 0, batch.schema, (time, devices, *others))


async def test_what_a_start_that_was_cut_off_has_left_does_not_keep_a_reader_waiting(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    place = JournalPlace(tmp_path, nats_server)
    async with place.connection as connection, place.journal("poll") as journal:
        await journal.append(rows(0))
        async with place.reader("store") as reader:
            assert await drain(reader) == list(range(8))
        # Servers do not change where a consumer begins.
        await JournalStreams(connection)._add_consumer("poll", "store_seek", 0, False)
        await journal.append(rows(8))
        async with place.reader("store", reader.positions) as reader:
            chunk = await reader.read()
            assert chunk is not None
            assert ids(chunk.batches) == list(range(8, 16))
            assert await JournalStreams(connection).readers("poll") == ["store"]


async def test_a_reader_that_connects_again_does_not_wait_for_its_own_request(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    """After a cut between servers it waits at one of them for 15 seconds, as if another
    process read under this name."""
    place = JournalPlace(tmp_path, nats_server)
    async with (
        place.connection as connection,
        place.journal("poll") as journal,
        place.reader("store") as reader,
        NatsConnection(place.nats, "left") as left,
    ):
        await journal.append(rows(0))
        found = await drain(reader)
        inbox = await left.client.subscribe("left")
        stream = JournalStreams(connection).stream("poll")
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.store"
        await left.client.publish(subject, pull_request(), reply=inbox.subject)
        await left.client.flush()
        with capture_logs() as logs:
            await connection.client.force_reconnect()
            await journal.append(rows(8))
            while 15 not in found:
                found += await drain(reader)
    assert found == list(range(16))
    assert "journal_reader_waits" not in [entry["event"] for entry in logs]


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
