"""What the poller reports about itself, also while it is cut off."""

from __future__ import annotations

import contextlib

from polled_switches import QUICK, RowSink, device, estate, polling
from virtual_time import in_virtual_time
from waiting import until

from collectors.snmp import SnmpConfig
from probes.wire.sample import Value
from towpath.demo.simulated_switches import (
    SimulatedSwitch,
)


@in_virtual_time
async def test_the_poller_reports_about_itself() -> None:
    async with SimulatedSwitch("a", 1) as switch:
        held = estate(device("a", switch))
        async with polling(held, report_s=0.4) as (sink, _):
            await until(lambda: len(sink.rows("self_poll")) >= 2, "its own rows")
    row = sink.rows("self_poll", process="poll")[1]
    assert int(row["expected"]) >= 1
    assert row["failed"] == 0
    assert float(row["late_p99_ms"]) >= 0
    assert (row["period_s"], row["cut_off"]) == (QUICK.period_s, 0)


@in_virtual_time
async def test_the_poller_reports_at_once_when_it_is_cut_off_and_when_not() -> None:
    async with contextlib.AsyncExitStack() as stack:
        switches = [
            await stack.enter_async_context(SimulatedSwitch(f"s{n}", 1))
            for n in range(3)
        ]
        held = estate(*(device(f"s{n}", switch) for n, switch in enumerate(switches)))
        config = SnmpConfig(period_s=1, timeout_s=0.6, tries=1, ping_s=0)
        async with polling(held, config) as (sink, _):
            await until(lambda: len(sink.rows("device")) >= 3, "polls")
            for switch in switches[:2]:
                switch.cut_off = True
            await until(
                lambda: any(not row["up"] for row in sink.rows("device")),
                "two silent",
            )
            assert not sink.rows("self_poll")
            switches[2].cut_off = True
            await until(lambda: sink.rows("self_poll"), "its own row")
            switches[0].cut_off = False
            await until(lambda: len(sink.rows("self_poll")) >= 2, "another")
    assert [row["cut_off"] for row in sink.rows("self_poll")] == [1, 0]


@in_virtual_time
async def test_no_device_counts_as_silent_while_the_poller_is_cut_off() -> None:
    async with contextlib.AsyncExitStack() as stack:
        switches = {
            name: await stack.enter_async_context(SimulatedSwitch(name, 1))
            for name in ("a", "b", "c")
        }
        devices = [device(name, switch) for name, switch in switches.items()]
        sink, poller = await stack.enter_async_context(
            polling(estate(*devices), SnmpConfig(period_s=1, timeout_s=0.6, tries=1))
        )
        await until(lambda: sink.rows("device", device="c"), "answers")
        switches["a"].cut_off = True
        await until(lambda: 0 in answered(sink, "a"), "one that does not answer")
        for switch in switches.values():
            switch.cut_off = True
        await until(lambda: poller.is_cut_off, "the poller cut off")
        # The round that showed it is recorded as it was.
        await until(
            lambda: all(None in answered(sink, name) for name in switches),
            "a whole round while it is",
        )
        sink.samples.clear()
        await until(lambda: len(sink.rows("device")) > 6, "polls while it is")
        rows = sink.rows("device")
        assert {(row["up"], row.get("answered")) for row in rows} == {(0, None)}
        for switch in switches.values():
            switch.cut_off = False
        await until(lambda: 1 in answered(sink, "a"), "answers again")


def answered(sink: RowSink, name: str) -> set[Value | None]:
    return {row.get("answered") for row in sink.rows("device", device=name)}
