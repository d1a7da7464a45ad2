"""`AlertEngine`: reads the journal, evaluates the rules, notifies people.

Rules are evaluated a second after new rows, and every five seconds without any.
It needs only the journal's folder and its own file. The store is queried once, at the
start, to fill the window, and may be down: the journal is read again from as far back
as rules look. So a restart neither forgets alerts nor fires them again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, TypeVar

from alerts.alert import Alert
from alerts.alert_config import AlertConfig
from alerts.alert_rows import AlertRepeats
from alerts.alert_store import AlertStore, CycleChanges
from alerts.baseline_keeper import BaselineKeeper
from alerts.clock_set_back import FUTURE_MS, alerts_by, states_by
from alerts.cycle import run_cycle
from alerts.engine_inputs import EngineInputs
from alerts.escalator import Escalator
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState
from alerts.heartbeat import Heartbeat
from alerts.notify.delivery import Delivery
from alerts.notify.delivery_result import Notifier
from alerts.notify.message_limit import MessageLimits
from alerts.notify_samples import notify_samples
from alerts.outbox_entry import WaitingDelivery
from alerts.paging import Paging, log_pages
from alerts.position_history import PositionHistory
from alerts.rota_feeds import RotaFeeds
from alerts.rule_files import Rules
from alerts.silence import Silence
from alerts.silence_rows import silence_samples
from alerts.unsent_rows import append_unsent
from alerts.window import Window
from alerts.window_warmup import warm_up
from collectors.background_tasks import BackgroundTasks
from collectors.batch import Batch
from collectors.clock_steps import ClockSteps
from collectors.experience.groups import LEAST
from collectors.failure_log import FailureLog
from collectors.journal import reader_sample
from collectors.server_measurements import CATALOGUE
from probes.wire.clock import WallClock, wall_ms
from probes.wire.sample import Sample

_T = TypeVar("_T")
# Further behind than this, rows are evaluated at their own time until caught up.
_BEHIND_MS = 10_000
# Without new rows only time can change something: rules wait for minutes.
_QUIET_TIMES = 5
# Rows since the last saved position are read again after a restart, and change nothing.
_SAVE_POSITIONS_MS = 30_000
_TRY_DISK_MS = 5_000
_FORGET_EVERY_MS = 600_000


class AlertEngine:
    """`async with AlertEngine(…)`: evaluates, records and notifies until it is left.

    `reload(rules)` changes the rules while it runs. With a replication it only follows
    the journal, so that its window is full, until `resume`, and again after `suspend`.
    """

    def __init__(
        self,
        config: AlertConfig,
        rules: Rules,
        inputs: EngineInputs,
        notifiers: Mapping[str, Notifier],
        process: str = "all",
        now_ms: WallClock = wall_ms,
        least_agents: int = LEAST,
    ) -> None:
        self._config, self._rules, self._notifiers = config, rules, notifiers
        self._process, self._now_ms, self._least_agents = process, now_ms, least_agents
        self._reader, self._append = inputs.reader, inputs.append
        self._estate, self._store = inputs.estate, inputs.store
        self._on_batch, self._topology = inputs.on_batch, inputs.topology
        self._replication, self._may_send = inputs.replication, inputs.may_send
        self._bounded, self._steps = inputs.bounded, ClockSteps(now_ms)
        self._window = Window(rules, CATALOGUE, now_ms())
        self._estate_index = EstateIndex(
            inputs.estate(), least_agents, inputs.topology()
        )
        self._rotas = RotaFeeds(config, now_ms)
        self._paging = Paging(
            config,
            notifiers,
            lambda: self._estate_index,
            now_ms,
            self._rotas.channels,
        )
        self._states: dict[str, AlertState] = {}
        self._shown: dict[str, Alert] = {}
        self._silences: list[Silence] = []
        self._baseline = BaselineKeeper(round(config.baseline_s * 1000))
        self._behind = True
        self._evaluated_ms = self._saved_ms = self._dropped_ms = self._tried_ms = 0
        self._failures = FailureLog("alerts_fail", "alerts_recovered")
        self._repeats = AlertRepeats()
        self._waiting: dict[str, WaitingDelivery] = {}
        self._heartbeat = Heartbeat(config.heartbeat_url, config.heartbeat_s)
        self._tasks = BackgroundTasks()
        self._stack, self._resumed = (contextlib.AsyncExitStack() for _ in range(2))
        self._turn = asyncio.Lock()
        self._is_active, self._followed_ms = False, 0
        self.cycles = 0

    async def __aenter__(self) -> Self:
        self._thread = ThreadPoolExecutor(1, "alert-store")
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._thread.shutdown)
            self._alert_store = await self._in_thread(
                AlertStore, self._config.standing, self._replication
            )
            stack.push_async_callback(self._in_thread, self._alert_store.close)
            self._past_positions = PositionHistory(self._reader.positions)
            await warm_up(
                self._window, self._store, self._now_ms(), self._config.warm_timeout_s
            )
            await stack.enter_async_context(self._heartbeat)
            await stack.enter_async_context(self._rotas)
            self._delivery = Delivery(
                self._alert_store.outbox,
                self._in_thread,
                self._notifiers,
                self._paging.render,
                self._now_ms,
                self._paging.group_ms,
                self._config.fallbacks(),
                MessageLimits(self._config.channels),
                self._may_send,
                self._bounded,
            )
            self._escalator = Escalator(
                self._alert_store,
                self._in_thread,
                lambda: self._shown,
                self._paging.follow_up,
                self._delivery.wake,
                self._now_ms,
            )
            stack.push_async_callback(self.suspend)
            if self._replication is None:
                await self.resume()
            self._tasks.start(self._run(), "alerts")
            stack.push_async_callback(self._tasks.stop)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def resume(self) -> None:
        """Evaluates and notifies from now on, from what the file says."""
        async with self._turn, contextlib.AsyncExitStack() as stack:
            now_ms = self._now_ms()
            self._states = await self._in_thread(self._alert_store.make_due, now_ms)
            self._shown = await self._in_thread(self._alert_store.open_alerts)
            self._baseline.load(await self._in_thread(self._alert_store.first_seen))
            await stack.enter_async_context(self._delivery)
            await stack.enter_async_context(self._escalator)
            self._resumed, self._is_active, self.cycles = stack.pop_all(), True, 0

    async def suspend(self) -> None:
        """Only follows the journal from now on: nothing is evaluated or sent."""
        async with self._turn:
            self._is_active = False
            await self._resumed.aclose()
            self._states, self._shown, self._silences = {}, {}, []
            self._waiting = {}

    @property
    def window(self) -> Window:
        """The rows that the rules evaluate."""
        return self._window

    def reload(self, rules: Rules) -> None:
        """Uses `rules` from the next cycle on. Their windows fill from the rows that
        follow. Alert states stay; those whose rule is gone are closed."""
        self._rules, self._window = rules, Window(rules, CATALOGUE, self._now_ms())

    @property
    def disk_error(self) -> str:
        """Why alerts are only in memory; empty while they are written to disk."""
        return self._alert_store.disk_error

    @property
    def evaluated_ms(self) -> int:
        """The time that the rules were last evaluated for, or the journal was followed
        to; 0 before the first time."""
        return max(self._evaluated_ms, self._followed_ms)

    def add_refused_batch(self, batch: Batch) -> None:
        """Adds a batch that the journal could not write, so that a fault is paged even
        while the disk is full."""
        self._add_batch(batch)

    def samples(self, now_ms: int) -> list[Sample]:
        """Rows of `self_notify`, one per channel, of `self_reader` for this reader, and
        of `silence`."""
        # The reader passes rows only when no restart would read them again. So its lag
        # is that of the newest row, not the age of what the journal keeps for it.
        newest_ms = self._window.newest_received_ms if self._behind else 0
        return [
            *notify_samples(
                self._process, self._notifiers, self._delivery, self._waiting, now_ms
            ),
            reader_sample(
                self._reader.stats, newest_ms or None, "alert", self._process, now_ms
            ),
            *silence_samples(
                self._silences,
                self._states.values(),
                self._rules,
                self._estate_index,
                now_ms,
            ),
        ]

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        every_s = self._config.evaluate_s
        due_s = loop.time() + every_s
        while True:
            if await self._read(max(0.0, due_s - loop.time())):
                due_s = min(due_s, loop.time() + every_s)
            if loop.time() < due_s:
                continue
            due_s = loop.time() + (1 if self._behind else _QUIET_TIMES) * every_s
            try:
                await self._follow_clock()
                async with self._turn:
                    await (self._cycle() if self._is_active else self._follow())
                self._failures.recovered("cycle", what="cycle")
            except Exception as error:  # noqa: BLE001 - one bad cycle is not the last
                self._failures.failed(error, key="cycle", what="cycle")

    async def _read(self, wait_s: float) -> bool:
        """Returns True if there were new rows."""
        try:
            chunk = await self._reader.read(wait_s=wait_s)
            self._failures.recovered("read", what="read")
        except OSError as error:
            self._failures.failed(error, key="read", what="read")
            await asyncio.sleep(1.0)
            return False
        if chunk is None:
            self._behind = False
            return False
        await self._follow_clock()
        latest_ms = self._now_ms() + FUTURE_MS
        for batch in chunk.batches:
            # It may read again what came while the clock was ahead.
            if batch.received_ms <= latest_ms:
                self._add_batch(batch)
        newest_ms = self._window.newest_received_ms
        self._behind = self._now_ms() - newest_ms > _BEHIND_MS
        return True

    def _add_batch(self, batch: Batch) -> None:
        try:
            self._baseline.append(self._window, batch)
            self._on_batch(batch)
        except Exception as error:  # noqa: BLE001 - one odd batch costs only itself
            self._reader.stats.aside_rows += len(batch)
            what = f"batch of {batch.measurement}"
            self._failures.failed(error, key=what, what=what)

    async def _follow_clock(self) -> None:
        if self._steps.was_set_back():
            async with self._turn:
                await self._begin_again(self._now_ms())

    async def _begin_again(self, now_ms: int) -> None:
        """As after a restart: the clock was ahead, and no later times count."""
        self._window = Window(self._rules, CATALOGUE, now_ms)
        self._past_positions = PositionHistory(self._reader.positions)
        self._evaluated_ms = self._saved_ms = self._dropped_ms = self._tried_ms = 0
        self._followed_ms, limit_s = 0, self._config.warm_timeout_s
        await warm_up(self._window, self._store, now_ms, limit_s)
        self._states = states_by(self._states, now_ms)
        self._shown = alerts_by(self._shown, self._states)
        if self._is_active:
            await self._in_thread(self._alert_store.make_due, now_ms)

    async def _follow(self) -> None:
        """Another machine evaluates: keeps what it may have to take over from."""
        self._followed_ms = now_ms = self._now_ms()
        positions, span_ms = self._reader.positions, self._window.span_ms
        self._reader.passed(self._past_positions.floor(positions, span_ms, now_ms))
        if now_ms - self._dropped_ms > _FORGET_EVERY_MS:
            self._dropped_ms = now_ms
            self._window.drop_old(now_ms)

    async def _cycle(self) -> None:
        """Evaluates, writes and notifies. If the disk is full, the state is kept in
        memory and the journal position still moves on: what would free space on the
        disk must not wait for space."""
        now_ms = self._now_ms()
        if self._behind:
            if not self.cycles:
                # The first result waits until everything missed has been read: what
                # began and ended meanwhile pages nobody.
                return
            now_ms = min(now_ms, self._window.newest_received_ms)
        now_ms = max(now_ms, self._evaluated_ms)
        estate, topology = self._estate(), self._topology()
        if not self._estate_index.is_of(estate, topology):
            self._estate_index = EstateIndex(estate, self._least_agents, topology)
        decided = await self._in_thread(self._alert_store.decisions, now_ms)
        self._silences = decided.silences
        learning = self._baseline.learning(
            self._window, self._estate_index, decided.baseline_choices, now_ms
        )
        result = run_cycle(
            self._window,
            self._estate_index,
            self._rules,
            self._states,
            self._shown,
            self._silences,
            self._paging.destinations,
            now_ms,
            learning,
        )
        baseline = self._baseline.changes(learning, result.baseline)
        positions = self._reader.positions
        floor = self._past_positions.floor(positions, self._window.span_ms, now_ms)
        shown = result.still_open(self._shown)
        samples = [
            *result.samples,
            *self._repeats.rows(result.states.values(), shown, decided.acks, now_ms),
        ]
        quiet = not (
            result.changes
            or result.alerts
            or samples
            or baseline.first_seen
            or baseline.learnt
        )
        pause_ms = _TRY_DISK_MS if self._alert_store.disk_error else _SAVE_POSITIONS_MS
        if not quiet or now_ms - self._saved_ms >= pause_ms:
            changes = CycleChanges(
                changes=result.changes,
                alerts=result.alerts,
                pages=result.pages,
                ended=result.ended,
                dropped=result.dropped,
                over_at_ms=self._now_ms() + self._paging.group_ms,
                samples=samples,
                positions=positions,
                floor=floor,
                baseline=baseline,
                updates=result.updates,
            )
            await self._in_thread(self._alert_store.write, changes, now_ms)
            self._saved_ms = now_ms
            await self._write_back(now_ms)
            self._reader.passed(floor)
            self._waiting = await self._in_thread(
                self._alert_store.outbox.count_waiting, self._now_ms()
            )
        self._states = result.states
        self._shown = shown
        self._window.clear_changed(learning.settled)
        self._baseline.written(learning)
        self._evaluated_ms = now_ms
        self.cycles += 1
        if result.pages or result.ended or result.updates:
            self._delivery.wake()
            log_pages(result)
        if samples or self.cycles == 1:
            own = self._alert_store, self._in_thread, self._append, self._failures
            await append_unsent(*own, self._now_ms())
        if now_ms - self._dropped_ms > _FORGET_EVERY_MS:
            self._dropped_ms = now_ms
            self._window.drop_old(now_ms)
            old_by_ms = self._bounded(now_ms)
            await self._in_thread(self._alert_store.delete_old, old_by_ms)
        if not self._alert_store.disk_error:
            self._heartbeat.beat()

    async def _write_back(self, now_ms: int) -> None:
        """Tries now and then to write to disk what is only in memory."""
        if self._alert_store.disk_error and now_ms - self._tried_ms >= _TRY_DISK_MS:
            self._tried_ms = now_ms
            await self._in_thread(self._alert_store.write_back)

    async def _in_thread(self, work: Callable[..., _T], *args: Any) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: work(*args))
