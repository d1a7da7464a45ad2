"""`AlertEngine`: follows the journal, evaluates every second, tells people.

It needs the journal's folder and its own file. The store is asked once, at the start,
to fill the window, and may be away: the journal is read again from as far back as rules
look, so that a restart neither forgets nor fires anew.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

import structlog

from alerts.alert import Alert
from alerts.alert_config import AlertConfig
from alerts.alert_store import AlertStore, Effect
from alerts.cycle import cycle
from alerts.estate_index import Topology
from alerts.evaluate import Entry
from alerts.heartbeat import Heartbeat
from alerts.notify.delivery import Delivery, notes_on
from alerts.notify.delivery_result import Notifier
from alerts.notify.page import Page, build
from alerts.notify.routing import ways
from alerts.outbox import OutboxEntry, WaitingDelivery
from alerts.rule_files import Rules
from alerts.window import Window
from alerts.window_warmup import warm
from collectors.background_tasks import BackgroundTasks
from collectors.batch import Batch, gather
from collectors.estate.estate_model import Estate
from collectors.experience.groups import LEAST
from collectors.failure_log import FailureLog
from collectors.journal import Append, JournalReader, Positions
from collectors.server_measurements import CATALOGUE
from collectors.store.query import Store
from probes.wire.clock import WallClock, wall_ms
from probes.wire.sample import Sample

_log = structlog.get_logger()
_T = TypeVar("_T")
# Beyond this the journal is being caught up with: rows are judged by their own time.
_BEHIND_MS = 10_000
# How far back a restart reads at least: a row's reach, so that states are known.
_LOOK_BACK_MS = 180_000
_MOST_LOOK_BACK_MS = 900_000
_SAVE_POSITIONS_MS = 5_000
_FORGET_EVERY_MS = 600_000


class AlertEngine:
    """`async with AlertEngine(…)`.

    `reader` is a running journal reader that began at
    `alerts.alert_access.start_positions(config.standing)`; `append` takes the rows of
    `alert`; `store` may be None. `reload(rules)` changes the rules while it runs.
    `overhear` is shown every batch, as to who makes the estate whole by what devices
    hear.
    """

    def __init__(
        self,
        config: AlertConfig,
        rules: Rules,
        reader: JournalReader,
        estate: Callable[[], Estate],
        notifiers: Mapping[str, Notifier],
        append: Append,
        store: Store | None = None,
        process: str = "all",
        now_ms: WallClock = wall_ms,
        overhear: Callable[[Batch], None] = lambda batch: None,
        least_agents: int = LEAST,
    ) -> None:
        self._config, self._rules, self._reader = config, rules, reader
        self._estate, self._notifiers, self._append = estate, notifiers, append
        self._store, self._process, self._now_ms = store, process, now_ms
        self._overhear = overhear
        self._window = Window(rules, CATALOGUE, now_ms())
        self._least_agents = least_agents
        self._topology = Topology(estate(), least_agents)
        self._standing: dict[str, Entry] = {}
        self._shown: dict[str, Alert] = {}
        self._back: deque[tuple[int, Positions]] = deque()
        self._start: Positions = {}
        self._behind = True
        self._evaluated_ms = self._saved_ms = self._forgot_ms = self._tried_ms = 0
        self._failures = FailureLog("alerts_fail", "alerts_work_again")
        self._waiting: dict[str, WaitingDelivery] = {}
        self._heartbeat = Heartbeat(config.heartbeat_url, config.heartbeat_s)
        self._tasks = BackgroundTasks()
        self._stack = contextlib.AsyncExitStack()
        self.cycles = 0

    async def __aenter__(self) -> Self:
        self._thread = ThreadPoolExecutor(1, "alert-book")
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._thread.shutdown)
            self._book = await self._in_thread(AlertStore, self._config.standing)
            stack.push_async_callback(self._in_thread, self._book.close)
            self._standing = await self._in_thread(self._book.standing)
            self._shown = await self._in_thread(self._book.shown)
            self._start = self._reader.positions
            await warm(
                self._window, self._store, self._now_ms(), self._config.warm_timeout_s
            )
            await stack.enter_async_context(self._heartbeat)
            self._delivery = await stack.enter_async_context(
                Delivery(
                    self._book.outbox,
                    self._in_thread,
                    self._notifiers,
                    self._render,
                    self._now_ms,
                    round(self._config.group_s * 1000),
                    self._config.fallbacks(),
                )
            )
            self._tasks.start(self._run(), "alerts")
            stack.push_async_callback(self._tasks.stop)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def reload(self, rules: Rules) -> None:
        """Other rules from the next cycle on. What they look at fills up from the rows
        that come; standing stays, and what no rule speaks of any longer is closed."""
        opened_ms = self._now_ms()
        window = Window(rules, CATALOGUE, opened_ms)
        self._rules, self._window = rules, window

    @property
    def trouble(self) -> str:
        """Why alerts are only in memory; empty while they are on disk."""
        return self._book.trouble

    def take_refused(self, batch: Batch) -> None:
        """A batch that the journal's disk did not take: a fault while the disk is full
        is paged all the same."""
        self._take(batch)

    def samples(self, now_ms: int) -> list[Sample]:
        """Rows of `self_notify`, one a channel, and of `self_reader` for this reader.

        Its reader passes rows only once no restart would look at them again, so its
        lag is told here and not by the age of what the journal keeps for it.
        """
        found = [
            Sample(
                "self_notify",
                {"process": self._process, "channel": channel},
                {
                    "sent": self._delivery.sent[channel],
                    "failed": self._delivery.failed[channel],
                    "refused": self._delivery.refused[channel],
                    "waiting": self._waiting.get(channel, WaitingDelivery()).total,
                    "overdue": self._waiting.get(channel, WaitingDelivery()).overdue,
                },
                now_ms,
            )
            for channel in self._notifiers
        ]
        newest_ms = self._window.newest_received_ms
        lag_s = (now_ms - newest_ms) / 1000 if self._behind and newest_ms else 0.0
        stats = self._reader.stats
        found.append(
            Sample(
                "self_reader",
                {"process": self._process, "reader": "alert"},
                {
                    "lag_s": max(0.0, lag_s),
                    "passed_rows": stats.passed_rows,
                    "aside_rows": stats.aside_rows,
                    "failures": stats.failures,
                },
                now_ms,
            )
        )
        return found

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time() + self._config.evaluate_s
        while True:
            wait_s = max(0.0, due_s - loop.time())
            await self._read(wait_s)
            if loop.time() < due_s:
                continue
            due_s = loop.time() + self._config.evaluate_s
            try:
                await self._cycle()
                self._failures.recovered("cycle", what="cycle")
            except Exception as error:  # noqa: BLE001 - one bad cycle is not the last
                self._failures.failed(error, key="cycle", what="cycle")

    async def _read(self, wait_s: float) -> None:
        try:
            chunk = await self._reader.read(wait_s=wait_s)
            self._failures.recovered("read", what="read")
        except OSError as error:
            self._failures.failed(error, key="read", what="read")
            await asyncio.sleep(1.0)
            return
        if chunk is None:
            self._behind = False
            return
        for batch in chunk.batches:
            self._take(batch)
        newest_ms = self._window.newest_received_ms
        self._behind = self._now_ms() - newest_ms > _BEHIND_MS

    def _take(self, batch: Batch) -> None:
        try:
            self._window.take(batch)
            self._overhear(batch)
        except Exception as error:  # noqa: BLE001 - a batch that is not as promised
            self._reader.stats.aside_rows += len(batch)
            self._failures.failed(
                error,
                key=f"batch of {batch.measurement}",
                what=f"batch of {batch.measurement}",
            )

    async def _cycle(self) -> None:
        """Evaluate, write, say. If the disk takes nothing, the book is kept in memory,
        and what was read is passed all the same: what would make room on the disk must
        not wait for room."""
        now_ms = self._now_ms()
        if self._behind:
            if not self.cycles:
                # The first verdict waits until all that was missed is known: what
                # began and ended meanwhile pages nobody.
                return
            now_ms = min(now_ms, self._window.newest_received_ms)
        now_ms = max(now_ms, self._evaluated_ms)
        estate = self._estate()
        if estate is not self._topology.estate:
            self._topology = Topology(estate, self._least_agents)
        silences = await self._in_thread(self._book.silences, now_ms)
        outcome = cycle(
            self._window,
            self._topology,
            self._rules,
            self._standing,
            self._shown,
            silences,
            self._ways,
            now_ms,
        )
        positions, floor = self._positions(now_ms)
        quiet = not (outcome.changes or outcome.alerts)
        if not quiet or now_ms - self._saved_ms >= _SAVE_POSITIONS_MS:
            effect = Effect(
                changes=outcome.changes,
                alerts=outcome.alerts,
                pages=outcome.pages,
                ended=outcome.ended,
                dropped=outcome.dropped,
                over_at_ms=self._now_ms() + round(self._config.group_s * 1000),
                samples=outcome.samples,
                positions=positions,
                floor=floor,
            )
            await self._in_thread(self._book.write, effect, now_ms)
            self._saved_ms = now_ms
            await self._bring_back(now_ms)
            self._reader.passed(floor)
            self._waiting = await self._in_thread(
                self._book.outbox.waiting, self._now_ms()
            )
        self._standing = outcome.standing
        for episode, alert in outcome.alerts.items():
            if alert.state == "resolved":
                self._shown.pop(episode, None)
            else:
                self._shown[episode] = alert
        for episode in outcome.dropped:
            self._shown.pop(episode, None)
        self._window.settle()
        self._evaluated_ms = now_ms
        self.cycles += 1
        if outcome.pages or outcome.ended:
            self._delivery.wake()
            for post in outcome.pages:
                _log.warning(
                    "page", alert=post.alert.key, channel=post.channel, of=post.episode
                )
        if outcome.samples or self.cycles == 1:
            await self._say_samples()
        if now_ms - self._forgot_ms > _FORGET_EVERY_MS:
            self._forgot_ms = now_ms
            self._window.forget(now_ms)
            await self._in_thread(self._book.tidy, now_ms)
        if not self._book.trouble:
            self._heartbeat.beat()

    async def _bring_back(self, now_ms: int) -> None:
        """What is only in memory to disk, tried now and then."""
        if self._book.trouble and now_ms - self._tried_ms >= _SAVE_POSITIONS_MS:
            self._tried_ms = now_ms
            await self._in_thread(self._book.write_back)

    async def _say_samples(self) -> None:
        """Rows of `alert` into the journal; those that did not get there stay in the
        book and go with the next."""
        said = await self._in_thread(self._book.said)
        if not said:
            return
        samples = [sample for _, sample in said]
        try:
            await self._append.append(*gather(samples, "alerts", self._now_ms()))
        except Exception as error:  # noqa: BLE001 - a full disk must not stop pages
            self._failures.failed(error, key="append", what="append")
            return
        self._failures.recovered("append", what="append")
        await self._in_thread(self._book.forget_said, said[-1][0])

    def _positions(self, now_ms: int) -> tuple[Positions, Positions]:
        """(how far was read, from where a restart must read to fill the window)."""
        read = self._reader.positions
        back_ms = min(
            max(_LOOK_BACK_MS, self._window.span_ms + 60_000), _MOST_LOOK_BACK_MS
        )
        if not self._back or now_ms - self._back[-1][0] >= 10_000:
            self._back.append((now_ms, read))
        while len(self._back) > 1 and self._back[1][0] <= now_ms - back_ms:
            self._back.popleft()
        oldest_ms, floor = self._back[0]
        return read, floor if oldest_ms <= now_ms - back_ms else self._start

    def _ways(self, alert: Alert) -> Sequence[tuple[str, int, bool]]:
        group_ms = round(self._config.group_s * 1000)
        found = ways(
            alert,
            self._config.routing,
            tuple(self._notifiers),
            self._topology,
            self._now_ms(),
        )
        # Immediate pages wait a grouping window for their like.
        return [
            (
                way.channel,
                way.next_ms if way.deferred else way.next_ms + group_ms,
                way.deferred,
            )
            for way in found
        ]

    def _render(self, posts: Sequence[OutboxEntry], now_ms: int) -> Page:
        return build(
            [post.alert for post in posts],
            posts[0].kind,
            [post.episode for post in posts],
            now_ms,
            self._config.base_url,
            self._config.timezone,
            {site.id: site.name for site in self._topology.estate.sites},
            self._config.council,
            notes_on(posts, now_ms),
        )

    async def _in_thread(self, work: Callable[..., _T], *args: Any) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: work(*args))
