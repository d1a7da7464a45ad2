"""`StreamLog`: a journal commits to a stream of NATS JetStream."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time

import structlog
from nats import errors
from nats.js import api
from nats.js import errors as jetstream_errors

from collectors.deletion_clock import DeletionBound, as_it_is
from collectors.failure_log import FailureLog
from collectors.journal.journal_config import (
    JournalConfig,
    JournalFailed,
    JournalFull,
    JournalTaken,
)
from collectors.journal.journal_log import LogPiece
from collectors.journal.journal_stats import JournalStats
from collectors.journal.quarantine import Quarantine
from collectors.journal.segment import check_name
from collectors.nats.journal_streams import JournalStreams
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.nats_errors import NATS_FAILURES, is_full
from collectors.nats.stream_message import (
    MESSAGE_ID,
    RowTooLarge,
    StreamMessage,
    stream_messages,
)
from collectors.nats.stream_tidy import StreamTidy
from collectors.process_lock import LockTaken, take_lock

_log = structlog.get_logger()
_TRY_S = 2.0
# Servers need up to ten seconds to agree on another leader.
_GIVE_UP_S = 15.0
_RETRY_S = 0.1
_CLOSE_S = 3.0
# Headers and subject count towards the largest message.
_HEADER_BYTES = 4096
_THREAD_BYTES = 64 << 10


class StreamLog:
    """Publishes each frame and returns when the servers have acknowledged it: after
    replication, if the stream has replicas. A frame that is not acknowledged in time is
    published again with the same id, and kept once.
    """

    lanes = 8

    def __init__(
        self,
        config: JournalConfig,
        name: str,
        connection: NatsConnection,
        bounded: DeletionBound = as_it_is,
    ) -> None:
        self._bounded = bounded
        self._config, self._name = config, check_name(name, "log")
        self._connection = connection
        self._streams = JournalStreams(connection)
        self._subject = self._streams.subject(name)
        self._folder = config.folder / name
        self._dead = Quarantine(self._folder / "dead", "dead")
        self._failures = FailureLog("journal_write_failed", "journal_writes_again")
        self._ready = False
        self._tidying: asyncio.Task[None] | None = None

    async def open(self, stats: JournalStats, now_ms: int) -> None:
        self._stats = stats
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock = take_lock(self._folder / "lock")
        except LockTaken as taken:
            raise JournalTaken(
                f"log {self._name!r} in {self._config.folder} is written by another "
                f"process (pid {taken.holder}); expected one process for each log"
            ) from None
        self._tidier = StreamTidy(self._streams, self._name, self._config, stats)
        # Without servers, appends fail until they are there.
        with contextlib.suppress(*NATS_FAILURES):
            await self._ensure()

    async def close(self) -> None:
        if self._tidying is not None:
            self._tidying.cancel()
            await asyncio.wait([self._tidying], timeout=_CLOSE_S)
        os.close(self._lock)

    async def commit(self, frames: list[list[LogPiece]], now_ms: int) -> None:
        begun_s = time.perf_counter()
        too_large: list[RowTooLarge] = []
        messages = await self._messages(frames, now_ms, too_large)
        for error in too_large:
            await self._keep_dead(error, now_ms)
        rows = sum(message.rows for message in messages)
        until_s = time.monotonic() + _GIVE_UP_S
        published = [self._publish(message, until_s) for message in messages]
        results = await asyncio.gather(*published, return_exceptions=True)
        failed = [error for error in results if isinstance(error, BaseException)]
        if failed:
            self._stats.refused_rows += rows
            self._stats.full = any(isinstance(e, JournalFull) for e in failed)
            self._failures.failed(str(failed[0]), log=self._name)
            raise failed[0]
        self._failures.recovered(log=self._name)
        stats = self._stats
        stats.full = False
        stats.commits += 1
        stats.appended_rows += rows
        stats.bytes += sum(len(message.data) for message in messages)
        stats.commit_ms.append((time.perf_counter() - begun_s) * 1000)
        if stats.bytes > self._config.max_bytes:
            await self.tidy(now_ms)

    async def tidy(self, now_ms: int) -> None:
        """Begins to tidy: commits do not wait for it."""
        if self._tidying is None or self._tidying.done():
            self._tidying = asyncio.create_task(
                self._tidy(now_ms), name=f"tidy-{self._name}"
            )

    async def _tidy(self, now_ms: int) -> None:
        if not self._connection.is_connected:
            return
        try:
            await self._tidier.tidy(self._bounded(now_ms))
        except jetstream_errors.NotFoundError:
            self._ready = False
        except NATS_FAILURES as error:
            text = self._connection.sentence(error)
            _log.warning("journal_tidy_failed", log=self._name, error=text)

    async def _messages(
        self, frames: list[list[LogPiece]], now_ms: int, too_large: list[RowTooLarge]
    ) -> list[StreamMessage]:
        client = self._connection.client
        max_bytes = max(client.max_payload - _HEADER_BYTES, _HEADER_BYTES)

        def pack_all() -> list[StreamMessage]:
            return [
                message
                for pieces in frames
                for message in stream_messages(pieces, now_ms, max_bytes, too_large)
            ]

        if sum(len(p.data) for pieces in frames for p in pieces) < _THREAD_BYTES:
            return pack_all()
        return await asyncio.to_thread(pack_all)

    async def _publish(self, message: StreamMessage, until_s: float) -> None:
        headers = {MESSAGE_ID: message.id}
        while True:
            try:
                if not self._ready:
                    await self._ensure()
                acknowledgement = await self._connection.jetstream.publish(
                    self._subject, message.data, timeout=_TRY_S, headers=headers
                )
                if is_kept(acknowledgement):
                    self._connection.confirm()
                    return
                raise TimeoutError
            except NATS_FAILURES as error:
                if is_full(error):
                    text = self._connection.sentence(error)
                    raise JournalFull(f"no room for the journal, {text}") from None
                if isinstance(error, jetstream_errors.NoStreamResponseError):
                    # The stream has no leader at the moment, or it was deleted.
                    self._ready = False
                if isinstance(error, TimeoutError):
                    self._connection.doubt()
                is_final = isinstance(error, jetstream_errors.BadRequestError)
                if is_final or time.monotonic() >= until_s:
                    text = self._connection.problem or self._connection.sentence(error)
                    raise JournalFailed(
                        f"the journal could not be written, {text}"
                    ) from None
            await asyncio.sleep(_RETRY_S)

    async def _ensure(self) -> None:
        if not self._connection.is_connected:
            raise errors.ConnectionClosedError
        await self._streams.ensure(self._name, self._config.max_days)
        self._ready = True

    async def _keep_dead(self, error: RowTooLarge, now_ms: int) -> None:
        self._stats.dead_rows += 1
        self._stats.dead_reasons["too large"] += 1
        source = error.batch.source
        _log.warning("journal_dead_letter", log=self._name, source=source)
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self._dead.put, error.batch, str(error), now_ms)


def is_kept(acknowledgement: api.PubAck) -> bool:
    """Whether the message has a sequence. Servers before 2.10 also answer "duplicate"
    while the first message of that id still waits for the other servers, and it may
    be lost then."""
    return not acknowledgement.duplicate or acknowledgement.seq > 0
