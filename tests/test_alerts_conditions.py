"""What a condition computes over the window: aggregates, durations and small groups."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rule_window import (
    ESTATE_INDEX,
    START_MS,
    rules_named,
)

from alerts.alert_text import count_affected, describe_affected
from alerts.cycle import run_cycle
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState
from alerts.evaluation.conditions import check_conditions, is_clearly_ok
from alerts.rule import Rule
from alerts.rule_files import Rules, load_rule_files, load_rules
from alerts.window import Window
from collectors.batch import batch_samples
from collectors.estate.estate_model import Estate, Site
from collectors.estate.opening_hours import OpeningHours
from collectors.server_measurements import CATALOGUE
from probes.wire.sample import Sample, Value


def test_time_without_measurements_does_not_count_towards_a_duration() -> None:
    """A line full for four minutes, then not measured, was not full for seven."""
    [rule] = rules_named("line_full_down")
    seven_minutes = Rules([rule.model_copy(update={"lasts": 420_000})])
    window = Window(seven_minutes, CATALOGUE, START_MS)
    line = {"line": "l1", "site": "hall", "role": "primary", "supplier": "x"}
    estate = Estate.model_validate(
        {
            "sites": [{"id": "hall", "name": "Town Hall"}],
            "devices": [{"id": "d1", "site": "hall", "address": "10.0.0.1"}],
            "lines": [
                {
                    "id": "l1",
                    "site": "hall",
                    "down_mbps": 1,
                    "up_mbps": 1,
                    "device": "d1",
                    "port": "1",
                }
            ],
        }
    )
    estate_index = EstateIndex(estate)
    states: dict[str, AlertState] = {}
    for n in range(70):
        now_ms = START_MS + n * 60_000
        if n < 5:
            sample = Sample("line", line, {"down_use_ratio": 0.99}, now_ms)
            window.append(*batch_samples([sample], "poll", now_ms))
        outcome = run_cycle(
            window, estate_index, window.rules, states, {}, [], lambda _: [], now_ms
        )
        states = outcome.states
        assert all(entry.state != "firing" for entry in states.values())
    assert not [entry for entry in states.values() if entry.is_open]


def aggregated(aggregate: str, values: list[float], over: str = "10m") -> bool | None:
    text = f"""rules:
  - id: tested
    title: Tested
    severity: info
    measurement: self_reader
    subject: [process]
    when:
      - {{field: lag_s, aggregate: {aggregate}, over: {over}, is: ">", threshold: 5}}
    summary: text
    runbook: text
"""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "own.yaml"
        path.write_text(text)
        rules = load_rule_files([path], CATALOGUE)
    window = Window(rules, CATALOGUE, START_MS)
    at_ms = START_MS
    for n, value in enumerate(values):
        at_ms = START_MS + n * 60_000
        tags = {"process": "all", "reader": "store"}
        window.append(
            *batch_samples(
                [Sample("self_reader", tags, {"lag_s": value}, at_ms)], "s", at_ms
            )
        )
    return check_conditions(
        window, 0, rules[0], ("all",), ESTATE_INDEX, at_ms, False
    ).bad


@pytest.mark.parametrize(
    ("aggregate", "values", "bad"),
    [
        ("mean", [6.0] * 10, True),
        ("mean", [0.0] * 5 + [9.0] * 5, False),
        ("mean", [9.0], None),
        ("min", [6.0] * 9 + [1.0], False),
        ("max", [0.0] * 9 + [6.0], True),
        ("p95", [0.0] * 9 + [9.0], True),
        ("sum", [1.0] * 4, False),
        ("sum", [1.0] * 6, True),
        ("count", [0.0] * 5, False),
        ("count", [0.0] * 6, True),
        ("rise", [100.0, 104.0, 106.0], True),
        ("rise", [100.0, 2.0, 3.0], False),
        ("rise", [100.0, 6.0], True),
        ("rise", [100.0], False),
    ],
)
def test_every_aggregate_computes_what_its_name_says(
    aggregate: str, values: list[float], bad: bool | None
) -> None:
    assert aggregated(aggregate, values) is bad


@pytest.mark.parametrize(
    ("calls", "bad"),
    [
        # The poor row had hardly any calls: 1 of 361 was poor.
        ([90, 90, 1, 90, 90], False),
        ([10, 10, 90, 10, 10], True),
        ([40] * 5, True),
    ],
)
def test_a_mean_of_a_ratio_is_weighted_by_the_count_of_each_row(
    tmp_path: Path, calls: list[int], bad: bool
) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("""rules:
  - id: tested
    title: Tested
    severity: info
    measurement: experience
    subject: [by, group]
    when:
      - {field: call_poor_ratio, aggregate: mean, over: 25m, is: ">", threshold: 0.1}
    summary: text
    runbook: text
""")
    rules = load_rule_files([path], CATALOGUE)
    window = Window(rules, CATALOGUE, START_MS)
    tags = {"by": "all", "group": "all"}
    at_ms = START_MS
    for n, (count, poor) in enumerate(zip(calls, (0, 0, 1.0, 0, 0), strict=True)):
        at_ms = START_MS + n * 300_000
        fields: dict[str, Value] = {"calls": count, "call_poor_ratio": poor}
        rows = [Sample("experience", tags, fields, at_ms)]
        window.append(*batch_samples(rows, "s", at_ms))
    verdict = check_conditions(
        window, 0, rules[0], ("all", "all"), ESTATE_INDEX, at_ms, False
    )
    assert verdict.bad is bad


@pytest.mark.parametrize(("least", "bad"), [(5, True), (7, True), (10, None)])
def test_fewer_silent_laptops_than_a_group_needs_give_no_verdict(
    least: int, bad: bool | None
) -> None:
    rules = rules_named("agents_silent")
    window = Window(rules, CATALOGUE, START_MS)
    rows = [
        Sample(
            "self_agents", {"home_site": "hall"}, {"expected": 7, "heard": 0}, START_MS
        )
    ]
    window.append(*batch_samples(rows, "s", START_MS))
    always = OpeningHours(opens="00:00", closes="24:00", days=tuple(range(7)))
    estate = Estate(sites=(Site(id="hall", name="Hall", hours=always),))
    estate_index = EstateIndex(estate, least)
    [subject] = window.subjects(0)
    verdict = check_conditions(
        window, 0, rules[0], subject, estate_index, START_MS, False
    )
    assert verdict.bad is bad


@pytest.mark.parametrize("agents", [5, 20])
def test_affected_laptops_are_counted_for_every_group_that_is_shown(
    agents: int,
) -> None:
    """Groups below the configured size never reach the window."""
    rules = rules_named("line_down", "calls_poor_site")
    window = Window(rules, CATALOGUE, START_MS)
    rows = [
        Sample(
            "experience",
            {"by": "site", "group": "hall"},
            {"agents": agents, "calls": 30, "call_poor_ratio": 0.0},
            START_MS,
        )
    ]
    window.append(*batch_samples(rows, "s", START_MS))
    entry = AlertState(
        "line_down", {"line": "x"}, "hall", "firing", START_MS, START_MS, START_MS
    )
    affected = count_affected(entry, {entry.key: entry}, window, ESTATE_INDEX)
    assert affected == {"agents": agents}
    assert describe_affected(affected) == f"about {agents} laptops"


@pytest.mark.parametrize("count", range(5, 17))
def test_the_mean_of_equal_values_is_that_value_whatever_sums_round_to(
    count: int,
) -> None:
    """A memory that is 95 % full is not more than 95 % full."""
    [rule] = rules_named("memory_full")
    window = Window(Rules([rule]), CATALOGUE, START_MS)
    tags = {"device": "d1", "site": "hall", "role": "switch", "pool": "main"}
    for n in range(count):
        now_ms = START_MS + n * 120_000
        sample = Sample("memory", tags, {"use_ratio": 0.95}, now_ms)
        window.append(*batch_samples([sample], "poll", now_ms))
    result = check_conditions(
        window, 0, rule, ("d1", "main"), ESTATE_INDEX, now_ms, False
    )
    assert result.bad is False
    assert result.value == 0.95


COMPARED = [
    rule
    for rule in load_rules(CATALOGUE)
    if rule.when and rule.silence != "blind" and rule.evidence == "rows"
]
VALUES = st.sampled_from([None, 0, 0.0, 0.0005, 0.05, 0.5, 0.99, 1, 2, 5, 30, 100, 1e6])


@given(
    st.sampled_from(COMPARED),
    st.lists(st.lists(VALUES, min_size=8, max_size=8), min_size=1, max_size=15),
    st.booleans(),
)
def test_what_is_clearly_ok_at_a_glance_is_never_found_bad(
    rule: Rule, rows: list[list[float | None]], constant: bool
) -> None:
    """With the values of any rule: changing ones, and those that stay the same."""
    rules = Rules([rule])
    window = Window(rules, CATALOGUE, START_MS)
    declared = CATALOGUE.measurement(rule.measurement)
    tags = {
        tag: {"device": "d1", "site": "hall"}.get(tag, "x") for tag in declared.identity
    }
    fields = [
        field
        for field in sorted(rule.field_windows)
        if declared.field(field).type != "str"
    ]
    now_ms = START_MS
    for row in rows:
        now_ms += 60_000
        values = dict(zip(fields, rows[0] if constant else row, strict=False))
        known = {name: value for name, value in values.items() if value is not None}
        window.append(
            *batch_samples([Sample(rule.measurement, tags, known, now_ms)], "s", now_ms)
        )
    for subject in window.subjects(0):
        if is_clearly_ok(window, 0, rule, subject, now_ms):
            result = check_conditions(
                window, 0, rule, subject, ESTATE_INDEX, now_ms, is_holding=False
            )
            assert result.bad is not True
