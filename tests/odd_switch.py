"""A simulated switch with values that no standard allows, and what is read of it."""

from __future__ import annotations

from typing import Any

import pytest
from maker_agents import Beside
from secured_agent import USER, SecuredSwitch

from collectors.snmp import credential
from collectors.snmp.polling.device_facts import poll_once
from collectors.snmp.polling.facts_json import facts_json
from collectors.snmp.session import oids
from collectors.snmp.session.session import RetryPolicy
from collectors.snmp.session.sessions import HAS_GUFO, Sessions
from towpath.demo import snmp_messages
from towpath.demo.simulated_switches import SimulatedNeighbour, SimulatedPort

LIBRARIES = [
    pytest.param(
        True, id="gufo", marks=pytest.mark.skipif(not HAS_GUFO, reason="no wheel")
    ),
    pytest.param(False, id="python"),
]

# gufo-snmp takes these for numbers: they are known for what they are when the tables
# are read, and not if they come later.
MISREAD = (
    "Counter64 of 9 octets",
    "TimeTicks of 40 bits",
    "integer of 9 octets",
    "bits",
)

CREDENTIALS = {
    "v1": credential("test", {"community": "public", "version": "1"}),
    "v2c": credential("test", {"community": "public"}),
    "v3": USER,
}

# Encoded values, in hex. Read as ifAlias: those of `ODD` are no value, those of
# `UNUSUAL` are one, however oddly encoded; those of `ABSENT` mean that there is none.
ODD = {
    "IpAddress of 0 octets": "4000",
    "IpAddress of 3 octets": "4003010203",
    "IpAddress of 5 octets": "40050102030405",
    "IpAddress of 8 octets": "40080a0000010a000002",
    "IpAddress of 16 octets": "4010" + "01" * 16,
    "IpAddress as a name": "40040a000001",
    "OID of no octets": "0600",
    "OID 0.0 as a name": "060100",
    "OID that is cut off": "06032b0681",
    "OID with an endless part": "06092bffffffffffff7f01",
    "integer of no octets": "0200",
    "Counter32 of no octets": "4100",
    "Gauge32 of no octets": "4200",
    "TimeTicks of no octets": "4300",
    "Counter64 of no octets": "4600",
    "Counter64 of 9 octets": "460901ffffffffffffffff",
    "Counter32 of 5 octets": "41050100000000",
    "Unsigned32 of 6 octets": "4206010000000000",
    "TimeTicks of 40 bits": "4305ffffffffff",
    "integer of 9 octets": "0209" + "01" * 9,
    "indefinite length": "24800403616263" + "0000",
    "indefinite length, primitive": "04806162630000",
    "length of five octets": "04850000000003616263",
    "length of four gigabytes": "0484ffffffff616263",
    "string longer than its binding": "040a616263",
    "constructed string": "24070403616263" + "0400",
    "NsapAddress": "45020102",
    "application type 9": "4902ffff",
    "tag of many octets": "5f8101020102",
    "context type 3": "8300",
    "context type 9": "8902aabb",
    "null with a content": "05020000",
    "noSuchObject with a content": "800101",
    "sequence": "3006020101020102",
    "empty sequence": "3000",
    "set": "3103020101",
    "bits": "03020780",
    "boolean": "0101ff",
    "real": "090380fb05",
    "UTF8String": "0c03616263",
    "PrintableString": "1303616263",
    "nothing at all": "",
    "a lone tag": "04",
}

UNUSUAL = {
    "length in two octets": "04820003616263",
    "length in one more octet": "048103616263",
    "integer with leading zeros": "020400000001",
    "Counter32 without its zero": "4104fffffffd",
    "Counter64 of 9 octets with its zero": "460900ffffffffffffffff",
    "UInteger32": "47020102",
    "Opaque float": "44079f780441ca6666",
    "Opaque garbage": "44059f7808aabb",
    "768 octets": "04820300" + "78" * 768,
    "octets after the value": "0403616263" + "020105",
}

ABSENT = {
    "null": "0500",
    "noSuchObject": "8000",
    "noSuchInstance": "8100",
    "endOfMibView": "8200",
}

IF_ALIAS = f"{oids.IF_ALIAS}.2"

_ENTITY, _VLAN = "1.3.6.1.2.1.47.1.1.1.1", "1.3.6.1.2.1.17.7.1.4.3.1.1"

_STORAGE, _SENSOR = "1.3.6.1.2.1.25.2.3.1", "1.3.6.1.2.1.99.1.1.1"

_ADDRESS, _GAUGE = "1.3.6.1.2.1.4.20.1", "1.3.6.1.4.1.14988.1.1.3.100.1"

_REMOTE = f"{oids.LLDP_REM_TABLE}.9.0.2.1"

# One cell of each table, and the section of what is shown whose row it belongs to.
CELLS = {
    IF_ALIAS: "ports",
    f"{_ENTITY}.11.2": "entities",
    _REMOTE: "neighbours",
    f"{_VLAN}.20": "vlans",
    f"{_STORAGE}.3.2": "storage",
    f"{_SENSOR}.4.2": "sensors",
    f"{_ADDRESS}.3.10.1.0.2": "ipv4",
    f"{_GAUGE}.3.17": "sensors",
}


def table_rows() -> dict[str, bytes]:
    values: dict[str, bytes] = {}
    for n in (1, 2, 3):
        values |= {
            f"{_ENTITY}.5.{n}": snmp_messages.integer(8),
            f"{_ENTITY}.7.{n}": snmp_messages.octets(f"Inlet {n}"),
            f"{_ENTITY}.11.{n}": snmp_messages.octets(f"S{n}"),
            f"{_VLAN}.{n * 10}": snmp_messages.octets(f"vlan {n}"),
            f"{_STORAGE}.2.{n}": snmp_messages.oid("1.3.6.1.2.1.25.2.1.4"),
            f"{_STORAGE}.3.{n}": snmp_messages.octets(f"/disk{n}"),
            f"{_STORAGE}.4.{n}": snmp_messages.integer(1024),
            f"{_STORAGE}.5.{n}": snmp_messages.integer(1000),
            f"{_STORAGE}.6.{n}": snmp_messages.integer(100 * n),
            f"{_SENSOR}.1.{n}": snmp_messages.integer(8),
            f"{_SENSOR}.2.{n}": snmp_messages.integer(9),
            f"{_SENSOR}.3.{n}": snmp_messages.integer(0),
            f"{_SENSOR}.4.{n}": snmp_messages.integer(20 + n),
            f"{_SENSOR}.5.{n}": snmp_messages.integer(1),
            f"{_ADDRESS}.2.10.1.0.{n}": snmp_messages.integer(n),
            f"{_ADDRESS}.3.10.1.0.{n}": snmp_messages.tlv(
                0x40, bytes((255, 255, 255, 0))
            ),
        }
    for n, name in ((14, "temperature"), (17, "cpu-temperature"), (7001, "fan-state")):
        values[f"{_GAUGE}.2.{n}"] = snmp_messages.octets(name)
        values[f"{_GAUGE}.3.{n}"] = snmp_messages.integer(30 + n % 2)
        values[f"{_GAUGE}.4.{n}"] = snmp_messages.integer(1)
    return values


class OddSwitch(SecuredSwitch):
    object_id = "1.3.6.1.4.1.14988.1"


def odd_switch(spoilt: dict[str, bytes] | None = None) -> OddSwitch:
    ports = [
        SimulatedPort(
            n, f"Gi{n}", alias=f"desk {n}", neighbour=SimulatedNeighbour(f"sw{n}")
        )
        for n in (1, 2, 3)
    ]
    return OddSwitch("odd", ports, table_rows() | (spoilt or {}))


async def read_facts(
    agent: Beside, version: str, prefer_gufo: bool = HAS_GUFO
) -> dict[str, Any]:
    async with agent, Sessions(prefer_gufo) as sessions:
        facts = await poll_once(
            "127.0.0.1",
            agent.port_number,
            CREDENTIALS[version],
            retry_policy=RetryPolicy((2.0, 2.0)),
            sessions=sessions,
        )
    shown = facts_json(facts)
    assert shown["ok"], shown["error"]
    assert "incomplete" not in shown
    return shown


def lost_rows(whole: dict[str, Any], less: dict[str, Any]) -> dict[str, int]:
    """How many rows of each section of `whole` are not in `less`."""
    return {
        section: sum(row not in less[section] for row in whole[section])
        for section in set(CELLS.values())
    }


_WHOLE: dict[str, dict[str, Any]] = {}


async def sound_facts(version: str) -> dict[str, Any]:
    if version not in _WHOLE:
        shown = await read_facts(odd_switch(), version)
        assert "findings" not in shown
        assert {s: len(shown[s]) for s in ("ports", "ipv4", "vlans")} == {
            "ports": 3,
            "ipv4": 3,
            "vlans": 3,
        }
        _WHOLE[version] = shown
    return _WHOLE[version]
