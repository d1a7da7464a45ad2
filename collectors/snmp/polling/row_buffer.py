"""Polls' rows on their way to the journal, gathered for a moment.

In a large estate some hundred polls end every second. A commit for each of them would
cost as much as a third of the poll; twenty a second cost nothing.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

import structlog

from collectors.batch import Batch
from collectors.journal import Append

_log = structlog.get_logger()
_GATHER_S = 0.05


class Gather:
    """`async with Gather(append) as rows: await rows.put(batches)`.

    `put` returns when the batches are in the journal, or were refused by it: then they
    are counted in `lost`, and that is logged once until it takes rows again. Whoever
    puts waits, so what is held is bounded by the polls that run.
    """

    def __init__(self, append: Append) -> None:
        self._append = append
        self._held: list[Batch] = []
        self._done: asyncio.Future[None] | None = None
        self._taking = True
        self._tasks: set[asyncio.Task[None]] = set()
        self.lost = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.gather(*self._tasks)

    async def put(self, batches: list[Batch]) -> None:
        self._held += batches
        if self._done is None:
            self._done = asyncio.get_running_loop().create_future()
            task = asyncio.create_task(self._flush(), name="polls to the journal")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        # Shielded: that one poll is cancelled is nothing to the others.
        await asyncio.shield(self._done)

    async def _flush(self) -> None:
        await asyncio.sleep(_GATHER_S)
        held, self._held = self._held, []
        done, self._done = self._done, None
        try:
            await self._append.append(*held)
        except Exception as error:  # noqa: BLE001 - a full disk must not end polling
            self.lost += len(held)
            if self._taking:
                _log.error("polls_not_stored", error=repr(error))
            self._taking = False
        else:
            if not self._taking:
                _log.info("polls_stored_again")
            self._taking = True
        finally:
            if done is not None and not done.done():
                done.set_result(None)
