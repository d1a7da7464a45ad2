"""Tasks that a component starts when it is entered and stops when it is left."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import structlog

_log = structlog.get_logger()
_CANCEL_AGAIN_S = 5.0


class BackgroundTasks:
    """Named tasks that run until `stop`.

    A task that raises is logged at once (`background_task_failed`) and does not end the
    others: nobody awaits it until the component is left.
    """

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def start(
        self, work: Coroutine[object, object, None], name: str
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(_log_failure)
        self._tasks.append(task)
        return task

    async def stop(self, wait_s: float = 0.0) -> None:
        """Cancels the tasks and waits for them. Raises nothing that a task raised.

        `wait_s`: how long tasks that are about to end by themselves may take.
        """
        if wait_s and self._tasks:
            await asyncio.wait(self._tasks, timeout=wait_s)
        pending = {task for task in self._tasks if not task.done()}
        while pending:
            for task in pending:
                task.cancel()
            # `asyncio.wait_for` of Python 3.11 loses a cancellation that comes just
            # when what it waits for is done.
            _, pending = await asyncio.wait(pending, timeout=_CANCEL_AGAIN_S)
        self._tasks.clear()


def _log_failure(task: asyncio.Task[None]) -> None:
    if task.cancelled():
        return
    error = task.exception()
    if error is not None:
        _log.error(
            "background_task_failed",
            task=task.get_name(),
            error=repr(error),
            exc_info=error,
        )
