"""The window keeps the rows that rules read. It rejects late and repeated rows, and
forgets old ones."""

from __future__ import annotations

import itertools

from rule_window import (
    ESTATE_INDEX,
    RULES,
    START_MS,
    device_poll,
    rules_named,
)

from alerts.evaluation.alert_states import AlertState
from alerts.evaluation.conditions import check_conditions
from alerts.evaluation.rule_evaluation import evaluate
from alerts.window import Window
from collectors.batch import Batch, batch_samples
from collectors.server_measurements import CATALOGUE
from probes.wire.sample import Sample, Value


def test_late_rows_and_rows_from_the_future_never_reach_rules() -> None:
    window = Window(rules_named("device_unreachable"), CATALOGUE, START_MS)
    lateness_ms = CATALOGUE.measurement("device").lateness_s * 1000
    window.append(device_poll(0, START_MS, START_MS + lateness_ms + 1))
    window.append(device_poll(0, START_MS + 3_600_000, START_MS))
    assert (window.late_rows, window.future_rows, len(window)) == (1, 1, 0)
    window.append(device_poll(0, START_MS, START_MS + lateness_ms))
    assert len(window) == 1


def test_the_same_batch_twice_changes_nothing() -> None:
    window = Window(rules_named("device_unreachable"), CATALOGUE, START_MS)
    batch = device_poll(0, START_MS)
    window.append(batch)
    first = evaluate(window, ESTATE_INDEX, {}, START_MS + 1_000)
    window.append(batch)
    assert evaluate(window, ESTATE_INDEX, {}, START_MS + 1_000) == first


def test_an_older_row_does_not_take_the_place_of_a_newer_one() -> None:
    window = Window(rules_named("device_unreachable"), CATALOGUE, START_MS)
    window.append(device_poll(1, START_MS + 60_000))
    window.append(device_poll(0, START_MS, START_MS + 60_000))
    assert evaluate(window, ESTATE_INDEX, {}, START_MS + 61_000) == {}


def test_a_field_that_the_newest_batch_lacks_is_gone() -> None:
    """A disk that is no longer filling has no `hours_left`, and nothing else may be
    reported at that time."""
    window = Window(rules_named("disk_full_soon"), CATALOGUE, START_MS)
    tags = {"process": "all", "folder": "state"}
    states: dict[str, AlertState] = {}
    filling: dict[str, Value] = {"full": 0, "hours_left": 3.0}
    for minute in range(45):
        row = filling if minute < 15 else {"full": 0}
        sample = Sample("self_disk", tags, row, START_MS + minute * 60_000)
        window.append(*batch_samples([sample], "self", sample.time_ms))
        for key, state in evaluate(
            window, ESTATE_INDEX, states, sample.time_ms
        ).items():
            assert state is not None
            states[key] = state
        window.clear_changed()
        if minute == 14:
            assert [state.state for state in states.values()] == ["firing"]
    assert [state.state for state in states.values()] == ["resolved"]


def test_two_rows_of_one_time_complete_each_other() -> None:
    window = Window(rules_named("port_down"), CATALOGUE, START_MS)
    tags = {"device": "d1", "site": "hall", "role": "switch", "port": "Gi1"}
    fields: dict[str, Value] = {"up": 0, "expected_up": 1}
    for row in (fields, {"in_bps": 1.0}):
        sample = Sample("interface", tags, row, START_MS)
        window.append(*batch_samples([sample], "poll", sample.time_ms))
    states = evaluate(window, ESTATE_INDEX, {}, START_MS + 1_000)
    assert list(states) == ["port_down/device=d1,port=Gi1"]


def test_a_subject_that_is_silent_for_a_day_is_forgotten() -> None:
    window = Window(RULES, CATALOGUE, START_MS)
    window.append(device_poll(1, START_MS))
    assert window.drop_old(START_MS + 3_600_000) == 0
    assert window.drop_old(START_MS + 90_000_000) == 1
    assert len(window) == 0
    assert all(not list(window.subjects(at)) for at in range(len(RULES)))


def test_a_device_that_moves_to_another_site_is_judged_by_its_newest_rows() -> None:
    window = Window(rules_named("device_unreachable"), CATALOGUE, START_MS)
    window.append(device_poll(0, START_MS))
    tags = {"device": "d1", "site": "depot", "role": "switch"}
    for n in range(1, 6):
        sample = Sample("device", tags, {"up": 1}, START_MS + n * 60_000)
        window.append(*batch_samples([sample], "poll", sample.time_ms))
    now_ms = START_MS + 300_000
    verdict = check_conditions(
        window, 0, window.rules[0], ("d1",), ESTATE_INDEX, now_ms, True
    )
    assert verdict.bad is False


def test_batches_that_no_rule_reads_are_not_kept() -> None:
    window = Window(rules_named("line_down"), CATALOGUE, START_MS)
    window.append(device_poll(0, START_MS))
    assert len(window) == 0


def test_the_window_does_not_grow_with_time() -> None:
    window = Window(RULES, CATALOGUE, START_MS)
    for n, device in itertools.product(range(50), ("d1", "d2")):
        batch: Batch = device_poll(n % 2, START_MS + n * 60_000, device=device)
        window.append(batch)
    assert len(window) == 2
