"""`StreamReader`: follows the stream of every log, from its own position."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Self

from nats.aio.msg import Msg

from collectors.background_tasks import BackgroundTasks
from collectors.batch import Batch
from collectors.journal.frame import Newer
from collectors.journal.journal_reader import Chunk, ReaderTaken
from collectors.journal.journal_stats import ReaderStats
from collectors.journal.segment import (
    OLDEST,
    WAKE_FOLDER,
    Positions,
    check_name,
)
from collectors.nats.journal_streams import JournalStreams
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.nats_errors import NATS_FAILURES
from collectors.nats.stream_cursor import ArrivedMessage, ConsumerTaken, StreamCursor
from collectors.process_lock import LockTaken, take_lock
from probes.wire.clock import wall_ms

_LOOK_S = 15.0
_RETRY_S = 1.0
_TRIES = 4
_CLOSE_S = 3.0
_DAY_MS = 86_400_000


class StreamReader:
    """As `JournalReader`, which reads files: see there. `folder` has its lock, so that
    a second one of its name on this machine is noticed at once."""

    def __init__(
        self,
        connection: NatsConnection,
        folder: Path,
        name: str,
        start: Positions | None = None,
        yields: bool = False,
    ) -> None:
        self._connection, self._streams = connection, JournalStreams(connection)
        self._folder, self.name = folder, check_name(name, "reader")
        self._start, self._yields = dict(start or {}), yields
        self._cursors: dict[str, StreamCursor] = {}
        self._turn = 0
        self._since_ms = wall_ms()
        self._has_looked = False
        self._woken = asyncio.Event()
        self._look = asyncio.Event()
        self._to_acknowledge = asyncio.Event()
        self._tasks = BackgroundTasks()
        self.stats = ReaderStats()

    @property
    def positions(self) -> Positions:
        return self._start | {
            name: cursor.position for name, cursor in self._cursors.items()
        }

    async def __aenter__(self) -> Self:
        self._lock = _take_lock(self._folder, self.name)
        try:
            with contextlib.suppress(*NATS_FAILURES):
                await self._find_logs()
                await self._check_alone()
                await self._connection.client.subscribe(
                    self._streams.began, cb=self._hear_began
                )
        except BaseException:
            os.close(self._lock)
            raise
        for name, cursor in self._cursors.items():
            self._tasks.start(cursor.run(), f"{self.name}-{name}")
        self._tasks.start(self._keep_looking(), f"{self.name}-looks")
        self._tasks.start(self._acknowledge(), f"{self.name}-acknowledges")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()
        with contextlib.suppress(*NATS_FAILURES):
            async with asyncio.timeout(_CLOSE_S):
                await self._send_acknowledgements()
                if self._connection.is_connected:
                    await self._connection.client.flush()
        os.close(self._lock)

    async def read(self, max_rows: int = 50_000, wait_s: float = 5.0) -> Chunk | None:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + wait_s
        while True:
            self._woken.clear()
            batches = await self._read_cursors(max_rows)
            if batches:
                return Chunk(batches, self.positions)
            left_s = until_s - loop.time()
            if left_s <= 0:
                return None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._woken.wait()

    def passed(self, positions: Positions) -> None:
        for name, position in positions.items():
            if cursor := self._cursors.get(name):
                self.stats.passed_rows += cursor.passed(position)
        self._to_acknowledge.set()

    def oldest_ms(self) -> int | None:
        times = [cursor.oldest_ms() for cursor in self._cursors.values()]
        return self._oldest(times)

    def unread_ms(self) -> int | None:
        times = [cursor.unread_ms() for cursor in self._cursors.values()]
        return self._oldest(times)

    def _oldest(self, times: list[int | None]) -> int | None:
        if not self._has_looked:
            # Which logs there are is not known yet.
            times.append(self._since_ms - _DAY_MS)
        return min((ms for ms in times if ms is not None), default=None)

    async def _read_cursors(self, max_rows: int) -> list[Batch]:
        """Each call begins with another log, so none starves."""
        cursors = list(self._cursors.values())
        self._turn += 1
        chosen: list[tuple[StreamCursor, list[ArrivedMessage]]] = []
        for at in range(len(cursors)):
            cursor = cursors[(self._turn + at) % len(cursors)]
            messages: list[ArrivedMessage] = []
            for message in cursor.ready:
                if max_rows <= 0 or cursor.newer:
                    break
                messages.append(message)
                max_rows -= max(message.rows, 1)
            if messages:
                chosen.append((cursor, messages))
        stopped = [cursor.newer for cursor in cursors if cursor.newer]
        self.stats.newer_logs = len(stopped)
        if not chosen:
            if stopped:
                raise Newer(stopped[0])
            return []
        decoded = await asyncio.to_thread(_decode_all, chosen)
        # Nothing is awaited from here on: what was not decoded is still ready.
        batches: list[Batch] = []
        for cursor, messages, found in decoded:
            cursor.took(messages)
            batches += found
            self.stats.read_rows += sum(len(batch) for batch in found)
        return batches

    async def _hear_began(self, _message: Msg) -> None:
        self._look.set()

    async def _keep_looking(self) -> None:
        while True:
            wait_s = _LOOK_S if self._has_looked else _RETRY_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._look.wait()
            self._look.clear()
            if not self._connection.is_connected:
                continue
            with contextlib.suppress(*NATS_FAILURES):
                for name in await self._find_logs():
                    cursor = self._cursors[name]
                    self._tasks.start(cursor.run(), f"{self.name}-{name}")

    async def _find_logs(self) -> list[str]:
        """Makes a cursor for each log that is new; returns their names."""
        if not self._connection.is_connected:
            return []
        found = [n for n in await self._streams.logs() if n not in self._cursors]
        for name in found:
            self._cursors[name] = StreamCursor(
                self._streams,
                name,
                self.name,
                self._start.get(name, OLDEST),
                self.stats,
                self._yields,
                self._woken.set,
            )
        self._has_looked = True
        return found

    async def _check_alone(self) -> None:
        """Raises `ReaderTaken` if another machine has a reader of this name."""
        for cursor in self._cursors.values():
            for left in reversed(range(_TRIES)):
                try:
                    await cursor.check_alone()
                    break
                except ConsumerTaken as taken:
                    # A reader that was killed is noticed a moment later.
                    if not left:
                        raise ReaderTaken(str(taken)) from None
                    await asyncio.sleep(_RETRY_S)

    async def _acknowledge(self) -> None:
        while True:
            await self._to_acknowledge.wait()
            self._to_acknowledge.clear()
            with contextlib.suppress(*NATS_FAILURES):
                await self._send_acknowledgements()

    async def _send_acknowledgements(self) -> None:
        if not self._connection.is_connected:
            return
        for cursor in self._cursors.values():
            if cursor.reply:
                reply, cursor.reply = cursor.reply, ""
                await self._connection.client.publish(reply, b"+ACK")


async def forget_stream_reader(
    connection: NatsConnection, folder: Path, reader: str
) -> None:
    """Unregisters a reader: nothing is kept for it. Raises `ReaderTaken` if it runs."""
    lock = _take_lock(folder, check_name(reader, "reader"))
    try:
        streams = JournalStreams(connection)
        for log in await streams.logs():
            if await streams.is_read(log, reader):
                raise ReaderTaken(f"reader {reader!r} of log {log!r} runs")
            await streams.forget(log, reader)
    finally:
        os.close(lock)


def _take_lock(folder: Path, reader: str) -> int:
    """Raises `ReaderTaken` if a reader of that name runs on this machine."""
    locks = folder / WAKE_FOLDER
    locks.mkdir(parents=True, exist_ok=True)
    try:
        return take_lock(locks / f"{reader}.lock")
    except LockTaken as taken:
        raise ReaderTaken(
            f"reader {reader!r} of {folder} is already running (pid {taken.holder}); "
            "expected one for each name"
        ) from None


def _decode_all(
    chosen: list[tuple[StreamCursor, list[ArrivedMessage]]],
) -> list[tuple[StreamCursor, list[ArrivedMessage], list[Batch]]]:
    """In a thread. Ends each cursor's messages before one of a newer version."""
    decoded: list[tuple[StreamCursor, list[ArrivedMessage], list[Batch]]] = []
    for cursor, messages in chosen:
        batches: list[Batch] = []
        read: list[ArrivedMessage] = []
        for message in messages:
            try:
                batches += cursor.decode(message)
            except Newer as newer:
                cursor.stop(newer)
                break
            read.append(message)
        decoded.append((cursor, read, batches))
    return decoded
