"""`NatsWatch`: how NATS is, as rows about Towpath itself.

Every process reports on its connection. The one that evaluates rules also looks at all
streams: its rows reach the rules even if the journal cannot be written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Self

from collectors.background_tasks import BackgroundTasks
from collectors.nats.journal_streams import JournalStreams
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.nats_errors import NATS_FAILURES
from collectors.nats.stream_health import StreamHealth, stream_health, without_leader
from collectors.wake_times import sleep_with_others
from probes.wire.sample import Sample, Value

_LOOK_S = 30.0
_BUCKETS = ("pollers", "learnt")


class NatsWatch:
    """`async with NatsWatch(connection, process, max_bytes) as watch`. `max_bytes` is
    the limit of a log of the journal; None if this process does not look at streams."""

    def __init__(
        self, connection: NatsConnection, process: str, max_bytes: int | None
    ) -> None:
        self._connection, self._process = connection, process
        self._max_bytes = max_bytes
        self._streams = JournalStreams(connection)
        # Stream → the limit of its bytes, or None.
        self._known: dict[str, int | None] = {}
        self._health: Mapping[str, StreamHealth] = {}
        self._tasks = BackgroundTasks()

    async def __aenter__(self) -> Self:
        if self._max_bytes is not None:
            self._tasks.start(self._run(), "nats-watch")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()

    def samples(self, now_ms: int) -> list[Sample]:
        """A row of `self_nats`, and one of `self_stream` for each stream."""
        connection = self._connection
        state: dict[str, Value] = {
            "connected": int(connection.is_connected),
            "answers": int(connection.is_connected and not connection.problem),
        }
        process = {"process": self._process}
        rows = [Sample("self_nats", process, state, now_ms)]
        for stream, health in self._health.items():
            tags = {**process, "stream": stream}
            rows.append(Sample("self_stream", tags, health.fields(now_ms), now_ms))
        return rows

    async def look(self) -> None:
        """Asks the servers about all streams."""
        if self._connection.problem or not self._connection.is_connected:
            # Of single streams nothing is known.
            self._health = {}
            return
        try:
            await self._find()
        except NATS_FAILURES:
            # Those that were known may still answer.
            self._connection.doubt()
        names = list(self._known)
        healths = await asyncio.gather(*map(self._ask, names))
        self._health = {n: h for n, h in zip(names, healths, strict=True) if h}

    async def _run(self) -> None:
        while True:
            await self.look()
            await sleep_with_others(_LOOK_S)

    async def _find(self) -> None:
        streams = self._streams
        known = {streams.stream(log): self._max_bytes for log in await streams.logs()}
        prefix = self._connection.config.prefix
        there = set(await streams.names())
        buckets = (f"KV_{prefix}-{bucket}" for bucket in _BUCKETS)
        self._known = {**known, **{name: None for name in buckets if name in there}}

    async def _ask(self, name: str) -> StreamHealth | None:
        try:
            info = await self._streams.info(name)
            readers: list[dict[str, Any]] = []
            if self._known[name] is not None:
                readers = await self._streams.reader_infos(name)
        except NATS_FAILURES as error:
            return without_leader(error)
        wanted = self._connection.config.replicas
        return stream_health(info, readers, self._known[name], wanted)
