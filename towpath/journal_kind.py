"""The journal of one process, of the kind that the settings choose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from collectors.background_tasks import BackgroundTasks
from collectors.deletion_clock import DeletionBound, as_it_is
from collectors.journal import (
    BatchReader,
    Journal,
    JournalConfig,
    JournalReader,
    Positions,
)
from collectors.journal.earlier_journal import (
    EarlierReader,
    positions_of,
    remove_passed,
)
from collectors.journal.known_readers import FileReaders, KnownReaders
from collectors.journal.segment import WAKE_FOLDER
from collectors.nats.nats_config import NatsConfig
from collectors.server_measurements import CATALOGUE
from probes.wire.clock import wall_ms
from towpath.process_pieces import Pieces, Sources

if TYPE_CHECKING:
    from collectors.nats.nats_connection import NatsConnection

_log = structlog.get_logger()
_TIDY_S = 300.0


class JournalKind:
    """The client library is imported only if it is needed."""

    def __init__(
        self,
        config: JournalConfig,
        nats: NatsConfig,
        process: str,
        bounded: DeletionBound = as_it_is,
    ) -> None:
        self._config, self._process, self._bounded = config, process, bounded
        self._in_streams = config.kind == "nats"
        self.connection: NatsConnection | None = None
        if "nats" in (config.kind, config.before):
            from collectors.nats.nats_connection import NatsConnection

            self.connection = NatsConnection(nats, process)

    def pieces(
        self, looks_at_streams: bool, tidies_earlier: bool = False
    ) -> tuple[Pieces, Sources]:
        """What is to be entered before anything that is made here, and its rows;
        nothing for files."""
        pieces: Pieces = []
        sources: Sources = []
        process = self._process
        if (connection := self.connection) is not None:
            from collectors.nats.nats_watch import NatsWatch, connection_sample

            pieces.append(("connection to NATS", connection))
            sources.append(
                ("nats", lambda at: [connection_sample(connection, process, at)])
            )
            if looks_at_streams:
                watch = NatsWatch(connection, process, self._config.max_bytes)
                pieces.append(("watch of NATS", watch))
                sources.append(("streams", watch.samples))
        if self._config.before is not None and tidies_earlier:
            tidy = EarlierTidy(self._config, self.connection, self._bounded)
            pieces.append(("what is left in the earlier journal", tidy))
        return pieces, sources

    @property
    def place(self) -> str:
        """Where it is, for sentences."""
        if self.connection is None or not self._in_streams:
            return str(self._config.folder)
        return f"nats {', '.join(self.connection.config.servers)}"

    def problem(self) -> str:
        """Why nothing can be written at the moment; empty if it can."""
        if self.connection is None or not self._in_streams:
            return ""
        return self.connection.problem

    def journal(self, log: str) -> Journal:
        if self.connection is None or not self._in_streams:
            return Journal(self._config, log, CATALOGUE, bounded=self._bounded)
        from collectors.nats.stream_log import StreamLog

        stream = StreamLog(self._config, log, self.connection, self._bounded)
        return Journal(self._config, log, CATALOGUE, log=stream)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Journal]:
        """The journal of a process that only appends, with its connection."""
        async with AsyncExitStack() as entered:
            if self.connection is not None:
                await entered.enter_async_context(self.connection)
            yield await entered.enter_async_context(self.journal(self._process))

    def reader(
        self, name: str, start: Positions | None = None, yields: bool = False
    ) -> BatchReader:
        present = self._reader(name, start, yields, self._in_streams)
        if self._config.before is None:
            return present
        earlier = self._reader(name, start, yields, not self._in_streams)
        return EarlierReader(earlier, present, self._in_streams)

    def known_readers(self) -> KnownReaders:
        return self._known_readers(self._in_streams)

    async def left_readers(self) -> list[str]:
        """The readers that have not passed everything in the earlier journal; in files
        if the settings name none."""
        known = self._known_readers(self._config.before == "nats")
        times = {name: await known.oldest_ms(name) for name in await known.names()}
        return [name for name, oldest_ms in times.items() if oldest_ms is not None]

    def _reader(
        self, name: str, start: Positions | None, yields: bool, in_streams: bool
    ) -> BatchReader:
        folder, begin = self._config.folder, positions_of(start, in_streams)
        if not in_streams:
            return JournalReader(folder, name, begin, yields)
        assert self.connection is not None
        from collectors.nats.stream_reader import StreamReader

        if self._config.before is not None:
            # Its reader of files holds the lock there.
            folder = folder / WAKE_FOLDER / "streams"
        return StreamReader(self.connection, folder, name, begin, yields)

    def _known_readers(self, in_streams: bool) -> KnownReaders:
        if not in_streams:
            return FileReaders(self._config.folder)
        assert self.connection is not None
        from collectors.nats.stream_consumers import StreamConsumers

        return StreamConsumers(self.connection, self._config.folder)


class EarlierTidy:
    """Deletes what every reader has passed from the earlier journal, to which no
    process writes any more."""

    def __init__(
        self,
        config: JournalConfig,
        connection: NatsConnection | None,
        bounded: DeletionBound = as_it_is,
    ) -> None:
        self._config, self._connection = config, connection
        self._bounded = bounded
        self._tasks = BackgroundTasks()

    async def __aenter__(self) -> EarlierTidy:
        self._tasks.start(self._run(), "earlier journal")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()

    async def tidy(self, now_ms: int) -> None:
        config = self._config
        if config.before == "files":
            await asyncio.to_thread(
                remove_passed, config.folder, config.max_days, now_ms
            )
            return
        assert self._connection is not None
        from collectors.nats.nats_errors import NATS_FAILURES
        from collectors.nats.stream_tidy import tidy_all

        try:
            await tidy_all(self._connection, config, now_ms)
        except NATS_FAILURES as error:
            text = self._connection.sentence(error)
            _log.warning("journal_tidy_failed", error=text)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_TIDY_S)
            await self.tidy(self._bounded(wall_ms()))
