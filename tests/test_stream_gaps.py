"""What a reader of a stream has missed: each dropped row is counted once."""

from __future__ import annotations

from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from journal_places import JournalPlace
from nats_servers import NatsServer
from test_journal_log import drain, rows

from collectors.journal.journal_stats import ReaderStats
from collectors.journal.segment import Position
from collectors.nats.journal_streams import JournalStreams
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.stream_cursor import ArrivedMessage, StreamCursor
from collectors.nats.stream_gaps import StreamGaps, spans_without
from collectors.nats.stream_message import DroppedNote
from collectors.nats.stream_tidy import tidy_all
from probes.wire.clock import wall_ms


def _note(*messages: tuple[int, int]) -> bytes:
    return msgspec.msgpack.encode(DroppedNote(list(messages)))


@given(st.integers(1, 20), st.integers(0, 20), st.sets(st.integers(1, 40)))
def test_a_span_without_numbers_has_the_others_in_order(
    first: int, count: int, taken: set[int]
) -> None:
    span = range(first, first + count)
    left = [number for part in spans_without(span, taken) for number in part]
    assert left == [number for number in span if number not in taken]


@given(st.lists(st.lists(st.integers(1, 12), max_size=12), max_size=4))
def test_rows_are_counted_once_however_often_they_are_noted(
    notes: list[list[int]],
) -> None:
    stats = ReaderStats()
    gaps = StreamGaps("poll", stats)
    gaps.miss(2, 6)
    gaps.miss(8, 11)
    for note in notes:
        gaps.count(_note(*((number, 10 * number) for number in note)), 20)
    missed = {3, 4, 5, 9, 10} & {number for note in notes for number in note}
    assert stats.gap_rows == 10 * sum(missed)
    assert stats.gaps == 2


def test_messages_that_nobody_noted_are_a_gap_too() -> None:
    stats = ReaderStats()
    gaps = StreamGaps("poll", stats)
    gaps.miss(0, 7)
    assert stats.gaps == 0
    gaps.miss(7, 8)
    assert stats.gaps == 0
    gaps.miss(8, 12)
    assert (stats.gaps, stats.gap_rows) == (1, 0)


_STREAM = 1_700_000_000_000_000


def _cursor(stats: ReaderStats, read: int) -> StreamCursor:
    streams = JournalStreams(NatsConnection(NatsConfig(), "test"))
    start = Position(_STREAM, read)
    cursor = StreamCursor(streams, "poll", "store", start, stats, False, lambda: None)
    cursor._incarnation, cursor._received = _STREAM, read
    return cursor


def _arrived(sequence: int, size: int = 1) -> ArrivedMessage:
    at = Position(_STREAM, sequence)
    return ArrivedMessage(at, bytes(size), "", 0, 8, sequence, False)


def test_after_a_stream_lost_its_end_what_it_still_has_is_read() -> None:
    stats = ReaderStats()
    cursor = _cursor(stats, 10)
    cursor.ready.extend(map(_arrived, range(11, 101)))
    cursor._look_for_room()
    assert not cursor._has_room.is_set()
    cursor.took(list(cursor.ready)[:20])
    cursor._lose_end(_STREAM, 40)
    assert [message.at.offset for message in cursor.ready] == list(range(31, 41))
    # It goes on, and what had been read is counted as passed up to the new end alone.
    assert cursor._has_room.is_set()
    assert cursor.passed(Position(_STREAM, 30)) == 20 * 8
    assert (cursor.position.offset, stats.gaps) == (30, 1)
    cursor._lose_end(_STREAM, 25)
    assert cursor.position.offset == 25
    assert not cursor.ready


def test_messages_that_vanish_while_they_are_unpacked_do_not_stop_the_reader() -> None:
    stats = ReaderStats()
    cursor = _cursor(stats, 0)
    cursor.ready.extend(map(_arrived, range(1, 6)))
    chosen = list(cursor.ready)
    cursor._lose_end(_STREAM, 3)
    cursor.took(chosen)
    assert cursor.position.offset == 3


def test_large_messages_wait_for_room_before_they_are_many() -> None:
    cursor = _cursor(ReaderStats(), 0)
    cursor.ready.extend(_arrived(number, 1 << 20) for number in range(1, 6))
    cursor._look_for_room()
    assert not cursor._has_room.is_set()
    cursor.took(list(cursor.ready)[:1])
    assert cursor._has_room.is_set()


def test_what_is_unread_of_a_stream_that_was_made_again_is_not_waited_for() -> None:
    cursor = _cursor(ReaderStats(), 0)
    cursor.ready.extend(map(_arrived, range(500, 503)))
    cursor._incarnation = _STREAM + 5
    cursor.took(list(cursor.ready))
    cursor.ready.append(
        ArrivedMessage(Position(_STREAM + 5, 1), b"", "reply", 0, 8, 0, False)
    )
    cursor.took(list(cursor.ready))
    assert cursor.passed(Position(_STREAM + 5, 1)) == 8
    assert cursor.reply == "reply"


async def test_what_is_deleted_after_the_position_of_an_older_state_is_a_gap(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    place = JournalPlace(tmp_path, nats_server)
    async with place.connection, place.journal("poll") as journal:
        async with place.reader("store") as reader:
            await journal.append(rows(0))
            assert await drain(reader) == list(range(8))
            older = reader.positions
            await journal.append(rows(8))
            assert await drain(reader) == list(range(8, 16))
            await place.until_passed(reader)
        await tidy_all(place.connection, place.config, wall_ms())
        await journal.append(rows(16))
        async with place.reader("store", reader.positions) as reader:
            assert await drain(reader) == list(range(16, 24))
            assert reader.stats.gaps == 0
        async with place.reader("store", older) as reader:
            assert await drain(reader) == list(range(16, 24))
            assert reader.stats.gaps == 1
