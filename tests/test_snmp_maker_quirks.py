"""Vendors whose tables are not as the MIB defines them: what is read is right, and what
would mislead is not requested at all."""

from __future__ import annotations

from typing import Any

import pytest
from maker_agents import (
    FORWARDING,
    LOGICAL,
    ArubaLogical,
    Beside,
    CiscoGarbage,
    CiscoPerVlan,
    OldJuniperEx,
    OldRouterOs,
    RouterOs,
    ZyxelGs1900,
)
from polled_switches import QUICK, device, estate, polling
from virtual_time import in_virtual_time
from waiting import until

from collectors.snmp import credential
from collectors.snmp.polling.device_facts import poll_once
from collectors.snmp.polling.facts_json import facts_json
from collectors.snmp.session.session import RetryPolicy
from towpath.demo.simulated_switches import SimulatedNeighbour, SimulatedPort

PUBLIC = credential("test", {"community": "public"})


async def read_rows(agent: Beside) -> dict[str, Any]:
    """Reads everything once, and polls the device."""
    async with agent:
        facts = await poll_once(
            "127.0.0.1", agent.port_number, PUBLIC, retry_policy=RetryPolicy((1.0,))
        )
        async with polling(estate(device("a", agent)), QUICK) as (sink, poller):
            await until(lambda: poller.stats.learnt, "its tables")
            await until(lambda: sink.rows("inventory"), "its identity")
            await until(lambda: len(sink.rows("device")) >= 3, "polls")
    assert facts.ok
    assert {row["outcome"] for row in sink.rows("device")} == {"ok"}
    shown = facts_json(facts)
    assert "incomplete" not in shown
    return shown


def vlans(shown: dict[str, Any]) -> dict[int, str]:
    return {vlan["id"]: vlan["name"] for vlan in shown["vlans"]}


@pytest.mark.parametrize("kind", [ZyxelGs1900, ArubaLogical, CiscoPerVlan])
@in_virtual_time
async def test_no_table_of_who_is_behind_a_port_is_ever_requested(
    kind: type[Beside],
) -> None:
    """Where a laptop is plugged is nobody's business: so a stray number in a Zyxel
    GS1900's forwarding table, Aruba's communities without `@vlan` and Cisco's table a
    VLAN mislead nobody."""
    agent = kind("a")
    await read_rows(agent)
    assert agent.asked
    assert agent.was_asked_below(*FORWARDING, LOGICAL) == set()
    assert agent.strangers == set()


@in_virtual_time
async def test_a_zyxel_gs1900_has_its_vlans_beside_its_odd_forwarding_table() -> None:
    assert vlans(await read_rows(ZyxelGs1900("a"))) == {1: "staff"}


@in_virtual_time
async def test_an_old_juniper_ex_has_the_vlans_of_its_tags_not_of_its_numbers() -> None:
    assert vlans(await read_rows(OldJuniperEx("a"))) == {3: "phones", 110: "staff"}


@in_virtual_time
async def test_an_aruba_switch_has_its_vlans_without_logical_entities() -> None:
    parsed = vlans(await read_rows(ArubaLogical("a")))
    assert parsed == {1: "VLAN1", 10: "VLAN10", 20: "VLAN20"}


@in_virtual_time
async def test_a_cisco_with_a_bridge_mib_a_vlan_has_all_neighbours_and_vlans() -> None:
    ports = [
        SimulatedPort(n, f"Gi1/0/{n}", neighbour=SimulatedNeighbour(f"sw-{n}"))
        for n in range(1, 5)
    ]
    shown = await read_rows(CiscoPerVlan("a", ports))
    heard = {e["local_if_index"]: e["remote_name"] for e in shown["neighbours"]}
    assert heard == {n: f"sw-{n}" for n in range(1, 5)}
    # Not those of Token Ring.
    assert vlans(shown) == {1: "VLAN0001", 10: "VLAN0010"}


@in_virtual_time
async def test_ciscos_garbage_for_precision_and_thresholds_is_left_out() -> None:
    shown = await read_rows(CiscoGarbage("a"))
    first, second = sorted(shown["sensors"], key=lambda sensor: sensor["descr"])
    assert (first["value"], second["value"]) == (41.0, 41.0)
    limits = ("low", "low_warn", "high_warn", "high")
    assert [first.get(limit) for limit in limits] == [None] * 4
    assert [second.get(limit) for limit in limits] == [None, None, 60.0, None]


@pytest.mark.parametrize("kind", [RouterOs, OldRouterOs])
@in_virtual_time
async def test_routeros_neighbours_stand_at_the_port_of_its_own_table(
    kind: type[RouterOs],
) -> None:
    shown = await read_rows(kind("a"))
    heard = {
        (neighbour["protocol"], neighbour["local_port"], neighbour["remote_name"])
        for neighbour in shown["neighbours"]
    }
    assert heard == {("lldp", "Gi1/0/3", "core-1"), ("lldp", "Gi1/0/4", "ap-1")}
