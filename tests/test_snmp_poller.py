"""The poller against simulated switches over UDP: what it says is what they did."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import uvloop
from agents import Cached, Lossy, Silent
from waiting import until

from collectors.batch import Batch, check
from collectors.estate import Device, Estate, Line, Site
from collectors.server_measurements import CATALOGUE
from collectors.snmp import Credentials, Poller, SnmpConfig, credential
from collectors.snmp.polling.poll_schedule import phase_s
from probes.wire.sample import Sample, Value
from towpath.demo import snmp_messages
from towpath.demo.simulated_switches import (
    SimulatedNeighbour,
    SimulatedPort,
    SimulatedSwitch,
)

QUICK = SnmpConfig(period_s=0.15, timeout_s=0.5, tries=2, neighbours_s=0.1)
PUBLIC = Credentials({"default": credential("default", {"community": "public"})})
MEGABIT = 1e6


class Kept:
    """Holds what was appended, checked against the catalogue."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.broken = False

    async def append(self, *batches: Batch) -> None:
        if self.broken:
            raise OSError("disk full")
        for batch in batches:
            self.samples += check(batch, CATALOGUE).samples()

    def of(self, measurement: str, **tags: str) -> list[dict[str, Value]]:
        return [
            each.fields
            for each in self.samples
            if each.measurement == measurement
            and all(each.tags.get(name) == tag for name, tag in tags.items())
        ]


def device(id: str, switch: SimulatedSwitch, **more: object) -> Device:
    return Device(
        id=id,
        site="town-hall",
        address=switch.address,
        port=switch.port_number,
        **more,  # type: ignore[arg-type]
    )


def estate(*devices: Device, lines: tuple[Line, ...] = ()) -> Estate:
    return Estate(
        sites=(Site(id="town-hall", name="Town hall"),), devices=devices, lines=lines
    )


@contextlib.asynccontextmanager
async def polling(
    current: Callable[[], Estate] | Estate,
    config: SnmpConfig = QUICK,
    credentials: Credentials = PUBLIC,
    report_s: float = 60.0,
) -> AsyncIterator[tuple[Kept, Poller]]:
    kept = Kept()
    follow = current if callable(current) else lambda: current
    async with Poller(config, follow, credentials, kept, report_s=report_s) as poller:
        yield kept, poller


def numbers(rows: list[dict[str, Value]], field: str) -> list[float]:
    return [float(row[field]) for row in rows if field in row]


async def test_rates_are_what_the_switch_carried() -> None:
    async with SimulatedSwitch("a", 4) as switch:
        switch.port("Gi1/0/1").set_rate(100 * MEGABIT, 20 * MEGABIT, errors_per_s=50)
        async with polling(estate(device("a", switch))) as (kept, _):
            port = {"device": "a", "port": "Gi1/0/1"}
            await until(
                lambda: len(numbers(kept.of("interface", **port), "in_bps")) >= 3,
                "three rates",
            )
    rows = kept.of("interface", **port)[1:]
    # sysUpTime counts hundredths of a second, and the interval is 0.15 s.
    for rate in numbers(rows, "in_bps"):
        assert rate == pytest.approx(100 * MEGABIT, rel=0.15)
    for rate in numbers(rows, "out_bps"):
        assert rate == pytest.approx(20 * MEGABIT, rel=0.15)
    assert numbers(rows, "in_use_ratio")[-1] == pytest.approx(0.1, rel=0.15)
    assert numbers(rows, "in_errors_per_s")[-1] == pytest.approx(50, rel=0.2)
    idle = kept.of("interface", device="a", port="Gi1/0/2")
    assert set(numbers(idle, "in_bps")) == {0.0}
    assert {row["up"] for row in idle} == {1}
    first = kept.of("interface", **port)[0]
    assert "in_bps" not in first
    polled = kept.of("device", device="a")
    assert {(row["up"], row["outcome"]) for row in polled} == {(1, "ok")}
    assert polled[-1]["ports_up"] == 4


async def test_a_poll_out_of_turn_draws_no_spike_from_an_agent_that_caches() -> None:
    config = SnmpConfig(period_s=1.0, timeout_s=0.5, tries=2)
    async with Cached("a", 1) as switch:
        switch.port("Gi1/0/1").set_rate(10 * MEGABIT, 0)
        async with polling(estate(device("a", switch)), config) as (kept, poller):
            for polls in range(2, 12):
                # Soon after one in its turn, anywhere in the life of the cache.
                await until(lambda n=polls: len(kept.of("device")) >= n, "polls")
                await asyncio.sleep(0.05 + 0.03 * polls)
                assert poller.poll_soon("a")
    rates = numbers(kept.of("interface", device="a"), "in_bps")
    assert len(rates) >= 3
    assert max(rates) <= 4.5 * 10 * MEGABIT


async def test_a_link_that_fails_is_down_and_is_missed_where_it_matters() -> None:
    ports = [SimulatedPort(n, f"Gi1/0/{n}") for n in range(1, 6)]
    ports[0].neighbour = SimulatedNeighbour("core", "Gi9")
    ports[1].neighbour = SimulatedNeighbour("phone", "1", "telephone")
    async with SimulatedSwitch("a", ports) as switch:
        held = device("a", switch, uplink_ports=("Gi1/0/3",), expect_up="Gi1/0/4")
        async with polling(estate(held)) as (kept, _):

            def last(port: str) -> dict[str, Value]:
                rows = kept.of("interface", device="a", port=port)
                return rows[-1] if rows else {}

            await until(lambda: last("Gi1/0/1").get("expected_up"), "LLDP")
            for port in ports:
                switch.take_down(port.name)
            await until(lambda: last("Gi1/0/5").get("up") == 0, "the links to fail")
            polls = len(kept.of("device"))
            await until(lambda: len(kept.of("device")) >= polls + 3, "more polls")
    why = {port.name: last(port.name).get("expected_why") for port in ports}
    assert why == {
        "Gi1/0/1": "neighbour",
        "Gi1/0/2": None,
        "Gi1/0/3": "uplink",
        "Gi1/0/4": "pattern",
        "Gi1/0/5": None,
    }
    assert [last(port.name)["up"] for port in ports] == [0] * 5
    assert last("Gi1/0/2")["expected_up"] == 0
    assert kept.of("device")[-1]["ports_down"] == 5


async def test_a_port_switched_off_is_neither_up_nor_down() -> None:
    async with SimulatedSwitch("a", 2) as switch:
        switch.port("Gi1/0/2").admin_up = False
        async with polling(estate(device("a", switch))) as (kept, _):
            await until(lambda: kept.of("interface"), "a poll")
    assert "up" not in kept.of("interface", port="Gi1/0/2")[0]
    assert kept.of("device")[0]["ports_down"] == 0


async def test_a_restart_draws_no_spike() -> None:
    async with SimulatedSwitch("a", 2) as switch:
        switch.port("Gi1/0/1").set_rate(80 * MEGABIT, 80 * MEGABIT)
        async with polling(estate(device("a", switch))) as (kept, _):
            port = {"device": "a", "port": "Gi1/0/1"}
            await until(lambda: len(kept.of("interface", **port)) >= 3, "polls")
            await asyncio.sleep(0.4)
            switch.restart()
            restarted = len(kept.of("device"))
            await until(lambda: len(kept.of("device")) >= restarted + 4, "polls")
    rates = numbers(kept.of("interface", **port), "in_bps")
    assert all(rate == pytest.approx(80 * MEGABIT, rel=0.15) for rate in rates)
    flags = [row["restarted"] for row in kept.of("device")]
    assert sum(map(int, flags)) == 1
    # It goes on after one poll without a rate.
    assert "in_bps" in kept.of("interface", **port)[-1]


@pytest.mark.parametrize("told", [True, False])
async def test_renumbered_ports_keep_their_series(told: bool) -> None:
    """Whether the agent announces it by ifTableLastChange or not."""
    async with SimulatedSwitch("a", 3) as switch:
        busy, idle = switch.port("Gi1/0/1"), switch.port("Gi1/0/2")
        busy.set_rate(80 * MEGABIT, 80 * MEGABIT)
        async with polling(estate(device("a", switch))) as (kept, _):
            await until(lambda: len(kept.of("device")) >= 3, "polls")
            busy.index, idle.index = idle.index, busy.index
            switch.table_changed() if told else switch.rebuild()
            polls = len(kept.of("device"))
            await until(lambda: len(kept.of("device")) >= polls + 4, "polls")
    of_busy = numbers(kept.of("interface", port="Gi1/0/1"), "in_bps")
    of_idle = numbers(kept.of("interface", port="Gi1/0/2"), "in_bps")
    assert all(rate == pytest.approx(80 * MEGABIT, rel=0.15) for rate in of_busy)
    assert set(of_idle) == {0.0}


async def test_a_port_that_appears_is_found() -> None:
    async with (
        SimulatedSwitch("a", 2) as switch,
        polling(estate(device("a", switch))) as (kept, _),
    ):
        await until(lambda: len(kept.of("device")) >= 2, "polls")
        switch.ports.append(SimulatedPort(77, "Te1/1/1"))
        switch.table_changed()
        await until(lambda: kept.of("interface", port="Te1/1/1"), "the new port")


async def test_a_new_alias_is_noticed_without_asking_for_all_names_each_time() -> None:
    async with SimulatedSwitch("a", 20) as switch:
        held = device("a", switch, expect_up="camera")
        async with polling(estate(held)) as (kept, _):
            await until(lambda: kept.of("device"), "a poll")
            switch.port("Gi1/0/7").alias = "camera at the gate"
            port = {"port": "Gi1/0/7", "device": "a"}
            await until(
                lambda: kept.of("interface", **port)[-1]["expected_up"], "the alias"
            )


async def test_a_line_is_told_against_its_contract_from_either_end() -> None:
    async with SimulatedSwitch("a", 3) as switch:
        switch.port("Gi1/0/1").set_rate(40 * MEGABIT, 5 * MEGABIT)
        switch.port("Gi1/0/2").set_rate(40 * MEGABIT, 5 * MEGABIT)
        contract = {"site": "town-hall", "device": "a", "down_mbps": 80, "up_mbps": 20}
        lines = (
            Line(id="here", port="Gi1/0/1", supplier="Post", **contract),  # type: ignore[arg-type]
            Line(id="there", port="Gi1/0/2", far_end=True, **contract),  # type: ignore[arg-type]
            Line(id="spare", port="Gi1/0/3", role="backup", **contract),  # type: ignore[arg-type]
        )
        async with polling(estate(device("a", switch), lines=lines)) as (kept, _):
            await until(
                lambda: numbers(kept.of("line", line="there"), "up_bps"), "a line"
            )
            switch.take_down("Gi1/0/1")
            await until(
                lambda: kept.of("line", line="here")[-1]["up"] == 0, "the line to fail"
            )
    here, there = kept.of("line", line="here")[1], kept.of("line", line="there")[1]
    assert here["down_use_ratio"] == pytest.approx(0.5, rel=0.15)
    assert here["up_use_ratio"] == pytest.approx(0.25, rel=0.15)
    assert (here["up"], here["carrying"]) == (1, 1)
    assert there["down_bps"] == pytest.approx(5 * MEGABIT, rel=0.15)
    assert there["up_use_ratio"] == pytest.approx(2.0, rel=0.15)
    spare = kept.of("line", line="spare", role="backup")[1]
    assert (spare["up"], spare["carrying"]) == (1, 0)
    assert kept.of("line", line="here")[-1]["carrying"] == 0
    # The counters still answer, but a line that is down has no rate: not even 0.
    rates = ("down_bps", "up_bps", "down_use_ratio", "up_use_ratio")
    assert [kept.of("line", line="here")[-1].get(name) for name in rates] == [None] * 4
    why = kept.of("interface", port="Gi1/0/1")[-1]["expected_why"]
    assert why == "line"


async def test_dead_devices_delay_no_other_and_are_asked_every_period() -> None:
    async with contextlib.AsyncExitStack() as stack:
        dead = [await stack.enter_async_context(Silent(f"x{n}", 1)) for n in range(12)]
        alive = await stack.enter_async_context(SimulatedSwitch("alive", 4))
        held = [device(f"x{n}", switch) for n, switch in enumerate(dead)]
        config = SnmpConfig(period_s=0.5, timeout_s=0.3, tries=2, at_once=2)
        everything = estate(device("alive", alive), *held)
        async with polling(everything, config) as (kept, poller):
            await until(lambda: len(kept.of("device", device="alive")) >= 5, "polls")
            await until(
                lambda: all(
                    len(kept.of("device", device=f"x{n}")) >= 2 for n in range(12)
                ),
                "every dead one to be asked twice",
            )
            assert poller.stats.by_outcome["timeout"] >= 24
        polled = kept.of("device", device="alive")
        assert all(row["up"] for row in polled)
        # A place taken by a dead one would cost at least its timeouts.
        late = sorted(numbers(polled, "late_ms"))
        assert late[len(late) // 2] < 300
        last = kept.of("device", device="x0")[-1]
        assert (last["up"], last["outcome"]) == (0, "timeout")
        assert "uptime_s" not in last


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_an_agent_that_was_away_is_heard_again(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """Its port was closed meanwhile, so the sockets have had errors."""

    async def scenario() -> None:
        async with (
            SimulatedSwitch("a", 2) as switch,
            polling(estate(device("a", switch))) as (kept, _),
        ):
            for _ in range(3):
                await until(lambda: kept.of("device")[-1:] != [], "a row")
                await until(
                    lambda: kept.of("device")[-1].get("readable") == 1, "an answer"
                )
                await switch.__aexit__(None, None, None)
                many = len(kept.of("device"))
                await until(lambda n=many: len(kept.of("device")) >= n + 4, "polls")
                rows = kept.of("device")[many + 1 :]
                assert {row["outcome"] for row in rows} == {"refused"}
                await switch.__aenter__()
            await until(lambda: kept.of("device")[-1].get("readable") == 1, "an answer")

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(scenario())


async def test_a_slow_device_is_never_polled_twice_at_once() -> None:
    running, most = 0, 0

    class Slow(SimulatedSwitch):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)

            def reply() -> None:
                nonlocal running
                running -= 1
                super(Slow, self).datagram_received(data, addr)

            asyncio.get_running_loop().call_later(0.15, reply)

    async with Slow("a", 2) as switch:
        config = SnmpConfig(period_s=0.3, timeout_s=5)
        async with polling(estate(device("a", switch)), config) as (kept, poller):
            await until(lambda: len(kept.of("device")) >= 2, "two polls")
            assert poller.stats.skipped > 0
            assert poller.stats.done <= poller.stats.expected - poller.stats.skipped
        assert most == 1


async def test_the_estate_is_followed_while_running() -> None:
    async with SimulatedSwitch("a", 1) as one, SimulatedSwitch("b", 1) as two:
        now = estate(device("a", one))
        async with polling(lambda: now) as (kept, poller):
            await until(lambda: kept.of("device", device="a"), "the first")
            now = estate(device("b", two))
            await until(lambda: kept.of("device", device="b"), "the second")
            asked = one.requests
            polls = len(kept.of("device", device="b"))
            await until(
                lambda: len(kept.of("device", device="b")) >= polls + 3, "polls"
            )
            assert one.requests == asked
            assert poller.stats.devices == 1
            # The same device at another address.
            now = estate(device("b", one))
            await until(lambda: one.requests > asked, "the new address")


async def test_a_credential_that_is_missing_or_wrong_is_an_outcome() -> None:
    async with SimulatedSwitch("a", 1) as switch:
        known = Credentials({"other": credential("other", {"community": "wrong"})})
        held = estate(
            device("none", switch, credentials="missing"),
            device("wrong", switch, credentials="other"),
        )
        async with polling(held, credentials=known) as (kept, _):
            await until(
                lambda: (
                    kept.of("device", device="none")
                    and kept.of("device", device="wrong")
                ),
                "both",
            )
    row = kept.of("device", device="none")[0]
    assert (row["outcome"], row["readable"]) == ("not_configured", 0)
    assert "up" not in row, "what was not asked is neither up nor down"
    # The simulated switch has no v3, so nobody can tell it from silence.
    assert kept.of("device", device="wrong")[0]["outcome"] == "timeout"


async def test_polling_outlives_a_journal_that_fails() -> None:
    async with (
        SimulatedSwitch("a", 1) as switch,
        polling(estate(device("a", switch))) as (kept, poller),
    ):
        kept.broken = True
        await until(lambda: poller.not_stored >= 2, "failures")
        kept.broken = False
        await until(lambda: kept.of("device"), "rows again")


async def test_lost_requests_cost_a_retry_not_a_row() -> None:
    async with Lossy("a", 2) as switch:
        config = SnmpConfig(period_s=0.5, timeout_s=0.2, tries=4)
        async with polling(estate(device("a", switch)), config) as (kept, poller):
            await until(lambda: poller.stats.retries >= 2, "retries")
            await until(lambda: len(kept.of("device")) >= 4, "polls")
    assert all(row["up"] for row in kept.of("device"))


async def test_the_poller_tells_of_itself() -> None:
    async with SimulatedSwitch("a", 1) as switch:
        held = estate(device("a", switch))
        async with polling(held, report_s=0.4) as (kept, _):
            await until(lambda: len(kept.of("self_poll")) >= 2, "its own rows")
    row = kept.of("self_poll", process="poll")[1]
    assert int(row["expected"]) >= 1
    assert row["failed"] == 0
    assert float(row["late_p99_ms"]) >= 0
    assert (row["period_s"], row["cut_off"]) == (QUICK.period_s, 0)


async def test_the_poller_tells_at_once_that_it_is_cut_off_and_that_it_is_not() -> None:
    async with contextlib.AsyncExitStack() as stack:
        switches = [
            await stack.enter_async_context(SimulatedSwitch(f"s{n}", 1))
            for n in range(3)
        ]
        held = estate(*(device(f"s{n}", each) for n, each in enumerate(switches)))
        config = SnmpConfig(period_s=1, timeout_s=0.6, tries=1, ping_s=0)
        async with polling(held, config) as (kept, _):
            await until(lambda: len(kept.of("device")) >= 3, "polls")
            for switch in switches[:2]:
                switch.cut_off = True
            await until(
                lambda: any(not row["up"] for row in kept.of("device")), "two silent"
            )
            assert not kept.of("self_poll")
            switches[2].cut_off = True
            await until(lambda: kept.of("self_poll"), "its own row")
            switches[0].cut_off = False
            await until(lambda: len(kept.of("self_poll")) >= 2, "another")
    assert [row["cut_off"] for row in kept.of("self_poll")] == [1, 0]


async def test_no_device_is_said_not_to_answer_while_the_poller_is_cut_off() -> None:
    async with contextlib.AsyncExitStack() as stack:
        switches = {
            name: await stack.enter_async_context(SimulatedSwitch(name, 1))
            for name in ("a", "b", "c")
        }
        devices = [device(name, switch) for name, switch in switches.items()]
        kept, poller = await stack.enter_async_context(
            polling(estate(*devices), SnmpConfig(period_s=1, timeout_s=0.6, tries=1))
        )
        await until(lambda: kept.of("device", device="c"), "answers")
        switches["a"].cut_off = True
        await until(lambda: 0 in answered(kept, "a"), "one that does not answer")
        for switch in switches.values():
            switch.cut_off = True
        await until(lambda: poller.is_cut_off, "the poller cut off")
        kept.samples.clear()
        await until(lambda: len(kept.of("device")) > 6, "polls while it is")
        rows = kept.of("device")
        assert {(row["up"], row.get("answered")) for row in rows} == {(0, None)}
        for switch in switches.values():
            switch.cut_off = False
        await until(lambda: 1 in answered(kept, "a"), "answers again")


def answered(kept: Kept, name: str) -> set[Value | None]:
    return {row.get("answered") for row in kept.of("device", device=name)}


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
        async with polling(estate(device("a", switch)), config) as (kept, _):
            await until(lambda: len(kept.of("device")) >= 8, "polls")
    packets = [int(row["packets"]) for row in kept.of("device")]
    assert packets[-1] <= 15
    assert len(kept.of("interface")) == 50 * len(packets)
    assert longest <= 1472


async def test_what_was_learnt_outlives_a_restart(tmp_path: Path) -> None:
    config = QUICK.model_copy(update={"state_file": tmp_path / "snmp.json"})
    ports = [SimulatedPort(1, "Gi1"), SimulatedPort(2, "Gi2")]
    ports[0].neighbour = SimulatedNeighbour("core")
    async with SimulatedSwitch("a", ports) as switch:
        held = estate(device("a", switch))
        async with polling(held, config) as (kept, _):
            await until(
                lambda: any(r["expected_up"] for r in kept.of("interface")), "LLDP"
            )
        switch.take_down("Gi1")
        async with polling(held, config) as (kept, _):
            await until(lambda: kept.of("interface", port="Gi1"), "a poll")
    assert kept.of("interface", port="Gi1")[0]["expected_why"] == "neighbour"


async def test_a_state_file_that_is_damaged_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "snmp.json"
    file.write_text('{"a": ')
    config = QUICK.model_copy(update={"state_file": file})
    async with (
        SimulatedSwitch("a", 1) as switch,
        polling(estate(device("a", switch)), config) as (kept, _),
    ):
        await until(lambda: kept.of("device"), "a poll")
    assert kept.of("device")[0]["up"] == 1


async def test_an_agent_without_sysuptime_is_timed_by_us_and_marked() -> None:
    class Timeless(SimulatedSwitch):
        def rebuild(self) -> None:
            super().rebuild()
            name = snmp_messages.oid_content((1, 3, 6, 1, 2, 1, 1, 3, 0))
            self._rows.remove((1, 3, 6, 1, 2, 1, 1, 3, 0))
            del self._values[name]

    async with Timeless("a", 2) as switch:
        switch.port("Gi1/0/1").set_rate(80 * MEGABIT, 0)
        async with polling(estate(device("a", switch))) as (kept, _):
            port = {"port": "Gi1/0/1"}
            await until(lambda: numbers(kept.of("interface", **port), "in_bps"), "rate")
    assert kept.of("device")[-1]["own_clock"] == 1
    rate = numbers(kept.of("interface", port="Gi1/0/1"), "in_bps")[0]
    assert rate == pytest.approx(80 * MEGABIT, rel=0.3)


def test_phases_are_spread_and_stay() -> None:
    phases = [phase_s(f"switch-{n}", 60.0) for n in range(6000)]
    assert phases == [phase_s(f"switch-{n}", 60.0) for n in range(6000)]
    by_second = [
        len(list(group)) for _, group in itertools.groupby(sorted(map(int, phases)))
    ]
    assert len(by_second) == 60
    assert max(by_second) < 160


async def test_credentials_are_tried_in_turn_and_the_one_that_fits_is_remembered(
    tmp_path: Path,
) -> None:
    config = QUICK.model_copy(
        update={
            "timeout_s": 0.05,
            "tries": 1,
            "state_file": tmp_path / "snmp.json",
            "credentials_by_subnet": {ip_network("127.0.0.0/8"): ("old", "new")},
        }
    )
    known = Credentials(
        {
            "old": credential("old", {"community": "wrong"}),
            "new": credential("new", {"community": "public"}),
        }
    )
    async with SimulatedSwitch("a", 1) as switch:
        held = estate(device("a", switch))
        async with polling(held, config, known) as (kept, _):
            await until(lambda: kept.of("interface"), "the one that fits")
        asked = switch.requests
        async with polling(held, config, known) as (kept, poller):
            await until(lambda: kept.of("interface"), "a poll after a restart")
            assert "timeout" not in poller.stats.by_outcome
        assert switch.requests > asked


async def test_a_device_asked_for_while_it_is_polled_is_polled_again_after() -> None:
    class Slow(SimulatedSwitch):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            later = asyncio.get_running_loop().call_later
            later(0.05, SimulatedSwitch.datagram_received, self, data, addr)

    config = SnmpConfig(period_s=600, timeout_s=2)
    async with Slow("a", 1) as switch:
        async with polling(estate(device("a", switch)), config) as (_, poller):
            await until(lambda: switch.requests > 1, "the first poll to be under way")
            assert poller.stats.done == 0
            for _ in range(5):
                assert poller.poll_soon("a")
            await until(lambda: poller.stats.done == 2, "the poll after it")
            # However often it was asked for meanwhile: once.
            await asyncio.sleep(0.3)
            assert (poller.stats.done, poller.stats.skipped) == (2, 0)
            assert poller.port_name("a", 1) == "Gi1/0/1"
            assert poller.port_name("a", 9) is None
            assert poller.port_name("b", 1) is None
        assert not poller.poll_soon("b")
