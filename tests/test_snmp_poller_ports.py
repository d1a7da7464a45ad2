"""The rows of ports and lines are what simulated switches did."""

from __future__ import annotations

import asyncio
from datetime import date

import pytest
from bad_answers import Cached
from polled_switches import MEGABIT, QUICK, device, estate, numbers, polling
from virtual_time import in_virtual_time
from waiting import until

from collectors.estate import Line
from collectors.snmp import SnmpConfig
from probes.wire.sample import Value
from towpath.demo import snmp_messages
from towpath.demo.simulated_switches import (
    SimulatedNeighbour,
    SimulatedPort,
    SimulatedSwitch,
)


@in_virtual_time
async def test_rates_are_what_the_switch_carried() -> None:
    async with SimulatedSwitch("a", 4) as switch:
        switch.port("Gi1/0/1").set_rate(100 * MEGABIT, 20 * MEGABIT, errors_per_s=50)
        async with polling(estate(device("a", switch))) as (sink, _):
            port = {"device": "a", "port": "Gi1/0/1"}
            await until(
                lambda: len(numbers(sink.rows("interface", **port), "in_bps")) >= 3,
                "three rates",
            )
    rows = sink.rows("interface", **port)[1:]
    # sysUpTime counts hundredths of a second, and the interval is 0.15 s.
    for rate in numbers(rows, "in_bps"):
        assert rate == pytest.approx(100 * MEGABIT, rel=0.15)
    for rate in numbers(rows, "out_bps"):
        assert rate == pytest.approx(20 * MEGABIT, rel=0.15)
    assert numbers(rows, "in_use_ratio")[-1] == pytest.approx(0.1, rel=0.15)
    assert numbers(rows, "in_errors_per_s")[-1] == pytest.approx(50, rel=0.2)
    idle = sink.rows("interface", device="a", port="Gi1/0/2")
    assert set(numbers(idle, "in_bps")) == {0.0}
    assert {row["up"] for row in idle} == {1}
    first = sink.rows("interface", **port)[0]
    assert "in_bps" not in first
    polled = sink.rows("device", device="a")
    assert {(row["up"], row["outcome"]) for row in polled} == {(1, "ok")}
    assert polled[-1]["ports_up"] == 4


@in_virtual_time
async def test_a_poll_out_of_turn_draws_no_spike_from_an_agent_that_caches() -> None:
    config = SnmpConfig(period_s=1.0, timeout_s=0.5, tries=2)
    async with Cached("a", 1) as switch:
        switch.port("Gi1/0/1").set_rate(10 * MEGABIT, 0)
        async with polling(estate(device("a", switch)), config) as (sink, poller):
            for polls in range(2, 12):
                # Soon after one in its turn, anywhere in the life of the cache.
                await until(lambda n=polls: len(sink.rows("device")) >= n, "polls")
                await asyncio.sleep(0.05 + 0.03 * polls)
                assert poller.poll_soon("a")
    rates = numbers(sink.rows("interface", device="a"), "in_bps")
    assert len(rates) >= 3
    assert max(rates) <= 4.5 * 10 * MEGABIT


@in_virtual_time
async def test_a_link_that_fails_is_down_and_expected_up_if_it_matters() -> None:
    ports = [SimulatedPort(n, f"Gi1/0/{n}") for n in range(1, 6)]
    ports[0].neighbour = SimulatedNeighbour("core", "Gi9")
    ports[1].neighbour = SimulatedNeighbour("phone", "1", "telephone")
    async with SimulatedSwitch("a", ports) as switch:
        held = device("a", switch, uplink_ports=("Gi1/0/3",), expect_up="Gi1/0/4")
        async with polling(estate(held)) as (sink, _):

            def last(port: str) -> dict[str, Value]:
                rows = sink.rows("interface", device="a", port=port)
                return rows[-1] if rows else {}

            await until(lambda: last("Gi1/0/1").get("expected_up"), "LLDP")
            for port in ports:
                switch.take_down(port.name)
            await until(lambda: last("Gi1/0/5").get("up") == 0, "the links to fail")
            polls = len(sink.rows("device"))
            await until(lambda: len(sink.rows("device")) >= polls + 3, "more polls")
    why = {port.name: last(port.name).get("expected_why") for port in ports}
    assert why == {
        "Gi1/0/1": "neighbour",
        "Gi1/0/2": None,
        "Gi1/0/3": "uplink",
        "Gi1/0/4": "pattern",
        "Gi1/0/5": None,
    }
    assert [last(port.name)["up"] for port in ports] == [0] * 5
    assert [last(port.name)["state"] for port in ports] == [0, 1, 0, 0, 1]
    assert [last(port.name)["if_index"] for port in ports] == [1, 2, 3, 4, 5]
    assert last("Gi1/0/2")["expected_up"] == 0
    assert sink.rows("device")[-1]["ports_down"] == 5


@in_virtual_time
async def test_a_port_switched_off_is_neither_up_nor_down() -> None:
    async with SimulatedSwitch("a", 2) as switch:
        switch.port("Gi1/0/2").admin_up = False
        async with polling(estate(device("a", switch))) as (sink, _):
            await until(lambda: sink.rows("interface"), "a poll")
    assert "up" not in sink.rows("interface", port="Gi1/0/2")[0]
    assert sink.rows("interface", port="Gi1/0/2")[0]["state"] == 2
    assert sink.rows("interface", port="Gi1/0/1")[0]["state"] == 3
    assert sink.rows("device")[0]["ports_down"] == 0


@in_virtual_time
async def test_a_restart_draws_no_spike() -> None:
    async with SimulatedSwitch("a", 2) as switch:
        switch.port("Gi1/0/1").set_rate(80 * MEGABIT, 80 * MEGABIT)
        async with polling(estate(device("a", switch))) as (sink, _):
            port = {"device": "a", "port": "Gi1/0/1"}
            await until(lambda: len(sink.rows("interface", **port)) >= 3, "polls")
            await asyncio.sleep(0.4)
            switch.restart()
            restarted = len(sink.rows("device"))
            await until(lambda: len(sink.rows("device")) >= restarted + 4, "polls")
    rates = numbers(sink.rows("interface", **port), "in_bps")
    assert all(rate == pytest.approx(80 * MEGABIT, rel=0.15) for rate in rates)
    flags = [row["restarted"] for row in sink.rows("device")]
    assert sum(map(int, flags)) == 1
    # It goes on after one poll without a rate.
    assert "in_bps" in sink.rows("interface", **port)[-1]


@pytest.mark.parametrize("announced", [True, False])
@in_virtual_time
async def test_renumbered_ports_keep_their_series(announced: bool) -> None:
    """Whether the agent announces it by ifTableLastChange or not."""
    async with SimulatedSwitch("a", 3) as switch:
        busy, idle = switch.port("Gi1/0/1"), switch.port("Gi1/0/2")
        busy.set_rate(80 * MEGABIT, 80 * MEGABIT)
        async with polling(estate(device("a", switch))) as (sink, _):
            await until(lambda: len(sink.rows("device")) >= 3, "polls")
            busy.index, idle.index = idle.index, busy.index
            switch.table_changed() if announced else switch.rebuild()
            polls = len(sink.rows("device"))
            await until(lambda: len(sink.rows("device")) >= polls + 4, "polls")
    of_busy = numbers(sink.rows("interface", port="Gi1/0/1"), "in_bps")
    of_idle = numbers(sink.rows("interface", port="Gi1/0/2"), "in_bps")
    assert all(rate == pytest.approx(80 * MEGABIT, rel=0.15) for rate in of_busy)
    assert set(of_idle) == {0.0}


@in_virtual_time
async def test_a_port_that_appears_is_found() -> None:
    async with (
        SimulatedSwitch("a", 2) as switch,
        polling(estate(device("a", switch))) as (sink, _),
    ):
        await until(lambda: len(sink.rows("device")) >= 2, "polls")
        switch.ports.append(SimulatedPort(77, "Te1/1/1"))
        switch.table_changed()
        await until(lambda: sink.rows("interface", port="Te1/1/1"), "the new port")


@in_virtual_time
async def test_a_new_alias_is_noticed_without_asking_for_all_names_each_time() -> None:
    async with SimulatedSwitch("a", 20) as switch:
        held = device("a", switch, expect_up="camera")
        async with polling(estate(held)) as (sink, _):
            await until(lambda: sink.rows("device"), "a poll")
            switch.port("Gi1/0/7").alias = "camera at the gate"
            port = {"port": "Gi1/0/7", "device": "a"}
            await until(
                lambda: sink.rows("interface", **port)[-1]["expected_up"],
                "the alias",
            )


@in_virtual_time
async def test_a_line_is_measured_against_its_contract_from_either_end() -> None:
    async with SimulatedSwitch("a", 3) as switch:
        switch.port("Gi1/0/1").set_rate(40 * MEGABIT, 5 * MEGABIT)
        switch.port("Gi1/0/2").set_rate(40 * MEGABIT, 5 * MEGABIT)
        contract = {"site": "town-hall", "device": "a", "down_mbps": 80, "up_mbps": 20}
        lines = (
            Line(
                id="here",
                port="Gi1/0/1",
                supplier="Post",
                circuit_ref="P-1",
                cost_per_year=1200.0,
                contract_end=date(2027, 3, 31),
                **contract,  # type: ignore[arg-type]
            ),
            Line(id="there", port="Gi1/0/2", far_end=True, **contract),  # type: ignore[arg-type]
            Line(id="spare", port="Gi1/0/3", role="backup", **contract),  # type: ignore[arg-type]
        )
        async with polling(estate(device("a", switch), lines=lines)) as (sink, _):
            await until(
                lambda: numbers(sink.rows("line", line="there"), "up_bps"), "a line"
            )
            switch.take_down("Gi1/0/1")
            await until(
                lambda: sink.rows("line", line="here")[-1]["up"] == 0,
                "the line to fail",
            )
    here, there = (
        sink.rows("line", line="here")[1],
        sink.rows("line", line="there")[1],
    )
    assert here["down_use_ratio"] == pytest.approx(0.5, rel=0.15)
    assert here["up_use_ratio"] == pytest.approx(0.25, rel=0.15)
    assert (here["up"], here["carrying"]) == (1, 1)
    assert there["down_bps"] == pytest.approx(5 * MEGABIT, rel=0.15)
    assert there["up_use_ratio"] == pytest.approx(2.0, rel=0.15)
    spare = sink.rows("line", line="spare", role="backup")[1]
    assert (spare["up"], spare["carrying"]) == (1, 0)
    assert sink.rows("line", line="here")[-1]["carrying"] == 0
    # The counters still answer, but a line that is down has no rate: not even 0.
    rates = ("down_bps", "up_bps", "down_use_ratio", "up_use_ratio", "in_errors_per_s")
    assert not set(rates) & sink.rows("line", line="here")[-1].keys()
    assert here["in_errors_per_s"] == 0.0
    # The contract is stored with the figures, for tables and graphs.
    assert (here["contract_down_bps"], here["contract_up_bps"]) == (80e6, 20e6)
    assert (here["cost_per_year"], here["circuit_ref"]) == (1200.0, "P-1")
    assert here["contract_end_ms"] == 1_806_451_200_000
    assert (here["device"], here["port"]) == ("a", "Gi1/0/1")
    assert "cost_per_year" not in there
    why = sink.rows("interface", port="Gi1/0/1")[-1]["expected_why"]
    assert why == "line"


@in_virtual_time
async def test_a_poll_of_fifty_ports_takes_few_packets_and_no_fragments() -> None:
    longest = 0

    class Measured(SimulatedSwitch):
        def answer(self, data: bytes) -> list[bytes]:
            nonlocal longest
            answers = super().answer(data)
            longest = max(longest, len(data), *map(len, answers))
            return answers

    async with Measured("a", 50) as switch:
        for port in switch.ports:
            port.alias = f"room {port.index}, socket {port.index % 4}"
            port.set_rate(300 * MEGABIT, 100 * MEGABIT)
            port._in_octets = 2.0**45  # as after months
        config = QUICK.model_copy(update={"neighbours_s": 600.0})
        async with polling(estate(device("a", switch)), config) as (sink, _):
            await until(lambda: len(sink.rows("device")) >= 8, "polls")
    packets = [int(row["packets"]) for row in sink.rows("device")]
    assert packets[-1] <= 15
    assert len(sink.rows("interface")) == 50 * len(packets)
    assert longest <= 1472


@in_virtual_time
async def test_an_agent_without_sysuptime_is_timed_by_our_clock_and_marked() -> None:
    class Timeless(SimulatedSwitch):
        def rebuild(self) -> None:
            super().rebuild()
            name = snmp_messages.oid_content((1, 3, 6, 1, 2, 1, 1, 3, 0))
            self._rows.remove((1, 3, 6, 1, 2, 1, 1, 3, 0))
            del self._values[name]

    async with Timeless("a", 2) as switch:
        switch.port("Gi1/0/1").set_rate(80 * MEGABIT, 0)
        async with polling(estate(device("a", switch))) as (sink, _):
            port = {"port": "Gi1/0/1"}
            await until(
                lambda: numbers(sink.rows("interface", **port), "in_bps"), "rate"
            )
    assert sink.rows("device")[-1]["own_clock"] == 1
    rate = numbers(sink.rows("interface", port="Gi1/0/1"), "in_bps")[0]
    assert rate == pytest.approx(80 * MEGABIT, rel=0.3)
