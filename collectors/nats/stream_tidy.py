"""`StreamTidy`: deletes from a journal's stream what every reader has passed, and drops
what is too old or too much, as the journal of files does."""

from __future__ import annotations

import msgspec
import structlog
from nats.js import api
from nats.js import errors as jetstream_errors

from collectors.journal.journal_config import JournalConfig
from collectors.journal.journal_stats import JournalStats
from collectors.nats.journal_streams import JournalStreams, ReaderProgress
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.nats_errors import is_full
from collectors.nats.stream_message import DROPPED, DroppedNote, frame_of

_log = structlog.get_logger()
_DAY_MS = 86_400_000
_NOTED_AT_ONCE = 10_000
# Of a reader that is away for very long, the first are noted as one.
_MOST_NOTED = 100_000


async def tidy_all(
    connection: NatsConnection, config: JournalConfig, now_ms: int
) -> None:
    """Tidies the streams of all logs, for those that no process writes any more."""
    streams = JournalStreams(connection)
    for log in await streams.logs():
        await StreamTidy(streams, log, config, JournalStats()).tidy(now_ms)


class StreamTidy:
    """Raises what the client raises."""

    def __init__(
        self,
        streams: JournalStreams,
        log: str,
        config: JournalConfig,
        stats: JournalStats,
    ) -> None:
        self._streams, self._log, self._config = streams, log, config
        self._stats = stats
        # What was dropped without a note, as the servers had no room for one.
        self._unnoted: list[tuple[int, int]] = []

    async def tidy(self, now_ms: int) -> None:
        info = await self._info()
        if info.state.messages:
            readers = await self._streams.progress(self._log)
            for name in self._config.readers:
                readers.setdefault(name, ReaderProgress())
            passed = min((r.passed for r in readers.values()), default=0)
            released = min((r.released for r in readers.values()), default=0)
            if passed >= info.state.first_seq:
                await self._purge(passed)
                info = await self._info()
            full_released = released if self._stats.full else 0
            await self._drop(info, full_released, now_ms)
            info = await self._info()
        while self._unnoted:
            part = self._unnoted[:_NOTED_AT_ONCE]
            await self._note(part)
            self._unnoted = self._unnoted[len(part) :]
        state = info.state
        self._stats.bytes, self._stats.segments = state.bytes, min(state.messages, 1)
        self._stats.oldest_ms = await self._oldest_ms(state)

    async def _drop(self, info: api.StreamInfo, released: int, now_ms: int) -> None:
        """Drops the oldest unread messages up to `released`, those that are too old,
        and those beyond the limit. What a dropped note said is noted again: what is
        dropped counts as passed by the servers, whether or not a reader has seen it.
        They are noted before they go: a note of what is still there, or a second one,
        has no effect on readers."""
        state, config = info.state, self._config
        over = state.bytes - config.max_bytes
        if over > 0:
            # In steps as large as a file of the other kind.
            over += min(config.segment_bytes, config.max_bytes // 4)
        oldest_ms = now_ms - config.max_days * _DAY_MS
        dropped: list[tuple[int, int]] = []
        noted: list[tuple[int, int]] = []
        size = 0
        for sequence in range(state.first_seq, state.last_seq + 1):
            message = await self._message(sequence)
            if message is None or message.data is None:
                continue
            frame = frame_of(message.data)
            is_old = frame is not None and frame.committed_ms < oldest_ms
            if not (is_old or size < over or sequence <= released):
                break
            size += len(message.data)
            rows = 0 if frame is None else frame.rows
            dropped.append((sequence, rows))
            if DROPPED in (message.headers or {}):
                note = msgspec.msgpack.decode(message.data, type=DroppedNote)
                noted += note.messages
        if not dropped:
            return
        await self._note_first(shortened(noted) + dropped)
        await self._purge(dropped[-1][0])
        rows = sum(rows for _, rows in dropped)
        self._stats.dropped_bytes += size
        self._stats.dropped_rows += rows
        _log.error("journal_dropped_unread", log=self._log, bytes=size, rows=rows)

    async def _note_first(self, messages: list[tuple[int, int]]) -> None:
        for at in range(0, len(messages), _NOTED_AT_ONCE):
            try:
                await self._note(messages[at : at + _NOTED_AT_ONCE])
            except jetstream_errors.APIError as error:
                if not is_full(error):
                    raise
                # There is room when these messages are gone.
                self._unnoted += messages[at:]
                return

    async def _note(self, messages: list[tuple[int, int]]) -> None:
        """Notes in the stream what is dropped: a reader that missed it counts it."""
        await self._streams.connection.jetstream.publish(
            self._streams.subject(self._log),
            msgspec.msgpack.encode(DroppedNote(messages)),
            headers={DROPPED: "1"},
        )

    async def _oldest_ms(self, state: api.StreamState) -> int | None:
        if not state.messages:
            return None
        message = await self._message(state.first_seq)
        frame = None if message is None else frame_of(message.data or b"")
        return None if frame is None else frame.committed_ms

    async def _info(self) -> api.StreamInfo:
        stream = self._streams.stream(self._log)
        return await self._streams.connection.jetstream.stream_info(stream)

    async def _purge(self, until: int) -> None:
        await self._streams.connection.jetstream.purge_stream(
            self._streams.stream(self._log), seq=until + 1
        )

    async def _message(self, sequence: int) -> api.RawStreamMsg | None:
        try:
            return await self._streams.connection.jetstream.get_msg(
                self._streams.stream(self._log), sequence
            )
        except jetstream_errors.NotFoundError:
            return None


def shortened(
    noted: list[tuple[int, int]], most: int = _MOST_NOTED
) -> list[tuple[int, int]]:
    """The last ones, and the sum of the others at the last of these. Pure."""
    first = noted[: len(noted) - most + 1]
    if len(first) < 2:
        return noted
    rows = sum(rows for _, rows in first)
    return [(first[-1][0], rows), *noted[len(first) :]]
