"""`towpath run`: builds everything that one process runs, and starts it in order.

Building starts nothing, so `--check` can build everything. Entering starts the pieces
from the bottom up; leaving stops them in reverse order, the journal last, so that
everything that was acknowledged is on disk.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

from alerts.alert_access import overdue_sentences
from alerts.live_events.speed_test_freezes import EventFreezes
from alerts.maintenance_planner import calendar_troubles
from alerts.prometheus.window_metrics import WindowMetrics
from alerts.staff_incidents import KnownIncidents
from collectors.certificate_files import CertificateFiles
from collectors.deletion_clock import CLOCK_FILE, DeletionClock
from collectors.disk_space import Disks
from collectors.estate import Estate, EstateFile
from collectors.file_limit import raise_file_limit
from collectors.ingest import (
    BrokerFiles,
    HttpsIngest,
    MqttIngest,
    Registry,
    ingest_sample,
)
from collectors.journal import UnhurriedAppend, journal_sample
from collectors.retention import Job, Retention
from collectors.self_metrics import SelfMonitor, Source
from collectors.server_measurements import CATALOGUE
from collectors.snmp import Credentials
from collectors.snmp.traps import TrapReceiver
from collectors.store import StorePart, open_store
from collectors.support_codes import SupportCodes, support_codes_file
from collectors.vpn_gateways import VpnGateways
from dashboards.web import FleetSource, GrafanaSource, SiteRows, StatusPage
from dashboards.web.action_pages import alert_actions
from probes.wire.clock import WallClock, wall_ms
from probes.wire.counted_text import counted
from towpath.alert_role import build_alerts
from towpath.config import (
    Role,
    TowpathConfig,
    certificate_files,
    written_folders,
)
from towpath.dmz_parts import dmz_ingest, dmz_links, process_journal
from towpath.error_sentences import sentence_of
from towpath.metrics import MetricsServer
from towpath.process_pieces import Piece, Pieces, Sources
from towpath.readiness import (
    Check,
    PollCheck,
    Readiness,
    broker_check,
    source_checks,
)
from towpath.role_parts import (
    agent_counts,
    api_sources,
    audit_jobs,
    build_poller,
    call_collector,
    laptop_jobs,
    name_process,
    personal_files_job,
    shared_acknowledgements,
)
from towpath.roles import RoleLocks
from towpath.scheduled_reports import scheduled_reports
from towpath.site_nodes import site_links
from towpath.store_role import store_role


class StartFailed(RuntimeError):
    """A piece could not start. The text names it and gives the reason and a remedy."""


class Installation:
    """The pieces of one process. `async with Installation(config, roles)` runs them.
    `part`: of the store, if several processes write it; the first by default."""

    def __init__(
        self,
        config: TowpathConfig,
        roles: Sequence[Role],
        now_ms: WallClock = wall_ms,
        part: StorePart | None = None,
    ) -> None:
        self.config, self.roles = config, roles
        self.part = part or StorePart(1, config.store.writers)
        self.process = name_process(config, roles, self.part)
        self.pieces: Pieces = []
        self._sources: Sources = []
        self._running = contextlib.AsyncExitStack()
        self._now_ms = now_ms
        self._alert_trouble: Callable[[], str] = lambda: ""
        self._report_trouble: Callable[[], str] = lambda: ""
        self._row_metrics: list[WindowMetrics] = []
        self._checks: list[tuple[str, Check]] = []

        held = [self.part.reader if role == "store" else role for role in roles]
        self._add(f"roles {', '.join(roles)}", RoleLocks(config.state / "roles", held))
        self.estate = EstateFile(config.estate)
        self._add(f"estate {config.estate}", self.estate)
        clock_file = config.state / CLOCK_FILE
        clock = self._clock = DeletionClock(clock_file, self.process, now_ms)
        self._add("clock by which data is deleted", clock)
        self._source("clock", clock.samples)
        self._kind = process_journal(config, roles, self.process, clock.bounded)
        of_kind = self._kind.pieces(
            looks_at_streams="alert" in roles,
            tidies_earlier="store" in roles and self.part.number == 1,
        )
        self._add_all(*of_kind)
        self.journal = self._kind.journal(self.process)
        self._add(f"journal {self._kind.place}/{self.process}", self.journal)
        unhurried = self._unhurried = UnhurriedAppend(self.journal)
        stats = self.journal.stats
        self._source("journal", lambda at: [journal_sample(stats, self.process, at)])
        self.disks = Disks(written_folders(config), self.process)
        self._source("disks", self.disks.samples)
        certificates = CertificateFiles(certificate_files(config, roles), self.process)
        self._source("certificates", certificates.samples)
        if "store" not in roles and {"ingest", "web"} & {*roles}:
            # The role store also deletes these, but may run on another machine.
            job = personal_files_job(config)
            self._retain("files", [job])
        if "poll" in roles:
            self._poll()
        if "ingest" in roles:
            self._ingest()
        if "store" in roles:
            self._store()
        if "alert" in roles:
            self._alert()
        if "web" in roles:
            self._web()
        if "calls" in roles and config.calls.enabled:
            calls = call_collector(config, self.estate, self.journal, clock.ms)
            self._add("Microsoft's record of calls", calls)
            self._source("calls", lambda at: calls.samples(self.process, at))
        monitor = SelfMonitor(
            self.process, self._sources, unhurried, now_ms, config.self_s
        )
        self._add("self samples", monitor)
        self._checks += source_checks(roles, dict(self._sources), self._kind.problem)
        self.readiness = Readiness(self._checks, now_ms)
        if config.metrics.port:
            collectors = (monitor, *self._row_metrics)
            metrics = MetricsServer(
                config.metrics,
                roles,
                self.readiness,
                *collectors,
                part=self.part.number,
            )
            self._add(f"metrics http://{metrics.host}:{metrics.port}/metrics", metrics)

    def _poll(self) -> None:
        config, devices = self.config, len(self.estate.current.devices)
        credentials = Credentials.read(config.snmp.credentials_file)
        poller, pieces, sources = build_poller(
            config,
            self.estate,
            credentials,
            self.journal,
            self.process,
            self._now_ms,
            self._kind.connection,
        )
        self._add_all(pieces, sources)
        self._add(
            f"poll {counted(devices, 'device')} every {config.snmp.period_s:g} s",
            poller,
        )
        polls = PollCheck(poller.stats, lambda: poller.is_cut_off, config.snmp.period_s)
        self._checks.append(("poll", polls))
        if config.traps.enabled:
            traps = TrapReceiver(
                config.traps,
                self._current,
                credentials.values(),
                self.journal,
                poller,
                self.process,
                self._now_ms,
            )
            self._add(f"traps udp {config.traps.host}:{config.traps.port}", traps)
            self._source("traps", traps.samples)
        gateways = VpnGateways(
            config.vpn_gateways,
            self._current,
            self.journal,
            self._now_ms,
            lambda: poller.is_cut_off,
            poller.share.holds_gateway,
        )
        count = len(self.estate.current.vpn_gateways)
        self._add(f"check {count} VPN gateways", gateways)

    def _ingest(self) -> None:
        config = self.config.ingest
        if config.dmz:
            own = (self._kind, self.journal, self.process, self._now_ms, self._clock)
            https, source, check = dmz_ingest(self.config, *own)
            self._https(https)
            self._source("list of laptops", source)
            self._checks.append(("list of laptops", check))
            return
        registry = Registry(config.registry)
        self._add(f"agents {config.registry.path}", registry)
        self._source("agents", agent_counts(self.config, self.estate, registry))
        self._retain("agents", laptop_jobs(self.config, registry))
        files: BrokerFiles | None = None
        if config.broker is not None and config.mqtt is not None:
            files = BrokerFiles(config.broker, config.mqtt, registry)
            self._add(f"broker files {config.broker.password_file.parent}", files)
        freezes = EventFreezes(self.config.alerts, self._current)
        if config.https is not None:
            https = HttpsIngest(
                config,
                registry,
                self.journal,
                estate=self._current,
                incidents=KnownIncidents(self.config.alerts.standing, self._current),
                wait_for_broker=None if files is None else files.wait_loaded,
                now_ms=self._now_ms,
                freezes=freezes,
                clock=self._clock,
            )
            self._https(https)
        if config.mqtt is not None:
            mqtt = MqttIngest(
                config,
                registry,
                self.journal,
                estate=self._current,
                now_ms=self._now_ms,
                freezes=freezes,
                bounded=self._clock.bounded,
            )
            self._add(f"ingest mqtt {config.mqtt.host}:{config.mqtt.port}", mqtt)
            if config.https is None:
                self._checks.append(("mqtt", broker_check(lambda: mqtt.connected)))
            process, stats = self.process, mqtt.stats
            self._source("mqtt", lambda at: [ingest_sample(stats, process, "mqtt", at)])
        given = (registry, files, self.estate, self.journal, self.process, self._now_ms)
        self._add_all(*dmz_links(self.config, *given))
        self._add_all(*site_links(self.config, self.journal, self.process))

    def _https(self, https: HttpsIngest) -> None:
        self._add(f"ingest https {https.address}", https)
        process, stats = self.process, https.stats
        self._source(
            "https",
            lambda at: [ingest_sample(stats, process, "https", at, https.connections)],
        )

    def _store(self) -> None:
        self._open_store()
        of_role = store_role(
            self.config,
            self.part,
            self._kind,
            self.store,
            self.journal,
            self.estate,
            self.process,
            self._now_ms,
            self._clock,
        )
        self._add_all(*of_role)

    def _alert(self) -> None:
        self._open_store()
        role = build_alerts(
            self.config,
            self._kind,
            self._current,
            self.store,
            self.journal,
            self._unhurried,
            self.process,
            self._now_ms,
            self._clock.bounded,
        )
        self._add_all(role.pieces, role.sources)
        self._alert_trouble = role.trouble
        self._checks += role.checks
        self._source("alerts", role.engine.samples)
        self._row_metrics = role.row_metrics

    def _web(self) -> None:
        self._open_store()
        self._retain("deeds", audit_jobs(self.config))
        source = None
        if self.config.web.grafana.is_on:
            source = GrafanaSource(
                self.config.web.grafana, self.config.store, CATALOGUE, self._now_ms
            )
            self._add("InfluxDB interface for Grafana", source)
        share = shared_acknowledgements(self.config, self._kind.connection)
        if share is not None:
            self._add("acknowledgements of all machines", share)
        page = StatusPage(
            self.config.web,
            self._current,
            self.config.alerts.standing,
            self.store,
            self._now_ms,
            council=self.config.council,
            unwell=self._unwell,
            least=self.config.groups.least,
            influx=None if source is None else source.endpoint,
            actions=alert_actions(self.config.alerts, self._now_ms, share),
            api=api_sources(self.config, self.estate, share),
            fleet=FleetSource(
                self.config.ingest,
                self._now_ms,
                expected=self.config.web.fleet_expected,
                estate=self._current,
                freezes=EventFreezes(self.config.alerts, self._current),
            ),
            reflector_secret=self.config.ingest.policy.reflector_secret_file,
            support=SupportCodes(
                support_codes_file(self.config.ingest.registry.path), self._now_ms
            ),
        )
        web = self.config.web
        self._add(f"status page http://{web.host}:{web.port}", page)
        self._source("web", lambda at: [page.sample(self.process, at)])
        self._add("rows of sites", SiteRows(page.views, self._unhurried))
        for name, dispatch in scheduled_reports(self.config, self._clock.ms):
            self._add(name, dispatch)
            self._report_trouble = dispatch.problem

    def _unwell(self, now_ms: int) -> list[str]:
        """Sentences about what keeps Towpath from working (blocking)."""
        problems = self.disks.troubles()
        if trouble := self._kind.problem():
            problems.append(f"Nothing can be measured: {trouble}.")
        if trouble := self._alert_trouble():
            problems.append(trouble)
        problems += overdue_sentences(self.config.alerts.standing, now_ms)
        problems += filter(None, [self._report_trouble()])
        return problems + calendar_troubles(self.config.alerts, now_ms)

    def _current(self) -> Estate:
        return self.estate.current

    def _open_store(self) -> None:
        if not hasattr(self, "store"):
            self.store = open_store(self.config.store, CATALOGUE, self.part)
            self._add(f"store {self.config.store.kind}", self.store)

    def _add(self, name: str, piece: Piece) -> None:
        self.pieces.append((name, piece))

    def _add_all(self, pieces: Pieces, sources: Sources) -> None:
        self.pieces += pieces
        self._sources += sources

    def _retain(self, what: str, jobs: Sequence[Job]) -> None:
        self._add(f"retention of {what}", Retention(jobs, self._clock.ms))

    def _source(self, name: str, source: Source) -> None:
        self._sources.append((name, source))

    async def __aenter__(self) -> Self:
        raise_file_limit()
        async with contextlib.AsyncExitStack() as starting:
            for name, piece in self.pieces:
                try:
                    if isinstance(piece, AbstractAsyncContextManager):
                        await starting.enter_async_context(piece)
                    else:
                        starting.enter_context(piece)
                except OSError as error:
                    raise StartFailed(f"{name}: {sentence_of(error)}") from error
                except (ValueError, RuntimeError, sqlite3.Error) as error:
                    raise StartFailed(f"{name}: {error}") from error
            self._running = starting.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._running.__aexit__(kind, error, trace)
