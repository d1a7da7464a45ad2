"""The figures of a group are those of its agents' results in its window."""

from collections.abc import Iterable

import pytest
from group_rows import (
    END_MS,
    LEAST,
    PERIOD_MS,
    T0_MS,
    agent_rows,
    calls,
    place_of,
    results,
    shown_groups,
    window_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.batch import batch_samples
from collectors.experience.agent_results import AgentPlace, AgentResult
from collectors.experience.groups import (
    ExperienceWindow,
    GroupsConfig,
)
from collectors.server_measurements import CATALOGUE
from dashboards import figure_text
from probes.wire.catalogue import check_sample
from probes.wire.failure import Outcome
from probes.wire.sample import Sample, Value


def poor_calls(agents: Iterable[int], at: AgentPlace) -> list[AgentResult]:
    return calls(agents, at, 1.0)


def wifi(agents: Iterable[int], at: AgentPlace, dbm: int) -> list[AgentResult]:
    return agent_rows(agents, "wifi", at, dbm, dbm, 0, None, None, 5.0, 0)


def test_a_group_has_the_causes_of_its_poor_calls() -> None:
    rows = [
        *calls(range(30), place_of()),
        *poor_calls(range(30, 40), place_of()),
        *wifi(range(30, 36), place_of(), -84),
        *wifi(range(36, 40), place_of(), -50),
    ]
    shown = shown_groups(rows)["all", "all"]
    assert shown["cause_wifi_ratio"] == pytest.approx(6 / 40)
    assert shown["cause_unknown_ratio"] == pytest.approx(4 / 40)
    assert shown["mostly"] == "the Wi-Fi"
    ratios = [v for n, v in shown.items() if n.startswith("cause_")]
    assert sum(ratios) == shown["call_poor_ratio"]


def test_a_weak_wifi_at_home_explains_no_poor_call_in_the_office() -> None:
    office = place_of("office", "town-hall")
    rows = [*wifi(range(20), place_of(), -84), *poor_calls(range(20), office)]
    assert shown_groups(rows)["all", "all"]["cause_wifi_ratio"] == 0.0


def test_the_wifi_of_a_laptop_on_a_cable_does_not_count() -> None:
    wired = place_of(connection="wired")
    shown = shown_groups([*calls(range(12), wired), *wifi(range(12), wired, -84)])
    assert "wifi_weak_ratio" not in shown["all", "all"]


def test_an_unknown_outcome_counts_the_agent_and_nothing_else() -> None:
    rows = results(range(12), "call_path", {"outcome": "sulking", "poor": 1}, T0_MS)
    samples = window_of(rows, T0_MS).samples(END_MS)
    assert samples
    nothing = {"agents": 10, "call_tests": "not measured"}
    assert all(sample.fields == nothing for sample in samples)


def test_rows_of_last_week_or_of_tomorrow_are_left_out() -> None:
    rows = results(range(20), "agent", {"outcome": "ok"}, T0_MS)
    assert len(window_of(rows, T0_MS + 7 * 86_400_000)) == 0
    assert len(window_of(rows, T0_MS - 86_400_000)) == 0


def test_the_same_row_twice_is_one_row() -> None:
    rows = results(range(12), "call_path", {"outcome": "ok", "poor": 1}, T0_MS)
    window = window_of([*rows, *rows], T0_MS)
    assert {s.fields["calls"] for s in window.samples(END_MS)} == {12}


@pytest.mark.parametrize(
    ("kind", "outcome", "fields", "expected"),
    [
        ("call_path", Outcome.OK, {"poor": 0}, {"call_poor_ratio": 0.0, "calls": 12}),
        ("call_path", Outcome.TIMEOUT, {}, {"call_poor_ratio": 1.0, "calls": 12}),
        ("call_path", Outcome.NO_NETWORK, {}, {}),
        ("call_path", Outcome.METERED, {}, {}),
        ("web", Outcome.OK, {}, {"web_ok_ratio": 1.0, "other_web_ok_ratio": 1.0}),
        (
            "web",
            Outcome.TLS_FAILED,
            {},
            {"web_ok_ratio": 0.0, "other_web_ok_ratio": 0.0},
        ),
        ("web", Outcome.PAUSED, {}, {}),
        ("name_lookup", Outcome.NAME_SERVER_FAILED, {}, {"name_ok_ratio": 0.0}),
        ("vpn", Outcome.OK, {"up": 1}, {"vpn_up_ratio": 1.0}),
        ("vpn", Outcome.NOT_CONNECTED, {}, {"vpn_up_ratio": 0.0}),
        ("vpn", Outcome.NOT_PRESENT, {}, {}),
        ("vpn", Outcome.OK, {"up": 0, "teams_way": "tunnelled"}, {"vpn_up_ratio": 0.0}),
        (
            "teams_relay",
            Outcome.OK,
            # To two digits: 30.4 exactly would be one laptop's.
            {"rtt_ms": 30.4},
            {"relay_blocked_ratio": 0.0, "relay_rtt_p95_ms": 30.0},
        ),
        ("teams_relay", Outcome.UDP_BLOCKED, {}, {"relay_blocked_ratio": 1.0}),
        ("teams_relay", Outcome.NOT_CONFIGURED, {}, {}),
        (
            "media_edge",
            Outcome.OK,
            {"rtt_ms": 30.4},
            {"media_edge_ok_ratio": 1.0, "media_edge_rtt_p95_ms": 30.0},
        ),
        ("media_edge", Outcome.REFUSED, {}, {"media_edge_ok_ratio": 0.0}),
        ("media_edge", Outcome.NOT_CONFIGURED, {}, {}),
        ("path", Outcome.OK, {"gateway_rtt_ms": 3.0}, {"gateway_poor_ratio": 0.0}),
        (
            "path",
            Outcome.TIMEOUT,
            {"gateway_rtt_ms": 3.0, "gateway_loss_ratio": 0.3},
            {"gateway_poor_ratio": 1.0},
        ),
        (
            "path",
            Outcome.OK,
            {"provider_rtt_ms": 9.0, "provider_loss_ratio": 0.125},
            {"provider_loss_mean_ratio": 0.125, "provider_rtt_p95_ms": 9.0},
        ),
        (
            "path",
            Outcome.OK,
            {"edge_rtt_ms": 19.0, "edge_loss_ratio": 0.0},
            {"edge_loss_mean_ratio": 0.0, "edge_rtt_p95_ms": 19.0},
        ),
        ("path", Outcome.NAME_NOT_FOUND, {}, {}),
        (
            "wifi",
            Outcome.OK,
            {"signal_dbm": -80, "band_ghz": 2.4},
            {"wifi_weak_ratio": 1.0, "signal_p50_dbm": -80.0, "band_2_4_ratio": 1.0},
        ),
        ("wifi", Outcome.OK, {"band_ghz": 5.0}, {"band_2_4_ratio": 0.0}),
        ("wifi", Outcome.NOT_PERMITTED, {}, {}),
        ("laptop", Outcome.OK, {"cpu_ratio": 0.95}, {"laptop_busy_ratio": 1.0}),
        (
            "laptop",
            Outcome.OK,
            {"cpu_ratio": 0.2, "memory_ratio": 0.6},
            {"laptop_busy_ratio": 0.0},
        ),
        ("bandwidth", Outcome.OK, {"bufferbloat": "F"}, {"bufferbloat_poor_ratio": 1}),
        ("bandwidth", Outcome.OK, {"down_bps": 5.0}, {"down_bps_p50": 5.0}),
        ("bandwidth", Outcome.BUDGET_SPENT, {}, {}),
    ],
)
def test_failed_not_present_and_not_measured_differ(
    kind: str, outcome: Outcome, fields: dict[str, Value], expected: dict[str, Value]
) -> None:
    rows = results(range(12), kind, {"outcome": outcome.value, **fields}, T0_MS)
    for sample in window_of(rows, T0_MS).samples(END_MS):
        weights = {
            weight
            for name in sample.fields
            if (weight := CATALOGUE.measurement("experience").field(name).weight)
        }
        assert weights <= set(sample.fields)
        causes = {name for name in sample.fields if name.startswith("cause_")}
        assert bool(causes) == (kind == "call_path" and bool(expected))
        apart = (causes | weights | {"mostly", "calls_once", "call_tests"}) - {"calls"}
        own = {n: v for n, v in sample.fields.items() if n not in apart}
        assert own == {"agents": 10, **expected}
        check_sample(sample, CATALOGUE)


@pytest.mark.parametrize(
    ("kind", "outcome", "values", "text"),
    [
        ("call_path", Outcome.OK, {"poor": 1, "mos_estimated": 2.0}, "measured"),
        ("call_path", Outcome.TIMEOUT, {}, figure_text.FAILED),
        ("call_path", Outcome.OK, {"poor": 0}, figure_text.TOO_FEW),
        ("call_path", Outcome.NO_NETWORK, {}, figure_text.NOT_MEASURED),
        ("web", Outcome.OK, {}, figure_text.NOT_MEASURED),
    ],
)
def test_a_group_states_why_its_calls_have_no_figures_in_the_words_of_the_pages(
    kind: str, outcome: Outcome, values: dict[str, Value], text: str
) -> None:
    rows = results(range(12), kind, {"outcome": outcome.value, **values}, T0_MS)
    texts = {
        sample.fields["call_tests"] for sample in window_of(rows, T0_MS).samples(END_MS)
    }
    assert texts == {text}


def test_a_group_without_calls_does_not_show_whether_it_has_few_or_none() -> None:
    elsewhere = place_of(home_site="depot")
    for tested in (0, 5):
        rows = [
            *calls(range(20), place_of()),
            *agent_rows(range(30, 50), "agent", elsewhere),
            *calls(range(30, 30 + tested), elsewhere),
        ]
        shown = shown_groups(rows)
        assert shown["all", "all"]["call_tests"] == "measured"
        assert shown["home_site", "depot"]["call_tests"] == "too few laptops"


def test_every_figure_of_a_group_has_its_weight_and_laptops_are_rounded() -> None:
    kinds: list[tuple[str, dict[str, Value]]] = [
        ("call_path", {"poor": 0, "loss_ratio": 0.0, "mos_estimated": 4.0}),
        ("web", {}),
        ("name_lookup", {}),
        (
            "vpn",
            {
                "up": 1,
                "teams_way": "tunnelled",
                "reconnects": 0,
                "connect_s": 6.0,
                **dict.fromkeys(("tunnel_rtt_ms", "direct_rtt_ms"), 20.0),
                **dict.fromkeys(("tunnel_loss_ratio", "direct_loss_ratio"), 0.0),
            },
        ),
        ("wifi", {"signal_dbm": -60, "band_ghz": 5.0}),
        ("laptop", {"cpu_ratio": 0.1}),
        ("bandwidth", {"down_bps": 1e7, "up_bps": 1e6, "bufferbloat": "A"}),
    ]
    rows = [
        row
        for kind, fields in kinds
        for time_ms in (T0_MS, T0_MS + 1000)
        for row in results(range(13), kind, {"outcome": "ok", **fields}, time_ms)
    ]
    [shown] = [
        s.fields
        for s in window_of(rows, T0_MS).samples(END_MS)
        if s.tags["by"] == "all"
    ]
    declared = CATALOGUE.measurement("experience")
    unweighted = {"agents", "calls_once", "mostly", "call_tests"}
    weights = {declared.field(name).weight for name in shown} - {""}
    assert {n for n in shown if not declared.field(n).weight} == unweighted | weights
    # 13 laptops, 26 results of each kind: only calls are exact.
    counts = {name: shown[name] for name in weights}
    assert (counts.pop("calls"), counts.pop("loss_calls")) == (26, 26)
    assert {n for name, n in counts.items() if name.endswith("_laptops")} == {15}
    assert {n for name, n in counts.items() if not name.endswith("_laptops")} == {25}


@pytest.mark.parametrize(("held", "line"), [({}, 1.0), ({"up_at_least": 1}, 0.0)])
def test_a_speed_test_that_was_limited_does_not_blame_the_line(
    held: dict[str, Value], line: float
) -> None:
    speed: dict[str, Value] = {"down_bps": 1e8, "up_bps": 1e5, **held}
    rows = [
        *results(range(12), "call_path", {"outcome": "ok", "poor": 1}, T0_MS),
        *results(range(12), "bandwidth", {"outcome": "ok", **speed}, T0_MS),
    ]
    samples = window_of(rows, T0_MS).samples(END_MS)
    everybody = next(s for s in samples if s.tags["by"] == "all")
    assert everybody.fields["cause_line_ratio"] == line


@settings(max_examples=60, deadline=None)
@given(
    slots=st.lists(
        st.tuples(st.integers(10, 60), st.integers(0, 10), st.integers(0, 4)),
        min_size=1,
        max_size=12,
    ),
    split=st.sampled_from([(300, 900), (300, 300), (60, 60), (900, 1800), (60, 900)]),
)
def test_a_figure_weighted_over_any_windows_is_that_of_the_calls_themselves(
    slots: list[tuple[int, int, int]], split: tuple[int, int]
) -> None:
    """Each slot has a number of calls, of poor ones, and whether packets were lost."""
    period_s, window_s = split
    config = GroupsConfig(period_s=period_s, window_s=window_s)
    window = ExperienceWindow(config)
    for at, (count, poor, lost) in enumerate(slots):
        time_ms = T0_MS + at * PERIOD_MS + 7
        rows = [
            Sample(
                "call_path",
                row.tags,
                {"outcome": "ok", "poor": 1}
                if n < poor
                else {"outcome": "ok", "poor": 0, "loss_ratio": 0.25 if lost else 0.0},
                time_ms,
            )
            for n, row in enumerate(results(range(count), "call_path", {}, time_ms))
        ]
        window.add(batch_samples(rows, "x", time_ms)[0])
    last_ms = T0_MS + len(slots) * PERIOD_MS + 2 * window_s * 1000
    ends = range(
        T0_MS // (period_s * 1000) * period_s * 1000, last_ms + 1, period_s * 1000
    )
    shown = [
        s.fields for end in ends for s in window.samples(end) if s.tags["by"] == "all"
    ]

    def figure(name: str, weight: str) -> float:
        known = [fields for fields in shown if name in fields]
        total = sum(float(fields[weight]) for fields in known)
        return sum(float(e[name]) * float(e[weight]) for e in known) / total

    calls_made = sum(count for count, _, _ in slots)
    all_poor = sum(poor for _, poor, _ in slots)
    assert figure("call_poor_ratio", "calls") == pytest.approx(all_poor / calls_made)
    assert sum(float(e["calls_once"]) for e in shown) == pytest.approx(calls_made)
    losses = [(c - p, 0.25 if lost else 0.0) for c, p, lost in slots]
    if all(known >= LEAST for known, _ in losses):
        loss = sum(n * value for n, value in losses) / sum(n for n, _ in losses)
        assert figure("loss_mean_ratio", "loss_calls") == pytest.approx(loss)
