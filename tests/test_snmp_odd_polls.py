"""A value that turns unreadable between polls leaves all other ports as they are."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from odd_switch import (
    CREDENTIALS,
    IF_ALIAS,
    LIBRARIES,
    MISREAD,
    ODD,
    OddSwitch,
    odd_switch,
)

from collectors.estate import Device
from collectors.snmp import SnmpConfig
from collectors.snmp.polling import device_findings
from collectors.snmp.polling.device_poll import DevicePoll, PollSettings
from collectors.snmp.polling.device_state import DeviceState
from collectors.snmp.polling.expected_ports import PortUses
from collectors.snmp.session import oids
from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.session import RetryPolicy
from collectors.snmp.session.sessions import Sessions
from probes.wire.clock import wall_ms
from towpath.demo import snmp_messages


async def polls(
    agent: OddSwitch,
    held: Credential,
    prefer_gufo: bool,
    spoil: dict[int, dict[str, bytes | None]],
) -> list[dict[str, list[dict[str, Any]]]]:
    """Rows by measurement of one poll after another; before poll `n` the agent's rows
    become `spoil[n]` (None: what they were); after the last of them come two more."""
    kept = []
    async with agent, Sessions(prefer_gufo) as sessions:
        session = sessions.open(
            "127.0.0.1", agent.port_number, held, RetryPolicy((1.0,))
        )
        device = Device(id="a", site="s", address="127.0.0.1", port=agent.port_number)  # type: ignore[arg-type]
        # gufo-snmp lets the first time pass when it cannot read an answer of v3.
        config = SnmpConfig(period_s=0.001, timeout_s=0.3, tries=4)
        settings = PollSettings(config, wall_ms)
        poll = DevicePoll(settings, device, PortUses(), session, DeviceState())
        for n in range(max(spoil) + 3):
            if n in spoil:
                spoilt = agent.rows | spoil[n]
                agent.rows = {
                    oid: raw for oid, raw in spoilt.items() if raw is not None
                }
                agent.rebuild()
            polled = await poll.poll(0.0, lambda: None)
            rows: dict[str, list[dict[str, Any]]] = {}
            for batch in polled.batches:
                for sample in batch.samples():
                    rows.setdefault(batch.measurement, []).append(
                        {**sample.tags, **sample.fields}
                    )
            kept.append(rows)
            await asyncio.sleep(0.01)
        poll.close()
    return kept


@pytest.mark.parametrize("prefer_gufo", LIBRARIES)
@pytest.mark.parametrize("version", CREDENTIALS)
async def test_counters_that_turn_odd_while_polled_leave_all_other_ports(
    version: str, prefer_gufo: bool
) -> None:
    """One encoding after another, each for two polls, and a sound value for two."""
    counters = (f"{oids.IF_HC_IN_OCTETS}.2", f"{oids.IF_IN_OCTETS}.2")
    spoil: dict[int, dict[str, bytes | None]] = {}
    starts = {encoding: 3 + 4 * at for at, encoding in enumerate(ODD)}
    for encoding, start in starts.items():
        spoil[start] = dict.fromkeys(counters, bytes.fromhex(ODD[encoding]))
        spoil[start + 2] = dict.fromkeys(counters)
    agent = odd_switch()
    for port in agent.ports:
        port.set_rate(10_000_000, 10_000_000)
    kept = await polls(agent, CREDENTIALS[version], prefer_gufo, spoil)
    for rows in kept:
        assert rows["device"][0]["outcome"] == "ok"
        assert [row["port"] for row in rows["interface"]] == ["Gi1", "Gi2", "Gi3"]
    for encoding, start in starts.items():
        is_misread = prefer_gufo and encoding in MISREAD
        for row in kept[start + 1]["interface"]:
            assert "out_bps" in row, encoding
            if row["port"] != "Gi2":
                assert "in_bps" in row, encoding
            elif not is_misread:
                assert "in_bps" not in row, encoding
        assert all("in_bps" in row for row in kept[start + 3]["interface"]), encoding


@pytest.mark.parametrize("prefer_gufo", LIBRARIES)
async def test_a_port_whose_state_and_counter_are_odd_keeps_the_rest(
    prefer_gufo: bool,
) -> None:
    agent = odd_switch()
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
        odd_switch({IF_ALIAS: b"\x06\x00"}),
        CREDENTIALS[version],
        prefer_gufo,
        {2: {}, 12: {IF_ALIAS: good}, 40: {}},
    )

    def active(rows: dict[str, list[dict[str, Any]]]) -> list[int]:
        return [
            row["active"]
            for row in rows.get("finding", [])
            if row["finding"] == device_findings.VALUES_UNREADABLE
        ]

    assert [active(rows) for rows in kept[:12]] == [[1]] * 12
    assert [0] in [active(rows) for rows in kept]
    assert active(kept[-1]) == []
