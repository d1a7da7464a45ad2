"""`StreamConsumers`: the readers for which the streams of a journal keep rows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from collectors.journal.segment import Position, Positions
from collectors.nats.journal_streams import (
    JournalStreams,
    incarnation,
    passed_sequence,
)
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.stream_message import frame_of
from collectors.nats.stream_reader import forget_stream_reader


class StreamConsumers:
    """As `FileReaders`, which are those of files. `folder` has the locks."""

    def __init__(self, connection: NatsConnection, folder: Path) -> None:
        self._connection, self._folder = connection, folder
        self._streams = JournalStreams(connection)

    async def names(self) -> list[str]:
        return sorted(await self._streams.known_readers())

    async def add(self, readers: Iterable[str]) -> None:
        added = list(readers)
        for log in await self._streams.logs():
            for reader in added:
                await self._streams.begin(log, reader)

    async def passed(self, reader: str) -> Positions:
        found = {}
        for log in await self._streams.logs():
            consumer = await self._streams.consumer(log, reader)
            if consumer is not None:
                info = await self._connection.jetstream.stream_info(
                    self._streams.stream(log)
                )
                found[log] = Position(incarnation(info), passed_sequence(consumer))
        return found

    async def runs(self, reader: str) -> bool:
        for log in await self._streams.logs():
            if await self._streams.is_read(log, reader):
                return True
        return False

    async def oldest_ms(self, reader: str) -> int | None:
        times = []
        passed = await self.passed(reader)
        for log in await self._streams.logs():
            stream = self._streams.stream(log)
            state = (await self._connection.jetstream.stream_info(stream)).state
            after = passed[log].offset if log in passed else 0
            sequence = max(after + 1, state.first_seq)
            if state.messages and sequence <= state.last_seq:
                message = await self._connection.jetstream.get_msg(stream, sequence)
                if (frame := frame_of(message.data or b"")) is not None:
                    times.append(frame.committed_ms)
        return min(times, default=None)

    async def forget(self, reader: str) -> None:
        await forget_stream_reader(self._connection, self._folder, reader)
