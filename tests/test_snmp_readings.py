"""A reading in any encoding becomes the right measurement or none, by either library
and in every version of SNMP."""

from __future__ import annotations

import struct
from typing import Any

import pytest
import services
from odd_switch import CREDENTIALS, LIBRARIES, OddSwitch, read_facts, table_rows
from recorded_agents import RecordedRaw

from collectors.snmp.polling import device_findings
from collectors.snmp.polling.health_rows import SEVERITIES, severity
from collectors.snmp.profiles.readings import Sensor
from collectors.snmp.session import pdu
from collectors.snmp.session.opaque import unwrap
from collectors.snmp.session.session import RetryPolicy
from collectors.snmp.session.sessions import Sessions
from towpath.demo import snmp_messages

_VALUE = "1.3.6.1.2.1.99.1.1.1.4"
FLOAT, DOUBLE = struct.pack(">f", 25.3), struct.pack(">d", 25.3)
NAN, INFINITY = struct.pack(">f", float("nan")), struct.pack(">d", float("inf"))
# Values of a temperature sensor in whole degrees, and how they are read.
ENCODED: dict[str, tuple[bytes, float | None]] = {
    "Opaque float": (snmp_messages.tlv(0x44, b"\x9f\x78\x04" + FLOAT), 25.3),
    "Opaque double": (snmp_messages.tlv(0x44, b"\x9f\x79\x08" + DOUBLE), 25.3),
    "float without Opaque": (b"\x9f\x78\x04" + FLOAT, 25.3),
    "double without Opaque": (b"\x9f\x79\x08" + DOUBLE, 25.3),
    "application float": (snmp_messages.tlv(0x48, FLOAT), 25.3),
    "application double": (snmp_messages.tlv(0x49, DOUBLE), 25.3),
    "Opaque 64 bits": (
        snmp_messages.tlv(0x44, b"\x9f\x7a\x08" + b"\xff" * 7 + b"\xfd"),
        -3,
    ),
    "Opaque NaN": (snmp_messages.tlv(0x44, b"\x9f\x78\x04" + NAN), None),
    "Opaque infinity": (snmp_messages.tlv(0x44, b"\x9f\x79\x08" + INFINITY), None),
    "Opaque of other octets": (snmp_messages.tlv(0x44, b"\x9f\x78\x03abc"), None),
    "integer": (snmp_messages.integer(-3), -3),
    "Gauge32": (snmp_messages.gauge32(2**32 - 3), -3),
    "Counter64": (snmp_messages.counter64(2**64 - 3), -3),
    "sixteen bits": (snmp_messages.gauge32(2**16 - 3), -3),
    "underflow": (snmp_messages.integer(-(10**9)), None),
    "overflow": (snmp_messages.integer(10**9), None),
    "least of 32 bits": (snmp_messages.integer(-(2**31)), None),
    "most of 32 bits": (snmp_messages.gauge32(2**32 - 1), None),
    "5000 degrees": (snmp_messages.integer(5000), None),
    "no octets": (b"\x42\x00", None),
}


@pytest.mark.parametrize("prefer_gufo", LIBRARIES)
@pytest.mark.parametrize("version", CREDENTIALS)
async def test_a_temperature_is_read_in_every_encoding(
    version: str, prefer_gufo: bool
) -> None:
    for name, (value, expected) in ENCODED.items():
        agent = OddSwitch("s", 1, table_rows() | {f"{_VALUE}.1": value})
        shown = await read_facts(agent, version, prefer_gufo)
        values = {s["descr"]: s["value"] for s in shown["sensors"]}
        assert values.get("Inlet 1") == expected, name
        assert values["Inlet 2"] == 22


@pytest.mark.parametrize("prefer_gufo", LIBRARIES)
@pytest.mark.parametrize("version", CREDENTIALS)
async def test_a_float_is_read_alike_every_time(
    version: str, prefer_gufo: bool
) -> None:
    value, expected = ENCODED["Opaque float"]
    asked = ["1.3.6.1.2.1.1.3.0", f"{_VALUE}.1", f"{_VALUE}.2"]
    agent = OddSwitch("s", 1, table_rows() | {f"{_VALUE}.1": value})
    async with agent, Sessions(prefer_gufo) as sessions:
        session = sessions.open(
            "127.0.0.1",
            agent.port_number,
            CREDENTIALS[version],
            RetryPolicy((2.0, 2.0)),
        )
        for _ in range(4):
            answer = await session.get(asked)
            assert (answer[asked[1]], answer[asked[2]]) == (expected, 22)
        session.close()


def test_a_value_of_an_unknown_type_is_reported_with_its_tag() -> None:
    bind = snmp_messages.tlv(
        snmp_messages.SEQUENCE, snmp_messages.oid("1.3.6.1") + b"\x9f\x71\x01\x02"
    )
    body = snmp_messages.integer(7) * 3 + snmp_messages.tlv(
        snmp_messages.SEQUENCE, bind
    )
    response = snmp_messages.tlv(pdu.RESPONSE, body)
    (bind,) = pdu.decode(response, 0, len(response)).binds
    assert bind.value is None
    assert bind.fault == "a value of a type that SNMP does not have (tag 0x9f)"


def test_octets_that_are_not_a_number_stay_octets() -> None:
    for octets in (
        b"",
        b"\x9f",
        b"\x9f\x78",
        b"\x9f\x78\x04abc",
        b"\x9f\x01\x01a",
        b"a",
    ):
        assert unwrap(octets) == octets


CASES: dict[str, dict[tuple[str, str], Any]] = {
    "s09_opaque_float": {
        ("temperature", "Temperature 1"): 25.3,
        ("humidity", "Humidity 1"): 44.5,
        ("voltage", "Point 1 line 1"): 231.4,
        ("current", "Point 1 line 1"): -0.5,
        ("power", "Point 1 line 1"): None,
        ("percent", "Point 1 line 1 load"): None,
    },
    "s07b_mikrotik_neg": {
        ("temperature", "cpu-temperature"): -3,
        ("temperature", "temperature"): -3,
    },
    "s37_entsensor_ends": {
        ("temperature", "T1"): None,
        ("temperature", "T2"): None,
        ("temperature", "T3"): 21,
        ("temperature", "T4"): -7,
        ("temperature", "T5"): None,
        ("temperature", "T6"): None,
    },
}


@pytest.mark.corpus
@pytest.mark.parametrize("version", ["v1", "v2c"])
@pytest.mark.parametrize("name", CASES)
async def test_recorded_readings_are_measurements_or_unknown(
    name: str, version: str
) -> None:
    file = services.corpus("..", "cases", "snmp", f"{name}.rec")
    shown = await read_facts(RecordedRaw(file), version)
    values = {(s["class"], s["descr"]): s["value"] for s in shown["sensors"]}
    for sensor, value in CASES[name].items():
        assert values.get(sensor) == value, sensor


@pytest.mark.corpus
async def test_recorded_optics_with_a_low_alarm_of_zero_are_ok() -> None:
    file = services.corpus("..", "cases", "snmp", "s25_juniper_dom.rec")
    shown = await read_facts(RecordedRaw(file), "v2c")
    light = {s["descr"]: s for s in shown["sensors"] if s["class"] == "dbm"}
    light = light["ge-0/2/0 receive power"]
    assert light["value"] == -5.66
    assert "low" not in light
    limits = {name: light.get(name) for name in ("low_warn", "high_warn", "high")}
    sensor = Sensor("dbm", "", "", "", value=light["value"], **limits)
    assert severity(sensor) == SEVERITIES["ok"]


@pytest.mark.corpus
async def test_recorded_texts_are_read_without_padding_and_in_their_code_page() -> None:
    file = services.corpus("..", "cases", "snmp", "s06_ff_padding.rec")
    shown = await read_facts(RecordedRaw(file), "v2c")
    assert shown["identity"]["serial"] == "FOC1234"
    serials = [entity.get("serial") for entity in shown["entities"]]
    assert serials == ["FOC1234", "FB40BC5", None]
    file = services.corpus("..", "cases", "snmp", "s05b_cp1252.rec")
    shown = await read_facts(RecordedRaw(file), "v2c")
    assert shown["identity"]["sys_location"] == "St. Mary\u2019s Library"
    assert shown["ports"][0]["alias"] == "Uplink \u2013 Core 1"


async def test_an_implausible_value_is_refused_and_reported() -> None:
    value, _ = ENCODED["5000 degrees"]
    agent = OddSwitch("s", 1, table_rows() | {f"{_VALUE}.1": value})
    shown = await read_facts(agent, "v2c")
    (refused,) = shown["refused"]
    assert (refused["class"], refused["descr"]) == ("temperature", "Inlet 1")
    assert refused["value"] == 5000
    finding = shown["findings"][device_findings.VALUES_IMPLAUSIBLE]
    assert "temperature 'Inlet 1' 5000" in finding
