"""No group that is too small is shown, and none can be worked out."""

from collections.abc import Iterable, Sequence
from fractions import Fraction

import pytest
from group_rows import (
    LEAST,
    T0_MS,
    calls,
    place_of,
    shown_groups,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from collectors.experience.agent_results import AgentPlace, AgentResult
from collectors.experience.disclosure_control import (
    Cells,
    GroupName,
    GroupSum,
    showable,
)
from collectors.experience.groups import GroupsConfig
from collectors.experience.vector_span import VectorSpan
from collectors.experience.window_groups import ALL, group_names, group_sums
from probes.wire.sample import Value

PLACES = st.builds(
    place_of,
    place=st.sampled_from(["home", "office", "elsewhere"]),
    site=st.sampled_from(["s1", "s2", "s3"]),
    home_site=st.sampled_from(["s1", "s2", "s3", "s4"]),
    provider=st.sampled_from(["p1", "p2", "p3"]),
    connection=st.sampled_from(["wifi", "wired"]),
    vpn=st.sampled_from(["GlobalProtect", "WireGuard", "down"]),
    team=st.sampled_from(["", "t1", "t2"]),
)


@st.composite
def populations(draw: st.DrawFn) -> list[AgentResult]:
    """Groups of agents at places; some move to another place within the window."""
    rows: list[AgentResult] = []
    agents = 0
    for place in draw(st.lists(PLACES, min_size=1, max_size=14)):
        size = draw(st.sampled_from([1, 2, 4, 7, 9, 10, 11, 15, 30]))
        overlap = draw(st.sampled_from([0, 0, 0, 3]))
        first = max(0, agents - overlap)
        rows += calls(range(first, first + size), place)
        agents = first + size
    return rows


def atoms_of(rows: Sequence[AgentResult]) -> dict[AgentPlace, set[str]]:
    atoms: dict[AgentPlace, set[str]] = {}
    for row in rows:
        atoms.setdefault(row.location, set()).add(row.agent)
    return atoms


def spans(vectors: Sequence[Sequence[int]], wanted: Sequence[int]) -> bool:
    """Returns True if `wanted` is a linear combination of `vectors` (exact)."""
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


KINDS: dict[str, tuple[Value | None, ...]] = {
    "path": (9.0, 0.0, 12.0, 0.01, 20.0, 0.02),
    "teams_relay": (30.0, 1),
    "media_edge": (30.0, 1),
    "wifi": (-80, -84, 0, 20, 0.1, 2.4, 0),
    "laptop": (0.95, 1.0, 0.5, None, 0),
    "vpn": (1, "WireGuard", 0, 30.0, 0.0, 20.0, 0.0, 0, "split_out", 6.0),
    "bandwidth": (1e7, 1e6, "F", None, None),
}


FIGURES = (
    ("path", "gateway_poor_ratio"),
    ("teams_relay", "relay_blocked_ratio"),
    ("media_edge", "media_edge_ok_ratio"),
    ("wifi", "wifi_weak_ratio"),
    ("laptop", "laptop_busy_ratio"),
    ("vpn", "teams_tunnelled_ratio"),
    ("vpn", "tunnel_loss_mean_ratio"),
    ("vpn", "vpn_connect_p50_s"),
    ("bandwidth", "bufferbloat_poor_ratio"),
)


def test_a_group_is_shown_from_ten_agents_on() -> None:
    assert shown_groups(calls(range(9), place_of())) == {}
    shown = shown_groups(calls(range(10), place_of()))
    assert shown["all", "all"]["agents"] == 10
    assert shown["home_site_place", "town-hall/home"]["calls"] == 10


def test_a_single_hidden_group_hides_the_smallest_shown_one_with_it() -> None:
    rows = [
        *calls(range(30), place_of(provider="bt")),
        *calls(range(100, 112), place_of(provider="sky")),
        *calls(range(200, 203), place_of(provider="tiny")),
    ]
    shown = shown_groups(rows)
    assert ("all", "all") in shown
    assert ("provider", "bt") in shown
    assert ("provider", "sky") not in shown
    assert ("provider", "tiny") not in shown


def test_hidden_groups_that_are_few_together_hide_another() -> None:
    rows = [
        *calls(range(30), place_of(provider="bt")),
        *calls(range(100, 112), place_of(provider="sky")),
        *calls(range(200, 203), place_of(provider="tiny")),
        *calls(range(300, 304), place_of(provider="small")),
    ]
    assert ("provider", "sky") not in shown_groups(rows)


def test_an_office_cannot_be_worked_out_from_its_sites() -> None:
    rows = [
        *calls(range(40), place_of("home")),
        *calls(range(100, 120), place_of("office", "town-hall")),
        *calls(range(200, 206), place_of("office", "depot")),
    ]
    shown = shown_groups(rows)
    assert ("site", "depot") not in shown
    assert (("site", "town-hall") in shown) != (("place", "office") in shown)


SPEEDS = (1e6, 1e5, None, None, None)


def test_each_figure_has_enough_agents_of_its_own() -> None:
    rows = calls(range(30), place_of())
    rows += [
        AgentResult(T0_MS, T0_MS, f"a{i}", place_of(), "bandwidth", "reflector", SPEEDS)
        for i in range(9)
    ]
    shown = shown_groups(rows)["all", "all"]
    assert shown["calls"] == 30
    assert "down_bps_p50" not in shown


def test_a_figure_that_few_agents_have_is_left_out() -> None:
    rows = calls(range(30), place_of())
    rows = [
        AgentResult(
            r.time_ms,
            0,
            r.agent,
            r.location,
            r.kind,
            r.target,
            (1.0, None, 9.0, 1.0, 1.0),
        )
        if int(r.agent[1:]) >= 9
        else r
        for r in rows
    ]
    shown = shown_groups(rows)["all", "all"]
    assert shown["call_poor_ratio"] == 0.7
    assert "mos_estimated_p50" not in shown
    assert shown["rtt_p95_ms"] == 20.0


def test_a_mean_of_few_agents_cannot_be_worked_out_from_other_means() -> None:
    bt = calls(range(30), place_of(provider="bt"))
    sky = calls(range(100, 112), place_of(provider="sky"))
    without_loss = [
        AgentResult(
            0, 0, r.agent, r.location, r.kind, r.target, (1.0, None, None, None, None)
        )
        for r in sky[3:]
    ]
    shown = shown_groups([*bt, *sky[:3], *without_loss])
    assert {"call_poor_ratio", "calls"} <= set(shown["provider", "sky"])
    assert "loss_mean_ratio" not in shown["provider", "sky"]
    assert "loss_mean_ratio" in shown["all", "all"]
    assert "loss_mean_ratio" not in shown["provider", "bt"]


def test_agents_are_rounded_to_five() -> None:
    for agents, count in ((10, 10), (12, 10), (13, 15), (17, 15), (18, 20)):
        assert (
            shown_groups(calls(range(agents), place_of()))["all", "all"]["agents"]
            == count
        )


@settings(max_examples=80, deadline=None)
@given(
    rows=populations(),
    figure=st.sampled_from(FIGURES),
    share=st.sampled_from([1, 2, 3]),
)
def test_no_figure_that_only_some_agents_have_reveals_fewer_than_least(
    rows: list[AgentResult], figure: tuple[str, str], share: int
) -> None:
    """A ratio is shown only if no small group of the agents that have it can be worked
    out, checked by exact linear algebra."""
    kind, field = figure
    measured = [
        row
        for row in rows
        if int(row.agent[1:]) % share == 0
        and (kind != "wifi" or row.location.connection == "wifi")
    ]
    figure_rows = [
        AgentResult(T0_MS, T0_MS, r.agent, r.location, kind, "r", KINDS[kind])
        for r in measured
    ]
    # The places already have the product of a tunnel that is up.
    shown = shown_groups([*rows, *figure_rows])
    atoms = atoms_of(measured)
    with_figure = [g for g, fields in shown.items() if field in fields]
    vectors = [[int(g in group_names(w)) for w in atoms] for g in with_figure]
    for group in {g for w in atoms for g in group_names(w)}:
        agents = set().union(*(a for w, a in atoms.items() if group in group_names(w)))
        if len(agents) < LEAST:
            assert group not in with_figure
            assert not spans(vectors, [int(group in group_names(w)) for w in atoms])


@settings(max_examples=300, deadline=None)
@given(rows=populations())
def test_no_group_that_is_shown_stands_for_fewer_than_least(
    rows: list[AgentResult],
) -> None:
    atoms = atoms_of(rows)
    for group, fields in shown_groups(rows).items():
        agents = set().union(*(a for w, a in atoms.items() if group in group_names(w)))
        assert len(agents) >= LEAST
        assert fields["agents"] >= LEAST


@settings(max_examples=300, deadline=None)
@given(rows=populations())
def test_no_small_group_can_be_worked_out_within_its_partition(
    rows: list[AgentResult],
) -> None:
    """No sum or difference of the shown groups of a partition and its total is a hidden
    group of fewer than LEAST agents, nor all its hidden groups together."""
    atoms = atoms_of(rows)
    shown = shown_groups(rows)
    groups = {g for w in atoms for g in group_names(w)}

    def agents(names: Iterable[GroupName]) -> set[str]:
        wanted = set(names)
        return set().union(
            *(a for w, a in atoms.items() if wanted & set(group_names(w)))
        )

    def vector(names: Iterable[GroupName]) -> list[int]:
        wanted = set(names)
        return [int(bool(wanted & set(group_names(w)))) for w in atoms]

    for group_sum in group_sums(groups):
        vectors = [
            vector([g]) for g in {group_sum.total, *group_sum.parts} & set(shown)
        ]
        hidden = [g for g in group_sum.parts if g not in shown]
        for small in [*([h] for h in hidden), hidden]:
            if small and len(agents(small)) < LEAST:
                assert not spans(vectors, vector(small))


@settings(max_examples=200, deadline=None)
@given(rows=populations())
def test_no_small_group_can_be_worked_out_from_everything_shown(
    rows: list[AgentResult],
) -> None:
    """The same over all partitions at once, by exact linear algebra."""
    atoms = atoms_of(rows)
    shown = shown_groups(rows)
    vectors = [[int(g in group_names(w)) for w in atoms] for g in shown]
    for group in {g for w in atoms for g in group_names(w)} - set(shown):
        agents = set().union(*(a for w, a in atoms.items() if group in group_names(w)))
        if len(agents) < LEAST:
            assert not spans(vectors, [int(group in group_names(w)) for w in atoms])


def test_a_hidden_total_cannot_be_worked_out_from_its_parts() -> None:
    people = [{f"{atom}-{i}" for i in range(n)} for atom, n in enumerate((20, 12, 3))]
    cells: dict[GroupName, list[int]] = {
        ALL: [0, 1, 2],
        ("x", "home"): [0],
        ("x", "office"): [1],
        ("x", "tiny"): [2],
        ("y", "hall"): [1],
    }
    sums = [
        GroupSum(ALL, (("x", "home"), ("x", "office"), ("x", "tiny"))),
        GroupSum(("x", "office"), (("y", "hall"),)),
    ]
    shown = showable(Cells(people, cells), sums, 10)
    assert ALL in shown
    assert not {("x", "home"), ("y", "hall")} <= shown


def test_the_least_cannot_be_set_below_five() -> None:
    with pytest.raises(ValidationError):
        GroupsConfig(least=4)
    with pytest.raises(ValidationError, match="multiple of period_s"):
        GroupsConfig(period_s=300, window_s=700)


@settings(max_examples=200, deadline=None)
@given(
    sets=st.lists(st.integers(1, 2**8 - 1), max_size=7),
    secrets=st.lists(st.integers(1, 2**8 - 1), max_size=4),
)
def test_a_span_grows_until_it_would_contain_a_secret(
    sets: list[int], secrets: list[int]
) -> None:
    def bits(atoms: int) -> list[int]:
        return [atoms >> at & 1 for at in range(8)]

    span = VectorSpan(secrets, len(sets))
    kept: list[list[int]] = []
    for added in sets:
        safe = not any(spans([*kept, bits(added)], bits(secret)) for secret in secrets)
        assert span.add(added) is safe
        if safe:
            kept.append(bits(added))
