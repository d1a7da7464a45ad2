"""A journal of each kind, as sources and readers see it."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

from nats_servers import NatsServer

from collectors.journal import (
    BatchReader,
    Journal,
    JournalConfig,
    Positions,
    passed_positions,
)
from collectors.nats.journal_streams import JournalStreams
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_connection import NatsConnection
from towpath.journal_kind import JournalKind

_numbers = itertools.count()


class JournalPlace:
    """Where the tests' journal is."""

    def __init__(
        self,
        folder: Path,
        server: NatsServer | None,
        nats: NatsConfig | None = None,
    ) -> None:
        self.folder = folder
        self._server = server
        self.nats = nats or NatsConfig()
        if server is not None:
            prefix = f"test{next(_numbers)}"
            self.nats = NatsConfig(servers=(server.url,), prefix=prefix)
        self.config = JournalConfig(
            kind="nats" if server or nats else "files", folder=folder
        )
        self.kind = JournalKind(self.config, self.nats, "test")

    @property
    def connection(self) -> NatsConnection:
        assert self.kind.connection is not None
        return self.kind.connection

    def journal(self, log: str) -> Journal:
        return self.kind.journal(log)

    def reader(
        self, name: str, start: Positions | None = None, yields: bool = False
    ) -> BatchReader:
        return self.kind.reader(name, start, yields)

    async def forget(self, name: str) -> None:
        await self.kind.known_readers().forget(name)

    async def until_passed(self, reader: BatchReader) -> None:
        """Waits until the journal knows that the reader has passed what it has read."""
        async with asyncio.timeout(10):
            while True:
                # A log that holds nothing yet is known to the reader before that.
                known = {log: at.offset for log, at in reader.positions.items()}
                if {**dict.fromkeys(known, 0), **await self._passed(reader)} == known:
                    return
                await asyncio.sleep(0.02)

    async def _passed(self, reader: BatchReader) -> dict[str, int]:
        """How far a reader has passed, as the journal knows it: the offsets."""
        connection = self.kind.connection
        if connection is None:
            positions = passed_positions(self.folder, reader.name)
            return {log: at.offset for log, at in positions.items()}
        streams = JournalStreams(connection)
        return {
            log: (await streams.progress(log))[reader.name].passed
            for log in await streams.logs()
        }
