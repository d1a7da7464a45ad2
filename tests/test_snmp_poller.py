"""Which devices are polled and when, against simulated switches."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import uvloop
from bad_answers import Lossy, Silent
from file_shortage import no_file_left
from hypothesis import given
from hypothesis import strategies as st
from polled_switches import QUICK, device, estate, numbers, polling
from virtual_time import in_virtual_time
from waiting import until

from collectors.snmp import Credentials, SnmpConfig, credential
from collectors.snmp.polling.poll_schedule import phase_s, shared_phase_s
from towpath.demo.simulated_switches import (
    SimulatedNeighbour,
    SimulatedPort,
    SimulatedSwitch,
)


@in_virtual_time
async def test_dead_devices_delay_no_other_and_are_polled_every_period() -> None:
    async with contextlib.AsyncExitStack() as stack:
        dead = [await stack.enter_async_context(Silent(f"x{n}", 1)) for n in range(12)]
        alive = await stack.enter_async_context(SimulatedSwitch("alive", 4))
        held = [device(f"x{n}", switch) for n, switch in enumerate(dead)]
        config = SnmpConfig(period_s=60, at_once=2)
        everything = estate(device("alive", alive), *held)
        async with polling(everything, config) as (sink, poller):
            await asyncio.sleep(10 * 60)
            assert poller.stats.skipped == 0
        for n in range(12):
            rows = sink.rows("device", device=f"x{n}")
            assert len(rows) in (9, 10)
            assert {(row["up"], row["outcome"]) for row in rows} == {(0, "timeout")}
            assert not any("uptime_s" in row for row in rows)
        polled = sink.rows("device", device="alive")
        assert all(row["up"] for row in polled)
        # Once it is known which are dead, they take no place from it.
        assert max(numbers(polled, "late_ms")[2:]) < 1


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_an_agent_that_was_away_is_polled_again(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """Its port was closed meanwhile, so the sockets have had errors."""

    async def scenario() -> None:
        async with (
            SimulatedSwitch("a", 2) as switch,
            polling(estate(device("a", switch))) as (sink, _),
        ):
            for _ in range(3):
                await until(lambda: sink.rows("device")[-1:] != [], "a row")
                await until(
                    lambda: sink.rows("device")[-1].get("readable") == 1,
                    "an answer",
                )
                await switch.__aexit__(None, None, None)
                many = len(sink.rows("device"))
                await until(lambda n=many: len(sink.rows("device")) >= n + 4, "polls")
                rows = sink.rows("device")[many + 1 :]
                assert {row["outcome"] for row in rows} == {"refused"}
                await switch.__aenter__()
            await until(
                lambda: sink.rows("device")[-1].get("readable") == 1, "an answer"
            )

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(scenario())


@in_virtual_time
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
        async with polling(estate(device("a", switch)), config) as (sink, poller):
            await until(lambda: len(sink.rows("device")) >= 2, "two polls")
            assert poller.stats.skipped > 0
            assert poller.stats.done <= poller.stats.expected - poller.stats.skipped
        assert most == 1


@in_virtual_time
async def test_the_estate_is_followed_while_running() -> None:
    async with SimulatedSwitch("a", 1) as one, SimulatedSwitch("b", 1) as two:
        now = estate(device("a", one))
        async with polling(lambda: now) as (sink, poller):
            await until(lambda: sink.rows("device", device="a"), "the first")
            now = estate(device("b", two))
            await until(lambda: sink.rows("device", device="b"), "the second")
            asked = one.requests
            polls = len(sink.rows("device", device="b"))
            await until(
                lambda: len(sink.rows("device", device="b")) >= polls + 3, "polls"
            )
            assert one.requests == asked
            assert poller.stats.devices == 1
            # The same device at another address.
            now = estate(device("b", one))
            await until(lambda: one.requests > asked, "the new address")


@in_virtual_time
async def test_a_credential_that_is_missing_or_wrong_is_an_outcome() -> None:
    async with SimulatedSwitch("a", 1) as switch:
        known = Credentials({"other": credential("other", {"community": "wrong"})})
        held = estate(
            device("none", switch, credentials="missing"),
            device("wrong", switch, credentials="other"),
        )
        async with polling(held, credentials=known) as (sink, _):
            await until(
                lambda: (
                    sink.rows("device", device="none")
                    and sink.rows("device", device="wrong")
                ),
                "both",
            )
    row = sink.rows("device", device="none")[0]
    assert (row["outcome"], row["readable"]) == ("not_configured", 0)
    assert "up" not in row, "what was not asked is neither up nor down"
    # The simulated switch has no v3, so it looks the same as silence.
    assert sink.rows("device", device="wrong")[0]["outcome"] == "timeout"


async def test_a_device_for_which_no_socket_is_left_is_neither_up_nor_down() -> None:
    async with SimulatedSwitch("a", 1) as one, SimulatedSwitch("b", 1) as two:
        now = estate(device("a", one))
        async with polling(lambda: now) as (sink, poller):
            await until(lambda: sink.rows("device", device="a"), "the first")
            failed = poller.stats.failed
            with no_file_left():
                now = estate(device("a", one), device("b", two))
                await until(lambda: sink.rows("device", device="b"), "the second")
                polls = len(sink.rows("device", device="a"))
                await until(
                    lambda: len(sink.rows("device", device="a")) >= polls + 2, "polls"
                )
            row = sink.rows("device", device="b")[0]
            assert (row["outcome"], row["readable"]) == ("no_resources", 0)
            assert "up" not in row
            assert poller.stats.skipped >= 1
            assert poller.stats.failed == failed
            assert all(row["up"] for row in sink.rows("device", device="a"))
            await until(
                lambda: sink.rows("device", device="b")[-1].get("up") == 1, "a socket"
            )


@in_virtual_time
async def test_polling_outlives_a_journal_that_fails() -> None:
    async with (
        SimulatedSwitch("a", 1) as switch,
        polling(estate(device("a", switch))) as (sink, poller),
    ):
        sink.broken = True
        await until(lambda: poller.not_stored >= 2, "failures")
        sink.broken = False
        await until(lambda: sink.rows("device"), "rows again")


@in_virtual_time
async def test_lost_requests_cost_a_retry_not_a_row() -> None:
    async with Lossy("a", 2) as switch:
        config = SnmpConfig(period_s=0.5, timeout_s=0.2, tries=4)
        async with polling(estate(device("a", switch)), config) as (sink, poller):
            await until(lambda: poller.stats.retries >= 2, "retries")
            await until(lambda: len(sink.rows("device")) >= 4, "polls")
    assert all(row["up"] for row in sink.rows("device"))


@in_virtual_time
async def test_what_is_known_of_devices_outlives_a_restart(tmp_path: Path) -> None:
    config = QUICK.model_copy(update={"state_file": tmp_path / "snmp.json"})
    ports = [SimulatedPort(1, "Gi1"), SimulatedPort(2, "Gi2")]
    ports[0].neighbour = SimulatedNeighbour("core")
    async with SimulatedSwitch("a", ports) as switch:
        held = estate(device("a", switch))
        async with polling(held, config) as (sink, _):
            await until(
                lambda: any(r["expected_up"] for r in sink.rows("interface")),
                "LLDP",
            )
        switch.take_down("Gi1")
        async with polling(held, config) as (sink, _):
            await until(lambda: sink.rows("interface", port="Gi1"), "a poll")
    assert sink.rows("interface", port="Gi1")[0]["expected_why"] == "neighbour"


@in_virtual_time
async def test_a_state_file_that_is_damaged_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "snmp.json"
    file.write_text('{"a": ')
    config = QUICK.model_copy(update={"state_file": file})
    async with (
        SimulatedSwitch("a", 1) as switch,
        polling(estate(device("a", switch)), config) as (sink, _),
    ):
        await until(lambda: sink.rows("device"), "a poll")
    assert sink.rows("device")[0]["up"] == 1


def test_phases_are_spread_and_stay() -> None:
    phases = [phase_s(f"switch-{n}", 60.0) for n in range(6000)]
    assert phases == [phase_s(f"switch-{n}", 60.0) for n in range(6000)]
    by_second = [
        len(list(group)) for _, group in itertools.groupby(sorted(map(int, phases)))
    ]
    assert len(by_second) == 60
    assert max(by_second) < 160


@given(st.integers(1, 20_000), st.sampled_from([1.0, 60.0, 300.0]))
def test_a_few_devices_share_a_phase(devices: int, period_s: float) -> None:
    used = [shared_phase_s(f"switch-{n}", period_s, devices) for n in range(200)]
    apart_s = period_s / len({*used}) if devices <= 100 else 0.0
    for n, at_s in enumerate(used):
        own_s = phase_s(f"switch-{n}", period_s)
        assert 0 <= at_s <= own_s < period_s
        # Ten of them at most fall between two phases, on average.
        assert own_s - at_s <= max(apart_s, period_s / max(1, devices / 10))


def test_adding_a_device_seldom_moves_the_others() -> None:
    moves = [
        devices
        for devices in range(2, 1_000)
        if shared_phase_s("a", 60.0, devices) != shared_phase_s("a", 60.0, devices - 1)
    ]
    assert len(moves) <= 7


@in_virtual_time
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
        async with polling(held, config, known) as (sink, _):
            await until(lambda: sink.rows("interface"), "the one that fits")
        asked = switch.requests
        async with polling(held, config, known) as (sink, poller):
            await until(lambda: sink.rows("interface"), "a poll after a restart")
            assert "timeout" not in poller.stats.by_outcome
        assert switch.requests > asked


@in_virtual_time
async def test_a_device_wanted_while_its_poll_runs_is_polled_again_afterwards() -> None:
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
