"""The engine in virtual time: real rules, windows, suppression, alert file and outbox.

Only the other end of the channel is simulated: it takes every message at once and
keeps it.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from alerts.alert import Alert
from alerts.alert_config import AlertConfig
from alerts.alert_store import AlertStore, BaselineChanges, CycleChanges
from alerts.baseline_keeper import BaselineKeeper
from alerts.cycle import CycleResult, run_cycle
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState
from alerts.notify.delivery import next_message
from alerts.notify.page import Page
from alerts.paging import Paging
from alerts.rule_files import load_rules
from alerts.silence import Silence
from alerts.window import Window
from collectors.batch import Batch
from collectors.estate.estate_model import Estate
from collectors.journal import Position
from collectors.server_measurements import CATALOGUE
from collectors.topology import TopologyView

_CHANNEL = "duty"
_FORGET_EVERY_MS = 600_000


@dataclasses.dataclass(frozen=True)
class Message:
    """What arrived at the channel, and when."""

    time_ms: int
    page: Page


class VirtualEngine:
    """`with VirtualEngine(…)`: `step` takes the rows of a step and evaluates once.
    `silences`: planned maintenance among them."""

    def __init__(
        self,
        estate: Estate,
        folder: Path,
        start_ms: int,
        silences: Sequence[Silence] = (),
    ) -> None:
        self.rules = load_rules(CATALOGUE)
        self.now_ms = start_ms
        self.window = Window(self.rules, CATALOGUE, start_ms)
        self._topology = TopologyView(
            lambda: estate, now_ms=lambda: self.now_ms, settle_s=0.0
        )
        self._estate_index = self._index()
        self._config = AlertConfig(standing=folder / "alerts.sqlite")
        self._baseline = self._new_baseline()
        self._silences = silences
        self._paging = Paging(
            self._config, (_CHANNEL,), lambda: self._estate_index, lambda: self.now_ms
        )
        self.states: dict[str, AlertState] = {}
        self._shown: dict[str, Alert] = {}
        self._dropped_ms = start_ms
        self.messages: list[Message] = []
        self.evaluate_s = 0.0
        self.cycles = 0

    def __enter__(self) -> Self:
        self._store = AlertStore(self._config.standing)
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()

    def restart(self) -> None:
        """A new process: it has only what is in the file."""
        self._store.close()
        self._store = AlertStore(self._config.standing)
        self.states = self._store.states()
        self._shown = self._store.open_alerts()
        self._baseline = self._new_baseline()
        self._baseline.load(self._store.first_seen())
        self.window = Window(self.rules, CATALOGUE, self.now_ms)

    def learn(self, batch: Batch) -> None:
        """Takes what LLDP reports."""
        self._topology.add(batch)

    def step(self, batches: list[Batch], now_ms: int) -> None:
        self.now_ms = now_ms
        started_s = time.perf_counter()
        for batch in batches:
            self._baseline.append(self.window, batch)
        if not self._estate_index.is_of(
            self._topology.estate(), self._topology.graph()
        ):
            self._estate_index = self._index()
        learning = self._baseline.learning(self.window, self._estate_index, {}, now_ms)
        result = run_cycle(
            self.window,
            self._estate_index,
            self.rules,
            self.states,
            self._shown,
            [silence for silence in self._silences if silence.is_active(now_ms)],
            self._paging.destinations,
            now_ms,
            learning,
        )
        baseline = self._baseline.changes(learning, result.baseline)
        if result.changes or result.alerts or baseline.first_seen:
            self._store.write(self._effect(result, baseline), now_ms)
        self.states = result.states
        self._shown = result.still_open(self._shown)
        self.window.clear_changed(learning.settled)
        self._baseline.written(learning)
        if now_ms - self._dropped_ms > _FORGET_EVERY_MS:
            self._dropped_ms = now_ms
            self.window.drop_old(now_ms)
            self._store.delete_old(now_ms)
        self._deliver()
        self.evaluate_s += time.perf_counter() - started_s
        self.cycles += 1

    def _index(self) -> EstateIndex:
        return EstateIndex(self._topology.estate(), topology=self._topology.graph())

    def _new_baseline(self) -> BaselineKeeper:
        return BaselineKeeper(round(self._config.baseline_s * 1000))

    def _effect(self, result: CycleResult, baseline: BaselineChanges) -> CycleChanges:
        at = {"poll": Position(1, self.now_ms)}
        return CycleChanges(
            changes=result.changes,
            alerts=result.alerts,
            pages=result.pages,
            ended=result.ended,
            dropped=result.dropped,
            over_at_ms=self.now_ms + self._paging.group_ms,
            samples=[],
            positions=at,
            floor=at,
            baseline=baseline,
            updates=result.updates,
        )

    def _deliver(self) -> None:
        outbox = self._store.outbox
        while message := next_message(
            outbox.due(_CHANNEL, self.now_ms + self._paging.group_ms), self.now_ms
        ):
            outbox.start_attempt(message)
            page = self._paging.render(message, self.now_ms)
            self.messages.append(Message(self.now_ms, page))
            outbox.delivered(message, self.now_ms)
