"""Who hangs on whom: from what devices hear, the estate's own word above it."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from collectors.batch import Batch, check
from collectors.estate.estate_model import Estate
from collectors.server_measurements import CATALOGUE
from collectors.snmp import SnmpConfig
from collectors.snmp.polling.poller import Poller
from collectors.snmp.session.credentials import Credentials, credential
from collectors.store import open_store
from collectors.store.query import Query, Row
from collectors.topology import Sighting, TopologyView, Who, graph, topology_output
from collectors.topology.dominators import distances, dominators
from collectors.topology.sighting import rows, said
from collectors.topology.site_graph import same_port
from probes.wire.clock import wall_ms
from towpath.config import read
from towpath.demo.simulated_switches import (
    SimulatedNeighbour,
    SimulatedPort,
    SimulatedSwitch,
)

BIN = Path(sys.executable).parent


def estate(*devices: str | dict[str, Any], line_on: str = "", **more: Any) -> Estate:
    entries = []
    for number, device in enumerate(devices, 1):
        entry = {"id": device} if isinstance(device, str) else device
        entries.append({"site": "hall", "address": f"10.0.0.{number}", **entry})
    lines = []
    if line_on:
        line = {"id": "wan", "site": "hall", "device": line_on, "port": "wan0"}
        lines.append({**line, "down_mbps": 100, "up_mbps": 100})
    return Estate.model_validate(
        {
            "sites": [{"id": "hall", "name": "Hall"}],
            "devices": entries,
            "lines": lines,
            **more,
        }
    )


def hears(
    device: str, port: str, other: str, its_port: str = "", **more: str
) -> Sighting:
    return Sighting(device, port, remote_name=other, remote_port=its_port, **more)


def both(a: str, port: str, b: str, its_port: str) -> list[Sighting]:
    return [hears(a, port, b, its_port), hears(b, its_port, a, port)]


def test_a_tree_is_found_from_the_line() -> None:
    found = graph(
        estate("router", "core", "access", line_on="router"),
        both("router", "Gi0/1", "core", "Te1") + both("core", "Gi1", "access", "Gi24"),
        {},
    )
    assert dict(found.parents) == {"core": "router", "access": "core"}
    assert found.discovered == {"core", "access"}
    assert dict(found.uplinks) == {"core": ("Te1",), "access": ("Gi24",)}
    assert [(link.a, link.b, link.agreed) for link in found.links] == [
        ("access", "core", True),
        ("core", "router", True),
    ]
    assert found.findings == ()


def test_who_has_two_ways_hangs_on_where_they_meet() -> None:
    """Two cores: neither of them explains why the access switch is silent."""
    found = graph(
        estate("router", "core-1", "core-2", "access", line_on="router"),
        both("router", "1", "core-1", "1")
        + both("router", "2", "core-2", "1")
        + both("core-1", "2", "core-2", "2")
        + both("core-1", "3", "access", "23")
        + both("core-2", "3", "access", "24"),
        {},
    )
    assert dict(found.parents) == {
        "core-1": "router",
        "core-2": "router",
        "access": "router",
    }
    assert found.uplinks["access"] == ("23", "24")
    # The link between the cores leads nowhere nearer.
    assert found.uplinks["core-1"] == ("1",)


def test_two_ways_out_are_nobodys_parent() -> None:
    found = graph(
        estate(
            {"id": "r1", "role": "router"}, {"id": "r2", "role": "router"}, "access"
        ),
        both("r1", "1", "access", "1") + both("r2", "1", "access", "2"),
        {},
    )
    assert dict(found.parents) == {}
    assert found.uplinks["access"] == ("1", "2")


def test_the_estates_word_counts_and_a_contradiction_is_said() -> None:
    found = graph(
        estate(
            "router",
            "core",
            {"id": "access", "parent": "router"},
            {"id": "moved", "parent": "lone"},
            "lone",
            line_on="router",
        ),
        both("router", "1", "core", "1")
        + both("core", "2", "access", "1")
        + both("core", "3", "moved", "1"),
        {},
    )
    assert found.parents["access"] == "router"
    assert found.parents["moved"] == "lone"
    assert "access" not in found.discovered
    (finding,) = (each for each in found.findings if each.startswith("moved"))
    assert "the estate says it hangs on lone, but it is heard behind" in finding
    # A parent further up is no contradiction: it was left out on purpose.
    assert not any(each.startswith("access") for each in found.findings)


def test_a_parent_by_hand_joins_what_nobody_hears() -> None:
    """A site's router across the supplier's network, and the switches behind it."""
    found = graph(
        estate("hq", {"id": "branch", "parent": "hq"}, "access", line_on="branch"),
        both("branch", "2", "access", "24"),
        {},
    )
    assert dict(found.parents) == {"branch": "hq", "access": "branch"}


def test_no_parent_is_taken_that_makes_a_ring_with_the_estates() -> None:
    found = graph(
        estate(
            "router", {"id": "core", "parent": "access"}, "access", line_on="router"
        ),
        both("router", "1", "core", "1") + both("core", "2", "access", "1"),
        {},
    )
    assert found.parents["core"] == "access"
    seen, at = set(), "core"
    while at in found.parents:
        assert at not in seen
        seen.add(at)
        at = found.parents[at]


def test_a_part_without_a_way_out_has_no_parents_and_says_so() -> None:
    found = graph(estate("a", "b"), both("a", "1", "b", "1"), {})
    assert dict(found.parents) == {}
    assert "which way out they have is not known" in found.findings[0]


def test_a_bundle_is_one_link_of_several_cables() -> None:
    found = graph(
        estate("core", "access", line_on="core"),
        both("core", "Te1/1", "access", "Te1") + both("core", "Te2/1", "access", "Te2"),
        {},
    )
    (link,) = found.links
    assert link.ports == (("Te1", "Te1/1"), ("Te2", "Te2/1"))
    assert found.uplinks["access"] == ("Te1", "Te2")


def test_lldp_and_cdp_and_both_ends_tell_of_one_cable() -> None:
    found = graph(
        estate("core", "access", line_on="core"),
        [
            hears("core", "Gi1/0/1", "access", "00:11:22:33:44:55", protocol="lldp"),
            hears("core", "Gi1/0/1", "access", "GigabitEthernet0/24", protocol="cdp"),
            hears("access", "Gi0/24", "core.example.org", "GigabitEthernet1/0/1"),
        ],
        {},
    )
    (link,) = found.links
    assert link.ports == (("Gi0/24", "Gi1/0/1"),)
    assert link.agreed


@pytest.mark.parametrize(
    ("seen", "whose"),
    [
        (hears("a", "1", "whatever", remote_address="10.0.0.2"), "b"),
        (hears("a", "1", "B.example.gov.uk"), "b"),
        (hears("a", "1", "sw-yard.example.gov.uk"), "b"),
        (hears("a", "1", "b(FOC1234X0AB)"), "b"),
        (hears("a", "1", "", remote_chassis="0200.0000.0009"), "b"),
        (hears("a", "1", "c"), None),
        (hears("a", "1", "", remote_chassis="00:00:00:00:00:00"), None),
        # Two devices of one name tell neither.
        (hears("a", "1", "twin"), None),
    ],
)
def test_a_neighbour_is_known_by_chassis_address_or_name(
    seen: Sighting, whose: str | None
) -> None:
    named = [{"id": f"t{n}", "name": "twin"} for n in (1, 2)]
    who = {
        "b": Who("b", "SW-Yard", "02:00:00:00:00:09"),
        "t1": Who("t1", "", "00:00:00:00:00:00"),
    }
    found = graph(estate("a", "b", *named), [seen], who)
    if whose is None:
        assert found.links == ()
        assert [each.port for each in found.unknown] == ["1"]
    else:
        assert [link.b for link in found.links] == [whose]
        assert found.unknown == ()


def test_one_that_is_not_heard_back_is_said() -> None:
    who = {"a": Who("a"), "b": Who("b")}
    found = graph(estate("a", "b", line_on="a"), [hears("b", "1", "a", "2")], who)
    assert not found.links[0].agreed
    assert found.parents["b"] == "a"
    assert "b hears a, which does not hear b" in found.findings[0]
    # Of one that was never asked nothing is expected.
    assert (
        graph(estate("a", "b", line_on="a"), [hears("b", "1", "a")], {}).findings == ()
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
def test_one_port_by_two_names(a: str, b: str, same: bool) -> None:
    assert same_port(a, b) is same


edges = st.dictionaries(
    st.sampled_from("abcdefg"), st.sets(st.sampled_from("abcdefg")), max_size=7
)


@given(edges, st.sets(st.sampled_from("abcdefg"), min_size=1, max_size=3))
def test_a_dominator_is_who_cuts_off_when_gone(
    some: dict[str, set[str]], roots: set[str]
) -> None:
    """Against the plain meaning: without it there is no way, and none nearer."""
    ways = {node: set(others) for node, others in some.items()}
    for node, others in some.items():
        for other in others:
            ways.setdefault(other, set()).add(node)

    def reached(without: str | None) -> set[str]:
        left = {
            node: others - {without} for node, others in ways.items() if node != without
        }
        return set(distances(left, roots - {without}))  # type: ignore[arg-type]

    found = dominators(ways, roots)
    everything = reached(None)
    assert set(found) == everything
    cutters = {
        node: {c for c in everything - {node} if node not in reached(c)}
        for node in everything
    }
    for node, nearest in found.items():
        if nearest is None:
            assert cutters[node] == set()
        else:
            assert nearest in cutters[node]
            assert cutters[node] - {nearest} <= cutters[nearest]


names = st.sampled_from(["d0", "d1", "d2", "d3", "d4"])


@given(
    st.lists(st.tuples(names, names), max_size=12),
    st.dictionaries(names, names, max_size=3),
    st.sampled_from(["", "d0", "d3"]),
    st.randoms(),
)
def test_parents_never_make_a_ring_and_do_not_hang_on_the_order(
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
    seen = [hears(a, f"p{n}", b) for n, (a, b) in enumerate(pairs)]
    found = graph(here, seen, {})
    assert {k: v for k, v in found.parents.items() if k in parents} == parents
    for start in found.parents:
        at, steps = start, 0
        while at in found.parents:
            at = found.parents[at]
            steps += 1
            assert steps <= 5
    dice.shuffle(seen)
    assert graph(here, seen, {}) == found


def batches(device: str, seen: Iterable[Sighting], time_ms: int) -> list[Batch]:
    who = Who(device, device.upper(), "")
    made = rows((device, "hall", "switch"), who, seen, time_ms, f"poll/{device}")
    # As the journal checks them.
    return [check(batch, CATALOGUE) for batch in made]


def test_rows_of_the_journal_say_what_was_seen() -> None:
    seen = [hears("a", "1", "b", "2", remote_chassis="02"), hears("a", "3", "c")]
    back = [each for batch in batches("a", seen, 5) for _, each in said(batch)]
    assert back == [Who("a", "A", ""), *seen]


class Away:
    async def write(self, batches: list[Batch]) -> None:
        raise OSError("away")

    async def ask(self, query: Query) -> list[Row]:
        raise OSError("away")


async def test_the_estate_is_made_whole_while_running() -> None:
    here = estate("router", "core", line_on="router")
    now_ms = 1_000_000_000

    def clock() -> int:
        return now_ms

    around = TopologyView(lambda: here, Away(), clock, settle_s=0.0)
    async with around:
        first = around.estate()
        assert first is here
        for batch in batches("core", [hears("core", "Te1", "router", "1")], now_ms):
            around.take(batch)
        whole = around.estate()
        assert whole.device("core").parent == "router"
        assert around.estate() is whole
        assert around.uplinks("core") == ("Te1",)
        # The same again changes nothing; a silent neighbour is remembered for a day.
        for batch in batches("core", [hears("core", "Te1", "router", "1")], now_ms):
            around.take(batch)
        assert around.estate() is whole
        now_ms += 86_000_000
        for batch in batches("core", [], now_ms):
            around.take(batch)
        assert around.estate().device("core").parent == "router"
        now_ms += 1_000_000
        around.take(batches("router", [], now_ms)[0])
        assert around.estate().device("core").parent is None


async def test_two_behind_one_port_are_both_remembered_when_one_falls_silent() -> None:
    """Through a switch that passes LLDP on."""
    here = estate("router", "a", "b", line_on="router")
    around = TopologyView(lambda: here, now_ms=lambda: 5_000, settle_s=0.0)
    for time_ms, others in ((1_000, "ab"), (2_000, "a")):
        seen = [hears("router", "1", each, "9") for each in others]
        for batch in batches("router", seen, time_ms):
            around.take(batch)
    assert set(around.graph().parents) == {"a", "b"}


async def test_who_must_not_wait_gets_it_a_little_later() -> None:
    here = estate("router", "core", line_on="router")
    around = TopologyView(lambda: here, settle_s=0.0, aside=True)
    async with around:
        assert around.uplinks("core") == ()
        for batch in batches("core", [hears("core", "Te1", "router", "1")], now()):
            around.take(batch)
        assert around.uplinks("core") == ()
        for _ in range(500):
            await asyncio.sleep(0.01)
            if around.uplinks("core"):
                break
        assert around.uplinks("core") == ("Te1",)
        assert around.knows(hears("core", "Te1", "ROUTER"))
        assert not around.knows(hears("core", "Te1", "stranger"))


def now() -> int:
    return wall_ms()


async def test_another_at_the_same_port_takes_the_place_of_the_last() -> None:
    here = estate("router", "old", "core", line_on="router")
    around = TopologyView(lambda: here, now_ms=lambda: 5_000, settle_s=0.0)
    for time_ms, other in ((1_000, "old"), (2_000, "router")):
        for batch in batches("core", [hears("core", "Te1", other, "1")], time_ms):
            around.take(batch)
    assert [(link.a, link.b) for link in around.graph().links] == [("core", "router")]


class Kept:
    def __init__(self) -> None:
        self.batches: list[Batch] = []

    async def append(self, *batches: Batch) -> None:
        self.batches += batches


async def test_a_poll_tells_whom_a_switch_hears_and_which_port_is_its_uplink() -> None:
    ports = [SimulatedPort(n, f"Gi1/0/{n}") for n in range(1, 4)]
    ports[1].neighbour = SimulatedNeighbour("router.example.org", "ge0", "router")
    ports[0].neighbour = SimulatedNeighbour("access", "7", "telephone")
    ports[2].neighbour = SimulatedNeighbour("phone-17", "1", "telephone")
    kept = Kept()
    async with SimulatedSwitch("core", ports) as switch:
        here = estate(
            {"id": "router", "poll": False},
            # It says that it is a telephone; the estate knows better.
            {"id": "access", "poll": False},
            {"id": "core", "address": "127.0.0.1", "port": switch.port_number},
            line_on="router",
        )
        public = credential("default", {"community": "public"})
        config = SnmpConfig(period_s=0.4, timeout_s=0.5, neighbours_s=0.3)
        async with Poller(config, lambda: here, Credentials({"default": public}), kept):
            for _ in range(200):
                whys = [
                    why
                    for batch in kept.batches
                    if batch.measurement == "interface"
                    for why in batch.field("expected_why")
                ]
                if "uplink" in whys:
                    break
                await asyncio.sleep(0.05)
    assert "uplink" in whys
    seen = {
        each
        for batch in kept.batches
        for _, each in said(check(batch, CATALOGUE))
        if isinstance(each, Sighting)
    }
    assert {(each.port, each.remote_name) for each in seen} == {
        ("Gi1/0/1", "access"),
        ("Gi1/0/2", "router.example.org"),
    }


def test_it_is_shown_as_tables_json_and_for_graphviz() -> None:
    here = estate("router", "core", line_on="router")
    found = graph(
        here,
        [*both("router", "1", "core", 'odd"port'), hears("core", "9", "stranger")],
        {},
    )
    out = StringIO()
    topology_output.show(found, here, Console(file=out, width=120))
    for text in ("router", "neighbours", "both ways", "stranger", "Not in the estate"):
        assert text in out.getvalue()
    shown = json.loads(topology_output.as_json(found, here))
    assert shown["devices"][1]["parent"] == "router"
    assert shown["devices"][1]["parent_by"] == "neighbours"
    assert shown["unknown"][0]["name"] == "stranger"
    dot = topology_output.as_dot(found, here)
    assert '"core" -- "router"' in dot
    assert 'odd\\"port' in dot
    one = topology_output.of_site(found, here, "hall")
    assert one == found
    try:
        drawn = subprocess.run(
            ["dot", "-Tplain"], input=dot, text=True, capture_output=True, check=False
        )
    except FileNotFoundError:
        return
    assert drawn.returncode == 0, drawn.stderr


async def test_the_command_shows_what_the_store_has(tmp_path: Path) -> None:
    (tmp_path / "estate.toml").write_text(
        '[[sites]]\nid = "hall"\nname = "Hall"\n'
        '[[devices]]\nid = "router"\nsite = "hall"\naddress = "10.0.0.1"\n'
        'role = "router"\n'
        '[[devices]]\nid = "core"\nsite = "hall"\naddress = "10.0.0.2"\n'
    )
    settings = tmp_path / "towpath.toml"
    settings.write_text('state = "state"\n')
    at_ms = wall_ms() - 60_000
    async with open_store(read(settings).store, CATALOGUE) as store:
        await store.write(
            batches("core", both("core", "Te1", "router", "Gi0/1")[:1], at_ms)
            + batches("router", [hears("router", "Gi0/9", "stranger")], at_ms)
        )

    def shown(*more: str) -> str:
        ended = subprocess.run(
            [str(BIN / "towpath"), "topology", "-c", str(settings), *more],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    found = json.loads(shown("--json"))
    assert found["devices"][1] == {
        "id": "core",
        "site": "hall",
        "parent": "router",
        "parent_by": "neighbours",
        "uplink_ports": ["Te1"],
    }
    assert found["links"][0]["ports"] == [["Te1", "Gi0/1"]]
    assert found["unknown"][0]["name"] == "stranger"
    assert "router, which does not hear core" in found["findings"][0]
    assert '"core" -- "router"' in shown("--dot")
