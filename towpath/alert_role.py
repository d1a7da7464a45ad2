"""The role `alert`: the engine, what runs beside it, and a machine that stands by."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from alerts.alert_access import start_positions
from alerts.alert_engine import AlertEngine
from alerts.engine_inputs import EngineInputs
from alerts.live_events.room_watch import RoomWatch
from alerts.maintenance_planner import MaintenancePlanner
from alerts.prometheus.window_metrics import WindowMetrics
from alerts.rule_files import load_rules
from collectors.batch import Batch
from collectors.deletion_clock import DeletionBound
from collectors.estate import Estate
from collectors.journal import Append, Journal
from collectors.server_measurements import CATALOGUE
from collectors.store.query import Store
from collectors.topology import TopologyGraph, TopologyView
from probes.wire.clock import WallClock
from probes.wire.counted_text import counted
from towpath.config import TowpathConfig
from towpath.journal_kind import JournalKind
from towpath.process_pieces import Pieces, Sources
from towpath.readiness import Check, evaluation_check

if TYPE_CHECKING:
    from alerts.standby.standby_config import StandbyConfig
    from alerts.standby.standby_machine import StandbyMachine
    from collectors.nats.nats_config import NatsConfig
    from collectors.sharing.share_thread import ShareThread


class AlertRole(NamedTuple):
    """`pieces` in the order of their start. `trouble`: a sentence about what keeps
    alerts from working."""

    engine: AlertEngine
    pieces: Pieces
    trouble: Callable[[], str]
    checks: list[tuple[str, Check]]
    row_metrics: list[WindowMetrics]
    sources: Sources


class _AppendIf:
    """Both machines compute these rows; only the active one appends them."""

    def __init__(self, append: Append, may_append: Callable[[], bool]) -> None:
        self._append, self._may_append = append, may_append

    async def append(self, *batches: Batch) -> None:
        if self._may_append():
            await self._append.append(*batches)


def build_alerts(
    all_settings: TowpathConfig,
    kind: JournalKind,
    estate: Callable[[], Estate],
    store: Store,
    journal: Journal,
    unhurried: Append,
    process: str,
    now_ms: WallClock,
    bounded: DeletionBound,
) -> AlertRole:
    config = all_settings.alerts
    pieces: Pieces = []
    rules = load_rules(CATALOGUE, config.rules)
    # On two machines each has a position of its own.
    name = f"alert+{config.standby.machine}" if config.standby.enabled else "alert"
    reader = kind.reader(name, start_positions(config.standing), yields=True)
    pieces.append((f"reader {name}", reader))
    topology = TopologyView(estate, store, now_ms, config.warm_timeout_s)
    if config.discovered_parents:
        pieces.append(("topology from discovered neighbours", topology))
    # Made after the engine, which it resumes and suspends.
    machine: StandbyMachine | None = None

    def is_active() -> bool:
        return machine is None or machine.is_active

    append = _AppendIf(unhurried, is_active) if config.standby.enabled else unhurried
    poll_s = all_settings.snmp.period_s
    rooms = RoomWatch(config, estate, append, now_ms, poll_s, rules)

    def add_batch(batch: Batch) -> None:
        topology.add(batch)
        rooms.add(batch)

    replica = intake = None
    if config.standby.enabled:
        # A machine without a second one needs no client of NATS.
        from alerts.standby.alert_replica import AlertReplica
        from alerts.standby.alert_stream import AlertStream
        from alerts.standby.shared_acknowledgements import (
            AcknowledgementIntake,
            SharedAcknowledgements,
        )

        assert kind.connection is not None
        log = AlertStream(kind.connection)
        pieces.append(("log of alerts", log))
        shared = SharedAcknowledgements(kind.connection)
        intake = AcknowledgementIntake(shared, config.standing)
        replica = AlertReplica(config.standing, log, config.standby.machine)
    engine = AlertEngine(
        config,
        rules,
        EngineInputs(
            reader,
            journal,
            topology.estate if config.discovered_parents else estate,
            store,
            add_batch,
            topology.graph if config.discovered_parents else TopologyGraph,
            replica,
            bounded,
        ),
        config.notifiers(),
        process,
        now_ms,
        all_settings.groups.least,
    )
    journal.show_refused(engine.add_refused_batch)

    def trouble() -> str:
        if engine.disk_error:
            return f"Alerts are kept in memory only: {engine.disk_error}."
        if machine is not None and machine.problem:
            return f"Alerts are not replicated: {machine.problem}."
        return ""

    channels = ", ".join(config.channels) or "nobody (no channel is configured)"
    pieces.append(
        (f"alerts from {counted(len(rules), 'rule')}, notifying {channels}", engine)
    )
    if replica is not None and intake is not None:
        from alerts.standby.standby_machine import StandbyMachine

        nats, standby = all_settings.nats, config.standby
        begin = intake.begin

        async def resume() -> None:
            begin()
            await engine.resume()

        machine = StandbyMachine(
            replica,
            lambda: alert_lease(nats, standby),
            resume,
            engine.suspend,
            intake.record_new,
        )
        pieces.append((f"alerts or stands by as {config.standby.machine}", machine))
    row_metrics = []
    if all_settings.metrics.port and all_settings.metrics.rows:
        row_metrics = [WindowMetrics(lambda: engine.window, now_ms)]
        pieces.append(("rows for Prometheus", row_metrics[0]))
    count = len(estate().rooms)
    calendars_of_events = counted(
        len(config.events), "calendar of events", "calendars of events"
    )
    pieces.append((f"{counted(count, 'room')}, {calendars_of_events}", rooms))
    windows = counted(len(config.maintenance), "window")
    calendars = counted(len(config.calendars), "calendar")
    planner = MaintenancePlanner(config, estate, now_ms, may_plan=is_active)
    pieces.append((f"maintenance: {windows}, {calendars}", planner))
    evaluates = evaluation_check(lambda: engine.evaluated_ms, lambda: engine.disk_error)
    checks: list[tuple[str, Check]] = [("alert", evaluates)]
    sources: Sources = []
    if machine is not None:
        checks.append(("standby", lambda _: machine.problem))
        sources.append(("standby", lambda at: [machine.sample(process, at)]))
    return AlertRole(engine, pieces, trouble, checks, row_metrics, sources)


def alert_lease(nats: NatsConfig, standby: StandbyConfig) -> ShareThread:
    """The lease on all alerts: the machine that has it should evaluate them."""
    from collectors.sharing.nats_share import ALERTING
    from collectors.sharing.share_thread import ShareThread

    return ShareThread(nats, standby.machine, lease_s=standby.lease_s, kind=ALERTING)
