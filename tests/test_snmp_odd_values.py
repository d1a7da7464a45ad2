"""A value that cannot be read costs that value, is reported, and costs nothing else:
in any table, by either library, in any version."""

from __future__ import annotations

import random
from typing import Any

import pytest
import services
from odd_switch import (
    ABSENT,
    CELLS,
    CREDENTIALS,
    IF_ALIAS,
    LIBRARIES,
    ODD,
    UNUSUAL,
    OddSwitch,
    lost_rows,
    odd_switch,
    read_facts,
    sound_facts,
    table_rows,
)
from recorded_agents import RecordedRaw

from collectors.snmp.polling import device_findings
from collectors.snmp.session import oids
from towpath.demo import snmp_messages
from towpath.demo.simulated_switches import SimulatedPort


# Each encoding in each version and by each library. Which of the two reads it in a
# version takes turns: they take a message apart before they read its values.
@pytest.mark.parametrize(
    ("encoding", "version", "prefer_gufo"),
    [
        pytest.param(encoding, version, *library.values, marks=library.marks)
        for n, encoding in enumerate([*ODD, *UNUSUAL, *ABSENT])
        for version, library in zip(
            CREDENTIALS, (LIBRARIES * 2)[n % 2 : n % 2 + 3], strict=True
        )
    ],
)
async def test_an_odd_value_in_every_table_costs_that_value_alone(
    encoding: str, version: str, prefer_gufo: bool
) -> None:
    raw = bytes.fromhex((ODD | UNUSUAL | ABSENT)[encoding])
    agent = odd_switch(dict.fromkeys(CELLS, raw))
    shown = await read_facts(agent, version, prefer_gufo)
    lost = lost_rows(await sound_facts(version), shown)
    # The row of the cell itself is another, or gone; two of the cells are sensors'.
    assert all(lost[section] <= 1 + (section == "sensors") for section in lost), lost
    assert [port["if_index"] for port in shown["ports"]] == [1, 2, 3]
    if encoding in ODD:
        assert "alias" not in shown["ports"][1]
        sentence = shown["findings"][device_findings.VALUES_UNREADABLE]
        assert IF_ALIAS in agent.asked or version == "v1"
        assert sentence.count(": ") >= 5
    elif encoding in ABSENT:
        assert "findings" not in shown


async def test_the_finding_names_port_and_column_and_what_was_sent() -> None:
    agent = odd_switch({IF_ALIAS: bytes.fromhex(ODD["IpAddress of 8 octets"])})
    shown = await read_facts(agent, "v2c")
    sentence = shown["findings"][device_findings.VALUES_UNREADABLE]
    assert f"ifAlias of Gi2 ({IF_ALIAS}): an IPv4 address of 8 octets" in sentence


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["s20_ipaddr8_in_alias", "s20_oid00_in_alias"])
async def test_recorded_ports_with_an_odd_alias(name: str) -> None:
    file = services.corpus("..", "cases", "snmp", f"{name}.rec")
    shown = await read_facts(RecordedRaw(file), "v2c")
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
    shown = await read_facts(odd_switch(nothing), version, prefer_gufo)
    first, second, _ = shown["ports"]
    assert not {"in_octets", "in_errors", "mtu"} & first.keys()
    assert {"in_octets", "in_errors", "mtu"} <= second.keys()


class Flipping(OddSwitch):
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
    agent = Flipping("flipping", ports, table_rows())
    agent.dice = random.Random(seed)
    shown = await read_facts(agent, version, prefer_gufo)
    assert [port["if_index"] for port in shown["ports"]] == list(range(1, 9))
