"""The engine's cycle over rows in virtual time, for tests of what is paged."""

from __future__ import annotations

from collections.abc import Mapping

from rule_window import ESTATE_INDEX, START_MS
from rule_window import RULES as ALL_RULES

from alerts.alert import Alert
from alerts.cycle import run_cycle
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState
from alerts.rule_files import Rules
from alerts.silence import Silence
from alerts.window import Window
from collectors.batch import batch_samples
from collectors.server_measurements import CATALOGUE
from probes.wire.sample import Sample, Value

MINUTE_MS, STEP_MS = 60_000, 15_000
# Nothing else of the council is measured here.
RULES = Rules([rule for rule in ALL_RULES if rule.silence != "blind"])


class VirtualCouncil:
    """`pages`: the keys of the alerts that were paged; `ended`: the episodes that got
    their end."""

    def __init__(
        self, rules: Rules = RULES, estate_index: EstateIndex = ESTATE_INDEX
    ) -> None:
        self.rules, self.estate_index = rules, estate_index
        self.window = Window(rules, CATALOGUE, START_MS)
        self.states: dict[str, AlertState] = {}
        self.shown: dict[str, Alert] = {}
        self.now_ms = START_MS
        self.silences: list[Silence] = []
        self.pages: list[str] = []
        self.ended: list[str] = []

    def put(
        self,
        measurement: str,
        tags: Mapping[str, str],
        fields: Mapping[str, Value],
        device: str = "d1",
    ) -> None:
        known = self.estate_index.devices[device]
        place = {"device": device, "site": known.site, "role": known.role}
        sample = Sample(measurement, {**place, **tags}, dict(fields), self.now_ms)
        self.window.append(*batch_samples([sample], "poll", self.now_ms))

    def trap(self, event: str, about: str = "", active: int = 1) -> None:
        self.put(
            "event",
            {"event": event, "about": about},
            {"active": active, "count": active, "level": 4 * active, "text": event},
        )

    def sensor(self, sensor: str, severity: int, kind: str = "state") -> None:
        state = ("ok", "warning", "failed")[severity]
        fields: dict[str, Value] = {"severity": severity, "state": state}
        self.put("sensor", {"class": kind, "sensor": sensor}, fields)

    def wait(self, minutes: float) -> None:
        until_ms = self.now_ms + round(minutes * MINUTE_MS)
        while self.now_ms < until_ms:
            self.now_ms = min(until_ms, self.now_ms + STEP_MS)
            result = run_cycle(
                self.window,
                self.estate_index,
                self.rules,
                self.states,
                self.shown,
                self.silences,
                lambda _: [("duty", self.now_ms, False)],
                self.now_ms,
            )
            self.states, self.shown = result.states, result.still_open(self.shown)
            self.window.clear_changed()
            self.pages += [page.alert.key for page in result.pages]
            self.ended += result.ended

    def poll(self, sensors: Mapping[str, int], minutes: int, kind: str) -> None:
        for _ in range(minutes):
            for sensor, severity in sensors.items():
                self.sensor(sensor, severity, kind)
            self.wait(1)
