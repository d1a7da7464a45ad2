"""What explains devices that do not answer: links, two ways, missing parents."""

from __future__ import annotations

from typing import Any

import pytest
from virtual_council import MINUTE_MS, VirtualCouncil

from alerts.device_graph import DeviceGraph
from alerts.domain_functions import DOMAIN_FUNCTIONS
from alerts.estate_index import EstateIndex
from alerts.rule import ALERT_FUNCTIONS
from alerts.silence import Silence
from collectors.estate.estate_model import Estate
from collectors.topology import Link, TopologyGraph


def index(
    devices: dict[str, tuple[str, str]],
    links: list[tuple[str, str]],
    lines: list[dict[str, Any]] | None = None,
    unpolled: tuple[str, ...] = (),
) -> EstateIndex:
    """Devices are named with their site and parent; links are what LLDP reports."""
    estate = Estate.model_validate(
        {
            "sites": [
                {"id": s} | {"name": s} for s in {d[0] for d in devices.values()}
            ],
            "devices": [
                {
                    "id": id,
                    "site": site,
                    "address": f"10.0.0.{n}",
                    "parent": parent or None,
                    "poll": id not in unpolled,
                }
                for n, (id, (site, parent)) in enumerate(devices.items(), 1)
            ],
            "lines": [
                {"id": f"l{n}", "down_mbps": 1, "up_mbps": 1, "port": f"p{n}"} | line
                for n, line in enumerate(lines or [])
            ],
        }
    )
    heard = tuple(Link(a, b, ((f"to-{b}", f"to-{a}"),), True) for a, b in links)
    return EstateIndex(estate, topology=TopologyGraph(links=heard))


def graph(
    devices: dict[str, tuple[str, str]],
    links: list[tuple[str, str]],
    *more: Any,
    **also: Any,
) -> DeviceGraph:
    return index(devices, links, *more, **also).graph


HALL = dict.fromkeys(("core-1", "core-2", "dc", "edge", "floor"), ("hall", ""))


def test_a_dead_core_explains_what_only_it_reaches_also_where_a_line_ends() -> None:
    hall = graph(
        HALL,
        [("dc", "core-1"), ("dc", "core-2"), ("core-1", "edge"), ("core-2", "floor")],
        [{"site": "hall", "device": "edge"}],
    )
    causes = hall.explain({"core-1", "edge"})
    # The line of the edge leads away from Towpath's side: it answers by no other way.
    assert causes["core-1"] == ("core-1",)
    assert causes["edge"] == ("core-1",)


def test_a_device_with_two_uplinks_is_not_explained_by_one() -> None:
    hall = graph(
        HALL,
        [("dc", "core-1"), ("dc", "core-2"), ("core-1", "floor"), ("core-2", "floor")],
    )
    assert hall.explain({"core-1", "floor"})["floor"] == ("floor",)
    both = hall.explain({"core-1", "core-2", "floor"})
    assert both["floor"] == ("core-1", "core-2")


def test_a_way_that_was_cut_before_explains_nothing() -> None:
    hall = graph(
        HALL,
        [("dc", "core-1"), ("dc", "core-2"), ("core-1", "floor"), ("core-2", "floor")],
    )
    cut = {("floor", "core-2")}
    assert hall.explain({"core-1", "floor"}, cut)["floor"] == ("core-1",)
    assert hall.explain({"floor"}, cut)["floor"] == ("floor",)
    assert hall.explain({"floor"}, {*cut, ("floor", "core-1")})["floor"] == ("floor",)


@pytest.mark.parametrize("minutes_between", [1, 10])
def test_a_core_that_dies_after_the_other_link_of_a_floor_was_cut_is_one_page(
    minutes_between: int,
) -> None:
    links = [("dc", "core-1"), ("dc", "core-2"), ("core-1", "floor")]
    hall = index(HALL, [*links, ("core-2", "floor")])
    council = VirtualCouncil(estate_index=hall)

    def run(minutes: int, dead: tuple[str, ...] = (), cut: bool = False) -> None:
        for _ in range(minutes):
            for device in HALL:
                council.put("device", {}, {"up": int(device not in dead)}, device)
            port = {"up": int(not cut), "admin": 1, "expected_up": 1}
            council.put("interface", {"port": "to-floor"}, port, "core-2")
            council.wait(1)

    run(3)
    run(minutes_between, cut=True)
    run(8, ("core-1", "floor"), cut=True)
    core, cable = (
        "device_unreachable/device=core-1",
        "port_down/device=core-2,port=to-floor",
    )
    floor = "device_unreachable/device=floor"
    # What is cut at the same time may be the dead floor itself.
    expected = {1: {core, floor}, 10: {core, cable}}
    assert set(council.pages) == expected[minutes_between]
    [page] = [alert for alert in council.shown.values() if alert.key == core]
    if minutes_between > 3:
        assert page.sure == "Sure: all that does not answer is reached only through it."
    assert not any("not recorded" in seen.text for seen in page.evidence)


@pytest.mark.parametrize("dark", [1, 10])
def test_a_port_to_a_dead_device_is_no_page_when_the_way_to_it_is_mended(
    dark: int,
) -> None:
    """The router was cut off, and meanwhile the switch behind it has died."""
    links = [("dc", "core-1"), ("core-1", "edge"), ("edge", "floor")]
    council = VirtualCouncil(estate_index=index(HALL, links))

    def run(minutes: int, *dead: str) -> None:
        for _ in range(minutes):
            for device in HALL:
                council.put("device", {}, {"up": int(device not in dead)}, device)
            if "edge" not in dead:
                port = {"up": int("floor" not in dead), "admin": 1, "expected_up": 1}
                council.put("interface", {"port": "to-floor"}, port, "edge")
            council.wait(1)

    run(3)
    run(dark, "edge", "floor")
    run(10, "floor")
    floor = "device_unreachable/device=floor"
    edge = ["device_unreachable/device=edge"] if dark > 1 else []
    assert council.pages == [*edge, floor]


@pytest.mark.parametrize(
    ("answers", "paged"),
    [
        pytest.param("", "monitor_cut_off/", id="Towpath is cut off"),
        pytest.param("hub", "site_unreachable/site=b", id="a site is dark"),
    ],
)
def test_what_is_dark_stays_so_while_nothing_is_polled(
    answers: str, paged: str
) -> None:
    """Polls are spread, so the last rows do not grow too old at the same time."""
    branch = dict.fromkeys(("router", "switch"), ("b", ""))
    council = VirtualCouncil(estate_index=index({"hub": ("hall", ""), **branch}, []))
    for minute in range(8):
        for device in ("hub", *branch):
            up = minute < 3 or device == answers
            council.put("device", {}, {"up": int(up)}, device)
            council.wait(1 / 3)
    council.wait(20)
    assert council.pages == [paged]
    assert council.ended == []


def test_no_supplier_is_named_when_towpath_reaches_its_sites_again() -> None:
    sites = {f"r{n}": (f"s{n}", "hub") for n in range(6)}
    lines = [{"site": f"s{n}", "device": f"r{n}", "supplier": "Teme"} for n in range(6)]
    council = VirtualCouncil(
        estate_index=index({"hub": ("hall", ""), **sites}, [], lines)
    )

    def run(minutes: int, up: int) -> None:
        for _ in range(minutes):
            for n, device in enumerate(("hub", *sites)):
                council.put("device", {}, {"up": up}, device)
                if n % 2:
                    council.wait(0.25)
            council.wait(0.25)

    run(4, 1)
    run(12, 0)
    run(8, 1)
    assert council.pages == ["monitor_cut_off/"]


@pytest.mark.parametrize("recorded", [True, False])
def test_what_falls_silent_with_a_device_in_maintenance_waits_for_its_end(
    recorded: bool,
) -> None:
    """Nobody has recorded that the floor is behind the edge, or else that it is not."""
    floor = "core-2" if recorded else ""
    hall = {"core-2": ("hall", ""), "edge": ("hall", ""), "floor": ("hall", floor)}
    lines = [{"site": "hall", "device": "core-2"}]
    council = VirtualCouncil(estate_index=index(hall, [], lines))

    def run(minutes: int, *dead: str) -> None:
        for _ in range(minutes):
            for device in hall:
                council.put("device", {}, {"up": int(device not in dead)}, device)
            council.wait(1)

    run(12)
    until_ms = council.now_ms + 30 * MINUTE_MS
    council.silences = [Silence(0, council.now_ms, until_ms, device="edge")]
    run(10, "edge", "floor")
    paged = ["device_unreachable/device=floor"]
    assert council.pages == (paged if recorded else [])
    run(8, "floor")
    assert council.pages == paged


def test_a_parent_that_neighbours_show_further_away_is_no_link() -> None:
    hall = graph(
        {
            "core": ("hall", ""),
            "spread": ("hall", "core"),
            # The file skips the switch between.
            "access": ("hall", "core"),
        },
        [("core", "spread"), ("spread", "access")],
    )
    assert hall.explain({"spread", "access"})["access"] == ("spread",)


def test_a_device_without_any_link_is_behind_its_sites_way_out() -> None:
    branch = graph(
        {
            "hub": ("hall", ""),
            "router": ("b", "hub"),
            "switch": ("b", "router"),
            "stray": ("b", ""),
        },
        [],
    )
    assert branch.explain({"router", "switch", "stray"})["stray"] == ("router",)
    assert branch.explain({"hub", "router", "switch", "stray"})["stray"] == ("hub",)
    assert branch.explain({"stray"})["stray"] == ("stray",)


def test_a_part_of_a_site_without_a_link_to_its_way_out_is_behind_it() -> None:
    branch = graph(
        {
            "hub": ("hall", ""),
            "router": ("b", "hub"),
            "switch": ("b", ""),
            "ups": ("b", "switch"),
        },
        [],
    )
    assert branch.explain({"router", "switch", "ups"})["ups"] == ("router",)


def test_what_is_not_polled_is_on_the_way_but_never_the_cause() -> None:
    chain = {"core": ("hall", ""), "dumb": ("hall", "core"), "access": ("hall", "dumb")}
    hall = graph(chain, [], unpolled=("dumb",))
    assert hall.explain({"core", "access"})["access"] == ("core",)
    assert hall.explain({"access"})["access"] == ("access",)


def test_a_part_without_any_link_to_the_rest_begins_at_its_top() -> None:
    island = graph({"a": ("s", ""), "b": ("s", "a"), "c": ("s", "b")}, [])
    assert set(island.explain({"a", "b", "c"}).values()) == {("a",)}


def test_ports_lead_to_the_device_that_neighbours_report() -> None:
    hall = graph(HALL, [("core-1", "floor")])
    assert hall.leads_to["core-1", "to-floor"] == "floor"
    assert hall.ports_to("core-1", "floor") == ["to-floor"]


@pytest.mark.parametrize("name", ALERT_FUNCTIONS)
def test_every_function_of_alerts_that_a_rule_may_name_exists(name: str) -> None:
    assert set(ALERT_FUNCTIONS) == set(DOMAIN_FUNCTIONS)
    assert callable(DOMAIN_FUNCTIONS[name])
