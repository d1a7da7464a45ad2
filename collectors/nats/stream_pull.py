"""`StreamPull`: pulls the rows of a node, which has a nats-server of its own, into the
journal inside.

After a long cut much waits there. It is pulled in at most half of the time, so that
the line and the journal have time for what is new elsewhere.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec
import structlog

from collectors.background_tasks import BackgroundTasks
from collectors.batch import Batch
from collectors.failure_log import FailureLog
from collectors.journal import Append, Newer, Positions, reader_sample
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.stream_reader import StreamReader
from probes.wire.atomic_file import replace_file
from probes.wire.sample import Sample

_WAIT_S = 5.0
_RETRY_S = 5.0
_AT_ONCE_ROWS = 20_000
# After so many rows at once more are waiting.
_MUCH_ROWS = _AT_ONCE_ROWS // 2

_log = structlog.get_logger()


class StreamPull:
    """`async with StreamPull(connection, "dmz outside", "inside", folder, …)`.

    `node` names it in rows and the log; `reader` is what the inside is called there.
    `take` returns the batches to append. `folder` keeps how far it is: saved after the
    journal has the rows. If the process is killed in between, they are appended again,
    and replace themselves in the store.
    """

    def __init__(
        self,
        connection: NatsConnection,
        node: str,
        reader: str,
        folder: Path,
        append: Append,
        take: Callable[[list[Batch]], list[Batch]],
    ) -> None:
        self._node, self._name = node, reader
        self._append, self._take = append, take
        self._file = folder / "positions.json"
        self._folder = folder
        self._connection = connection
        self._failures = FailureLog("rows_not_pulled", "rows_pulled_again")
        self._tasks = BackgroundTasks()

    async def __aenter__(self) -> Self:
        start = await asyncio.to_thread(self._saved)
        self._reader = StreamReader(self._connection, self._folder, self._name, start)
        await self._reader.__aenter__()
        self._tasks.start(self._run(), self._node)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()
        await self._reader.__aexit__()

    def sample(self, process: str, now_ms: int) -> Sample:
        """One row of `self_reader`."""
        reader = self._reader
        oldest_ms = reader.oldest_ms()
        return reader_sample(reader.stats, oldest_ms, self._node, process, now_ms)

    async def _run(self) -> None:
        while True:
            begun_s = time.monotonic()
            try:
                chunk = await self._reader.read(_AT_ONCE_ROWS, _WAIT_S)
            except Newer:
                # The reader has logged which log waits.
                await asyncio.sleep(_RETRY_S)
                continue
            if chunk is None:
                continue
            await self._keep(self._take(chunk.batches), chunk.positions)
            self._reader.passed(chunk.positions)
            if sum(map(len, chunk.batches)) >= _MUCH_ROWS:
                await asyncio.sleep(time.monotonic() - begun_s)

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
            _log.warning("pull_positions_unreadable", file=str(self._file))
            return {}
