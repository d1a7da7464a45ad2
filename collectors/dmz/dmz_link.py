"""`DmzLink`: all that the inside does for one DMZ node. It opens the connection, so
that nothing in the DMZ can begin one to the inside."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

import structlog

from collectors.background_tasks import BackgroundTasks
from collectors.batch import Batch
from collectors.dmz.dmz_answers import DmzAnswers
from collectors.dmz.dmz_messages import READER
from collectors.dmz.pulled_rows import take_rows
from collectors.dmz.registry_publisher import RegistryPublisher
from collectors.estate.estate_model import Estate
from collectors.ingest.enrolment import EnrolmentService
from collectors.ingest.ingest_config import PolicyConfig
from collectors.ingest.registry import Registry
from collectors.journal import Append
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.nats_watch import NatsWatch
from collectors.nats.stream_pull import StreamPull
from probes.wire.clock import WallClock

_FOLLOW_S = 2.0

_log = structlog.get_logger()


class DmzLink:
    """`async with DmzLink("dmz", config, …)`. `folder` keeps how far it has pulled;
    `orders` returns the signed stop orders at a time."""

    def __init__(
        self,
        node: str,
        config: NatsConfig,
        folder: Path,
        registry: Registry,
        service: EnrolmentService,
        append: Append,
        estate: Callable[[], Estate],
        orders: Callable[[int], tuple[str, ...]],
        policy: PolicyConfig,
        now_ms: WallClock,
        process: str,
    ) -> None:
        self.node, self._registry = node, registry
        self.connection = NatsConnection(config, f"inside-{node}")
        self._publisher = RegistryPublisher(
            self.connection, registry, estate, orders, policy, now_ms
        )
        self._answers = DmzAnswers(
            self.connection, registry, service, self._publisher, now_ms
        )
        self.reader = StreamPull(
            self.connection, f"dmz {node}", READER, folder, append, self._take
        )
        self.watch = NatsWatch(self.connection, process, node=node)
        self._tasks = BackgroundTasks()
        self._entered = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as entering:
            await entering.enter_async_context(self.connection)
            await entering.enter_async_context(self.reader)
            await entering.enter_async_context(self.watch)
            self._entered = entering.pop_all()
        self._tasks.start(self._publisher.run(), f"registry for {self.node}")
        self._tasks.start(self._answers.run(), f"answers to {self.node}")
        self._tasks.start(self._registry.follow(_FOLLOW_S), f"follows for {self.node}")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()
        await self._entered.aclose()

    def _take(self, batches: list[Batch]) -> list[Batch]:
        """The rows that may come in; logs how many may not."""
        enrolled = self._registry.enrolled
        pulled = take_rows(
            batches, self.node, lambda agent: enrolled(agent) is not None
        )
        if pulled.left_out:
            counts = {r.replace(" ", "_"): n for r, n in pulled.left_out.items()}
            _log.warning("dmz_rows_left_out", node=self.node, **counts)
        return pulled.batches
