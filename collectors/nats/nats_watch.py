"""`NatsWatch`: how the streams and buckets of one installation are, as rows about
Towpath itself.

The process that evaluates rules looks at those of the journal's servers: its rows reach
the rules even if the journal cannot be written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from collectors.background_tasks import BackgroundTasks
from collectors.nats.journal_streams import JournalStreams
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.nats_errors import NATS_FAILURES
from collectors.nats.stream_health import StreamHealth, stream_health, without_leader
from collectors.wake_times import sleep_with_others
from probes.wire.sample import Sample

_LOOK_S = 30.0


class _Watched(NamedTuple):
    is_log: bool
    max_bytes: int | None = None


class NatsWatch:
    """`async with NatsWatch(connection, process) as watch`. `max_bytes`: the limit of a
    log of the journal, if it is known. `node` is before the names of the streams of a
    DMZ node or a site node, which has servers of its own."""

    def __init__(
        self,
        connection: NatsConnection,
        process: str,
        max_bytes: int | None = None,
        node: str = "",
    ) -> None:
        self._connection, self._process = connection, process
        self._max_bytes = max_bytes
        self._before = f"{node}/" if node else ""
        self._streams = JournalStreams(connection)
        self._known: dict[str, _Watched] = {}
        self._health: Mapping[str, StreamHealth] = {}
        self._tasks = BackgroundTasks()

    async def __aenter__(self) -> Self:
        self._tasks.start(self._run(), "nats-watch")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()

    def samples(self, now_ms: int) -> list[Sample]:
        """A row of `self_stream` for each stream."""
        return [
            Sample(
                "self_stream",
                {"process": self._process, "stream": f"{self._before}{stream}"},
                health.fields(now_ms),
                now_ms,
            )
            for stream, health in self._health.items()
        ]

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
        logs = [streams.stream(log) for log in await streams.logs()]
        there = set(await streams.names())
        log = _Watched(True, self._max_bytes)
        self._known = dict.fromkeys(logs, log) | {
            name: _Watched(False) for name in streams.others if name in there
        }

    async def _ask(self, name: str) -> StreamHealth | None:
        watched = self._known[name]
        try:
            info = await self._streams.info(name)
            readers: list[dict[str, Any]] = []
            if watched.is_log:
                readers = await self._streams.reader_infos(name)
        except NATS_FAILURES as error:
            return without_leader(error)
        wanted = self._connection.config.replicas
        return stream_health(info, readers, watched.max_bytes, wanted)


def connection_sample(connection: NatsConnection, process: str, now_ms: int) -> Sample:
    """A row of `self_nats`."""
    return Sample(
        "self_nats",
        {"process": process},
        {
            "connected": int(connection.is_connected),
            "answers": int(connection.is_connected and not connection.problem),
        },
        now_ms,
    )
