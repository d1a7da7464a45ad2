"""`JournalStreams`: one stream for each log of the journal, under one prefix."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from nats import errors
from nats.js import api
from nats.js import errors as jetstream_errors

from collectors.nats.nats_connection import NatsConnection
from collectors.nats.stream_settings import stream_config

_KEPT_UNACKED_S = 30.0 * 86_400
# Of pollers, of machines that alert, and of the laptops of a DMZ node.
BUCKETS = ("pollers", "learnt", "present", "alerting", "acknowledged", "agents")
_SEEKING = "_seek"
_YIELDS = "yields"


class ReaderProgress(msgspec.Struct):
    """How far a reader is, as sequences. If the servers are full, what is before
    `released` may go."""

    passed: int = 0
    released: int = 0


class JournalStreams:
    """Raises what the client raises."""

    def __init__(self, connection: NatsConnection) -> None:
        self.connection = connection
        self._prefix = connection.config.prefix
        self.began = f"{self._prefix}.journal-began"
        # No log can have this name.
        self.alerts = f"{self._prefix}_alerts"
        buckets = (f"KV_{self._prefix}-{bucket}" for bucket in BUCKETS)
        # What else an installation may have on these servers.
        self.others = (self.alerts, *buckets)

    def stream(self, log: str) -> str:
        return f"{self._prefix}-{_escaped(log)}"

    def subject(self, log: str) -> str:
        return f"{self._prefix}.journal.{_escaped(log)}"

    async def ensure(self, log: str, max_days: int) -> None:
        """Makes the stream if it is not there yet."""
        jetstream = self.connection.jetstream
        try:
            await jetstream.stream_info(self.stream(log))
            return
        except jetstream_errors.NotFoundError:
            pass
        replicas = self.connection.config.replicas
        await jetstream.add_stream(
            stream_config(self.stream(log), self.subject(log), max_days, replicas)
        )
        await self.connection.client.publish(self.began, log.encode())

    async def logs(self) -> list[str]:
        """The logs that have a stream."""
        subject = f"{self._prefix}.journal.*"
        names = await self._list("STREAM.NAMES", "streams", {"subject": subject})
        begin = f"{self._prefix}-"
        return [_unescaped(n.removeprefix(begin)) for n in names if n.startswith(begin)]

    async def names(self) -> list[str]:
        """The names of all streams that this user may see."""
        return await self._list("STREAM.NAMES", "streams", {})

    async def info(self, stream: str) -> dict[str, Any]:
        """What the servers say of a stream, of which the client keeps a part only."""
        return await self._request(f"STREAM.INFO.{stream}", {})

    async def reader_infos(self, stream: str) -> list[dict[str, Any]]:
        """What the servers say of a stream's consumers."""
        return await self._list(f"CONSUMER.LIST.{stream}", "consumers", {})

    async def readers(self, log: str) -> list[str]:
        """The names of the consumers of a log."""
        api_name = f"CONSUMER.NAMES.{self.stream(log)}"
        names = await self._list(api_name, "consumers", {})
        return [_unescaped(name) for name in names]

    async def known_readers(self) -> set[str]:
        """The readers of any log."""
        found: set[str] = set()
        for log in await self.logs():
            names = await self.readers(log)
            found |= {name.removesuffix(_SEEKING) for name in names}
        return found

    async def begin(self, log: str, reader: str) -> None:
        """Keeps everything for a reader from now on, if it has never run."""
        if await self.consumer(log, reader) is None:
            await self._add_consumer(log, reader, 0, False)

    async def progress(self, log: str) -> dict[str, ReaderProgress]:
        """Of each reader that has ever run: readers that have not opened this log yet
        need everything."""
        known: dict[str, ReaderProgress] = {}
        for other in await self.logs():
            for name in await self.readers(other):
                reader = name.removesuffix(_SEEKING)
                progress = known.setdefault(reader, ReaderProgress())
                if other != log:
                    continue
                info = await self.consumer(log, name)
                if info is None:
                    continue
                passed = passed_sequence(info)
                released = passed
                if info.config.description == _YIELDS and info.delivered:
                    released = info.delivered.stream_seq
                progress.passed = max(progress.passed, passed)
                progress.released = max(progress.released, released)
        return known

    async def consumer(self, log: str, reader: str) -> api.ConsumerInfo | None:
        jetstream = self.connection.jetstream
        try:
            info: api.ConsumerInfo = await jetstream.consumer_info(
                self.stream(log), _escaped(reader)
            )
        except jetstream_errors.NotFoundError:
            return None
        return info

    async def is_read(self, log: str, reader: str) -> bool:
        """Whether a process requests messages under this reader's name."""
        consumer = await self.consumer(log, reader)
        return consumer is not None and bool(consumer.num_waiting)

    async def seek(self, log: str, reader: str, passed: int, yields: bool) -> str:
        """Makes the reader's consumer begin after `passed`; returns the subject from
        which to request messages.

        A consumer cannot be moved, only made again. Meanwhile another one keeps what
        the reader needs.
        """
        if await self.consumer(log, reader) is not None:
            # A try that a cut ended may have left one, which begins elsewhere.
            await self._delete_consumer(log, reader + _SEEKING)
            await self._add_consumer(log, reader + _SEEKING, passed, yields)
            await self._delete_consumer(log, reader)
        await self._add_consumer(log, reader, passed, yields)
        await self._delete_consumer(log, reader + _SEEKING)
        return f"$JS.API.CONSUMER.MSG.NEXT.{self.stream(log)}.{_escaped(reader)}"

    async def forget(self, log: str, reader: str) -> None:
        for name in (reader, reader + _SEEKING):
            await self._delete_consumer(log, name)

    async def _add_consumer(
        self, log: str, reader: str, passed: int, yields: bool
    ) -> None:
        await self.connection.jetstream.add_consumer(
            self.stream(log),
            api.ConsumerConfig(
                durable_name=_escaped(reader),
                description=_YIELDS if yields else None,
                deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=passed + 1,
                ack_policy=api.AckPolicy.ALL,
                ack_wait=_KEPT_UNACKED_S,
                max_ack_pending=-1,
            ),
        )

    async def _delete_consumer(self, log: str, reader: str) -> None:
        try:
            await self.connection.jetstream.delete_consumer(
                self.stream(log), _escaped(reader)
            )
        except jetstream_errors.NotFoundError:
            return

    async def _list(self, name: str, key: str, body: dict[str, str]) -> list[Any]:
        """All pages of a list."""
        found: list[Any] = []
        while True:
            page = await self._request(name, {**body, "offset": len(found)})
            listed = page.get(key) or []
            found += listed
            if not listed or len(found) >= page.get("total", 0):
                return found

    async def _request(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            message = await self.connection.client.request(
                f"$JS.API.{name}", json.dumps(body).encode(), timeout=5
            )
        except errors.NoRespondersError:
            raise jetstream_errors.ServiceUnavailableError from None
        answer: dict[str, Any] = json.loads(message.data)
        if "error" in answer:
            jetstream_errors.APIError.from_error(answer["error"])
        return answer


def passed_sequence(consumer: api.ConsumerInfo) -> int:
    """What its reader has passed: at least what is before the consumer's start."""
    acknowledged = consumer.ack_floor.stream_seq if consumer.ack_floor else 0
    return max(acknowledged, (consumer.config.opt_start_seq or 1) - 1)


def incarnation(info: api.StreamInfo) -> int:
    """A number for this stream: another one after it was deleted and made again."""
    assert info.created is not None
    return int(info.created.timestamp() * 1_000_000)


def _escaped(name: str) -> str:
    """A dot separates the words of a subject."""
    return name.replace(".", "%2E")


def _unescaped(name: str) -> str:
    return name.replace("%2E", ".")
