"""Links, parents and uplinks follow from the neighbours that devices report."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from topology_estates import batches, estate, report_both, reports

from collectors.topology import (
    DeviceNeighbour,
    LocalSystem,
    build_graph,
)
from collectors.topology.neighbour_records import from_batch
from collectors.topology.site_graph import same_port


def test_parents_lead_to_the_device_with_the_line() -> None:
    graph = build_graph(
        estate("router", "core", "access", line_on="router"),
        report_both("router", "Gi0/1", "core", "Te1")
        + report_both("core", "Gi1", "access", "Gi24"),
        {},
    )
    assert dict(graph.parents) == {"core": "router", "access": "core"}
    assert graph.discovered == {"core", "access"}
    assert dict(graph.uplinks) == {"core": ("Te1",), "access": ("Gi24",)}
    assert [(link.a, link.b, link.both_ways) for link in graph.links] == [
        ("access", "core", True),
        ("core", "router", True),
    ]
    assert graph.findings == ()


def test_the_parent_of_a_device_with_two_paths_is_where_they_meet() -> None:
    """Two cores: neither of them explains why the access switch is silent."""
    graph = build_graph(
        estate("router", "core-1", "core-2", "access", line_on="router"),
        report_both("router", "1", "core-1", "1")
        + report_both("router", "2", "core-2", "1")
        + report_both("core-1", "2", "core-2", "2")
        + report_both("core-1", "3", "access", "23")
        + report_both("core-2", "3", "access", "24"),
        {},
    )
    assert dict(graph.parents) == {
        "core-1": "router",
        "core-2": "router",
        "access": "router",
    }
    assert graph.uplinks["access"] == ("23", "24")
    # The link between the cores leads nowhere nearer.
    assert graph.uplinks["core-1"] == ("1",)


def test_a_device_with_two_exits_has_no_parent() -> None:
    graph = build_graph(
        estate(
            {"id": "r1", "role": "router"}, {"id": "r2", "role": "router"}, "access"
        ),
        report_both("r1", "1", "access", "1") + report_both("r2", "1", "access", "2"),
        {},
    )
    assert dict(graph.parents) == {}
    assert graph.uplinks["access"] == ("1", "2")


def test_the_configured_parent_counts_and_a_contradiction_is_reported() -> None:
    graph = build_graph(
        estate(
            "router",
            "core",
            {"id": "access", "parent": "router"},
            {"id": "moved", "parent": "lone"},
            "lone",
            line_on="router",
        ),
        report_both("router", "1", "core", "1")
        + report_both("core", "2", "access", "1")
        + report_both("core", "3", "moved", "1"),
        {},
    )
    assert graph.parents["access"] == "router"
    assert graph.parents["moved"] == "lone"
    assert "access" not in graph.discovered
    (finding,) = (text for text in graph.findings if text.startswith("moved"))
    assert "its parent in the estate is lone, but it is seen behind" in finding
    # A parent further up is not a contradiction: a device in between may be left out.
    assert not any(text.startswith("access") for text in graph.findings)


def test_a_configured_parent_joins_parts_that_report_no_neighbours() -> None:
    """A site's router across the supplier's network, and the switches behind it."""
    graph = build_graph(
        estate("hq", {"id": "branch", "parent": "hq"}, "access", line_on="branch"),
        report_both("branch", "2", "access", "24"),
        {},
    )
    assert dict(graph.parents) == {"branch": "hq", "access": "branch"}


def test_a_discovered_parent_never_makes_a_loop_with_configured_ones() -> None:
    graph = build_graph(
        estate(
            "router", {"id": "core", "parent": "access"}, "access", line_on="router"
        ),
        report_both("router", "1", "core", "1")
        + report_both("core", "2", "access", "1"),
        {},
    )
    assert graph.parents["core"] == "access"
    visited, at = set(), "core"
    while at in graph.parents:
        assert at not in visited
        visited.add(at)
        at = graph.parents[at]


def test_a_part_without_an_exit_has_no_parents_and_is_reported() -> None:
    graph = build_graph(estate("a", "b"), report_both("a", "1", "b", "1"), {})
    assert dict(graph.parents) == {}
    assert "the way out of the site is not known" in graph.findings[0]


def test_a_bundle_is_one_link_of_several_cables() -> None:
    graph = build_graph(
        estate("core", "access", line_on="core"),
        report_both("core", "Te1/1", "access", "Te1")
        + report_both("core", "Te2/1", "access", "Te2"),
        {},
    )
    (link,) = graph.links
    assert link.ports == (("Te1", "Te1/1"), ("Te2", "Te2/1"))
    assert graph.uplinks["access"] == ("Te1", "Te2")


def test_one_cable_reported_by_lldp_cdp_and_both_ends_is_one_link() -> None:
    graph = build_graph(
        estate("core", "access", line_on="core"),
        [
            reports("core", "Gi1/0/1", "access", "00:11:22:33:44:55", protocol="lldp"),
            reports("core", "Gi1/0/1", "access", "GigabitEthernet0/24", protocol="cdp"),
            reports("access", "Gi0/24", "core.example.org", "GigabitEthernet1/0/1"),
        ],
        {},
    )
    (link,) = graph.links
    assert link.ports == (("Gi0/24", "Gi1/0/1"),)
    assert link.both_ways


@pytest.mark.parametrize(
    ("neighbour", "device"),
    [
        (reports("a", "1", "whatever", remote_address="10.0.0.2"), "b"),
        (reports("a", "1", "B.example.gov.uk"), "b"),
        (reports("a", "1", "sw-yard.example.gov.uk"), "b"),
        (reports("a", "1", "b(FOC1234X0AB)"), "b"),
        (reports("a", "1", "", remote_chassis="0200.0000.0009"), "b"),
        (reports("a", "1", "c"), None),
        (reports("a", "1", "", remote_chassis="00:00:00:00:00:00"), None),
        # A name of two devices identifies neither.
        (reports("a", "1", "twin"), None),
    ],
)
def test_a_neighbour_is_known_by_chassis_address_or_name(
    neighbour: DeviceNeighbour, device: str | None
) -> None:
    named = [{"id": f"t{n}", "name": "twin"} for n in (1, 2)]
    systems = {
        "b": LocalSystem("b", "SW-Yard", "02:00:00:00:00:09"),
        "t1": LocalSystem("t1", "", "00:00:00:00:00:00"),
    }
    graph = build_graph(estate("a", "b", *named), [neighbour], systems)
    if device is None:
        assert graph.links == ()
        assert [neighbour.port for neighbour in graph.unknown] == ["1"]
    else:
        assert [link.b for link in graph.links] == [device]
        assert graph.unknown == ()


def test_a_link_that_only_one_end_reports_is_a_finding() -> None:
    systems = {"a": LocalSystem("a"), "b": LocalSystem("b")}
    graph = build_graph(
        estate("a", "b", line_on="a"), [reports("b", "1", "a", "2")], systems
    )
    assert not graph.links[0].both_ways
    assert graph.parents["b"] == "a"
    assert "b has a as a neighbour, but a does not have b" in graph.findings[0]
    # A device that was never polled is not expected to report.
    assert (
        build_graph(
            estate("a", "b", line_on="a"), [reports("b", "1", "a")], {}
        ).findings
        == ()
    )


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("Gi1/0/1", "GigabitEthernet1/0/1", True),
        ("Te1/1/1", "TenGigabitEthernet1/1/1", True),
        ("GE 0/1", "ge 0/1", True),
        ("Gi1/0/1", "Gi1/0/11", False),
        ("Gi1/0/1", "Te1/0/1", False),
        ("1", "2", False),
        ("", "", True),
        ("lan", "ge0", False),
    ],
)
def test_two_names_of_one_port_are_recognised(a: str, b: str, same: bool) -> None:
    assert same_port(a, b) is same


names = st.sampled_from(["d0", "d1", "d2", "d3", "d4"])


@given(
    st.lists(st.tuples(names, names), max_size=12),
    st.dictionaries(names, names, max_size=3),
    st.sampled_from(["", "d0", "d3"]),
    st.randoms(),
)
def test_parents_never_make_a_loop_or_depend_on_the_order(
    pairs: list[tuple[str, str]],
    by_hand: dict[str, str],
    line_on: str,
    dice: random.Random,
) -> None:
    parents: dict[str, str] = {}
    for child, parent in by_hand.items():
        at: str | None = parent
        while at is not None and at != child:
            at = parents.get(at)
        if at is None:
            parents[child] = parent
    here = estate(
        *({"id": f"d{n}", "parent": parents.get(f"d{n}")} for n in range(5)),
        line_on=line_on,
    )
    neighbours = [reports(a, f"p{n}", b) for n, (a, b) in enumerate(pairs)]
    graph = build_graph(here, neighbours, {})
    assert {k: v for k, v in graph.parents.items() if k in parents} == parents
    for start in graph.parents:
        at, steps = start, 0
        while at in graph.parents:
            at = graph.parents[at]
            steps += 1
            assert steps <= 5
    dice.shuffle(neighbours)
    assert build_graph(here, neighbours, {}) == graph


def test_records_survive_the_way_through_batches() -> None:
    neighbours = [
        reports("a", "1", "b", "2", remote_chassis="02"),
        reports("a", "3", "c"),
    ]
    read = [
        record
        for batch in batches("a", neighbours, 5)
        for _, record in from_batch(batch)
    ]
    assert read == [LocalSystem("a", "A", ""), *neighbours]
