"""`StandbyMachine`: whether this machine evaluates alerts or stands by.

The lease is that of pollers (`collectors.sharing`), with the alerts as its one device.
It says which machine should write; the log decides which one may (`alert_replica`).
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, Self

import structlog

from alerts.standby.alert_replica import AlertReplica
from collectors.background_tasks import BackgroundTasks
from collectors.failure_log import FailureLog
from collectors.sharing.bounded_assignment import SharedDevice
from probes.wire.sample import Sample, Value

_log = structlog.get_logger()
_LOOK_S = 1.0
_RETRY_S = 0.5
# How long a machine that cannot write its file leaves the alerts to the other one.
_LEAVE_S = 30.0
_ALERTS = SharedDevice("alerts", "alerts")


class AlertLease(Protocol):
    """A `ShareThread`, on the alerts instead of devices."""

    on_change: Callable[[], Awaitable[None]] | None

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *_: object) -> None: ...
    @property
    def held(self) -> int: ...
    def share(self, devices: list[SharedDevice]) -> None: ...
    def prefer(self, sites: tuple[str, ...]) -> None: ...
    def sample(self, process: str, now_ms: int) -> Sample: ...


def standby_fields(is_active: bool, shared: Mapping[str, Value]) -> dict[str, Value]:
    """What is known of the machines, by the fields of the lease (as `self_share`;
    empty while there is none). Until it is settled nothing is known of others."""
    machines = int(shared["pollers"]) if shared.get("settled") else 0
    is_elsewhere = machines > 1 and not shared["held"]
    return {
        "active": int(is_active),
        "attended": int(is_active or is_elsewhere),
        "machines": machines,
    }


async def _take_up_nothing() -> None:
    pass


class StandbyMachine:
    """`async with StandbyMachine(…)`, after the engine: it stands by, or evaluates.

    `make_lease` makes a lease. `resume` begins to evaluate from what the file says;
    `suspend` returns when nothing is evaluated or sent any more. `take_up` is called
    each second while it evaluates.
    """

    def __init__(
        self,
        replica: AlertReplica,
        make_lease: Callable[[], AlertLease],
        resume: Callable[[], Awaitable[None]],
        suspend: Callable[[], Awaitable[None]],
        take_up: Callable[[], Awaitable[None]] = _take_up_nothing,
    ) -> None:
        self._take_up = take_up
        self._replica, self._make_lease = replica, make_lease
        self._resume, self._suspend = resume, suspend
        self._is_resumed = False
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()
        self._failures = FailureLog("alerts_not_replicated", "alerts_replicated")
        self._tasks = BackgroundTasks()
        self.problem = ""
        self._lease: AlertLease | None = None

    @property
    def is_active(self) -> bool:
        return self._is_resumed and self._replica.is_active

    def sample(self, process: str, now_ms: int) -> Sample:
        """One row of `self_standby`, by what the lease says of the machines."""
        lease = self._lease
        shared = {} if lease is None else lease.sample(process, now_ms).fields
        fields = standby_fields(self.is_active, shared)
        return Sample("self_standby", {"process": process}, fields, now_ms)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        # It calls from the engine's thread.
        self._replica.on_lost = lambda: loop.call_soon_threadsafe(self._news.set)
        self._tasks.start(self._run(), "standby")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()

    async def _run(self) -> None:
        while True:
            try:
                await self._hold_lease()
            except (OSError, ValueError) as error:
                # A file with a secret that cannot be read now is read again later.
                self.problem = str(error)
                self._failures.failed(self.problem)
            # Its disk may work again.
            await asyncio.sleep(_LEAVE_S)
            self._replica.disk_error = ""

    async def _hold_lease(self) -> None:
        """Until the disk fails. Raises what the lease raises when it is entered."""
        async with contextlib.AsyncExitStack() as stack:
            lease = await stack.enter_async_context(self._make_lease())
            self._lease = lease
            self._replica.holds_lease = lambda: lease.held > 0
            stack.callback(self._forget_lease)
            stack.push_async_callback(self._stand_by)
            lease.on_change = lambda: self._change(lease)
            lease.share([_ALERTS])
            while not self._replica.disk_error:
                self._news.clear()
                await self._look(lease)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_S):
                        await self._news.wait()

    def _forget_lease(self) -> None:
        self._lease = None

    async def _change(self, lease: AlertLease) -> None:
        """The machine that holds the lease keeps it when another one comes."""
        lease.prefer(("alerts",) if lease.held else ())
        if not lease.held:
            await self._stand_by()
        self._news.set()

    async def _look(self, lease: AlertLease) -> None:
        try:
            if self._is_resumed and not self._replica.is_active:
                await self._stand_by()
            if not lease.held:
                if not self._is_resumed:
                    await asyncio.to_thread(self._replica.follow)
            elif not self._is_resumed:
                await self._take_over(lease)
            else:
                self._replica.say_attended()
                await self._take_up()
            self.problem = ""
            self._failures.recovered()
        except OSError as error:
            self.problem = str(error)
            self._failures.failed(self.problem)
            await asyncio.sleep(_RETRY_S)
        except sqlite3.Error as error:
            self.problem = str(error)
            self._failures.failed(self.problem)
            if lease.held:
                self._replica.fail_disk(error)

    async def _take_over(self, lease: AlertLease) -> None:
        async with self._turn:
            if not await asyncio.to_thread(self._replica.take_over):
                self._news.set()
                return
            if not lease.held:
                self._replica.is_active = False
                return
            await self._resume()
            self._is_resumed = True
            _log.warning("alerts_active")

    async def _stand_by(self) -> None:
        async with self._turn:
            was_active, self._is_resumed = self._is_resumed, False
            self._replica.is_active = False
            if was_active:
                await self._suspend()
                _log.warning("alerts_standing_by")
            with contextlib.suppress(sqlite3.Error):
                await asyncio.to_thread(self._replica.stand_down)
