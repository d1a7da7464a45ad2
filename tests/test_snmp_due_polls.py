"""When a poll is due, how long it may take, and what counts as skipped."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polled_switches import PUBLIC, RowSink
from test_snmp_slow_agents import SlowlyPolled
from virtual_time import MemorySession, in_virtual_time, run_virtually

from collectors.estate import Device, Estate, Site
from collectors.ping import Pinger
from collectors.snmp import Poller, SnmpConfig
from collectors.snmp.polling.credential_choice import CredentialChoice
from collectors.snmp.polling.expected_ports import PortUses
from collectors.snmp.polling.poll_schedule import (
    PollSchedule,
    PollTarget,
    next_due_s,
    time_for_poll_s,
)
from collectors.snmp.polling.silent_device import reading_time_s
from collectors.snmp.session.answer_time import AnswerTime
from collectors.snmp.session.oids import SYS_UP_TIME
from collectors.snmp.session.session import RetryPolicy
from collectors.snmp.session.sessions import Sessions
from probes.wire.failure import Outcome
from towpath.demo.simulated_switches import SimulatedSwitch

PERIOD_S = 60.0
DEVICE = Device(id="a", site="s", address="127.0.0.1", port=1)  # type: ignore[arg-type]


@given(st.floats(0, 1e6), st.floats(0, 59), st.floats(0.5, 300))
def test_a_poll_has_at_least_half_a_period_and_never_reaches_the_next_but_one(
    now_s: float, phase_s: float, period_s: float
) -> None:
    due_s = next_due_s(now_s, phase_s, period_s)
    at_most_s = time_for_poll_s(now_s, due_s, period_s)
    assert period_s * 0.499 <= at_most_s <= period_s * 1.501
    # One that begins just before the next is due delays that, by less than a period.
    late_s = time_for_poll_s(due_s - 0.1 * period_s, due_s, period_s)
    assert late_s == pytest.approx(1.1 * period_s)


@given(st.floats(0.1, 600), st.floats(0.1, 30))
def test_reading_and_looking_end_within_the_time_of_a_poll(
    at_most_s: float, timeout_s: float
) -> None:
    config = SnmpConfig(timeout_s=timeout_s)
    reading_s = reading_time_s(config, at_most_s)
    assert reading_s <= max(config.timeout_s, min(config.budget_s, at_most_s))
    if reading_s > timeout_s:
        assert at_most_s - reading_s >= min(2 * timeout_s, at_most_s / 4) * 0.999


def _target() -> PollTarget:
    return PollTarget(DEVICE, PortUses(), CredentialChoice(["c"], ""), None)


@pytest.mark.parametrize(
    ("asleep_s", "missed"), [(0.0, 0), (59.0, 0), (61.0, 1), (59 + 7 * 60.0, 7)]
)
def test_what_is_late_by_more_than_a_period_is_missed_and_the_rest_is_late(
    asleep_s: float, missed: int
) -> None:
    schedule, target = PollSchedule(PERIOD_S), _target()
    schedule.add(target, 10.0, 1)
    [(first_s, *_)] = schedule.pop_due(target.next_due_s)
    due_s = target.next_due_s
    assert 30 <= due_s - first_s <= 90
    now_s = due_s + asleep_s
    [(started_s, _, skipped)] = schedule.pop_due(now_s)
    assert skipped == missed
    assert 0 <= now_s - started_s < PERIOD_S
    assert 0 < target.next_due_s - now_s <= PERIOD_S
    assert target.next_due_s == pytest.approx(due_s + (1 + missed) * PERIOD_S)


def test_a_device_that_goes_and_comes_again_may_be_due_when_it_was_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    schedule, gone, again = PollSchedule(PERIOD_S), _target(), _target()
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    schedule.add(gone, 10.0, 1, in_phase=True)
    gone.removed = True
    schedule.add(again, 10.0, 1, in_phase=True)
    assert gone.next_due_s == again.next_due_s
    assert [target for _, target, _ in schedule.pop_due(1000 + PERIOD_S)] == [again]


@pytest.mark.parametrize(("keeps_s", "skipped"), [(80.0, 0), (125.0, 1)])
@in_virtual_time
async def test_a_poll_due_while_another_runs_is_late_and_only_after_a_period_skipped(
    monkeypatch: pytest.MonkeyPatch, keeps_s: float, skipped: int
) -> None:
    loop = asyncio.get_running_loop()
    switch = SimulatedSwitch("a", 2, monotonic_s=loop.time)
    config = SnmpConfig(period_s=PERIOD_S, ping_s=0)
    estate = Estate(sites=(Site(id="s", name="S"),), devices=(DEVICE,))
    sink = RowSink()
    monkeypatch.setattr(
        Sessions,
        "open",
        lambda self, *a: MemorySession(switch, a[2], RetryPolicy((500.0,))),
    )
    async with Poller(config, lambda: estate, PUBLIC, sink, pinger=Pinger(0)) as poller:
        # What no limit ends: as if keys took so long, or the machine was busy.
        run = poller._runner.run

        async def slowly(*arguments: object) -> object:
            rows = await run(*arguments)  # type: ignore[arg-type]
            if poller.stats.done == 3:
                await asyncio.sleep(keeps_s)
            return rows

        monkeypatch.setattr(poller._runner, "run", slowly)
        await asyncio.sleep(10 * PERIOD_S)
        stats = poller.stats
        assert stats.skipped == skipped
        assert stats.done + stats.skipped == stats.expected
    late_s = [int(row["late_ms"]) // 1000 for row in sink.rows("device")]
    assert sorted(late_s)[-1] == int(keeps_s % PERIOD_S)


@in_virtual_time
async def test_a_poll_that_waits_never_starts_once_polling_has_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    switch = SimulatedSwitch("a", 2, monotonic_s=loop.time)
    switch.cut_off = True
    monkeypatch.setattr(
        Sessions, "open", lambda self, *a: MemorySession(switch, a[2], a[3])
    )
    estate = Estate(sites=(Site(id="s", name="S"),), devices=(DEVICE,))
    config = SnmpConfig(period_s=PERIOD_S, ping_s=0)
    async with Poller(
        config, lambda: estate, PUBLIC, RowSink(), pinger=Pinger(0)
    ) as poller:
        while not poller.stats.running:  # noqa: ASYNC110 - nothing signals it
            await asyncio.sleep(0.5)
        assert poller.poll_soon("a")
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_a_lost_request_makes_no_agent_slow() -> None:
    async def main() -> None:
        polled = SlowlyPolled(4.0)
        polled.session.answer_time = AnswerTime(expected_s=4.0)
        for _ in range(3):
            polled.switch.cut_off = True
            loop = asyncio.get_running_loop()
            # The first try is lost.
            loop.call_later(5.0, setattr, polled.switch, "cut_off", False)
            assert await polled.session.get([SYS_UP_TIME])
            assert polled.session.answer_time.expected_s == pytest.approx(4.0)

    run_virtually(main())


def test_a_device_is_requested_whatever_is_expected_of_it() -> None:
    """Two lost requests made an agent of 15 s look like one of 45."""

    async def main() -> None:
        polled = SlowlyPolled(0.1)
        polled._poll._state.answer_time.expected_s = 60.0
        outcomes = [(await polled.poll()).outcome for _ in range(2)]
        assert outcomes == [Outcome.OK, Outcome.OK]

    run_virtually(main())
