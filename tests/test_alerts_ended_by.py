"""What ends an alert besides its own rule: polls after a trap, and the estate."""

from __future__ import annotations

from pathlib import Path

import pytest
from rule_window import (
    ESTATE_INDEX,
    START_MS,
    apply_changes,
    device_poll,
    rules_named,
)

from alerts.cycle import run_cycle
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState
from alerts.evaluation.rule_evaluation import evaluate
from alerts.rule_files import RuleError, load_rule_files
from alerts.window import Window
from collectors.batch import Batch, batch_samples
from collectors.estate.estate_model import Estate
from collectors.server_measurements import CATALOGUE
from probes.wire.sample import Sample, Value


def test_an_alert_of_a_device_removed_from_the_estate_is_resolved_with_the_reason() -> (
    None
):
    rules = rules_named("device_unreachable")
    window = Window(rules, CATALOGUE, START_MS)
    for n in range(4):
        window.append(device_poll(0, START_MS + n * 60_000))
    now_ms = START_MS + 180_000

    def run(estate_index: EstateIndex, states: dict[str, AlertState]):  # type: ignore[no-untyped-def]
        return run_cycle(
            window,
            estate_index,
            rules,
            states,
            {},
            [],
            lambda _: [("duty", 0, False)],
            now_ms,
        )

    first = run(ESTATE_INDEX, {})
    second = run(ESTATE_INDEX, first.states)
    after = run(EstateIndex(Estate()), second.states)
    [alert] = [a for a in after.alerts.values() if a.state == "resolved"]
    assert alert.why == "it was removed from the estate"


def trap_batch(event: str, at_ms: int) -> Batch:
    tags = {"device": "d1", "site": "hall", "role": "ups", "event": event}
    fields: dict[str, Value] = {"active": 1, "count": 1, "level": 4}
    [batch] = batch_samples([Sample("event", tags, fields, at_ms)], "traps", at_ms)
    return batch


def sensor_batch(on_battery: int, at_ms: int) -> Batch:
    tags = {"device": "d1", "site": "hall", "role": "ups", "class": "state"}
    fields: dict[str, Value] = {"on_battery": on_battery, "severity": 2 * on_battery}
    sample = Sample("sensor", {**tags, "sensor": "Output"}, fields, at_ms)
    [batch] = batch_samples([sample], "poll", at_ms)
    return batch


def test_polls_end_an_alert_that_a_trap_began_before_a_restart_for_good() -> None:
    rules = rules_named("ups_on_battery")
    window = Window(rules, CATALOGUE, START_MS)
    window.append(trap_batch("ups_on_battery", START_MS))
    states: dict[str, AlertState] = {}
    for now_ms in (START_MS + 1_000, START_MS + 90_000):
        apply_changes(states, evaluate(window, ESTATE_INDEX, states, now_ms))
    [entry] = states.values()
    assert entry.state == "firing"
    # The journal no longer holds a trap of a day ago; only the alert's state does.
    window = Window(rules, CATALOGUE, START_MS + 100_000)
    for minute in range(2, 12):
        now_ms = START_MS + minute * 60_000
        window.append(sensor_batch(0, now_ms))
        apply_changes(states, evaluate(window, ESTATE_INDEX, states, now_ms + 1_000))
        window.clear_changed()
    assert not [entry for entry in states.values() if entry.is_open]
    # The same trap, read again from the journal, begins nothing; a new one does.
    window.append(trap_batch("ups_on_battery", START_MS))
    apply_changes(states, evaluate(window, ESTATE_INDEX, states, START_MS + 720_000))
    assert not [entry for entry in states.values() if entry.is_open]
    window.append(trap_batch("ups_on_battery", START_MS + 725_000))
    apply_changes(states, evaluate(window, ESTATE_INDEX, states, START_MS + 730_000))
    assert [entry.state for entry in states.values() if entry.is_open]


LINK = """rules:
  - id: link_trap
    title: Link down by a trap
    severity: warning
    measurement: event
    where: {event: [link_down]}
    subject: [device, port]
    when:
      - {field: active, is: ">=", threshold: 1}
    hold: 0s
    ended_by:
      - measurement: interface
        same: [device, port]
        when: {field: up, is: ">=", threshold: 1}
    summary: "{port} of {device_name} is down"
    runbook: Look.
"""


def test_a_link_down_trap_is_resolved_when_polls_find_that_port_up(
    tmp_path: Path,
) -> None:
    (tmp_path / "own.yaml").write_text(LINK)
    rules = load_rule_files([tmp_path / "own.yaml"], CATALOGUE)
    window = Window(rules, CATALOGUE, START_MS)
    states: dict[str, AlertState] = {}
    place = {"device": "d1", "site": "hall", "role": "switch"}
    for port in ("Gi1", "Gi2"):
        tags = {**place, "event": "link_down", "port": port}
        sample = Sample("event", tags, {"active": 1, "count": 1}, START_MS)
        window.append(*batch_samples([sample], "traps", START_MS))
    apply_changes(states, evaluate(window, ESTATE_INDEX, states, START_MS + 1_000))
    for port, up in (("Gi1", 1), ("Gi2", 0)):
        at_ms = START_MS + 60_000
        sample = Sample("interface", {**place, "port": port}, {"up": up}, at_ms)
        window.append(*batch_samples([sample], "poll", at_ms))
    apply_changes(states, evaluate(window, ESTATE_INDEX, states, START_MS + 61_000))
    assert [e.subject["port"] for e in states.values() if e.is_open] == ["Gi2"]


def test_the_ended_by_part_of_a_rule_is_checked_like_the_rule(tmp_path: Path) -> None:
    for old, new, message in (
        ("same: [device, port]", "same: [device, prot]", "did you mean 'port'"),
        ("field: up", "field: upp", "did you mean 'up'"),
        ("measurement: interface", "measurement: interfaces", "'interface'"),
        ("same: [device, port]", "only: {prt: [x]}", "did you mean 'port'"),
    ):
        text = LINK.replace(old, new)
        assert text != LINK
        (tmp_path / "own.yaml").write_text(text)
        with pytest.raises(RuleError, match=message):
            load_rule_files([tmp_path / "own.yaml"], CATALOGUE)
