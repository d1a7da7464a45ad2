"""A council, its alert file and its channels in virtual time; it can be killed between
any two steps, and starts again from its file."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from rule_window import START_MS
from virtual_council import MINUTE_MS, RULES, STEP_MS

from alerts.acknowledgement import acknowledge
from alerts.alert import Alert
from alerts.alert_config import AlertConfig
from alerts.alert_store import AlertStore, CycleChanges
from alerts.cycle import run_cycle
from alerts.escalator import Escalator
from alerts.estate_index import EstateIndex
from alerts.notify.delivery import next_message
from alerts.notify.page import Page
from alerts.notify.routing import FollowUp
from alerts.outbox_entry import OutboxEntry
from alerts.paging import Paging
from alerts.silence import Silence
from alerts.window import Window
from collectors.batch import Batch, batch_samples
from collectors.journal import Position
from collectors.server_measurements import CATALOGUE
from probes.wire.sample import Sample, Value

GROUP_MS = 30_000


class KillableCouncil:
    """`arrived`: (channel, page) in order. `follow_up`: who is notified of what nobody
    acknowledges. `routes`: rule → channels, if not `duty`."""

    def __init__(
        self,
        folder: Path,
        estate_index: EstateIndex,
        follow_up: FollowUp | None = None,
        routes: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.path = folder / "alerts.sqlite"
        self.estate_index = estate_index
        self.plan = follow_up or FollowUp((), 0)
        self.routes = routes or {}
        self.now_ms = START_MS
        self.rows: list[Batch] = []
        self.silences: list[Silence] = []
        self.arrived: list[tuple[str, Page]] = []
        config = AlertConfig.model_validate(
            {"standing": self.path, "group_s": GROUP_MS / 1000}
        )
        channels = ("duty", "boss", "supplier")
        self.paging = Paging(
            config, channels, lambda: self.estate_index, lambda: self.now_ms
        )
        self.store: AlertStore | None = None
        self.start()

    def start(self) -> None:
        """As after a kill: what is not in the file is gone."""
        if self.store is not None:
            self.store.close()
        self.store = AlertStore(self.path)
        self.states, self.shown = self.store.states(), self.store.open_alerts()
        self.window = Window(RULES, CATALOGUE, self.now_ms)
        for batch in self.rows:
            if batch.received_ms > self.now_ms - 10 * MINUTE_MS:
                self.window.append(batch)

    def put(
        self,
        measurement: str,
        tags: Mapping[str, str],
        fields: Mapping[str, Value],
    ) -> None:
        sample = Sample(measurement, dict(tags), dict(fields), self.now_ms)
        for batch in batch_samples([sample], "poll", self.now_ms):
            self.rows.append(batch)
            self.window.append(batch)

    def device(self, device: str, up: int) -> None:
        known = self.estate_index.devices[device]
        tags = {"device": device, "site": known.site, "role": known.role}
        self.put("device", tags, {"up": up, "outcome": "timeout"})

    def line(self, line: str, up: int) -> None:
        known = self.estate_index.lines[line]
        tags = {"line": line, "site": known.site, "supplier": known.supplier}
        self.put("line", tags, {"up": up})

    def step(self, dies: str = "") -> None:
        """`dies`: before or after the cycle is written, or after a message has arrived
        and before that is written down."""
        assert self.store is not None
        self.now_ms += STEP_MS
        result = run_cycle(
            self.window,
            self.estate_index,
            RULES,
            self.states,
            self.shown,
            self.silences,
            lambda alert: [
                (channel, self.now_ms + GROUP_MS, False)
                for channel in self.routes.get(alert.rule, ("duty",))
            ],
            self.now_ms,
        )
        if dies == "before":
            self.start()
            return
        at = {"poll": Position(1, self.now_ms)}
        self.store.write(
            CycleChanges(
                result.changes,
                result.alerts,
                result.pages,
                result.ended,
                result.dropped,
                self.now_ms + GROUP_MS,
                [],
                at,
                at,
                updates=result.updates,
            ),
            self.now_ms,
        )
        if dies == "after":
            self.start()
            return
        self.states = result.states
        self.shown = result.still_open(self.shown)
        self.window.clear_changed()
        self._escalate()
        self._deliver(dies == "delivered")

    def acknowledge(self, key: str) -> None:
        acknowledge(self.path, key, "Ada", "on it", self.now_ms)

    def subjects(self, channel: str = "duty") -> list[str]:
        return [page.subject for to, page in self.arrived if to == channel]

    def kinds(self, channel: str = "duty") -> list[str]:
        return [page.kind for to, page in self.arrived if to == channel]

    def _escalate(self) -> None:
        async def in_thread(work, *args):  # type: ignore[no-untyped-def]
            return work(*args)

        assert self.store is not None
        escalator = Escalator(
            self.store,
            in_thread,
            lambda: self.shown,
            lambda _: self.plan,
            lambda: None,
            lambda: self.now_ms,
        )
        asyncio.run(escalator.look())

    def _deliver(self, dies: bool) -> None:
        assert self.store is not None
        for channel in ("duty", "boss", "supplier"):
            while message := self._next(channel):
                page = self.paging.render(message, self.now_ms)
                self.store.outbox.start_attempt(message)
                self.arrived.append((channel, page))
                if dies:
                    self.start()
                    return
                self.store.outbox.delivered(message, self.now_ms)

    def _next(self, channel: str) -> list[OutboxEntry]:
        assert self.store is not None
        waiting = self.store.outbox.due(channel, self.now_ms + GROUP_MS)
        return next_message(waiting, self.now_ms)

    def open_alerts(self) -> list[Alert]:
        return [alert for alert in self.shown.values() if alert.state == "firing"]
