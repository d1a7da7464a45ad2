"""`StreamCursor`: the position of one reader in one log's stream, and what has arrived
from there."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
import structlog
from nats.aio.msg import Msg

from collectors.batch import Batch
from collectors.failure_log import FailureLog
from collectors.journal.earlier_journal import is_of_stream
from collectors.journal.frame import Damaged, Newer
from collectors.journal.journal_stats import ReaderStats
from collectors.journal.segment import Position
from collectors.nats.journal_streams import JournalStreams, incarnation
from collectors.nats.nats_errors import NATS_FAILURES
from collectors.nats.stream_gaps import StreamGaps
from collectors.nats.stream_message import DROPPED, batches_of, frame_of
from probes.wire.clock import wall_ms

_log = structlog.get_logger()
AT_ONCE = 64
# As much of each log, in the largest messages, that memory and the connection bear.
_ROOM_BYTES = 4 << 20
_LARGEST_BYTES = 1 << 20
_LEAST_BYTES = 1 << 14
_HEARTBEAT_S = 2.0
_SILENT_S = 5.0
_REQUEST_S = 15.0
_NEVER_S = float("-inf")
_RETRY_S = 0.5
# What is asked while a stream or a consumer has no leader is never answered: soon it is
# asked again, but busy servers get longer each time.
_PATIENCE_S, _LONGEST_PATIENCE_S = 2.0, 20.0
_BEHIND_TRIES = 60
_ENDED = frozenset({"404", "408"})
_HEARTBEAT = "100"
_CONFLICT, _EXCEEDED = "409", "Exceeded"
_DAY_MS = 86_400_000


class ConsumerTaken(RuntimeError):
    """Another process requests messages under this reader's name."""


class _Interrupted(Exception):
    """Messages were lost on the way, or the consumer moved: begin again."""


class _Refused(Exception):
    """The servers do not do what every reader needs: a limit of theirs is too low."""


class ArrivedMessage(msgspec.Struct):
    """A message that the reader has not passed. It is acknowledged to the subject
    `reply` as long as the consumer is that of `seek`: one that was made again counts
    from the beginning."""

    at: Position
    data: bytes
    reply: str
    seek: int
    rows: int
    committed_ms: int
    is_note: bool


class StreamCursor:
    """Keeps a few messages ready. Everything runs in the event loop, but `decode`."""

    def __init__(
        self,
        streams: JournalStreams,
        log: str,
        reader: str,
        start: Position,
        stats: ReaderStats,
        yields: bool,
        wake: Callable[[], None],
    ) -> None:
        self._streams, self._name, self._reader = streams, log, reader
        self._stats, self._yields, self._wake = stats, yields, wake
        self.position = start
        self.newer = ""
        self.ready: deque[ArrivedMessage] = deque()
        self._unpassed: deque[ArrivedMessage] = deque()
        self._incarnation = 0
        self._received = self._passed = self._seek = self._behind = 0
        self._gaps = StreamGaps(log, stats)
        self._message_bytes = _LARGEST_BYTES
        self._request_bytes = _ROOM_BYTES
        self._requested_s = _NEVER_S
        self._patience_s = _PATIENCE_S
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_current = False
        # Everything before this time has been received.
        self._known_ms = wall_ms() - _DAY_MS
        self.reply = ""
        self._failures = FailureLog("journal_reader_waits", "journal_reader_goes_on")

    def oldest_ms(self) -> int | None:
        if self._unpassed:
            return self._unpassed[0].committed_ms
        return self.unread_ms()

    def unread_ms(self) -> int | None:
        if self.ready:
            return self.ready[0].committed_ms
        # While the servers are silent there may be rows since they were last heard.
        return None if self._is_current else self._known_ms

    def passed(self, position: Position) -> int:
        """Returns the rows that this adds."""
        rows = 0
        if position.segment != self._incarnation:
            return rows
        while self._unpassed and self._unpassed[0].at.offset <= position.offset:
            message = self._unpassed.popleft()
            rows += message.rows
            self._passed = message.at.offset
            if message.seek == self._seek:
                self.reply = message.reply
        return rows

    def took(self, messages: list[ArrivedMessage]) -> None:
        """These have been read: the first of `ready`."""
        for message in messages:
            if not self.ready or self.ready[0] is not message:
                # The stream has lost its end meanwhile: this is not in it any more.
                break
            self.ready.popleft()
            is_next = message.at.segment == self.position.segment
            before = self.position.offset if is_next else 0
            self._gaps.miss(before, message.at.offset)
            self.position = message.at
            if message.at.segment == self._incarnation:
                # No consumer waits for messages of a stream that was deleted.
                self._unpassed.append(message)
            if message.is_note:
                self._gaps.count(message.data, message.at.offset)
        self._look_for_room()

    def decode(self, message: ArrivedMessage) -> list[Batch]:
        """In a thread. Raises `Newer`."""
        if message.is_note:
            return []
        try:
            return batches_of(message.data)
        except Damaged as damaged:
            self._stats.damaged_frames += 1
            self._stats.damaged_bytes += len(message.data)
            _log.error(
                "journal_damaged", log=self._name, at=message.at.offset, error=damaged
            )
            return []

    def stop(self, newer: Newer) -> None:
        if not self.newer:
            _log.error("journal_newer", log=self._name, error=str(newer))
        self.newer = f"log {self._name}: {newer}"

    async def run(self) -> None:
        """Follows the stream for ever."""
        while True:
            try:
                await self._follow()
            except _Interrupted:
                pass
            except (ConsumerTaken, _Refused) as error:
                self._failures.failed(str(error), log=self._name, reader=self._reader)
            except NATS_FAILURES as error:
                if self._streams.connection.is_connected:
                    text = self._streams.connection.sentence(error)
                    self._failures.failed(text, log=self._name, reader=self._reader)
            self._is_current = False
            await asyncio.sleep(_RETRY_S)

    async def check_alone(self) -> None:
        """Raises `ConsumerTaken` if another process reads under this name."""
        if await self._streams.is_read(self._name, self._reader):
            raise ConsumerTaken(
                f"reader {self._reader!r} of log {self._name!r} is already running; "
                "expected one for each name"
            )

    async def _follow(self) -> None:
        connection = self._streams.connection
        if not connection.is_connected:
            return
        patience_s, self._patience_s = self._patience_s, 2 * self._patience_s
        self._patience_s = min(self._patience_s, _LONGEST_PATIENCE_S)
        async with asyncio.timeout(patience_s):
            subject = await self._begin()
        self._patience_s = _PATIENCE_S
        client = connection.client
        inbox: asyncio.Queue[Msg | None] = asyncio.Queue()

        async def put(message: Msg) -> None:
            inbox.put_nowait(message)

        def interrupt() -> None:
            inbox.put_nowait(None)

        # Its own `next_msg` sometimes loses that it is cancelled.
        subscription = await client.subscribe(client.new_inbox(), cb=put)
        delivered = 0
        connection.listeners.add(interrupt)
        try:
            while True:
                await self._has_room.wait()
                batch = self._request_bytes // self._message_bytes
                batch = min(AT_ONCE, max(1, batch))
                request = pull_request(batch)
                await client.publish(subject, request, reply=subscription.subject)
                self._requested_s = time.monotonic()
                before = delivered
                delivered = await self._receive(inbox, batch, delivered)
                more = self._request_bytes + self._request_bytes // 64
                self._request_bytes = min(_ROOM_BYTES, more)
                # Of what a consumer that was made again delivers, the first messages
                # may all be known.
                if delivered == before:
                    await self._check_end()
        except _Interrupted:
            # It may have been too much for a slow line: servers end a connection that
            # does not take in time what they send.
            self._request_bytes = max(_LEAST_BYTES, self._request_bytes // 2)
            raise
        finally:
            connection.listeners.discard(interrupt)
            if not client.is_closed:
                await subscription.unsubscribe()

    async def _begin(self) -> str:
        """The subject from which to request messages."""
        if time.monotonic() - self._requested_s > _REQUEST_S:
            # Before that its own last request may still wait at a server.
            await self.check_alone()
        await self._meet()
        self._seek += 1
        self.reply = ""
        return await self._streams.seek(
            self._name, self._reader, self._passed, self._yields
        )

    async def _meet(self) -> None:
        """Notices a stream that was made again."""
        info = await self._streams.connection.jetstream.stream_info(
            self._streams.stream(self._name)
        )
        number, last = incarnation(info), info.state.last_seq
        start = self.position
        is_first = not self._incarnation
        known = self._received if not is_first else start.offset
        if number == (start.segment if is_first else self._incarnation):
            if known > last and self._behind < _BEHIND_TRIES:
                # A server that is behind the others: it soon is not.
                self._behind += 1
                raise _Interrupted
            self._behind = 0
            if known > last:
                self._lose_end(number, last)
            elif not is_first:
                return
            self._incarnation = number
            self._received = min(known, last)
            self._passed = self._received if is_first else min(self._passed, last)
            return
        self._incarnation = number
        self._received = self._passed = 0
        self._unpassed.clear()
        self._gaps.forget()
        if is_of_stream(start):
            self._gaps.report(start.offset, "the stream was made again")
        if not self.ready:
            self.position = Position(number, self._received)

    def _lose_end(self, number: int, last: int) -> None:
        """The servers have lost what was after `last`: other rows will be there."""
        self._gaps.report(last, "the stream has lost its end")

        def is_lost(at: Position) -> bool:
            return at.segment == number and at.offset > last

        for messages in (self.ready, self._unpassed):
            while messages and is_lost(messages[-1].at):
                messages.pop()
        self._look_for_room()
        if is_lost(self.position):
            self.position = Position(number, last)

    def _look_for_room(self) -> None:
        waiting_bytes = sum(len(message.data) for message in self.ready)
        if len(self.ready) > AT_ONCE or waiting_bytes > _ROOM_BYTES:
            self._has_room.clear()
        else:
            self._has_room.set()

    async def _check_end(self) -> None:
        """After a cut between servers a consumer (of 2.9) may not notice messages that
        its stream has: made again, it does."""
        info = await self._streams.connection.jetstream.stream_info(
            self._streams.stream(self._name)
        )
        if info.state.messages and info.state.last_seq > self._received:
            raise _Interrupted

    async def _receive(
        self, inbox: asyncio.Queue[Msg | None], left: int, delivered: int
    ) -> int:
        """The answers to a request for `left` messages. `delivered` is the consumer's
        last number."""
        largest = 1
        while left:
            try:
                async with asyncio.timeout(_SILENT_S):
                    message = await inbox.get()
            except TimeoutError:
                raise _Interrupted from None
            if message is None:
                raise _Interrupted
            headers = message.headers or {}
            status = headers.get("Status", "")
            if status and status not in (_HEARTBEAT, *_ENDED):
                why = headers.get("Description", "")
                if status == _CONFLICT and why.startswith(_EXCEEDED):
                    raise _Refused(f"the servers refuse to send: {why}")
                # Perhaps by another process, which has made the consumer again.
                self._requested_s = _NEVER_S
                raise _Interrupted
            self._failures.recovered(log=self._name, reader=self._reader)
            if status:
                if not self.ready:
                    self._is_current, self._known_ms = True, wall_ms()
                    self._wake()
                if status in _ENDED:
                    return delivered
                continue
            sequence = message.metadata.sequence
            if delivered and sequence.consumer != delivered + 1:
                raise _Interrupted
            delivered = sequence.consumer
            self._arrive(message, sequence.stream)
            self._message_bytes = largest = max(largest, len(message.data))
            left -= 1
        return delivered

    def _arrive(self, message: Msg, sequence: int) -> None:
        if sequence <= self._received:
            # Begun again: it is known, and acknowledged to the new consumer.
            for known in (*self._unpassed, *self.ready):
                if known.at == Position(self._incarnation, sequence):
                    known.reply, known.seek = message.reply, self._seek
            if sequence <= self._passed:
                self.reply = message.reply
            return
        self._received = sequence
        pending = message.metadata.num_pending
        is_note = DROPPED in (message.headers or {})
        frame = None if is_note else frame_of(message.data)
        now_ms = wall_ms()
        self.ready.append(
            ArrivedMessage(
                Position(self._incarnation, sequence),
                message.data,
                message.reply,
                self._seek,
                0 if frame is None else frame.rows,
                now_ms if frame is None else frame.committed_ms,
                is_note,
            )
        )
        self._is_current = not pending
        self._known_ms = self.ready[-1].committed_ms
        self._look_for_room()
        self._wake()


def pull_request(batch: int = AT_ONCE) -> bytes:
    """Requests messages of a consumer."""
    body: dict[str, Any] = {
        "batch": batch,
        "expires": int(_REQUEST_S * 1e9),
        "idle_heartbeat": int(_HEARTBEAT_S * 1e9),
    }
    return json.dumps(body).encode()
