"""Groups of agents: none that is too small, and none that can be worked out."""

from collections.abc import Iterable, Sequence
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from collectors.batch import gather
from collectors.experience.agent_results import AgentPlace, AgentResults
from collectors.experience.disclosure_control import Cells, Name, Sum, showable
from collectors.experience.groups import (
    ALL,
    ExperienceWindow,
    GroupsConfig,
    experience,
    groups_of,
    lines_of,
)
from collectors.experience.vector_span import Span
from collectors.server_measurements import CATALOGUE
from probes.wire.catalogue import check_sample
from probes.wire.failure import Outcome
from probes.wire.sample import Sample, Value

LEAST = 10
PERIOD_MS = 300_000
T0_MS = 1_700_000_100_000 // PERIOD_MS * PERIOD_MS


def where(
    place: str = "home",
    site: str = "unknown",
    home_site: str = "town-hall",
    provider: str = "bt",
    connection: str = "wifi",
    vpn: str = "unknown",
) -> AgentPlace:
    return AgentPlace(place, site, home_site, provider, connection, vpn)


def calls(
    agents: Iterable[int], at: AgentPlace, poor: float = 0.0
) -> list[AgentResults]:
    values = (poor, 4.0, 20.0, 0.01, 3.0)
    return [
        AgentResults(T0_MS, T0_MS, f"a{i}", at, "call_path", "reflector", values)
        for i in agents
    ]


def shown(
    rows: Sequence[AgentResults], least: int = LEAST
) -> dict[Name, dict[str, Value]]:
    return {
        (s.tags["by"], s.tags["group"]): s.fields for s in experience(rows, 0, least)
    }


def test_a_group_is_shown_from_ten_agents_on() -> None:
    assert shown(calls(range(9), where())) == {}
    found = shown(calls(range(10), where()))
    assert found["all", "all"]["agents"] == 10
    assert found["home_site_place", "town-hall/home"]["calls"] == 10


def test_a_single_hidden_group_hides_the_smallest_shown_one_with_it() -> None:
    rows = [
        *calls(range(30), where(provider="bt")),
        *calls(range(100, 112), where(provider="sky")),
        *calls(range(200, 203), where(provider="tiny")),
    ]
    found = shown(rows)
    assert ("all", "all") in found
    assert ("provider", "bt") in found
    assert ("provider", "sky") not in found
    assert ("provider", "tiny") not in found


def test_hidden_groups_that_are_few_together_hide_another() -> None:
    rows = [
        *calls(range(30), where(provider="bt")),
        *calls(range(100, 112), where(provider="sky")),
        *calls(range(200, 203), where(provider="tiny")),
        *calls(range(300, 304), where(provider="small")),
    ]
    assert ("provider", "sky") not in shown(rows)


def test_an_office_is_not_told_by_the_sites_in_it() -> None:
    rows = [
        *calls(range(40), where("home")),
        *calls(range(100, 120), where("office", "town-hall")),
        *calls(range(200, 206), where("office", "depot")),
    ]
    found = shown(rows)
    assert ("site", "depot") not in found
    assert (("site", "town-hall") in found) != (("place", "office") in found)


SPEEDS = (1e6, 1e5, None, None, None)


def test_each_figure_has_enough_agents_of_its_own() -> None:
    rows = calls(range(30), where())
    rows += [
        AgentResults(T0_MS, T0_MS, f"a{i}", where(), "bandwidth", "reflector", SPEEDS)
        for i in range(9)
    ]
    found = shown(rows)["all", "all"]
    assert found["calls"] == 30
    assert "down_bps_p50" not in found


def test_a_figure_that_few_could_give_is_left_out() -> None:
    rows = calls(range(30), where())
    rows = [
        AgentResults(
            r.time_ms, 0, r.agent, r.where, r.kind, r.target, (1.0, None, 9.0, 1.0, 1.0)
        )
        if int(r.agent[1:]) >= 9
        else r
        for r in rows
    ]
    found = shown(rows)["all", "all"]
    assert found["call_poor_ratio"] == 0.7
    assert "mos_estimated_p50" not in found
    assert found["rtt_p95_ms"] == 20.0


def test_a_mean_that_few_gave_is_not_told_by_the_means_around_it() -> None:
    bt = calls(range(30), where(provider="bt"))
    sky = calls(range(100, 112), where(provider="sky"))
    silent = [
        AgentResults(
            0, 0, r.agent, r.where, r.kind, r.target, (1.0, None, None, None, None)
        )
        for r in sky[3:]
    ]
    found = shown([*bt, *sky[:3], *silent])
    assert {"call_poor_ratio", "calls"} <= set(found["provider", "sky"])
    assert "loss_mean_ratio" not in found["provider", "sky"]
    assert "loss_mean_ratio" in found["all", "all"]
    assert "loss_mean_ratio" not in found["provider", "bt"]


def test_agents_are_rounded_to_five() -> None:
    for agents, told in ((10, 10), (12, 10), (13, 15), (17, 15), (18, 20)):
        assert shown(calls(range(agents), where()))["all", "all"]["agents"] == told


PLACES = st.builds(
    where,
    place=st.sampled_from(["home", "office", "elsewhere"]),
    site=st.sampled_from(["s1", "s2", "s3"]),
    home_site=st.sampled_from(["s1", "s2", "s3", "s4"]),
    provider=st.sampled_from(["p1", "p2", "p3"]),
    connection=st.sampled_from(["wifi", "wired"]),
    vpn=st.sampled_from(["GlobalProtect", "WireGuard", "down"]),
)


@st.composite
def populations(draw: st.DrawFn) -> list[AgentResults]:
    """Clumps of agents at places, some of whom move to another within the window."""
    rows: list[AgentResults] = []
    agents = 0
    for place in draw(st.lists(PLACES, min_size=1, max_size=14)):
        size = draw(st.sampled_from([1, 2, 4, 7, 9, 10, 11, 15, 30]))
        overlap = draw(st.sampled_from([0, 0, 0, 3]))
        first = max(0, agents - overlap)
        rows += calls(range(first, first + size), place)
        agents = first + size
    return rows


def atoms_of(rows: Sequence[AgentResults]) -> dict[AgentPlace, set[str]]:
    atoms: dict[AgentPlace, set[str]] = {}
    for row in rows:
        atoms.setdefault(row.where, set()).add(row.agent)
    return atoms


def spans(vectors: Sequence[Sequence[int]], wanted: Sequence[int]) -> bool:
    """True where `wanted` is a sum of multiples of `vectors` (exact)."""
    basis: list[tuple[int, list[Fraction]]] = []

    def reduced(vector: Sequence[int]) -> list[Fraction]:
        left = [Fraction(v) for v in vector]
        for pivot, row in basis:
            if factor := left[pivot]:
                left = [a - factor * b for a, b in zip(left, row, strict=True)]
        return left

    for vector in vectors:
        left = reduced(vector)
        pivot = next((i for i, v in enumerate(left) if v), None)
        if pivot is not None:
            basis.append((pivot, [v / left[pivot] for v in left]))
    return not any(reduced(wanted))


def said(
    agents: Iterable[int], kind: str, at: AgentPlace, *values: Value | None
) -> list[AgentResults]:
    return [AgentResults(T0_MS, T0_MS, f"a{i}", at, kind, "r", values) for i in agents]


def poor_calls(agents: Iterable[int], at: AgentPlace) -> list[AgentResults]:
    return calls(agents, at, 1.0)


def wifi(agents: Iterable[int], at: AgentPlace, dbm: int) -> list[AgentResults]:
    return said(agents, "wifi", at, dbm, dbm, 0, None, None, 5.0, 0)


def test_a_group_is_told_where_its_poor_calls_break() -> None:
    rows = [
        *calls(range(30), where()),
        *poor_calls(range(30, 40), where()),
        *wifi(range(30, 36), where(), -84),
        *wifi(range(36, 40), where(), -50),
    ]
    found = shown(rows)["all", "all"]
    assert found["cause_wifi_ratio"] == pytest.approx(6 / 40)
    assert found["cause_unknown_ratio"] == pytest.approx(4 / 40)
    assert found["mostly"] == "the Wi-Fi"
    told = [v for n, v in found.items() if n.startswith("cause_")]
    assert sum(told) == found["call_poor_ratio"]


def test_a_weak_wifi_at_home_explains_no_poor_call_in_the_office() -> None:
    office = where("office", "town-hall")
    rows = [*wifi(range(20), where(), -84), *poor_calls(range(20), office)]
    assert shown(rows)["all", "all"]["cause_wifi_ratio"] == 0.0


def test_a_vpn_that_is_up_is_told_by_its_product() -> None:
    up, down = where(vpn="up"), where(vpn="down")
    vpn = (1, "WireGuard", 0, 30.0, 0.0, 20.0, 0.0, None, "tunnelled")
    rows = [
        *calls(range(12), up),
        *said(range(12), "vpn", up, *vpn),
        *calls(range(20, 32), down),
    ]
    found = shown(rows)
    assert {group for by, group in found if by == "vpn"} == {"WireGuard", "down"}
    assert found["vpn", "WireGuard"]["tunnel_added_p50_ms"] == 10.0
    assert found["vpn", "WireGuard"]["teams_tunnelled_ratio"] == 1.0


def test_the_wifi_of_a_laptop_on_a_cable_is_not_told() -> None:
    wired = where(connection="wired")
    found = shown([*calls(range(12), wired), *wifi(range(12), wired, -84)])
    assert "wifi_weak_ratio" not in found["all", "all"]


def test_a_path_of_half_an_hour_ago_still_counts_and_one_of_an_hour_ago_does_not() -> (
    None
):
    path = {"outcome": "ok", "gateway_rtt_ms": 70.0, "gateway_loss_ratio": 0.0}
    window = window_of(results(range(12), "path", path, T0_MS), T0_MS)
    for minutes, told in ((30, True), (60, False)):
        at_ms = T0_MS + minutes * 60_000
        poor = {"outcome": "ok", "poor": 1}
        for batch in gather(results(range(12), "call_path", poor, at_ms), "x", at_ms):
            window.add(batch)
        rows = window.samples(at_ms + PERIOD_MS)
        assert {s.fields["agents"] for s in rows} == {10}
        assert {"gateway_poor_ratio" in s.fields for s in rows} == {told}
        assert {s.fields["cause_wifi_ratio"] for s in rows} == {float(told)}
        window.forget(window.needs_after(at_ms + PERIOD_MS))


def test_a_word_for_an_outcome_that_we_do_not_know_says_only_that_one_was_heard() -> (
    None
):
    rows = results(range(12), "call_path", {"outcome": "sulking", "poor": 1}, T0_MS)
    told = window_of(rows, T0_MS).samples(T0_MS + PERIOD_MS)
    assert told
    assert all(sample.fields == {"agents": 10} for sample in told)


KINDS: dict[str, tuple[Value | None, ...]] = {
    "path": (9.0, 0.0, 12.0, 0.01, 20.0, 0.02),
    "teams_relay": (30.0, 1),
    "wifi": (-80, -84, 0, 20, 0.1, 2.4, 0),
    "laptop": (0.95, 1.0, 0.5, None, 0),
    "vpn": (1, "WireGuard", 0, 30.0, 0.0, 20.0, 0.0, 0, "split_out"),
    "bandwidth": (1e7, 1e6, "F", None, None),
}
FIELD_OF_KIND = {
    "path": "gateway_poor_ratio",
    "teams_relay": "relay_blocked_ratio",
    "wifi": "wifi_weak_ratio",
    "laptop": "laptop_busy_ratio",
    "vpn": "teams_tunnelled_ratio",
    "bandwidth": "bufferbloat_poor_ratio",
}


@settings(max_examples=80, deadline=None)
@given(
    rows=populations(),
    kind=st.sampled_from(sorted(KINDS)),
    share=st.sampled_from([1, 2, 3]),
)
def test_no_figure_that_only_some_gave_tells_of_fewer_than_least(
    rows: list[AgentResults], kind: str, share: int
) -> None:
    """Each ratio is shown only for groups of which no small one can be worked out, by
    the agents that gave it, exactly."""
    givers = [
        row
        for row in rows
        if int(row.agent[1:]) % share == 0
        and (kind != "wifi" or row.where.connection == "wifi")
    ]
    gave = [
        AgentResults(T0_MS, T0_MS, r.agent, r.where, kind, "r", KINDS[kind])
        for r in givers
    ]
    # A tunnel that is up is told by its product, which these are named by already.
    found = shown([*rows, *gave])
    atoms = atoms_of(givers)
    with_figure = [g for g, fields in found.items() if FIELD_OF_KIND[kind] in fields]
    told = [[int(g in groups_of(w)) for w in atoms] for g in with_figure]
    for group in {g for w in atoms for g in groups_of(w)}:
        agents = set().union(*(a for w, a in atoms.items() if group in groups_of(w)))
        if len(agents) < LEAST:
            assert group not in with_figure
            assert not spans(told, [int(group in groups_of(w)) for w in atoms])


@settings(max_examples=300, deadline=None)
@given(rows=populations())
def test_no_group_that_is_shown_stands_for_fewer_than_least(
    rows: list[AgentResults],
) -> None:
    atoms = atoms_of(rows)
    for group, fields in shown(rows).items():
        agents = set().union(*(a for w, a in atoms.items() if group in groups_of(w)))
        assert len(agents) >= LEAST
        assert fields["agents"] >= LEAST


@settings(max_examples=300, deadline=None)
@given(rows=populations())
def test_no_small_group_can_be_worked_out_within_its_partition(
    rows: list[AgentResults],
) -> None:
    """No sum or difference of what is shown of a partition, its total included, is a
    hidden group of fewer than LEAST agents, nor all its hidden groups together."""
    atoms = atoms_of(rows)
    found = shown(rows)
    groups = {g for w in atoms for g in groups_of(w)}

    def agents(names: Iterable[Name]) -> set[str]:
        wanted = set(names)
        return set().union(*(a for w, a in atoms.items() if wanted & set(groups_of(w))))

    def vector(names: Iterable[Name]) -> list[int]:
        wanted = set(names)
        return [int(bool(wanted & set(groups_of(w)))) for w in atoms]

    for line in lines_of(groups):
        told = [vector([g]) for g in {line.total, *line.parts} & set(found)]
        hidden = [g for g in line.parts if g not in found]
        for small in [*([h] for h in hidden), hidden]:
            if small and len(agents(small)) < LEAST:
                assert not spans(told, vector(small))


@settings(max_examples=200, deadline=None)
@given(rows=populations())
def test_no_small_group_can_be_worked_out_from_everything_shown(
    rows: list[AgentResults],
) -> None:
    """The same over all partitions at once, by exact linear algebra."""
    atoms = atoms_of(rows)
    found = shown(rows)
    told = [[int(g in groups_of(w)) for w in atoms] for g in found]
    for group in {g for w in atoms for g in groups_of(w)} - set(found):
        agents = set().union(*(a for w, a in atoms.items() if group in groups_of(w)))
        if len(agents) < LEAST:
            assert not spans(told, [int(group in groups_of(w)) for w in atoms])


def test_a_hidden_total_is_not_told_by_its_parts() -> None:
    people = [{f"{atom}-{i}" for i in range(n)} for atom, n in enumerate((20, 12, 3))]
    cells: dict[Name, list[int]] = {
        ALL: [0, 1, 2],
        ("x", "home"): [0],
        ("x", "office"): [1],
        ("x", "tiny"): [2],
        ("y", "hall"): [1],
    }
    lines = [
        Sum(ALL, (("x", "home"), ("x", "office"), ("x", "tiny"))),
        Sum(("x", "office"), (("y", "hall"),)),
    ]
    found = showable(Cells(people, cells), lines, 10)
    assert ALL in found
    assert not {("x", "home"), ("y", "hall")} <= found


def test_the_least_cannot_be_set_below_five() -> None:
    with pytest.raises(ValidationError):
        GroupsConfig(least=4)
    with pytest.raises(ValidationError, match="multiple of period_s"):
        GroupsConfig(period_s=300, window_s=700)


def results(
    agents: Iterable[int], kind: str, fields: dict[str, Value], time_ms: int
) -> list[Sample]:
    tags = {
        "home_site": "depot",
        "place": "home",
        "provider": "bt",
        "connection": "wifi",
        "target": "r",
    }
    return [Sample(kind, {"agent": f"a{i}", **tags}, fields, time_ms) for i in agents]


def window_of(
    samples: Iterable[Sample], received_ms: int, config: GroupsConfig | None = None
) -> ExperienceWindow:
    window = ExperienceWindow(config or GroupsConfig())
    for batch in gather(samples, "agent/x", received_ms):
        window.add(batch)
    return window


def test_a_row_stands_for_the_whole_window_before_the_end_of_its_period() -> None:
    window = ExperienceWindow(GroupsConfig())
    for at in range(3):
        time_ms = T0_MS + at * PERIOD_MS + 1
        rows = results(range(5 * at, 5 * at + 5), "agent", {"outcome": "ok"}, time_ms)
        window.add(gather(rows, "x", time_ms)[0])
    ends = [T0_MS + i * PERIOD_MS for i in range(1, 7)]
    agents = [
        {s.fields["agents"] for s in window.samples(end) if s.tags["by"] == "all"}
        for end in ends
    ]
    assert agents == [set(), {10}, {15}, {10}, set(), set()]
    assert {s.time_ms for s in window.samples(ends[2])} == {ends[1]}


def test_what_comes_late_counts_later_and_changes_nothing_that_was_told() -> None:
    config = GroupsConfig()
    end_ms = T0_MS + PERIOD_MS
    early = results(range(12), "agent", {"outcome": "ok"}, T0_MS)
    late = results(range(50, 70), "agent", {"outcome": "ok"}, T0_MS)
    window = window_of(early, T0_MS)
    before = window.samples(end_ms)
    window.add(gather(late, "x", end_ms + config.settle_s * 1000)[0])
    assert window.samples(end_ms) == before
    [told] = [s for s in window.samples(end_ms + PERIOD_MS) if s.tags["by"] == "all"]
    assert told.fields["agents"] == 30


def test_rows_of_last_week_or_of_tomorrow_are_not_taken() -> None:
    rows = results(range(20), "agent", {"outcome": "ok"}, T0_MS)
    assert len(window_of(rows, T0_MS + 7 * 86_400_000)) == 0
    assert len(window_of(rows, T0_MS - 86_400_000)) == 0


def test_the_same_row_twice_is_one_row() -> None:
    rows = results(range(12), "call_path", {"outcome": "ok", "poor": 1}, T0_MS)
    window = window_of([*rows, *rows], T0_MS)
    assert {s.fields["calls"] for s in window.samples(T0_MS + PERIOD_MS)} == {12}


@pytest.mark.parametrize(
    ("kind", "outcome", "fields", "told"),
    [
        ("call_path", Outcome.OK, {"poor": 0}, {"call_poor_ratio": 0.0, "calls": 12}),
        ("call_path", Outcome.TIMEOUT, {}, {"call_poor_ratio": 1.0, "calls": 12}),
        ("call_path", Outcome.NO_NETWORK, {}, {}),
        ("call_path", Outcome.METERED, {}, {}),
        ("web", Outcome.OK, {}, {"web_ok_ratio": 1.0}),
        ("web", Outcome.TLS_FAILED, {}, {"web_ok_ratio": 0.0}),
        ("web", Outcome.PAUSED, {}, {}),
        ("name_lookup", Outcome.NAME_SERVER_FAILED, {}, {"name_ok_ratio": 0.0}),
        ("vpn", Outcome.OK, {"up": 1}, {"vpn_up_ratio": 1.0}),
        ("vpn", Outcome.NOT_CONNECTED, {}, {"vpn_up_ratio": 0.0}),
        ("vpn", Outcome.NOT_PRESENT, {}, {}),
        ("vpn", Outcome.OK, {"up": 0, "teams_way": "tunnelled"}, {"vpn_up_ratio": 0.0}),
        (
            "teams_relay",
            Outcome.OK,
            {"rtt_ms": 30.0},
            {"relay_blocked_ratio": 0.0, "relay_rtt_p95_ms": 30.0},
        ),
        ("teams_relay", Outcome.UDP_BLOCKED, {}, {"relay_blocked_ratio": 1.0}),
        ("teams_relay", Outcome.NOT_CONFIGURED, {}, {}),
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
def test_failed_not_there_and_not_measured_are_three_things(
    kind: str, outcome: Outcome, fields: dict[str, Value], told: dict[str, Value]
) -> None:
    rows = results(range(12), kind, {"outcome": outcome.value, **fields}, T0_MS)
    for sample in window_of(rows, T0_MS).samples(T0_MS + PERIOD_MS):
        weights = {
            weight
            for name in sample.fields
            if (weight := CATALOGUE.measurement("experience").field(name).weight)
        }
        assert weights <= set(sample.fields)
        causes = {name for name in sample.fields if name.startswith("cause_")}
        assert bool(causes) == (kind == "call_path" and bool(told))
        apart = (causes | weights | {"mostly", "calls_once"}) - {"calls"}
        own = {n: v for n, v in sample.fields.items() if n not in apart}
        assert own == {"agents": 10, **told}
        check_sample(sample, CATALOGUE)


def test_laptops_in_offices_do_not_lower_the_share_of_vpns_that_are_up() -> None:
    up: dict[str, Value] = {"outcome": Outcome.OK.value, "up": 1}
    down: dict[str, Value] = {"outcome": Outcome.NOT_CONNECTED.value}
    office = [
        Sample(
            row.measurement, {**row.tags, "place": "office"}, row.fields, row.time_ms
        )
        for row in results(range(100, 130), "vpn", down, T0_MS)
    ]
    window = window_of([*results(range(12), "vpn", up, T0_MS), *office], T0_MS)
    shares = {
        (sample.tags["by"], sample.tags["group"]): sample.fields.get("vpn_up_ratio")
        for sample in window.samples(T0_MS + PERIOD_MS)
    }
    assert shares["place", "home"] == 1.0
    assert shares["all", "all"] == 1.0
    assert shares["place", "office"] is None


def test_every_figure_of_a_group_has_its_weight_and_laptops_are_rounded() -> None:
    kinds: list[tuple[str, dict[str, Value]]] = [
        ("call_path", {"poor": 0, "loss_ratio": 0.0, "mos_estimated": 4.0}),
        ("web", {}),
        ("name_lookup", {}),
        ("vpn", {"up": 1, "teams_way": "tunnelled"}),
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
    [found] = [
        s.fields
        for s in window_of(rows, T0_MS).samples(T0_MS + PERIOD_MS)
        if s.tags["by"] == "all"
    ]
    declared = CATALOGUE.measurement("experience")
    unweighted = {"agents", "calls_once", "mostly"}
    weights = {declared.field(name).weight for name in found} - {""}
    assert {n for n in found if not declared.field(n).weight} == unweighted | weights
    # 13 laptops, 26 results of each kind: only calls are told exactly.
    told = {name: found[name] for name in weights}
    assert (told.pop("calls"), told.pop("loss_calls")) == (26, 26)
    assert {n for name, n in told.items() if name.endswith("_laptops")} == {15}
    assert {n for name, n in told.items() if not name.endswith("_laptops")} == {25}


@pytest.mark.parametrize(("held", "line"), [({}, 1.0), ({"up_at_least": 1}, 0.0)])
def test_a_speed_test_that_was_held_back_blames_no_line(
    held: dict[str, Value], line: float
) -> None:
    speed: dict[str, Value] = {"down_bps": 1e8, "up_bps": 1e5, **held}
    rows = [
        *results(range(12), "call_path", {"outcome": "ok", "poor": 1}, T0_MS),
        *results(range(12), "bandwidth", {"outcome": "ok", **speed}, T0_MS),
    ]
    told = window_of(rows, T0_MS).samples(T0_MS + PERIOD_MS)
    everybody = next(s for s in told if s.tags["by"] == "all")
    assert everybody.fields["cause_line_ratio"] == line


@settings(max_examples=60, deadline=None)
@given(
    slots=st.lists(
        st.tuples(st.integers(10, 60), st.integers(0, 10), st.integers(0, 4)),
        min_size=1,
        max_size=12,
    ),
    split=st.sampled_from([(300, 900), (300, 300), (60, 60), (600, 1800), (60, 900)]),
)
def test_a_figure_weighted_over_any_windows_is_that_of_the_calls_themselves(
    slots: list[tuple[int, int, int]], split: tuple[int, int]
) -> None:
    """Each slot: so many calls, of which so many are poor, and so many without loss."""
    period_s, window_s = split
    config = GroupsConfig(period_s=period_s, window_s=window_s)
    window = ExperienceWindow(config)
    for at, (count, poor, lost) in enumerate(slots):
        time_ms = T0_MS + at * PERIOD_MS + 7
        rows = [
            Sample(
                "call_path",
                each.tags,
                {"outcome": "ok", "poor": 1}
                if n < poor
                else {"outcome": "ok", "poor": 0, "loss_ratio": 0.25 if lost else 0.0},
                time_ms,
            )
            for n, each in enumerate(results(range(count), "call_path", {}, time_ms))
        ]
        window.add(gather(rows, "x", time_ms)[0])
    last_ms = T0_MS + len(slots) * PERIOD_MS + window_s * 1000
    ends = range(T0_MS, last_ms + 1, period_s * 1000)
    found = [
        s.fields for end in ends for s in window.samples(end) if s.tags["by"] == "all"
    ]

    def figure(name: str, weight: str) -> float:
        known = [each for each in found if name in each]
        total = sum(float(each[weight]) for each in known)
        return sum(float(e[name]) * float(e[weight]) for e in known) / total

    calls_made = sum(count for count, _, _ in slots)
    all_poor = sum(poor for _, poor, _ in slots)
    assert figure("call_poor_ratio", "calls") == pytest.approx(all_poor / calls_made)
    assert sum(float(e["calls_once"]) for e in found) == pytest.approx(calls_made)
    losses = [(c - p, 0.25 if lost else 0.0) for c, p, lost in slots]
    if all(known >= LEAST for known, _ in losses):
        loss = sum(n * value for n, value in losses) / sum(n for n, _ in losses)
        assert figure("loss_mean_ratio", "loss_calls") == pytest.approx(loss)


@settings(max_examples=200, deadline=None)
@given(
    told=st.lists(st.integers(1, 2**8 - 1), max_size=7),
    secrets=st.lists(st.integers(1, 2**8 - 1), max_size=4),
)
def test_a_span_grows_until_a_secret_would_be_told(
    told: list[int], secrets: list[int]
) -> None:
    def bits(of: int) -> list[int]:
        return [of >> at & 1 for at in range(8)]

    span = Span(secrets, len(told))
    kept: list[list[int]] = []
    for one in told:
        safe = not any(spans([*kept, bits(one)], bits(secret)) for secret in secrets)
        assert span.tell(one) is safe
        if safe:
            kept.append(bits(one))
