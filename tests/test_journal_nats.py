"""What the journal in NATS does beyond the contract: kills, limits, other streams."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journal_places import JournalPlace
from nats.js.api import PubAck
from nats_servers import (
    NatsCluster,
    NatsServer,
    running_cluster,
    running_nats,
    stream_leader,
)
from structlog.testing import capture_logs
from test_journal_bounds import noise
from test_journal_log import drain, ids, rows
from waiting import until

from collectors.batch import Batch
from collectors.journal import (
    Journal,
    JournalConfig,
    JournalFailed,
    Position,
    ReaderTaken,
)
from collectors.journal.journal_log import LogPiece
from collectors.nats import stream_cursor, stream_log
from collectors.nats.journal_streams import JournalStreams
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.nats_watch import NatsWatch
from collectors.nats.stream_log import StreamLog, is_kept
from collectors.nats.stream_message import (
    RowTooLarge,
    _encoder,
    batches_of,
    stream_messages,
)
from collectors.nats.stream_reader import StreamReader
from collectors.nats.stream_tidy import StreamTidy, shortened
from collectors.server_measurements import CATALOGUE
from probes.wire.clock import wall_ms

SMALL = 64 << 10


@pytest.fixture
async def place(nats_server: NatsServer, tmp_path: Path):  # type: ignore[no-untyped-def]
    place = JournalPlace(tmp_path, nats_server)
    async with place.connection:
        yield place


def tidier(place: JournalPlace, journal: Journal, **limits: int) -> StreamTidy:
    config = place.config.model_copy(update=limits)
    streams = JournalStreams(place.connection)
    return StreamTidy(streams, "poll", config, journal.stats)


@pytest.mark.parametrize(
    ("seq", "duplicate", "kept"), [(7, None, True), (7, True, True), (0, True, False)]
)
def test_a_duplicate_that_no_server_has_numbered_is_not_acknowledged(
    seq: int, duplicate: bool | None, kept: bool
) -> None:
    acknowledgement = PubAck("towpath-poll", seq, None, duplicate)
    assert is_kept(acknowledgement) is kept


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=6), st.integers(600, 4000))
def test_messages_hold_all_rows_in_order_and_are_never_too_large(
    counts: list[int], max_bytes: int
) -> None:
    pieces, first = [], 0
    for count in counts:
        pieces.append(LogPiece(_encoder.encode(noise(first, count)), count))
        first += count
    too_large: list[RowTooLarge] = []
    messages = list(stream_messages(pieces, 1, max_bytes, too_large))
    assert not too_large
    assert all(len(message.data) <= max_bytes for message in messages)
    read = [batch for message in messages for batch in batches_of(message.data)]
    assert ids(read) == list(range(first))
    assert len({message.id for message in messages}) == len(messages)
    again = stream_messages(pieces, 2, max_bytes, too_large)
    assert [message.id for message in again] == [message.id for message in messages]


def test_a_row_that_fits_into_no_message_is_set_apart() -> None:
    chance = random.Random(1)
    one = rows(0, 1)
    text = [chance.randbytes(4000).hex()]
    columns = [text if column == ["d0"] else column for column in one.columns]
    large = Batch(one.source, 0, one.schema, tuple(columns))
    pieces = [LogPiece(_encoder.encode(batch), 1) for batch in (rows(1, 1), large)]
    too_large: list[RowTooLarge] = []
    messages = list(stream_messages(pieces, 1, 2000, too_large))
    assert ids(batches_of(messages[0].data)) == [1]
    assert [ids([error.batch]) for error in too_large] == [[0]]


def test_what_was_noted_is_shortened_without_losing_rows() -> None:
    noted = [(at, 10) for at in range(1, 8)]
    assert shortened(noted, 7) == noted
    assert shortened(noted, 3) == [(5, 50), (6, 10), (7, 10)]
    assert shortened([], 3) == []


async def test_rows_that_are_sent_again_are_kept_once(place: JournalPlace) -> None:
    async with place.journal("poll") as journal, place.reader("store") as reader:
        await journal.append(rows(0))
        await journal.append(rows(0))
        assert await drain(reader) == list(range(8))


async def test_what_every_reader_has_passed_is_deleted(place: JournalPlace) -> None:
    async with place.journal("poll") as journal:
        async with place.reader("store") as store, place.reader("alert") as alert:
            await journal.append(rows(0))
            await journal.append(rows(8))
            assert await drain(store) == list(range(16))
            await place.until_passed(store)
            await tidier(place, journal).tidy(wall_ms())
            assert journal.stats.segments == 1
            assert await drain(alert) == list(range(16))
            await place.until_passed(alert)
        # A reader that is only configured is waited for.
        await tidier(place, journal, readers=("groups",)).tidy(wall_ms())  # type: ignore[arg-type]
        assert journal.stats.oldest_ms is not None
        await tidier(place, journal).tidy(wall_ms())
        assert (journal.stats.bytes, journal.stats.oldest_ms) == (0, None)


async def test_a_reader_of_another_log_is_waited_for(place: JournalPlace) -> None:
    async with (
        place.journal("poll") as journal,
        place.journal("ingest"),
        place.reader("store") as store,
    ):
        # Before there is anything that the journal's own tidying could delete.
        streams = JournalStreams(place.connection)
        await streams.seek("ingest", "late", 0, False)
        await journal.append(rows(0))
        assert await drain(store) == list(range(8))
        await place.until_passed(store)
        await tidier(place, journal).tidy(wall_ms())
        assert journal.stats.segments == 1
        await place.forget("late")
        await tidier(place, journal).tidy(wall_ms())
        assert journal.stats.segments == 0


async def test_a_reader_that_keeps_much_goes_on_after_the_connection_has_ended(
    place: JournalPlace,
) -> None:
    # The rules keep hours; a new consumer delivers all of it again.
    count = 2 * stream_cursor.AT_ONCE
    async with place.journal("poll") as journal, place.reader("alert") as reader:
        for first in range(count):
            await journal.append(rows(first, 1))
        found: list[int] = []
        while len(found) < count:
            if chunk := await reader.read():
                found += ids(chunk.batches)
        for listener in tuple(place.connection.listeners):
            listener()
        await journal.append(rows(count, 1))
        chunk = await reader.read(wait_s=10)
        assert chunk is not None
        assert ids(chunk.batches) == [count]


async def test_a_stream_that_was_made_again_is_noticed(place: JournalPlace) -> None:
    streams = JournalStreams(place.connection)
    async with place.journal("poll") as journal:
        async with place.reader("store") as reader:
            await journal.append(rows(0))
            await drain(reader)
        await place.connection.jetstream.delete_stream(streams.stream("poll"))
        await journal.append(rows(8))
        async with place.reader("store", reader.positions) as again:
            assert await drain(again) == list(range(8, 16))
            assert again.stats.gaps == 1


async def test_positions_in_files_begin_at_the_oldest_row(place: JournalPlace) -> None:
    async with place.journal("poll") as journal:
        await journal.append(rows(0))
        async with place.reader("store", {"poll": Position(7, 1234)}) as reader:
            assert await drain(reader) == list(range(8))
            assert reader.stats.gaps == 0


async def test_a_reader_of_that_name_on_another_machine_is_noticed(
    place: JournalPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.nats.stream_reader._TRIES", 1)
    async with place.journal("poll") as journal, place.reader("store") as reader:
        await journal.append(rows(0))
        assert await drain(reader) == list(range(8))
        other = StreamReader(place.connection, tmp_path / "other", "store")
        with pytest.raises(ReaderTaken, match="'store' of log 'poll'"):
            await other.__aenter__()


async def test_without_servers_nothing_is_acknowledged_and_later_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_log, "_GIVE_UP_S", 0.5)
    with running_nats(tmp_path / "nats") as server:
        place = JournalPlace(tmp_path, server)
        async with (
            place.connection,
            place.journal("poll") as journal,
            place.reader("store") as reader,
        ):
            await journal.append(rows(0))
            assert await drain(reader) == list(range(8))
            server.kill()
            with (
                capture_logs() as logs,
                pytest.raises(JournalFailed, match="could not be written, nats://"),
            ):
                await journal.append(rows(8))
            assert journal.stats.refused_rows == 8
            await until(lambda: reader.unread_ms() is not None)
            server.start()
            await until(lambda: not place.connection.problem)
            await journal.append(rows(16))
            while 23 not in (found := await drain(reader, 1.0)):
                assert not found
            assert found[-8:] == list(range(16, 24))
    events = [entry["event"] for entry in logs]
    assert events.count("journal_write_failed") == 1


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.mark.parametrize("kills", [1, pytest.param(8, marks=pytest.mark.soak)])
async def test_killing_one_server_at_a_time_loses_and_doubles_nothing(
    cluster: NatsCluster, tmp_path: Path, kills: int
) -> None:
    """The leader of the stream, each time while appends go on."""
    config = JournalConfig(kind="nats", folder=tmp_path)
    nats = NatsConfig(servers=cluster.urls, replicas=3)
    effect: dict[int, int] = {}
    acknowledged: set[int] = set()
    stop, finished = asyncio.Event(), asyncio.Event()

    async def write(journal: Journal, lane: int) -> None:
        first = lane
        while not stop.is_set():
            try:
                await journal.append(rows(first * 8))
            except JournalFailed:
                continue
            acknowledged.update(range(first * 8, first * 8 + 8))
            first += 4
            await asyncio.sleep(0.002)

    async def read(reader: StreamReader) -> None:
        while True:
            chunk = await reader.read(wait_s=0.2)
            if chunk is not None:
                for number in ids(chunk.batches):
                    effect[number] = effect.get(number, 0) + 1
                reader.passed(chunk.positions)
            elif finished.is_set() and acknowledged <= effect.keys():
                return

    async with NatsConnection(nats, "test") as connection:
        log = StreamLog(config, "poll", connection)
        async with (
            Journal(config, "poll", CATALOGUE, log=log) as journal,
            StreamReader(connection, tmp_path, "store") as reader,
        ):
            writing = [asyncio.create_task(write(journal, lane)) for lane in range(4)]
            reading = asyncio.create_task(read(reader))
            await until(lambda: len(effect) > 200)
            for _ in range(kills):
                leader = cluster.named(await stream_leader(connection, "poll"))
                leader.kill()
                since = len(acknowledged)
                begun_s = time.monotonic()
                await until(lambda: len(acknowledged) > since + 800, seconds=60)  # noqa: B023
                print(f"appends go on {time.monotonic() - begun_s:.1f} s after a kill")
                leader.start()
            stop.set()
            await asyncio.gather(*writing)
            finished.set()
            async with asyncio.timeout(30):
                await reading
    assert acknowledged <= effect.keys()
    # Rows that were refused in time are appended again, perhaps beside others.
    twice = [number for number, times in effect.items() if times > 1]
    assert not twice or journal.stats.refused_rows


@pytest.mark.soak
async def test_a_stream_that_lost_a_server_or_its_only_one_is_reported(
    cluster: NatsCluster,
) -> None:
    nats = NatsConfig(servers=cluster.urls, replicas=3, prefix="watched")
    async with NatsConnection(nats, "alert") as connection:
        streams = JournalStreams(connection)
        await streams.ensure("ingest", 30)
        alone = NatsConfig(servers=cluster.urls, replicas=1, prefix="watched")
        connection.config = alone
        await streams.ensure("poll", 30)
        connection.config = nats
        watch = NatsWatch(connection, "alert", SMALL)

        async def fields() -> list[dict[str, object]]:
            await watch.look()
            rows = watch.samples(0)
            assert [row.tags["stream"][:8] for row in rows] in ([], ["watched-"] * 2)
            return [dict(row.fields) for row in rows]

        async def until_there(leaders: list[int], missing: list[int | None]) -> None:
            async with asyncio.timeout(60):
                while True:
                    found = await fields()
                    if [row["leader"] for row in found] == leaders and [
                        row.get("replicas_missing") for row in found
                    ] == missing:
                        return
                    await asyncio.sleep(0.3)

        await until_there([1, 1], [0, 2])
        server = cluster.named(await stream_leader(connection, "poll"))
        server.kill()
        await until_there([1, 0], [1, None])
        server.start()
