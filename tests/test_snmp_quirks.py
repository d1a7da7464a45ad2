"""What real agents get wrong: they are polled all the same, and learnt once.

The quirks are those that monitoring systems keep lists of; each double behaves as one.
"""

from __future__ import annotations

import itertools

import msgspec
import pytest
from bad_answers import Padded
from bad_walks import (
    BrokenExtension,
    NextIsLate,
    NoBulk,
    NoBulkOfOneTable,
    OneAtATime,
    SilentExtension,
    SkipsRows,
)
from polled_switches import (
    MEGABIT,
    PUBLIC,
    QUICK,
    RowSink,
    device,
    estate,
    numbers,
)
from virtual_time import in_virtual_time
from waiting import until

from collectors.snmp import Poller, SnmpConfig, credential
from collectors.snmp.polling.device_facts import poll_once
from collectors.snmp.session.agent_limits import MAX_VARBINDS, AgentLimits
from collectors.snmp.session.session import RetryPolicy
from towpath.demo.simulated_switches import SimulatedSwitch

COMMUNITY = credential("test", {"community": "public"})


async def rows_of(
    switch: SimulatedSwitch, config: SnmpConfig = QUICK, polls: int = 4
) -> RowSink:
    sink = RowSink()
    async with switch:
        switch.ports[0].set_rate(8 * MEGABIT, 8 * MEGABIT)
        held = estate(device("a", switch))
        async with Poller(config, lambda: held, PUBLIC, sink):
            await until(lambda: len(sink.rows("device")) >= polls, "polls")
    return sink


@pytest.mark.parametrize(
    "kind", [NoBulk, NoBulkOfOneTable, OneAtATime, SkipsRows, NextIsLate, Padded]
)
@in_virtual_time
async def test_all_ports_have_their_names_and_rates(
    kind: type[SimulatedSwitch],
) -> None:
    sink = await rows_of(kind("a", 6))
    names = {
        str(sample.tags["port"])
        for sample in sink.samples
        if sample.measurement == "interface"
    }
    assert names == {f"Gi1/0/{n}" for n in range(1, 7)}
    busy = numbers(sink.rows("interface", port="Gi1/0/1"), "in_bps")
    assert busy
    for rate in busy:
        assert rate == pytest.approx(8 * MEGABIT, rel=0.25)
    assert {row["outcome"] for row in sink.rows("device")} == {"ok"}


@pytest.mark.parametrize("kind", [BrokenExtension, SilentExtension])
@in_virtual_time
async def test_a_broken_iftable_extension_leaves_the_32_bit_counters(
    kind: type[SimulatedSwitch],
) -> None:
    config = SnmpConfig(period_s=0.5, timeout_s=0.05, tries=1, budget_s=20.0)
    sink = await rows_of(kind("a", 6), config, polls=10)
    port = sink.rows("interface", port="Gi1/0/1")
    assert len({str(s.tags.get("port")) for s in sink.samples} - {"None"}) == 6
    # Gigabit and half a second: it cannot have gone round.
    for rate in numbers(port, "in_bps"):
        assert rate == pytest.approx(8 * MEGABIT, rel=0.25)
    assert numbers(port, "in_bps")
    last = sink.rows("device")[-1]
    # Not one variable at a time because of one table.
    assert int(last["packets"]) <= 6


@in_virtual_time
async def test_sysobjectid_is_requested_by_its_instance() -> None:
    async with NextIsLate("odd", 2) as switch:
        facts = await poll_once(
            "127.0.0.1", switch.port_number, COMMUNITY, retry_policy=RetryPolicy((0.3,))
        )
    assert facts.identity is not None
    assert facts.identity.sys_object_id == "1.3.6.1.4.1.8072.3.2.255"


def test_a_set_back_is_forgotten_after_long_enough_without_another() -> None:
    limits = AgentLimits()
    limits.get_failed(40)
    assert limits.varbinds == 20
    for _ in range(4000):
        limits.get_succeeded()
    assert limits.varbinds == limits.ceiling == MAX_VARBINDS
    limits.page_failed("1.3", 25)
    assert limits.repetitions == 12
    for _ in range(4000):
        limits.walk_succeeded(12, 3)
    assert limits.repetitions == 25


def test_an_agent_that_truly_stands_little_is_troubled_less_and_less() -> None:
    limits, refused = AgentLimits(), []
    for asked in range(200_000):
        if limits.varbinds > 30:
            limits.get_failed(limits.varbinds)
            refused.append(asked)
        else:
            limits.get_succeeded()
    assert limits.varbinds <= 30
    assert len(refused) < 100
    gaps = [b - a for a, b in itertools.pairwise(refused)]
    assert max(gaps) > 1000 * min(gaps)


def test_what_was_learnt_of_an_agent_keeps_its_shape() -> None:
    old = msgspec.json.decode(b'{"repetitions": 6, "varbinds": 20}', type=AgentLimits)
    assert (old.repetitions, old.varbinds, old.ceiling) == (6, 20, MAX_VARBINDS)
