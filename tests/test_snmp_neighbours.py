"""Neighbours are read by every neighbour protocol that has a table."""

from __future__ import annotations

from typing import Any

import pytest
from bad_walks import Unordered
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.snmp import credential
from collectors.snmp.polling.device_facts import poll_once
from collectors.snmp.polling.facts_json import facts_json
from collectors.snmp.session import oids
from collectors.snmp.session.session import RetryPolicy, Value
from collectors.snmp.tables.cdp import DIALECTS, MNDP, Dialect, parse_dialect
from collectors.snmp.tables.interfaces import Port
from collectors.snmp.tables.lldp import (
    SECOND,
    TPLINK_REM_TABLE,
    LldpTables,
    parse_lldp,
    parse_tplink,
)
from collectors.snmp.tables.neighbour_tables import NeighbourTables, parse_neighbours
from towpath.demo import snmp_messages
from towpath.demo.simulated_switches import (
    SimulatedNeighbour,
    SimulatedPort,
    SimulatedSwitch,
)

PORTS = [
    Port(n, f"1/{n}", True, name=f"1/{n}", descr=f"Slot: 1 Port: {n}")
    for n in range(1, 9)
]
CDP, FDP, EDP, SONMP, CTRON, _ = DIALECTS


def rows(dialect: Dialect, index: str, **values: Value) -> dict[str, Value]:
    columns = {name: column for column, name in dialect.columns.items()}
    return {f"{dialect.entry}.{columns[k]}.{index}": v for k, v in values.items()}


def test_cdp_names_the_port_by_its_if_index() -> None:
    (neighbour,) = parse_dialect(
        CDP,
        rows(
            CDP,
            "3.17",
            address=bytes((10, 1, 2, 3)),
            name=b"core-1.example.gov.uk",
            port=b"GigabitEthernet1/0/3",
            descr=b"cisco WS-C9300",
            capable=bytes.fromhex("00000029"),
        ),
        PORTS,
    )
    assert (neighbour.protocol, neighbour.local_port, neighbour.local_if_index) == (
        "cdp",
        "1/3",
        3,
    )
    assert neighbour.remote_name == "core-1.example.gov.uk"
    assert neighbour.remote_port == "GigabitEthernet1/0/3"
    assert neighbour.remote_address == "10.1.2.3"
    assert neighbour.remote_descr == "cisco WS-C9300"
    assert neighbour.capabilities == {"router", "bridge"}
    assert neighbour.is_infrastructure


@pytest.mark.parametrize(
    ("bits", "is_infrastructure"),
    [("00000090", False), ("00000010", False), ("00000002", True), ("", False)],
)
def test_cdp_distinguishes_switches_and_access_points_from_telephones(
    bits: str, is_infrastructure: bool
) -> None:
    table = rows(CDP, "1.1", name=b"x", capable=bytes.fromhex(bits))
    (neighbour,) = parse_dialect(CDP, table, PORTS)
    assert neighbour.is_infrastructure is is_infrastructure


def test_a_cdp_id_of_six_octets_is_an_address_and_one_of_six_letters_a_name() -> None:
    table = rows(CDP, "1.1", name=bytes.fromhex("0004f1d3ab12"))
    table |= rows(CDP, "2.1", name=b"core-1")
    first, second = parse_dialect(CDP, table, PORTS)
    assert (first.remote_name, first.remote_chassis) == (None, "00:04:f1:d3:ab:12")
    assert (second.remote_name, second.remote_chassis) == ("core-1", None)


def test_tables_of_foundry_extreme_nortel_enterasys_and_mikrotik_are_read() -> None:
    table = rows(FDP, "2.1", name=b"ironware", port=b"eth 1/1", capable=b"Router")
    (fdp,) = parse_dialect(FDP, table, PORTS)
    assert (fdp.local_if_index, fdp.remote_port) == (2, "eth 1/1")
    assert fdp.is_infrastructure

    table = rows(EDP, "4.0.0.0.4.150.1.2.3", name=b"summit", slot=1, port_number=49)
    (edp,) = parse_dialect(EDP, table, PORTS)
    assert (edp.local_if_index, edp.remote_name) == (4, "summit")
    assert (edp.remote_chassis, edp.remote_port) == ("00:04:96:01:02:03", "1:49")

    table = rows(SONMP, "0.0.10.0.0.1.0", chassis=b"\0\1\2\3\4\5")
    table |= rows(SONMP, "1.5.10.0.0.9.258", chassis=b"\0\1\2\3\4\6", local_segment=1)
    table |= rows(SONMP, "1.6.10.0.0.7.258", chassis=b"\0\1\2\3\4\7", local_segment=2)
    (sonmp,) = parse_dialect(SONMP, table, PORTS)
    assert (sonmp.local_port, sonmp.remote_address) == ("1/5", "10.0.0.9")
    assert (sonmp.remote_chassis, sonmp.remote_port) == ("00:01:02:03:04:06", "1/2")

    table = rows(
        CTRON, "77.6.0.17.136.1.2.3", address="10.0.0.3", kind=2, port=b"ge.1.2"
    )
    (ctron,) = parse_dialect(CTRON, table, PORTS)
    assert (ctron.local_if_index, ctron.remote_chassis) == (6, "00:11:88:01:02:03")
    assert ctron.is_infrastructure

    table = rows(MNDP, "12", name=b"mast", local=7, chassis=b"\2\0\0\0\0\1")
    (mndp,) = parse_dialect(MNDP, table, PORTS)
    assert (mndp.local_if_index, mndp.remote_name) == (7, "mast")


def test_a_vendors_table_is_read_from_that_vendors_devices_only() -> None:
    protocols = [d.protocol for d in DIALECTS if d.is_used_by("1.3.6.1.4.1.9.1.1208")]
    assert protocols == ["cdp"]
    protocols = [d.protocol for d in DIALECTS if d.is_used_by("1.3.6.1.4.1.1916.2.1")]
    assert protocols == ["cdp", "edp"]
    # 19 is the beginning of 1916, but another vendor.
    assert not EDP.is_used_by("1.3.6.1.4.1.19.1")
    assert [d.protocol for d in DIALECTS if d.is_used_by("")] == ["cdp"]


def remote(index: str, entry: str, first: int, **more: Value) -> dict[str, Value]:
    numbers = {"chassis_subtype": 0, "chassis": 1, "port_subtype": 2, "port": 3}
    numbers |= {"name": 5, "enabled": 8}
    return {f"{entry}.{first + numbers[k]}.{index}": v for k, v in more.items()}


@pytest.mark.parametrize("index", ["0.3.1", "4711.3.9", "3.1"])
def test_an_lldp_row_may_omit_its_time_mark(index: str) -> None:
    table = remote(index, oids.LLDP_REM_TABLE, 4, name=b"core-1")
    (neighbour,) = parse_lldp(LldpTables(table), PORTS)
    assert neighbour.local_if_index == 3


@pytest.mark.parametrize("index", ["9", "0.0.9"])
def test_the_local_port_of_router_os_comes_from_its_own_table(index: str) -> None:
    table = remote(index, oids.LLDP_REM_TABLE, 4, name=b"core-1")
    (neighbour,) = parse_lldp(LldpTables(table, interfaces={9: 5}), PORTS)
    assert neighbour.local_if_index == 5


@pytest.mark.parametrize("index", ["0.4.1.1", "0.4.1.128.194.0.0.14.1"])
def test_the_lldp_v2_mib_has_a_destination_in_its_index(index: str) -> None:
    table = remote(index, SECOND.remote, 5, name=b"core-1", port=b"1/1", port_subtype=5)
    (neighbour,) = parse_lldp(LldpTables(table, version=SECOND), PORTS)
    assert (neighbour.protocol, neighbour.local_if_index) == ("lldp", 4)
    assert (neighbour.remote_name, neighbour.remote_port) == ("core-1", "1/1")


@pytest.mark.parametrize("after", ["1.4.10.1.2.3", "1.10.1.2.3"])
def test_the_management_address_is_read_from_an_index(after: str) -> None:
    table = remote("7.3.1", oids.LLDP_REM_TABLE, 4, name=b"core-1")
    addresses: dict[str, Value] = {f"1.0.8802.1.1.2.1.4.2.1.3.7.3.1.{after}": 2}
    (neighbour,) = parse_lldp(LldpTables(table, addresses=addresses), PORTS)
    assert neighbour.remote_address == "10.1.2.3"


def test_tp_links_table_has_all_values_as_text() -> None:
    table: dict[str, Value] = {
        f"{TPLINK_REM_TABLE}.{column}.6.1": value
        for column, value in {
            1: b"1/0/6",
            4: b"48:A9:8A:C1:AC:58",
            6: b"gi1",
            9: b"sw22",
            12: b"Bridge Router ",
            13: b"::10.2.0.9",
        }.items()
    }
    (neighbour,) = parse_tplink(table, PORTS)
    assert (neighbour.protocol, neighbour.local_if_index, neighbour.remote_name) == (
        "lldp",
        6,
        "sw22",
    )
    assert neighbour.remote_chassis == "48:a9:8a:c1:ac:58"
    assert neighbour.remote_address == "10.2.0.9"
    assert neighbour.capabilities == {"bridge", "router"}


async def poll_neighbours(switch: SimulatedSwitch) -> list[dict[str, Any]]:
    public = credential("test", {"community": "public"})
    async with switch:
        facts = await poll_once(
            "127.0.0.1",
            switch.port_number,
            public,
            retry_policy=RetryPolicy((0.5, 1.0)),
        )
    shown = facts_json(facts)
    assert "incomplete" not in shown
    neighbours: list[dict[str, Any]] = shown["neighbours"]
    return neighbours


def ports_with_neighbours(many: int) -> list[SimulatedPort]:
    return [
        SimulatedPort(n, f"Gi1/0/{n}", neighbour=SimulatedNeighbour(f"sw-{n}"))
        for n in range(1, many + 1)
    ]


async def test_rows_that_are_out_of_order_are_all_read() -> None:
    neighbours = await poll_neighbours(Unordered("zyxel", ports_with_neighbours(40)))
    assert {neighbour["local_if_index"] for neighbour in neighbours} == set(
        range(1, 41)
    )
    assert {neighbour["remote_name"] for neighbour in neighbours} == {
        f"sw-{n}" for n in range(1, 41)
    }


class CdpSwitch(SimulatedSwitch):
    """Has two neighbours by CDP, and none by LLDP."""

    def rebuild(self) -> None:
        super().rebuild()
        entry = tuple(map(int, CDP.entry.split(".")))
        for column, value in ((6, b"ap-1"), (7, b"Gi0"), (9, bytes((0, 0, 0, 2)))):
            for port in (1, 2):
                row = (*entry, column, port, 1)
                self._rows.append(row)
                self._values[snmp_messages.oid_content(row)] = lambda v=value: (
                    snmp_messages.tlv(  # type: ignore[misc]
                        snmp_messages.OCTETS, v
                    )
                )
        self._rows.sort()


async def test_neighbours_by_cdp_are_read_from_a_switch() -> None:
    neighbours = await poll_neighbours(CdpSwitch("ios", 3))
    assert [neighbour["local_port"] for neighbour in neighbours] == [
        "Gi1/0/1",
        "Gi1/0/2",
    ]
    assert neighbours[0]["protocol"] == "cdp"
    assert neighbours[0]["remote_name"] == "ap-1"
    assert neighbours[0]["capabilities"] == ["bridge"]


values = st.one_of(st.integers(-(2**31), 2**64), st.binary(max_size=40), st.text())
arcs = st.lists(st.integers(0, 2**32 - 1), max_size=14)


@given(st.lists(st.tuples(st.integers(0, 14), arcs, values), max_size=12))
@settings(max_examples=150, deadline=None)
def test_no_index_or_value_breaks_the_parsers(
    cells: list[tuple[int, list[int], Value]],
) -> None:
    def under(entry: str) -> dict[str, Value]:
        return {
            ".".join([entry, str(column), *map(str, index)]): value
            for column, index, value in cells
        }

    for version in (LldpTables({}).version, SECOND):
        tables = LldpTables(
            under(version.remote),
            under(version.local_subtype.rpartition(".")[0]),
            under(version.local_id.rpartition(".")[0]),
            {},
            under(oids.BASE_PORT_IF_INDEX.rpartition(".")[0]),
            under(version.addresses.rpartition(".")[0]),
            version=version,
        )
        tplink = under(TPLINK_REM_TABLE)
        others = tuple((dialect, under(dialect.entry)) for dialect in DIALECTS)
        for neighbour in parse_neighbours(
            NeighbourTables(tables, others, tplink), PORTS
        ):
            assert neighbour.local_port or neighbour.local_if_index is None
            assert neighbour.remote_name != ""
