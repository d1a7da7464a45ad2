"""`DmzReader`: pulls the rows of a DMZ node into the journal inside."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Self

import msgspec
import structlog

from collectors.background_tasks import BackgroundTasks
from collectors.batch import Batch
from collectors.dmz.dmz_messages import READER
from collectors.dmz.pulled_rows import take_rows
from collectors.failure_log import FailureLog
from collectors.ingest.registry import Registry
from collectors.journal import Append, Newer, Positions, reader_sample
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.stream_reader import StreamReader
from probes.wire.atomic_file import replace_file
from probes.wire.sample import Sample

_WAIT_S = 5.0
_RETRY_S = 5.0
_AT_ONCE_ROWS = 20_000

_log = structlog.get_logger()


class DmzReader:
    """`async with DmzReader(connection, "dmz", folder, registry, append)`.

    `folder` keeps how far it is: saved after the journal has the rows. If the process
    is killed in between, they are appended again, and replace themselves in the store.
    """

    def __init__(
        self,
        connection: NatsConnection,
        node: str,
        folder: Path,
        registry: Registry,
        append: Append,
    ) -> None:
        self._node, self._registry, self._append = node, registry, append
        self._file = folder / "positions.json"
        self._folder = folder
        self._connection = connection
        self._failures = FailureLog("dmz_not_pulled", "dmz_pulled_again")
        self._tasks = BackgroundTasks()

    async def __aenter__(self) -> Self:
        start = await asyncio.to_thread(self._saved)
        self._reader = StreamReader(self._connection, self._folder, READER, start)
        await self._reader.__aenter__()
        self._tasks.start(self._run(), f"dmz {self._node}")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()
        await self._reader.__aexit__()

    def sample(self, process: str, now_ms: int) -> Sample:
        """One row of `self_reader`."""
        reader = self._reader
        name = f"dmz {self._node}"
        return reader_sample(reader.stats, reader.oldest_ms(), name, process, now_ms)

    async def _run(self) -> None:
        while True:
            try:
                chunk = await self._reader.read(_AT_ONCE_ROWS, _WAIT_S)
            except Newer as newer:
                self._failures.failed(newer, node=self._node)
                await asyncio.sleep(_RETRY_S)
                continue
            if chunk is None:
                continue
            pulled = take_rows(
                chunk.batches,
                self._node,
                lambda agent: self._registry.enrolled(agent) is not None,
            )
            await self._keep(pulled.batches, chunk.positions)
            self._reader.passed(chunk.positions)
            if pulled.left_out:
                counts = {r.replace(" ", "_"): n for r, n in pulled.left_out.items()}
                _log.warning("dmz_rows_left_out", node=self._node, **counts)

    async def _keep(self, batches: list[Batch], positions: Positions) -> None:
        """Returns when the journal and the file have it, however long that takes."""
        is_appended = not batches
        while True:
            try:
                if not is_appended:
                    await self._append.append(*batches)
                    is_appended = True
                body = msgspec.json.encode(positions)
                await asyncio.to_thread(replace_file, self._file, body, durable=True)
                self._failures.recovered(node=self._node)
                return
            except OSError as error:
                self._reader.stats.failures += 1
                self._failures.failed(str(error), node=self._node)
                await asyncio.sleep(_RETRY_S)

    def _saved(self) -> Positions:
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Positions)
        except FileNotFoundError:
            return {}
        except msgspec.MsgspecError:
            # Everything that is left there is pulled again, and replaces itself.
            _log.warning("dmz_positions_unreadable", file=str(self._file))
            return {}
