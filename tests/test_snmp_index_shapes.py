"""Rows whose index has a length other than the MIB's: what is certain is read, and
nothing is made up."""

from __future__ import annotations

from typing import Any

import pytest
import services
from hypothesis import given
from hypothesis import strategies as st
from recorded_agents import RecordedRaw

from collectors.snmp import credential
from collectors.snmp.polling.device_facts import poll_once
from collectors.snmp.polling.facts_json import facts_json
from collectors.snmp.profiles.apply import text_of_index
from collectors.snmp.profiles.identity import Identity
from collectors.snmp.session import oids
from collectors.snmp.session.session import RetryPolicy, Value
from collectors.snmp.tables.cdp import DIALECTS, parse_dialect
from collectors.snmp.tables.entities import (
    Entity,
    device_parts,
    merge_entities,
    parse_entities,
    without_placeholder,
)
from collectors.snmp.tables.interfaces import Port
from collectors.snmp.tables.ip_addresses import parse_addresses
from collectors.snmp.tables.lldp import LldpTables, parse_lldp
from collectors.snmp.tables.vlans import parse_vlans

OLD, NEW = "1.3.6.1.2.1.4.20.1", "1.3.6.1.2.1.4.34.1"
PREFIX = "1.3.6.1.2.1.4.32.1.5"
V6 = "32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.1"
LOCAL = "254.128.0.0.0.0.0.0.0.0.0.0.0.0.0.1"
PORTS = [Port(n, f"Gi{n}", True, f"Gi{n}") for n in (1, 2, 3)]


def old(index: str) -> dict[str, Value]:
    return {f"{OLD}.2.{index}": 1, f"{OLD}.3.{index}": "255.255.255.0"}


def new(index: str, prefix: str = "0.0", kind: int = 1) -> dict[str, Value]:
    return {f"{NEW}.3.{index}": 2, f"{NEW}.4.{index}": kind, f"{NEW}.5.{index}": prefix}


def shown(rows: dict[str, Value]) -> list[str]:
    return [f"{a.address}/{a.prefixlen}" for a in parse_addresses(rows)]


@pytest.mark.parametrize(
    ("rows", "right"),
    [
        (old("10.1.0.1"), ["10.1.0.1/24"]),
        (old("4.10.1.0.1"), ["10.1.0.1/24"]),
        (old("5.10.1.0.1"), []),
        (old("10.1.0"), []),
        (old("10.1.0.1.7"), []),
        (old("10.1.0.256"), []),
        (new("1.4.10.1.0.1", f"{PREFIX}.1.1.4.10.1.0.0.24"), ["10.1.0.1/24"]),
        (new("1.10.1.0.1"), ["10.1.0.1/None"]),
        (new("1.4.10.1.0.1", f"{PREFIX}.1.1.4.10.1.0.0.99"), ["10.1.0.1/None"]),
        (new("1.4.10.1.0.255", kind=3), []),
        (new("3.8.10.9.0.1.0.0.0.3"), ["10.9.0.1/None"]),
        (new(f"2.16.{V6}", f"{PREFIX}.1.2.16.{V6}.64"), ["2001:db8::1/64"]),
        (new(f"4.20.{LOCAL}.0.0.0.2"), ["fe80::1/None"]),
        (new("1.4.10.1.0"), []),
        (new("1.4.10.1.0.1.9"), []),
        (new("2.4.10.1.0.1"), []),
        (new("16.4.10.1.0.1"), []),
        (
            old("10.1.0.1") | new("1.4.10.1.0.1") | new("1.4.10.2.0.1"),
            ["10.1.0.1/24", "10.1.0.1/None", "10.2.0.1/None"],
        ),
    ],
)
def test_addresses_are_read_from_the_shape_of_their_index(
    rows: dict[str, Value], right: list[str]
) -> None:
    assert shown(rows) == right


def test_an_address_in_both_tables_is_one() -> None:
    rows = old("10.1.0.1") | new("1.4.10.1.0.1")
    rows[f"{NEW}.3.1.4.10.1.0.1"] = 1
    assert shown(rows) == ["10.1.0.1/24"]


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=24))
def test_no_index_breaks_the_parsers(arcs: list[int]) -> None:
    index = ".".join(map(str, arcs))
    for address in parse_addresses(old(index) | new(index)):
        assert address.address.count(".") == 3 or ":" in address.address
    parse_vlans({f"1.3.6.1.2.1.17.7.1.4.3.1.1.{index}": b"x"})
    parse_entities({f"1.3.6.1.2.1.47.1.1.1.1.11.{index}": b"x"})


def entity(index: str, kind: int, serial: str) -> dict[str, Value]:
    base = "1.3.6.1.2.1.47.1.1.1.1"
    return {f"{base}.5.{index}": kind, f"{base}.11.{index}": serial.encode()}


def test_parts_with_an_index_of_two_parts_are_kept() -> None:
    """Nokia's routers: chassis, then part."""
    parts = parse_entities(
        entity("1.100663297", 7, "FAN1")
        | entity("1.134217729", 3, "NS1")
        | entity("5", 3, "S5")
    )
    assert [(part.index, part.class_, part.serial) for part in parts] == [
        ("1.100663297", "fan", "FAN1"),
        ("1.134217729", "chassis", "NS1"),
        (5, "chassis", "S5"),
    ]


def test_a_part_without_class_and_model_is_a_part() -> None:
    """Small switches give only names, or only what kind of part there is."""
    base = "1.3.6.1.2.1.47.1.1.1.1"
    named = parse_entities({f"{base}.2.7": b"Unit 1", f"{base}.7.7": b""})
    typed = parse_entities({f"{base}.3.9": "1.3.6.1.4.1.99999.1"})
    assert [(part.index, part.class_, part.descr) for part in (*named, *typed)] == [
        (7, "unknown", "Unit 1"),
        (9, "unknown", None),
    ]


def test_parts_of_other_tables_are_added_to_those_of_entity_mib() -> None:
    standard = [Entity(1, "chassis", serial="S1")]
    others = [Entity(1, "module"), Entity(2, "module", model="M2")]
    assert merge_entities(standard, others) == [standard[0], others[1]]


def test_an_optic_is_not_the_device() -> None:
    """AlliedWare Plus has the module before the chassis, which may lack a model."""
    optic = Entity(1, "module", descr="SFP+ module", model="DM-317-100", serial="A1")
    chassis = Entity(2, "chassis", serial="B2")
    fan = Entity(3, "fan", model="FAN-1")
    board = Entity(4, "module", descr="x930-28GTX board", model="x930-28GTX")
    assert device_parts([optic, chassis, fan, board]) == [chassis, board]
    identity = Identity(vendor="allied").with_chassis([optic, chassis, fan])
    assert (identity.hardware, identity.serial) == (None, "B2")


MORE = ("0000", "#########", "00 00 00 00", "System MAC: 02-00-00-00-00-01")


def test_a_placeholder_identifies_nothing() -> None:
    (part,) = parse_entities(entity("1", 3, "FFFFFFFF"))
    assert part.serial is None
    for text in ("N/A", "0000000000", "To be filled by O.E.M.", "", None, *MORE):
        assert without_placeholder(text) is None
    for text in ("0", "F0F0F0", "FFFFFFA1", "NA-1"):
        assert without_placeholder(text) == text


@pytest.mark.parametrize(
    ("index", "text"),
    [("6.87.76.65.78.45.49", "WLAN-1"), ("80.82.73.49", "PRI1"), ("1.2", None)],
)
def test_an_index_that_spells_a_text_can_be_shown(index: str, text: str | None) -> None:
    assert text_of_index(index) == text


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=24))
def test_a_text_of_an_index_is_printable(arcs: list[int]) -> None:
    text = text_of_index(".".join(map(str, arcs)))
    assert text is None or (text.isascii() and text.isprintable())


def lldp(index: str) -> list[str]:
    rows: dict[str, Value] = {
        f"{oids.LLDP_REM_TABLE}.9.{index}": b"sw-1",
        f"{oids.LLDP_REM_TABLE}.4.{index}": 4,
    }
    ids: dict[str, Value] = {f"{oids.LLDP_LOC_PORT_ID}.2": b"Gi2"}
    tables = LldpTables(rows, ids=ids)
    return [neighbour.local_port for neighbour in parse_lldp(tables, PORTS)]


@pytest.mark.parametrize(
    ("index", "port"),
    [("0.2.1", "Gi2"), ("2.1", "Gi2"), ("1383", ""), ("0.2.1.7", ""), ("0.0.8", "")],
)
def test_a_neighbour_is_at_the_port_of_its_index_or_at_an_unknown_one(
    index: str, port: str
) -> None:
    assert lldp(index) == [port]


@pytest.mark.parametrize(
    ("protocol", "index", "port"),
    [
        ("cdp", "2.1", "Gi2"),
        ("cdp", "2", ""),
        ("cdp", "1.2.1", ""),
        ("fdp", "2.7", "Gi2"),
        ("fdp", "2.7.1", ""),
        ("edp", "2.0.0.2.0.0.0.0.1", "Gi2"),
        ("edp", "2.0.1", ""),
        ("mndp", "8", ""),
    ],
)
def test_the_port_of_other_protocols_comes_from_the_index_too(
    protocol: str, index: str, port: str
) -> None:
    [dialect] = [d for d in DIALECTS if d.protocol == protocol]
    column = next(c for c, name in dialect.columns.items() if name == "name")
    rows: dict[str, Value] = {f"{dialect.entry}.{column}.{index}": b"sw-1"}
    [neighbour] = parse_dialect(dialect, rows, PORTS)
    assert neighbour.local_port == port
    assert neighbour.remote_name == "sw-1"


@pytest.mark.parametrize(
    ("oid", "ids"),
    [
        ("1.3.6.1.2.1.17.7.1.4.3.1.1.20", [20]),
        ("1.3.6.1.2.1.17.7.1.4.3.1.1.1.20", []),
        ("1.3.6.1.2.1.17.7.1.4.2.1.3.0.20", [20]),
        ("1.3.6.1.2.1.17.7.1.4.2.1.3.0.20.1", []),
        ("1.3.111.2.802.1.1.4.1.4.3.1.3.1.20", [20]),
        ("1.3.111.2.802.1.1.4.1.4.2.1.6.1.0.20", [20]),
        ("1.3.6.1.2.1.17.7.1.4.3.1.1.5000", []),
    ],
)
def test_a_vlan_is_the_end_of_an_index_of_the_right_length(
    oid: str, ids: list[int]
) -> None:
    assert [vlan.id for vlan in parse_vlans({oid: b"staff"})] == ids


async def poll_recording(name: str) -> dict[str, Any]:
    file = services.corpus("..", "cases", "snmp", f"{name}.rec")
    async with RecordedRaw(file) as agent:
        facts = await poll_once(
            "127.0.0.1",
            agent.port_number,
            credential("test", {"community": "public"}),
            retry_policy=RetryPolicy((1.0, 2.0)),
        )
    assert facts.ok
    return facts_json(facts)


@pytest.mark.corpus
async def test_recorded_indexes_of_other_lengths_are_read() -> None:
    facts = await poll_recording("s21_ip_index5")
    assert [f"{e['address']}/{e['prefixlen']}" for e in facts["ipv4"]] == [
        "10.1.0.1/24",
        "10.2.0.1/23",
    ]
    facts = await poll_recording("s22_ipaddresstable")
    assert [(e["address"], e.get("prefixlen")) for e in facts["ipv4"]] == [
        ("10.1.0.1", 24),
        ("10.2.0.1", 23),
        ("10.3.0.1", 24),
        ("10.9.0.1", None),
    ]
    assert [(e["address"], e.get("prefixlen")) for e in facts["ipv6"]] == [
        ("2001:db8::1", 64),
        ("fe80::1", None),
    ]
    facts = await poll_recording("s08_lldp_one_part")
    assert [e["remote_name"] for e in facts["neighbours"]] == ["mt-0", "mt-1"]
    assert not any("local_port" in e for e in facts["neighbours"])
    facts = await poll_recording("s32_entity_two_part")
    assert [(e["index"], e["serial"]) for e in facts["entities"]] == [
        ("1.100663297", "FAN1"),
        ("1.134217729", "NS1"),
        (5, "S5"),
    ]
    assert facts["identity"]["serial"] == "NS1"
