"""The window keeps what rules look at, and nothing late, twice or without end."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.alert_text import count_affected, describe_affected
from alerts.cycle import run_cycle
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState, StateChanges, evaluate
from alerts.evaluation.conditions import check_conditions
from alerts.rule_files import RuleError, Rules, load_rule_files, load_rules
from alerts.series import Ring
from alerts.window import Window
from collectors.batch import Batch, batch_samples
from collectors.estate.estate_model import Estate, Site
from collectors.estate.opening_hours import OpeningHours
from collectors.server_measurements import CATALOGUE
from probes.wire.sample import Sample, Value

START_MS = 1_777_888_800_000
RULES = load_rules(CATALOGUE)
SPAN_MS = 600_000
ESTATE_INDEX = EstateIndex(
    Estate.model_validate(
        {
            "sites": [{"id": "hall", "name": "Town Hall"}],
            "devices": [
                {"id": "d1", "site": "hall", "address": "10.0.0.1"},
                {"id": "d2", "site": "hall", "address": "10.0.0.2", "parent": "d1"},
            ],
        }
    )
)


def only(*ids: str) -> Rules:
    return Rules([rule for rule in RULES if rule.id in ids])


def polled(up: int, at_ms: int, received_ms: int | None = None, device: str = "d1"):  # type: ignore[no-untyped-def]
    tags = {"device": device, "site": "hall", "role": "switch"}
    sample = Sample("device", tags, {"up": up}, at_ms)
    [batch] = batch_samples(
        [sample], "poll", at_ms if received_ms is None else received_ms
    )
    return batch


@given(
    values=st.lists(st.sampled_from([0.0, 0.0, 0.0, 1.0, 2.5]), max_size=200),
    steps=st.integers(1, 3),
)
def test_a_ring_answers_as_a_plain_list_would(values: list[float], steps: int) -> None:
    period_ms = 60_000 * steps
    ring: Ring | None = None
    plain: list[tuple[int, float]] = []
    for n, value in enumerate(values):
        at_ms = START_MS + n * period_ms
        if ring is None:
            ring = Ring(at_ms, value)
        else:
            ring.add(at_ms, value, SPAN_MS)
        plain.append((at_ms, value))
        wanted = [pair for pair in plain if pair[0] >= at_ms - SPAN_MS]
        assert list(zip(*ring.since(at_ms - SPAN_MS), strict=True)) == wanted


def test_a_ring_takes_no_row_twice_and_none_from_the_past() -> None:
    ring = Ring(1_000, 1.0)
    for at_ms, value in ((1_000, 9.0), (500, 9.0), (2_000, 2.0), (2_000, 9.0)):
        ring.add(at_ms, value, SPAN_MS)
    assert ring.since(0) == ([1_000, 2_000], [1.0, 2.0])


def test_a_ring_is_bounded_however_often_rows_come() -> None:
    ring = Ring(0, 0.0)
    for n in range(1, 10_000):
        ring.add(n, float(n % 7), SPAN_MS)
    assert len(ring.since(0)[0]) <= 4_096


def test_late_rows_and_rows_from_the_future_never_reach_rules() -> None:
    window = Window(only("device_unreachable"), CATALOGUE, START_MS)
    lateness_ms = CATALOGUE.measurement("device").lateness_s * 1000
    window.append(polled(0, START_MS, START_MS + lateness_ms + 1))
    window.append(polled(0, START_MS + 3_600_000, START_MS))
    assert (window.late_rows, window.future_rows, len(window)) == (1, 1, 0)
    window.append(polled(0, START_MS, START_MS + lateness_ms))
    assert len(window) == 1


def test_the_same_batch_twice_changes_nothing() -> None:
    window = Window(only("device_unreachable"), CATALOGUE, START_MS)
    batch = polled(0, START_MS)
    window.append(batch)
    first = evaluate(window, ESTATE_INDEX, {}, START_MS + 1_000)
    window.append(batch)
    assert evaluate(window, ESTATE_INDEX, {}, START_MS + 1_000) == first


def test_an_older_row_does_not_take_the_place_of_a_newer_one() -> None:
    window = Window(only("device_unreachable"), CATALOGUE, START_MS)
    window.append(polled(1, START_MS + 60_000))
    window.append(polled(0, START_MS, START_MS + 60_000))
    assert evaluate(window, ESTATE_INDEX, {}, START_MS + 61_000) == {}


def test_a_field_that_is_not_in_the_batch_keeps_its_value() -> None:
    """The states of ports may come in another batch than their rates."""
    window = Window(only("port_down"), CATALOGUE, START_MS)
    tags = {"device": "d1", "site": "hall", "role": "switch", "port": "Gi1"}
    fields: dict[str, int | float | str] = {"up": 0, "expected_up": 1}
    for n, row in enumerate((fields, {"in_bps": 1.0})):
        sample = Sample("interface", tags, row, START_MS + n * 30_000)
        window.append(*batch_samples([sample], "poll", sample.time_ms))
    found = evaluate(window, ESTATE_INDEX, {}, START_MS + 31_000)
    assert list(found) == ["port_down/device=d1,port=Gi1"]


def test_what_is_silent_for_a_day_is_forgotten() -> None:
    window = Window(RULES, CATALOGUE, START_MS)
    window.append(polled(1, START_MS))
    assert window.drop_old(START_MS + 3_600_000) == 0
    assert window.drop_old(START_MS + 90_000_000) == 1
    assert len(window) == 0
    assert all(not list(window.subjects(at)) for at in range(len(RULES)))


def test_a_device_that_moves_to_another_site_is_judged_by_its_newest_rows() -> None:
    window = Window(only("device_unreachable"), CATALOGUE, START_MS)
    window.append(polled(0, START_MS))
    tags = {"device": "d1", "site": "depot", "role": "switch"}
    for n in range(1, 6):
        sample = Sample("device", tags, {"up": 1}, START_MS + n * 60_000)
        window.append(*batch_samples([sample], "poll", sample.time_ms))
    now_ms = START_MS + 300_000
    verdict = check_conditions(
        window, 0, window.rules[0], ("d1",), ESTATE_INDEX, now_ms, True
    )
    assert verdict.bad is False


def test_time_that_was_not_measured_ripens_nothing() -> None:
    """Full for four minutes, then not measured: that is not full for seven."""
    [rule] = only("line_full_down")
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


def test_a_device_that_leaves_the_estate_is_called_off_with_the_reason() -> None:
    rules = only("device_unreachable")
    window = Window(rules, CATALOGUE, START_MS)
    for n in range(4):
        window.append(polled(0, START_MS + n * 60_000))
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
def test_every_aggregate_means_what_is_written(
    aggregate: str, values: list[float], bad: bool | None
) -> None:
    assert aggregated(aggregate, values) is bad


@pytest.mark.parametrize(
    ("calls", "bad"),
    [
        # The poor window had hardly a call: 1 of 361 was poor.
        ([90, 90, 1, 90, 90], False),
        ([10, 10, 90, 10, 10], True),
        ([40] * 5, True),
    ],
)
def test_a_mean_of_a_share_is_weighted_by_what_each_row_counts(
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
    found = check_conditions(
        window, 0, rules[0], ("all", "all"), ESTATE_INDEX, at_ms, False
    )
    assert found.bad is bad


def test_batches_of_no_rule_cost_nothing() -> None:
    window = Window(only("line_down"), CATALOGUE, START_MS)
    window.append(polled(0, START_MS))
    assert len(window) == 0


def test_the_window_does_not_grow_with_time() -> None:
    window = Window(RULES, CATALOGUE, START_MS)
    for n, device in itertools.product(range(50), ("d1", "d2")):
        batch: Batch = polled(n % 2, START_MS + n * 60_000, device=device)
        window.append(batch)
    assert len(window) == 2


def told(event: str, at_ms: int) -> Batch:
    tags = {"device": "d1", "site": "hall", "role": "ups", "event": event}
    fields: dict[str, Value] = {"active": 1, "count": 1, "level": 4}
    [batch] = batch_samples([Sample("event", tags, fields, at_ms)], "traps", at_ms)
    return batch


def sensed(on_battery: int, at_ms: int) -> Batch:
    tags = {"device": "d1", "site": "hall", "role": "ups", "class": "state"}
    fields: dict[str, Value] = {"on_battery": on_battery, "severity": 2 * on_battery}
    sample = Sample("sensor", {**tags, "sensor": "Output"}, fields, at_ms)
    [batch] = batch_samples([sample], "poll", at_ms)
    return batch


def test_polls_end_what_a_trap_began_before_a_restart_and_it_does_not_begin_again() -> (
    None
):
    rules = only("ups_on_battery")
    window = Window(rules, CATALOGUE, START_MS)
    window.append(told("ups_on_battery", START_MS))
    states: dict[str, AlertState] = {}
    for now_ms in (START_MS + 1_000, START_MS + 90_000):
        merge(states, evaluate(window, ESTATE_INDEX, states, now_ms))
    [entry] = states.values()
    assert entry.state == "firing"
    # A day's trap is not in the journal any longer; only standing knows of it.
    window = Window(rules, CATALOGUE, START_MS + 100_000)
    for minute in range(2, 12):
        now_ms = START_MS + minute * 60_000
        window.append(sensed(0, now_ms))
        merge(states, evaluate(window, ESTATE_INDEX, states, now_ms + 1_000))
        window.clear_changed()
    assert not [entry for entry in states.values() if entry.is_open]
    # The same trap, read again from the journal, is over; a new one is not.
    window.append(told("ups_on_battery", START_MS))
    merge(states, evaluate(window, ESTATE_INDEX, states, START_MS + 720_000))
    assert not [entry for entry in states.values() if entry.is_open]
    window.append(told("ups_on_battery", START_MS + 725_000))
    merge(states, evaluate(window, ESTATE_INDEX, states, START_MS + 730_000))
    assert [entry.state for entry in states.values() if entry.is_open]


def merge(states: dict[str, AlertState], changes: StateChanges) -> None:
    for key, entry in changes.items():
        if entry is None:
            states.pop(key, None)
        else:
            states[key] = entry


@pytest.mark.parametrize(("least", "bad"), [(5, True), (7, True), (10, None)])
def test_silence_of_fewer_laptops_than_a_group_has_says_nothing(
    least: int, bad: bool | None
) -> None:
    rules = only("agents_silent")
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
    found = check_conditions(
        window, 0, rules[0], subject, estate_index, START_MS, False
    )
    assert found.bad is bad


@pytest.mark.parametrize("agents", [5, 20])
def test_laptops_affected_are_those_of_any_group_that_is_shown(agents: int) -> None:
    """Groups too small, by whatever setting, are not in the window."""
    rules = only("line_down", "calls_poor_site")
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
    found = count_affected(entry, {entry.key: entry}, window, ESTATE_INDEX)
    assert found == {"agents": agents}
    assert describe_affected(found) == f"about {agents} laptops"


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


def test_a_link_that_a_trap_called_down_is_up_when_polls_of_that_port_say_so(
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
    merge(states, evaluate(window, ESTATE_INDEX, states, START_MS + 1_000))
    for port, up in (("Gi1", 1), ("Gi2", 0)):
        at_ms = START_MS + 60_000
        sample = Sample("interface", {**place, "port": port}, {"up": up}, at_ms)
        window.append(*batch_samples([sample], "poll", at_ms))
    merge(states, evaluate(window, ESTATE_INDEX, states, START_MS + 61_000))
    assert [e.subject["port"] for e in states.values() if e.is_open] == ["Gi2"]


def test_what_ends_a_rule_is_checked_like_the_rule(tmp_path: Path) -> None:
    for old, new, says in (
        ("same: [device, port]", "same: [device, prot]", "did you mean 'port'"),
        ("field: up", "field: upp", "did you mean 'up'"),
        ("measurement: interface", "measurement: interfaces", "'interface'"),
        ("same: [device, port]", "only: {prt: [x]}", "did you mean 'port'"),
    ):
        text = LINK.replace(old, new)
        assert text != LINK
        (tmp_path / "own.yaml").write_text(text)
        with pytest.raises(RuleError, match=says):
            load_rule_files([tmp_path / "own.yaml"], CATALOGUE)
