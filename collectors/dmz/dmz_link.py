"""`DmzLink`: all that the inside does for one DMZ node. It opens the connection, so
that nothing in the DMZ can begin one to the inside."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

import structlog

from collectors.background_tasks import BackgroundTasks
from collectors.dmz.dmz_answers import DmzAnswers
from collectors.dmz.dmz_messages import READER
from collectors.dmz.pulled_rows import CHANGED, REFUSED, TAKEN, UNENROLLED, PulledRows
from collectors.dmz.registry_publisher import PublishedSources, RegistryPublisher
from collectors.ingest.enrolment import EnrolmentService
from collectors.ingest.policies import KnownSites
from collectors.ingest.registry import Registry
from collectors.ingest.tag_limits import TagLimits
from collectors.journal import Append
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.nats_watch import NatsWatch
from collectors.nats.stream_pull import StreamPull
from collectors.server_measurements import CATALOGUE
from collectors.support_codes import SupportCodes
from probes.wire.clock import WallClock
from probes.wire.sample import Sample, Value

_FOLLOW_S = 2.0
_COUNTS = (TAKEN, UNENROLLED, REFUSED, CHANGED)

_log = structlog.get_logger()


class DmzLink:
    """`async with DmzLink("dmz", config, …)`. `folder` keeps how far it has pulled;
    `max_ahead_s`: how far into the future times of its rows may be."""

    def __init__(
        self,
        node: str,
        config: NatsConfig,
        folder: Path,
        registry: Registry,
        service: EnrolmentService,
        codes: SupportCodes,
        append: Append,
        sources: PublishedSources,
        max_ahead_s: float,
        now_ms: WallClock,
        process: str,
    ) -> None:
        self.node, self._registry, self._process = node, registry, process
        self._logged: dict[str, int] = {}
        self._begun_ms = now_ms()
        self.connection = NatsConnection(config, f"inside-{node}")
        self._publisher = RegistryPublisher(self.connection, registry, sources, now_ms)
        self._answers = DmzAnswers(
            self.connection, registry, service, self._publisher, codes, now_ms
        )
        self._rows = PulledRows(
            node,
            registry.enrolled,
            TagLimits(sources.estate, lambda: sources.policy, CATALOGUE),
            KnownSites(sources.estate),
            max_ahead_s,
            now_ms,
        )
        self.reader = StreamPull(
            self.connection, f"dmz {node}", READER, folder, append, self._rows.take
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

    def samples(self, now_ms: int) -> list[Sample]:
        """One row of `self_dmz`. Logs what was left out since the last one."""
        self._log_left_out()
        fields: dict[str, Value] = {name: self._rows.counts[name] for name in _COUNTS}
        fields["connected"] = int(self.connection.is_connected)
        fields["requests"] = self._answers.given
        since_ms = self._publisher.published_ms or self._begun_ms
        fields["list_age_s"] = max(now_ms - since_ms, 0) / 1000
        tags = {"process": self._process, "node": self.node}
        return [Sample("self_dmz", tags, fields, now_ms)]

    def _log_left_out(self) -> None:
        # Not with each pull: a node that was broken into could fill the log.
        counts = {name: self._rows.counts[name] for name in (UNENROLLED, REFUSED)}
        more = {name: counts[name] - self._logged.get(name, 0) for name in counts}
        if any(more.values()):
            self._logged = counts
            _log.warning("dmz_rows_left_out", node=self.node, **more)
