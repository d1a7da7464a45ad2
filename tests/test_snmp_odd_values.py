"""A value that cannot be read costs that value, is said, and costs nothing else: in any
table, by either library, in any version."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import msgspec
import pytest
import services
from agents import RecordedRaw
from hypothesis import given
from hypothesis import strategies as st
from maker_agents import Beside
from secured_agent import USER, SecuredSwitch

from collectors.estate import Device
from collectors.snmp import SnmpConfig, credential
from collectors.snmp.polling import device_findings
from collectors.snmp.polling.device_facts import facts_json, poll_once
from collectors.snmp.polling.device_poll import DevicePoll, PollSettings
from collectors.snmp.polling.device_state import DeviceState
from collectors.snmp.session import oids, pdu
from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.poll_budget import PollBudget
from collectors.snmp.session.session import Failed, RetryPolicy
from collectors.snmp.session.sessions import HAS_GUFO, Sessions
from probes.wire.clock import wall_ms
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
# `UNUSUAL` are one, however strangely written; those of `ABSENT` say there is none.
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


def rows() -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for n in (1, 2, 3):
        found |= {
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
        found[f"{_GAUGE}.2.{n}"] = snmp_messages.octets(name)
        found[f"{_GAUGE}.3.{n}"] = snmp_messages.integer(30 + n % 2)
        found[f"{_GAUGE}.4.{n}"] = snmp_messages.integer(1)
    return found


class Switch(SecuredSwitch):
    object_id = "1.3.6.1.4.1.14988.1"


def switch(spoilt: dict[str, bytes] | None = None) -> Switch:
    ports = [
        SimulatedPort(
            n, f"Gi{n}", alias=f"desk {n}", neighbour=SimulatedNeighbour(f"sw{n}")
        )
        for n in (1, 2, 3)
    ]
    return Switch("odd", ports, rows() | (spoilt or {}))


async def shown_by(
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


async def whole(version: str) -> dict[str, Any]:
    if version not in _WHOLE:
        shown = await shown_by(switch(), version)
        assert "findings" not in shown
        assert {s: len(shown[s]) for s in ("ports", "ipv4", "vlans")} == {
            "ports": 3,
            "ipv4": 3,
            "vlans": 3,
        }
        _WHOLE[version] = shown
    return _WHOLE[version]


@pytest.mark.parametrize("prefer_gufo", LIBRARIES)
@pytest.mark.parametrize("version", CREDENTIALS)
@pytest.mark.parametrize("encoding", [*ODD, *UNUSUAL, *ABSENT])
async def test_an_odd_value_in_every_table_costs_that_value_alone(
    encoding: str, version: str, prefer_gufo: bool
) -> None:
    raw = bytes.fromhex((ODD | UNUSUAL | ABSENT)[encoding])
    agent = switch(dict.fromkeys(CELLS, raw))
    shown = await shown_by(agent, version, prefer_gufo)
    lost = lost_rows(await whole(version), shown)
    # The row of the cell itself is another, or gone; two of the cells are sensors'.
    assert all(lost[section] <= 1 + (section == "sensors") for section in lost), lost
    assert [port["if_index"] for port in shown["ports"]] == [1, 2, 3]
    if encoding in ODD:
        assert "alias" not in shown["ports"][1]
        said = shown["findings"][device_findings.VALUES_UNREADABLE]
        assert IF_ALIAS in agent.asked or version == "v1"
        assert said.count(": ") >= 5
    elif encoding in ABSENT:
        assert "findings" not in shown


async def test_the_finding_names_port_and_column_and_what_was_sent() -> None:
    agent = switch({IF_ALIAS: bytes.fromhex(ODD["IpAddress of 8 octets"])})
    shown = await shown_by(agent, "v2c")
    said = shown["findings"][device_findings.VALUES_UNREADABLE]
    assert f"ifAlias of Gi2 ({IF_ALIAS}): an IPv4 address of 8 octets" in said


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["s20_ipaddr8_in_alias", "s20_oid00_in_alias"])
async def test_recorded_ports_with_an_odd_alias(name: str) -> None:
    file = services.corpus("..", "cases", "snmp", f"{name}.rec")
    shown = await shown_by(RecordedRaw(file), "v2c")
    aliases = [port.get("alias") for port in shown["ports"]]
    assert aliases == ["", None, "lab"]
    assert "ifAlias of ether2" in shown["findings"][device_findings.VALUES_UNREADABLE]


@pytest.mark.parametrize("prefer_gufo", LIBRARIES)
@pytest.mark.parametrize("version", CREDENTIALS)
async def test_numbers_of_no_octets_are_not_zero(
    version: str, prefer_gufo: bool
) -> None:
    nothing = {
        f"{oids.IF_HC_IN_OCTETS}.1": b"\x46\x00",
        f"{oids.IF_IN_OCTETS}.1": b"\x41\x00",
        f"{oids.IF_IN_ERRORS}.1": b"\x41\x00",
        f"{oids.IF_MTU}.1": b"\x02\x00",
    }
    shown = await shown_by(switch(nothing), version, prefer_gufo)
    first, second, _ = shown["ports"]
    assert not {"in_octets", "in_errors", "mtu"} & first.keys()
    assert {"in_octets", "in_errors", "mtu"} <= second.keys()


async def polls(
    agent: Switch, held: Credential, prefer_gufo: bool, spoil: dict[int, dict[str, Any]]
) -> list[dict[str, list[dict[str, Any]]]]:
    """Rows by measurement of one poll after another; before poll `n` the agent's rows
    become `spoil[n]`, and after the last of them come two more."""
    kept = []
    async with agent, Sessions(prefer_gufo) as sessions:
        session = sessions.open(
            "127.0.0.1", agent.port_number, held, RetryPolicy((2.0, 2.0))
        )
        device = Device(id="a", site="s", address="127.0.0.1", port=agent.port_number)  # type: ignore[arg-type]
        settings = PollSettings(
            SnmpConfig(period_s=0.001, timeout_s=2.0, tries=2),
            wall_ms,
        )
        poll = DevicePoll(settings, device, (), session, DeviceState())
        for n in range(max(spoil) + 3):
            if n in spoil:
                agent.rows |= spoil[n]
                agent.rebuild()
            polled = await poll.poll(0.0, lambda: None)
            found: dict[str, list[dict[str, Any]]] = {}
            for batch in polled.batches:
                for sample in batch.samples():
                    found.setdefault(batch.measurement, []).append(
                        {**sample.tags, **sample.fields}
                    )
            kept.append(found)
            await asyncio.sleep(0.01)
        poll.close()
    return kept


@pytest.mark.parametrize("prefer_gufo", LIBRARIES)
@pytest.mark.parametrize("version", CREDENTIALS)
@pytest.mark.parametrize("encoding", ODD)
async def test_a_counter_that_turns_odd_while_polled_leaves_all_other_ports(
    encoding: str, version: str, prefer_gufo: bool
) -> None:
    counters = [f"{oids.IF_HC_IN_OCTETS}.2", f"{oids.IF_IN_OCTETS}.2"]
    agent = switch()
    for port in agent.ports:
        port.set_rate(10_000_000, 10_000_000)
    kept = await polls(
        agent,
        CREDENTIALS[version],
        prefer_gufo,
        {3: dict.fromkeys(counters, bytes.fromhex(ODD[encoding]))},
    )
    for found in kept:
        assert found["device"][0]["outcome"] == "ok"
        assert [row["port"] for row in found["interface"]] == ["Gi1", "Gi2", "Gi3"]
    for row in kept[-1]["interface"]:
        if row["port"] != "Gi2":
            assert "in_bps" in row
        elif not (prefer_gufo and encoding in MISREAD):
            assert "in_bps" not in row
        assert "out_bps" in row


@pytest.mark.parametrize("prefer_gufo", LIBRARIES)
async def test_a_port_whose_state_and_counter_are_odd_keeps_the_rest(
    prefer_gufo: bool,
) -> None:
    agent = switch()
    for port in agent.ports:
        port.set_rate(10_000_000, 10_000_000)
    columns = (oids.IF_HC_IN_OCTETS, oids.IF_IN_OCTETS, oids.IF_OPER_STATUS)
    odd = {f"{column}.2": b"\x01\x01\xff" for column in columns}
    kept = await polls(agent, CREDENTIALS["v2c"], prefer_gufo, {3: odd})
    [row] = [row for row in kept[-1]["interface"] if row["port"] == "Gi2"]
    assert row["out_bps"] > 0
    assert not {"in_bps", "oper", "up"} & row.keys()


@pytest.mark.parametrize("prefer_gufo", LIBRARIES)
@pytest.mark.parametrize("version", CREDENTIALS)
async def test_a_finding_lasts_as_long_as_the_value_is_odd(
    version: str, prefer_gufo: bool
) -> None:
    good = snmp_messages.octets("desk 2")
    kept = await polls(
        switch({IF_ALIAS: b"\x06\x00"}),
        CREDENTIALS[version],
        prefer_gufo,
        {2: {}, 12: {IF_ALIAS: good}, 40: {}},
    )

    def active(found: dict[str, list[dict[str, Any]]]) -> list[int]:
        return [
            row["active"]
            for row in found.get("finding", [])
            if row["finding"] == device_findings.VALUES_UNREADABLE
        ]

    assert [active(found) for found in kept[:12]] == [[1]] * 12
    assert [0] in [active(found) for found in kept]
    assert active(kept[-1]) == []


class Flipping(Switch):
    """Changes octets within the values of every answer; sysUpTime is left whole."""

    dice = random.Random(0)

    def reply(self, request: snmp_messages.SnmpRequest) -> bytes | None:
        if request.kind == snmp_messages.GET and len(request.names) == 1:
            return super().reply(request)
        for row in self.dice.sample(self._rows, 12):
            name = snmp_messages.oid_content(row)
            if row[:8] == (1, 3, 6, 1, 2, 1, 1, 3):
                continue
            sound = self._sound.setdefault(name, self._values[name])
            octets = bytearray(sound())
            for _ in range(self.dice.randint(1, 3)):
                octets[self.dice.randrange(len(octets))] = self.dice.randrange(256)
            self._values[name] = lambda octets=octets: bytes(octets)  # type: ignore[misc]
        answer = super().reply(request)
        self._values |= self._sound
        return answer

    def rebuild(self) -> None:
        self._sound: dict[bytes, Any] = {}
        super().rebuild()


@pytest.mark.parametrize("prefer_gufo", LIBRARIES)
@pytest.mark.parametrize("version", CREDENTIALS)
@pytest.mark.parametrize("seed", range(6))
async def test_octets_changed_within_values_lose_no_port(
    seed: int, version: str, prefer_gufo: bool
) -> None:
    ports = [SimulatedPort(n, f"Gi{n}", alias=f"desk {n}") for n in range(1, 9)]
    agent = Flipping("flipping", ports, rows())
    agent.dice = random.Random(seed)
    shown = await shown_by(agent, version, prefer_gufo)
    assert [port["if_index"] for port in shown["ports"]] == list(range(1, 9))


class CutList(Switch):
    """The list of every answer to several names ends within a binding."""

    def reply(self, request: snmp_messages.SnmpRequest) -> bytes | None:
        answer = super().reply(request)
        if (
            answer is None
            or request.kind != snmp_messages.GET
            or len(request.names) < 3
        ):
            return answer
        at, end = snmp_messages.expect(answer, 0, len(answer), snmp_messages.SEQUENCE)
        head = snmp_messages.integer(request.version) + snmp_messages.octets(
            request.community
        )
        inside = answer[at + len(head) : end]
        start, stop = snmp_messages.expect(
            inside, 0, len(inside), snmp_messages.RESPONSE
        )
        # The message and its PDU are as long as they say; what they hold is not.
        cut = snmp_messages.tlv(snmp_messages.RESPONSE, inside[start : stop - 9])
        return snmp_messages.tlv(snmp_messages.SEQUENCE, head + cut)


async def test_what_a_cut_list_left_out_is_asked_again() -> None:
    async with CutList("cut", 4) as agent, Sessions() as sessions:
        session = sessions.open(
            "127.0.0.1", agent.port_number, CREDENTIALS["v2c"], RetryPolicy((1.0,))
        )
        wanted = [f"{oids.IF_NAME}.{n}" for n in range(1, 5)]
        found = await DeviceSession(session, PollBudget(10)).get_all(wanted)
        session.close()
    assert [found[oid] for oid in wanted] == [
        b"Gi1/0/1",
        b"Gi1/0/2",
        b"Gi1/0/3",
        b"Gi1/0/4",
    ]


@pytest.mark.parametrize("prefer_gufo", LIBRARIES)
@pytest.mark.parametrize("version", CREDENTIALS)
async def test_a_walk_of_nothing_but_odd_values_ends(
    version: str, prefer_gufo: bool
) -> None:
    column = oids.IF_ALIAS
    odd = {f"{column}.{n}": b"\x06\x00" for n in range(1, 60)}
    async with Switch("odd", 3, odd) as agent, Sessions(prefer_gufo) as sessions:
        session = sessions.open(
            "127.0.0.1", agent.port_number, CREDENTIALS[version], RetryPolicy((1.0,))
        )
        assert await DeviceSession(session, PollBudget(10)).walk(column) == {}
        assert len(session.unreadable.by_oid) == 59
        session.close()


@given(st.binary(max_size=120), st.integers(0, 3))
def test_any_octets_as_a_response_are_read_or_refused(
    octets: bytes, asked: int
) -> None:
    names = [f"1.3.6.1.2.1.1.{n}.0" for n in range(1, asked + 1)]
    body = (
        snmp_messages.integer(7) + snmp_messages.integer(0) + snmp_messages.integer(0)
    )
    for data in (
        octets,
        snmp_messages.tlv(snmp_messages.RESPONSE, octets),
        snmp_messages.tlv(
            snmp_messages.RESPONSE,
            body + snmp_messages.tlv(snmp_messages.SEQUENCE, octets),
        ),
    ):
        try:
            response = pdu.decode(data, 0, len(data), names)
        except snmp_messages.Malformed:
            continue
        assert all(bind.value is None for bind in response.binds if bind.fault)


@given(
    st.lists(st.sampled_from(sorted(ODD.values())), min_size=1, max_size=6),
    st.integers(0, 6),
)
def test_sound_values_are_read_wherever_they_lie_among_odd_ones(
    odd: list[str], at: int
) -> None:
    binds = [
        snmp_messages.bind(snmp_messages.oid_content((1, 3, 6, n)), bytes.fromhex(each))
        for n, each in enumerate(odd)
    ]
    binds.insert(
        at,
        snmp_messages.bind(
            snmp_messages.oid_content((1, 3, 7)), snmp_messages.integer(42)
        ),
    )
    body = (
        snmp_messages.integer(7) + snmp_messages.integer(0) + snmp_messages.integer(0)
    )
    data = snmp_messages.tlv(
        snmp_messages.RESPONSE,
        body + snmp_messages.tlv(snmp_messages.SEQUENCE, b"".join(binds)),
    )
    response = pdu.decode(data, 0, len(data))
    assert response.complete
    assert len(response.binds) == len(odd) + 1
    assert {bind.oid: bind.value for bind in response.binds}["1.3.7"] == 42


async def test_a_context_is_named_to_the_agent() -> None:
    held = msgspec.structs.replace(USER, context="vlan-7")
    async with switch() as agent, Sessions() as sessions:
        session = sessions.open(
            "127.0.0.1", agent.port_number, held, RetryPolicy((1.0,))
        )
        assert await session.get([oids.SYS_UP_TIME])
        session.close()
    assert agent.contexts == {b"vlan-7"}


async def test_a_wrong_password_of_version_3_is_refused() -> None:
    held = credential(
        "test", {"user": "watcher", "auth_password": "anotherword", "priv": "none"}
    )
    async with switch() as agent, Sessions() as sessions:
        session = sessions.open(
            "127.0.0.1", agent.port_number, held, RetryPolicy((0.5,))
        )
        with pytest.raises(Failed) as caught:
            await session.get([oids.SYS_UP_TIME])
        session.close()
    assert caught.value.outcome.value == "auth_failed"
