"""An alert's state comes from traps and polls alike: a poll confirms a trap, and ends
it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from rule_window import ESTATE_INDEX, START_MS, apply_changes, rules_named

from alerts.evaluation.alert_states import AlertState
from alerts.evaluation.conditions import ConditionResult
from alerts.evaluation.rule_evaluation import evaluate
from alerts.evaluation.transitions import new_state
from alerts.window import Window
from collectors.batch import batch_samples
from collectors.server_measurements import CATALOGUE
from probes.wire.sample import Sample, Value

MINUTE_MS = 60_000
DAY_MS = 86_400_000
PLACE = {"device": "d1", "site": "hall", "role": "ups"}


class Engine:
    def __init__(self, *rules: str) -> None:
        self.rules = rules_named(*rules)
        self.window = Window(self.rules, CATALOGUE, START_MS)
        self.states: dict[str, AlertState] = {}
        self.now_ms = START_MS

    def put(
        self, measurement: str, tags: dict[str, str], fields: dict[str, Value]
    ) -> None:
        sample = Sample(measurement, {**PLACE, **tags}, fields, self.now_ms)
        for batch in batch_samples([sample], "poll", self.now_ms):
            self.window.append(batch)

    def trap(self, event: str, active: int, about: str = "") -> None:
        fields: dict[str, Value] = {
            "active": active,
            "count": active,
            "level": 4 * active,
            "text": event,
        }
        self.put("event", {"event": event, "about": about}, fields)

    def power(self, on_battery: int) -> None:
        self.put(
            "sensor",
            {"class": "state", "sensor": "Output"},
            {"on_battery": on_battery, "severity": 2 * on_battery},
        )

    def supply(self, sensor: str, severity: int) -> None:
        self.put("sensor", {"class": "state", "sensor": sensor}, {"severity": severity})

    def wait(self, minutes: float = 1.0) -> None:
        until_ms = self.now_ms + round(minutes * MINUTE_MS)
        while self.now_ms < until_ms:
            self.now_ms = min(until_ms, self.now_ms + 15_000)
            changes = evaluate(
                self.window, ESTATE_INDEX, self.states, self.now_ms, None
            )
            apply_changes(self.states, changes)
            self.window.clear_changed()

    def is_open(self, rule: str) -> bool:
        return any(s.rule == rule and s.is_open for s in self.states.values())


def test_a_ups_that_stays_on_battery_for_days_stays_an_alert_until_a_poll_ends_it() -> (
    None
):
    engine = Engine("ups_on_battery")
    engine.trap("ups_on_battery", 1)
    for _ in range(50):
        engine.wait(60)
        engine.power(1)
    assert engine.is_open("ups_on_battery")
    engine.power(0)
    engine.wait(5)
    assert not engine.is_open("ups_on_battery")


def test_a_trap_that_no_poll_confirms_ends_by_the_next_poll() -> None:
    engine = Engine("ups_on_battery")
    engine.power(0)
    engine.wait()
    engine.trap("ups_on_battery", 1)
    engine.wait(0.25)
    # An agent may answer from a cache: this poll proves nothing.
    engine.power(0)
    engine.wait(0.25)
    assert engine.is_open("ups_on_battery")
    engine.wait(0.25)
    engine.power(0)
    engine.wait(2)
    assert not engine.is_open("ups_on_battery")


def test_the_lost_end_of_a_supply_is_seen_although_another_was_never_fitted() -> None:
    engine = Engine("power_supply_failed", "sensor_critical")
    [rule] = [r for r in engine.rules if r.id == "sensor_critical"]
    subject = {"device": "d1", "class": "state", "sensor": "PSU 2"}
    result = ConditionResult(True, START_MS, 2.0, "hall")
    not_fitted = new_state("baseline", result, rule, subject)
    engine.states[not_fitted.key] = not_fitted
    engine.supply("PSU 1", 0)
    engine.supply("PSU 2", 2)
    engine.wait(5)
    engine.trap("power_supply_failed", 1, "PSU 1")
    engine.wait()
    for severity in (2, 2, 0, 0, 0):
        engine.supply("PSU 1", severity)
        engine.supply("PSU 2", 2)
        engine.wait()
    assert not engine.is_open("power_supply_failed")


def test_a_fault_that_only_traps_report_ends_when_nothing_more_is_reported() -> None:
    engine = Engine("device_fault")
    engine.trap("stack_member_lost", 1)
    engine.wait(24 * 60 - 10)
    assert engine.is_open("device_fault")
    engine.wait(20)
    [state] = engine.states.values() or [None]  # type: ignore[list-item]
    assert state is None or not state.is_open


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(["trap", "end", "battery", "mains", "nothing"]),
        min_size=1,
        max_size=12,
    )
)
def test_no_alert_outlives_what_polls_and_traps_show(steps: list[str]) -> None:
    engine = Engine("ups_on_battery")
    for step in steps:
        if step in ("trap", "end"):
            engine.trap("ups_on_battery", int(step == "trap"))
        elif step != "nothing":
            engine.power(int(step == "battery"))
        engine.wait()
    # A poll that finds mains ends it, whatever came before: at the latest when it has
    # been steady for the longest time that flapping asks for.
    engine.power(0)
    engine.wait(3 if not any(s.flapping for s in engine.states.values()) else 31)
    assert not engine.is_open("ups_on_battery")
    # Without any further word, it ends after a day.
    engine.trap("ups_on_battery", 1)
    engine.wait()
    engine.now_ms += DAY_MS
    engine.wait(3)
    assert not engine.is_open("ups_on_battery")
