"""`AlertStream`: the log of `alert_replica` as a stream of NATS JetStream."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

from nats.js import api
from nats.js import errors as jetstream_errors

from alerts.standby.alert_replica import LogOvertaken, LogPart, LogState
from collectors.nats.journal_streams import JournalStreams, incarnation
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.nats_errors import NATS_FAILURES

_T = TypeVar("_T")
_ANSWER_S = 2.0
_TRY_S = 6.0
_RETRY_S = 0.2
_NOT_LAST = 10071
_PART = "Towpath-Part"


class AlertStream:
    """`with AlertStream(connection):` in the event loop. Its methods block, and are
    called from other threads."""

    def __init__(self, connection: NatsConnection) -> None:
        self._connection = connection
        self._name = JournalStreams(connection).alerts
        self._subject = f"{connection.config.prefix}.alerts"

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        return self

    def __exit__(self, *_: object) -> None:
        """The owner of the connection ends it."""

    def state(self) -> LogState:
        return self._wait(self._state())

    def append(self, part: LogPart, after: int) -> int:
        return self._wait(self._append(part, after))

    def read(self, sequence: int) -> LogPart | None:
        return self._wait(self._read(sequence))

    def drop_before(self, sequence: int) -> None:
        self._wait(self._drop_before(sequence))

    def _wait(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Raises `OSError` with a sentence for what NATS raises."""
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except NATS_FAILURES as error:
            raise OSError(self._connection.sentence(error)) from error

    async def _state(self) -> LogState:
        jetstream = self._connection.jetstream
        try:
            info = await jetstream.stream_info(self._name)
        except jetstream_errors.NotFoundError:
            info = await jetstream.add_stream(
                api.StreamConfig(
                    name=self._name,
                    subjects=[self._subject],
                    retention=api.RetentionPolicy.LIMITS,
                    storage=api.StorageType.FILE,
                    discard=api.DiscardPolicy.NEW,
                    num_replicas=self._connection.config.replicas,
                )
            )
        return LogState(incarnation(info), info.state.first_seq, info.state.last_seq)

    async def _append(self, part: LogPart, after: int) -> int:
        """Without an answer it tries again: what was published before does not follow
        `after` a second time."""
        own = f"{part.id} {part.number} {part.of}"
        headers = {api.Header.EXPECTED_LAST_SEQUENCE: str(after), _PART: own}
        until_s = self._loop.time() + _TRY_S
        while True:
            try:
                answer = await self._connection.jetstream.publish(
                    self._subject,
                    part.body,
                    timeout=_ANSWER_S,
                    stream=self._name,
                    headers=headers,
                )
                self._connection.confirm()
                return answer.seq
            except jetstream_errors.APIError as error:
                if error.err_code == _NOT_LAST:
                    found = await self._read(after + 1)
                    if found is None or (found.id, found.number) != part[1:3]:
                        raise LogOvertaken from None
                    return found.sequence
                if self._loop.time() >= until_s:
                    raise
            except NATS_FAILURES:
                if self._loop.time() >= until_s:
                    raise
                self._connection.doubt()
            await asyncio.sleep(_RETRY_S)

    async def _read(self, sequence: int) -> LogPart | None:
        try:
            message = await self._connection.jetstream.get_msg(self._name, sequence)
        except jetstream_errors.NotFoundError:
            return None
        id, number, of = (message.headers or {})[_PART].split(" ")
        body = message.data or b""
        return LogPart(message.seq or 0, id, int(number), int(of), body)

    async def _drop_before(self, sequence: int) -> None:
        # To purge what is before 1 would be to purge all.
        assert sequence > 1
        await self._connection.jetstream.purge_stream(self._name, seq=sequence)
