"""The share of a poller, or of a machine that alerts, kept by a thread of its own.

A busy poller polls late. If it renewed its lease late too, it would lose it: it would
cancel all its polls, begin again, and be busier than before. A busy machine would hand
its alerts to the other one and take them back. So the lease has another event loop,
with a connection of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Collection
from typing import Self

from collectors.estate.estate_model import Device, Estate, Site, VpnGateway
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_connection import NatsConnection
from collectors.sharing.bounded_assignment import SharedDevice
from collectors.sharing.estate_share import shared_devices
from collectors.sharing.nats_share import DEVICES, NatsShare, SharedKind
from probes.wire.sample import Sample


class ShareThread:
    """`async with ShareThread(config, name, near, lease_s)`; an `EstateShare`, and the
    lease of a machine that alerts (`kind`).

    Entering waits a moment for NATS, as `NatsConnection` does, and raises what that
    raises. Nothing is shared before the first `set_estate` or `share`.
    """

    def __init__(
        self,
        config: NatsConfig,
        name: str,
        near: Collection[str] = (),
        lease_s: float = 15.0,
        kind: SharedKind = DEVICES,
    ) -> None:
        self.name = name
        # Called on the loop that has entered it.
        self.on_change: Callable[[], Awaitable[None]] | None = None
        self._connection = NatsConnection(config, f"{kind.bucket}-{name}")
        self._share = NatsShare(self._connection, name, near, lease_s, kind=kind)
        self._share.on_change = self._report_change
        self._news = asyncio.Event()
        # These two belong to the loop of the thread.
        self._has_devices, self._stop = asyncio.Event(), asyncio.Event()
        self._thread: threading.Thread | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._own_loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._run, name=f"share of {self.name}", daemon=True
        )
        self._thread.start()
        await self._started
        return self

    async def __aexit__(self, *_: object) -> None:
        self._call(self._stop.set)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    @property
    def changes(self) -> int:
        return self._share.changes

    @property
    def held(self) -> int:
        """How many devices it may poll now."""
        return self._share.held

    @property
    def pollers(self) -> int:
        """How many pollers share the estate, as far as is known."""
        return self._share.pollers

    @property
    def deadline_s(self) -> float:
        """When its lease ends, on this machine's steady clock."""
        return self._share.deadline_s

    def sample(self, process: str, now_ms: int) -> Sample:
        """One row of `self_share`."""
        return self._share.sample(process, now_ms)

    def set_estate(self, estate: Estate) -> None:
        self._call(lambda: self._share_devices(shared_devices(estate)))

    def share(self, devices: list[SharedDevice]) -> None:
        """What there is to share has changed."""
        self._call(lambda: self._share_devices(devices))

    def prefer(self, sites: tuple[str, ...]) -> None:
        """From now on it is near these sites."""
        self._call(lambda: self._share.prefer(sites))

    def holds(self, device: Device) -> bool:
        return self._share.holds(device)

    def holds_gateway(self, gateway: VpnGateway) -> bool:
        return self._share.holds_gateway(gateway)

    def speaks_for(self, site: Site) -> bool:
        return self._share.speaks_for(site)

    async def wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()

    def _call(self, work: Callable[[], None]) -> None:
        """Calls it on the loop of the thread, unless that has ended."""
        with contextlib.suppress(RuntimeError):
            self._own_loop.call_soon_threadsafe(work)

    def _share_devices(self, devices: list[SharedDevice]) -> None:
        self._share.share(devices)
        self._has_devices.set()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._own_loop) as runner:
            error = runner.run(self._keep())
        if error is not None:
            self._loop.call_soon_threadsafe(self._started.set_exception, error)

    async def _keep(self) -> Exception | None:
        """Until it is stopped; or returns why it could not start."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._connection)
            except Exception as error:  # noqa: BLE001 - `__aenter__` raises it
                return error
            self._loop.call_soon_threadsafe(self._started.set_result, None)
            stopped = asyncio.create_task(self._stop.wait())
            first = asyncio.create_task(self._has_devices.wait())
            waits = (stopped, first)
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if not stopped.done():
                await stack.enter_async_context(self._share)
                await stopped
            first.cancel()
        return None

    async def _report_change(self) -> None:
        """Returns when that loop has followed: it works on nothing that is not held."""
        self._loop.call_soon_threadsafe(self._news.set)
        if self.on_change is None:
            return
        followed = asyncio.run_coroutine_threadsafe(self._follow(), self._loop)
        await asyncio.wrap_future(followed)

    async def _follow(self) -> None:
        if self.on_change is not None:
            await self.on_change()
