"""The journal of one process, of the kind that the settings choose."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING

from collectors.journal import (
    BatchReader,
    Journal,
    JournalConfig,
    JournalReader,
    Positions,
)
from collectors.journal.known_readers import FileReaders, KnownReaders
from collectors.nats.nats_config import NatsConfig
from collectors.server_measurements import CATALOGUE
from towpath.process_pieces import Pieces, Sources

if TYPE_CHECKING:
    from collectors.nats.nats_connection import NatsConnection


class JournalKind:
    """The client library is imported only if it is needed."""

    def __init__(self, config: JournalConfig, nats: NatsConfig, process: str) -> None:
        self._config, self._process = config, process
        self.connection: NatsConnection | None = None
        if config.kind == "nats":
            from collectors.nats.nats_connection import NatsConnection

            self.connection = NatsConnection(nats, process)

    def pieces(self, looks_at_streams: bool) -> tuple[Pieces, Sources]:
        """What is to be entered before anything that is made here, and its rows;
        nothing for files."""
        if (connection := self.connection) is None:
            return [], []
        from collectors.nats.nats_watch import NatsWatch, connection_sample

        process = self._process
        pieces: Pieces = [("connection to NATS", connection)]
        sources: Sources = [
            ("nats", lambda at: [connection_sample(connection, process, at)])
        ]
        if looks_at_streams:
            watch = NatsWatch(connection, process, self._config.max_bytes)
            pieces.append(("watch of NATS", watch))
            sources.append(("streams", watch.samples))
        return pieces, sources

    @property
    def place(self) -> str:
        """Where it is, for sentences."""
        if self.connection is None:
            return str(self._config.folder)
        return f"nats {', '.join(self.connection.config.servers)}"

    def problem(self) -> str:
        """Why nothing can be written at the moment; empty if it can."""
        return "" if self.connection is None else self.connection.problem

    def journal(self, log: str) -> Journal:
        if self.connection is None:
            return Journal(self._config, log, CATALOGUE)
        from collectors.nats.stream_log import StreamLog

        stream = StreamLog(self._config, log, self.connection)
        return Journal(self._config, log, CATALOGUE, log=stream)

    def reader(
        self, name: str, start: Positions | None = None, yields: bool = False
    ) -> BatchReader:
        if self.connection is None:
            return JournalReader(self._config.folder, name, start, yields)
        from collectors.nats.stream_reader import StreamReader

        folder = self._config.folder
        return StreamReader(self.connection, folder, name, start, yields)

    def known_readers(self) -> KnownReaders:
        if self.connection is None:
            return FileReaders(self._config.folder)
        from collectors.nats.stream_consumers import StreamConsumers

        return StreamConsumers(self.connection, self._config.folder)


class OpenedJournal(AbstractAsyncContextManager[Journal]):
    """The journal of a process that only appends, with its connection."""

    def __init__(self, config: JournalConfig, nats: NatsConfig, log: str) -> None:
        self.kind = JournalKind(config, nats, log)
        self._log = log
        self._entered = AsyncExitStack()

    async def __aenter__(self) -> Journal:
        async with AsyncExitStack() as entering:
            if self.kind.connection is not None:
                await entering.enter_async_context(self.kind.connection)
            journal = await entering.enter_async_context(self.kind.journal(self._log))
            self._entered = entering.pop_all()
        return journal

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._entered.__aexit__(kind, error, trace)
