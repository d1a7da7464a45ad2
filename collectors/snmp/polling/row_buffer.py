"""Collects the rows of several polls for one append to the journal.

In a large estate some hundred polls end every second, and in a small one a few at the
same time. A commit for each of them, which wakes every reader of the journal, would
cost a third as much as the poll itself; a few commits a second cost nothing.
"""

from __future__ import annotations

import asyncio
from typing import Self

from collectors.batch import Batch
from collectors.failure_log import FailureLog
from collectors.journal import Append

_COLLECT_S = 0.2


class RowBuffer:
    """`async with RowBuffer(append) as buffer: await buffer.put(batches)`.

    `put` returns when the batches are in the journal, or the journal has refused them.
    Refused batches are counted in `lost`; that is logged once, until the journal
    accepts rows again. Every caller waits, so the polls that run bound what is held.
    """

    def __init__(self, append: Append) -> None:
        self._append = append
        self._held: list[Batch] = []
        self._flushed: asyncio.Future[None] | None = None
        self._failures = FailureLog("polls_not_stored", "polls_stored_again")
        self._tasks: set[asyncio.Task[None]] = set()
        self.lost = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*self._tasks)

    async def put(self, batches: list[Batch]) -> None:
        self._held += batches
        if self._flushed is None:
            self._flushed = asyncio.get_running_loop().create_future()
            task = asyncio.create_task(self._flush(), name="polls to the journal")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        # Shielded: cancelling one poll must not affect the others.
        await asyncio.shield(self._flushed)

    async def _flush(self) -> None:
        await asyncio.sleep(_COLLECT_S)
        batches, self._held = self._held, []
        flushed, self._flushed = self._flushed, None
        try:
            await self._append.append(*batches)
        except Exception as error:  # noqa: BLE001 - a full disk must not end polling
            self.lost += len(batches)
            self._failures.failed(error)
        else:
            self._failures.recovered()
        finally:
            if flushed is not None and not flushed.done():
                flushed.set_result(None)
