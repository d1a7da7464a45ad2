"""Schedules: extra rounds in bad minutes, a new network, and 5,000 laptops that come
back at once. Played through with the test's own clocks."""

import asyncio
import itertools
import random
from collections import Counter
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from test_agent_loop import QUICK, Laptop
from waiting import until

from probes.agent.burst_schedule import (
    BETWEEN_MS,
    SPREAD_MS,
    BurstSchedule,
)
from probes.agent.job_schedule import JobSchedule
from probes.agent.place import KnownPlaces, Locator
from probes.agent.probe_budget import ProbeConditions
from probes.agent.publish_mqtt import FIRST_BACK_S, LAST_BACK_S
from probes.agent.quiet_times import paused_until_ms, quiet_reason, write_pause
from probes.agent.report_delivery import retry_s
from probes.diagnosis.agent_status import read_status
from probes.diagnosis.local_time import local_time_text
from probes.platforms.system_facts import Interface
from probes.wire.failure import Outcome
from probes.wire.policy import BURST_ROUNDS_MS, BURSTS_PER_DAY, Incident, Policy
from probes.wire.report import Result

NOW_MS = 1_790_000_000_000
MINUTE_MS = 60_000


class Time:
    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


def call(outcome: Outcome = Outcome.OK, **values: int) -> Result:
    return Result("call_path", 2, NOW_MS, outcome, "hall", dict(values))


def schedule(time: Time, **periods_s: int) -> JobSchedule:
    plan = JobSchedule(
        "agent-1", periods_s, lambda job: periods_s[job] * 1000, time, chance=lambda: 0
    )
    plan.plan_all()
    return plan


def done(plan: JobSchedule, time: Time, minutes: int) -> Counter[str]:
    """What is done in so many minutes, looked at every second."""
    count: Counter[str] = Counter()
    for _ in range(minutes * 60):
        time.now_ms += 1000
        while (job := plan.next_job()) is not None:
            plan.start(job)
            count[job] += 1
    return count


def test_a_day_on_the_grid_is_a_day_on_the_grid() -> None:
    time = Time()
    plan = schedule(time, vpn=300, call_path=900, never=0)
    assert done(plan, time, 24 * 60) <= Counter(vpn=289, call_path=97, never=144)
    assert "never" not in plan.due_ms


def test_extra_rounds_leave_the_grid_unchanged() -> None:
    time = Time()
    plan = schedule(time, call_path=900, wifi=300, off=0)
    done(plan, time, 20)
    due_ms = plan.due_ms
    first_ms = min(due_ms.values())
    plan.add_extra_rounds(["call_path", "off"], [first_ms - 3000, first_ms - 2000])
    assert plan.earliest_ms == first_ms - 3000
    time.now_ms = first_ms - 3000
    assert plan.next_job() == "call_path"
    assert plan.start("call_path")
    assert plan.next_job() is None
    time.now_ms = first_ms - 2000
    assert plan.start("call_path")
    assert plan.due_ms == due_ms
    # What was slept through is not made up for.
    plan.add_extra_rounds(["call_path"], [time.now_ms + 1, time.now_ms + 2])
    time.now_ms += 3 * 3_600_000
    plan.plan_all()
    assert done(plan, time, 2) == Counter(call_path=1, wifi=1)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3_600_000)), max_size=200))
def test_bursts_are_bounded_whatever_a_line_does(turns: list[tuple[bool, int]]) -> None:
    bursts, now_ms, begun = BurstSchedule(), NOW_MS, list[int]()
    for bad, passed_ms in turns:
        now_ms += passed_ms
        times = bursts.rounds_after([call(poor=int(bad))], now_ms, 0.5)
        assert not times or bad
        assert len(times) in (0, len(BURST_ROUNDS_MS))
        assert all(now_ms < at for at in times)
        if times:
            begun.append(now_ms)
    for earlier, later in itertools.pairwise(begun):
        assert later - earlier >= BETWEEN_MS
    for at in begun:
        assert sum(at <= other < at + 86_400_000 for other in begun) <= BURSTS_PER_DAY


def test_a_burst_starts_when_good_turns_bad_and_not_while_it_stays_bad() -> None:
    bursts = BurstSchedule()
    assert bursts.rounds_after([call(poor=0)], NOW_MS, 0) == ()
    times = bursts.rounds_after([call(poor=1)], NOW_MS, 0.5)
    assert [at - NOW_MS - SPREAD_MS // 2 for at in times] == list(BURST_ROUNDS_MS)
    later_ms = NOW_MS + 2 * BETWEEN_MS
    assert bursts.rounds_after([call(Outcome.TIMEOUT)], later_ms, 0) == ()
    assert bursts.is_bad
    assert bursts.rounds_after([call(poor=0)], later_ms, 0) == ()
    assert not bursts.is_bad
    assert bursts.rounds_after([call(Outcome.TIMEOUT)], later_ms, 0) != ()
    # Not tried, and what is no sign of anything, is neither good nor bad.
    bursts = BurstSchedule()
    assert bursts.rounds_after([call(Outcome.BUDGET_SPENT)], NOW_MS, 0) == ()
    relay = Result("teams_relay", 1, NOW_MS, Outcome.TIMEOUT, "relay")
    assert bursts.rounds_after([relay], NOW_MS, 0) == ()
    # A clock that was set back by a year does not stop it.
    assert bursts.rounds_after([call(poor=1)], NOW_MS, 0) != ()
    bursts.rounds_after([call(poor=0)], NOW_MS, 0)
    assert bursts.rounds_after([call(poor=1)], NOW_MS - 365 * 86_400_000, 0) != ()


async def test_a_call_that_turns_bad_is_looked_at_again_briefly_with_what_explains_it(
    tmp_path: Path,
) -> None:
    cadence = dict.fromkeys(QUICK, 0) | {"call_path": 3600, "wifi": 3600}
    laptop = Laptop(tmp_path, Policy(cadence_s=cadence, report_s=3600))
    laptop.round.outcome = Outcome.TIMEOUT
    brief: list[bool] = []
    measure = laptop.round.measure

    async def noting(
        probe: str, policy: Policy, conditions: ProbeConditions
    ) -> list[Result]:
        brief.append(conditions.brief)
        return await measure(probe, policy, conditions)

    laptop.round.measure = noting  # type: ignore[method-assign]
    async with laptop.running():
        await until(lambda: laptop.round.done == Counter(call_path=1, wifi=1))
        assert brief == [False, False]
        await laptop.clock.pass_s(SPREAD_MS / 1000 + BURST_ROUNDS_MS[-1] / 1000 + 20)
        wanted = 1 + len(BURST_ROUNDS_MS)
        await until(
            lambda: (
                laptop.round.done["call_path"] >= wanted
                and laptop.round.done["wifi"] >= wanted
            )
        )
        assert brief.count(True) == 2 * len(BURST_ROUNDS_MS)


class Told:
    """A server's policy, and how often it was asked for."""

    def __init__(self, policy: Policy) -> None:
        self.said, self.asked = policy, 0

    async def policy(self, _site: str) -> Policy:
        self.asked += 1
        return self.said


async def test_incidents_reach_the_user_and_change_no_plans(tmp_path: Path) -> None:
    cadence = dict.fromkeys(QUICK, 0) | {"call_path": 3600}
    before = Policy(cadence_s=cadence, report_s=3600)
    laptop = Laptop(tmp_path, before)
    incident_change = Told(
        msgspec.structs.replace(before, incidents=(Incident("No line", 5),))
    )

    def shown() -> tuple[Incident, ...]:
        status = read_status(tmp_path)
        return () if status is None else status.incidents

    async with laptop.running(policies=incident_change):
        await until(lambda: shown() == incident_change.said.incidents)
        await until(lambda: laptop.round.done == Counter(call_path=1))
        assert incident_change.asked == 1
        # When calls turn bad, the council is asked whether it knows.
        laptop.round.outcome = Outcome.TIMEOUT
        await laptop.clock.pass_s(3600)
        await until(lambda: incident_change.asked >= 2)
        assert laptop.round.done["call_path"] <= 2 + len(BURST_ROUNDS_MS)


async def test_another_network_is_measured_soon_and_what_was_before_does_not_count(
    tmp_path: Path,
) -> None:
    def line(address: str) -> Interface:
        return Interface(
            "eth0", physical=True, up=True, routed=True, addresses=(address, "fe80::1"),
            gateway="192.0.2.1",
        )  # fmt: skip

    cadence = dict.fromkeys(QUICK, 0) | {"wifi": 36_000}
    laptop = Laptop(tmp_path, Policy(cadence_s=cadence, report_s=3600))
    laptop.lines = [line("192.0.2.7")]
    async with laptop.running():
        await until(lambda: laptop.round.done == Counter(wifi=1))
        before_ms = laptop.clocks.now_ms()
        laptop.lines = [line("198.51.100.7")]
        await until(lambda: laptop.round.done == Counter(wifi=2))
        await until(
            lambda: (
                (found := read_status(tmp_path)) is not None
                and found.network_ms >= before_ms
            )
        )
        # One that comes and goes all the time does not have it measured each time.
        for number in range(5):
            laptop.lines = [line(f"203.0.113.{number}")]
            await asyncio.sleep(0.06)
        assert laptop.round.done == Counter(wifi=2)


def test_new_ipv6_addresses_and_idle_interfaces_are_no_other_network(
    tmp_path: Path,
) -> None:
    lines: list[Interface] = []
    locator = Locator(KnownPlaces(tmp_path, b"key"), gather=lambda: lines)
    wifi = Interface(
        "wlan0", kind="wlan", physical=True, up=True, routed=True, gateway="fe80::1",
        addresses=("2001:db8::1",),
    )  # fmt: skip
    lines[:] = [wifi]
    first = locator.network()
    lines[:] = [
        Interface(
            "wlan0", kind="wlan", physical=True, up=True, routed=True,
            gateway="fe80::1", addresses=("2001:db8::77",),
        ),
        Interface("docker0", kind="bridge", up=True, addresses=("172.17.0.1",)),
    ]  # fmt: skip
    assert locator.network() == first
    tunnel = Interface(
        "wg0", kind="wireguard", up=True, routed=True, addresses=("10.9.9.9",)
    )
    lines.append(tunnel)
    assert locator.network() != first


def _comes_back_s(outage_s: float, chance: random.Random) -> tuple[float, int]:
    """(when one laptop is connected again, tries before), over MQTT: the library waits
    the first time, then doubles it."""
    wait_s, at_s, tries = float(chance.randint(*FIRST_BACK_S)), 0.0, 0
    while True:
        at_s += wait_s
        if at_s >= outage_s:
            return at_s, tries
        tries += 1
        wait_s = min(2 * wait_s, LAST_BACK_S)


def test_five_thousand_laptops_come_back_to_a_broker_over_a_minute_or_more() -> None:
    for outage_s in (0, 5, 20, 60, 75, 90, 120, 200, 600, 3600, 86_400):
        chance = random.Random(outage_s)
        came = [_comes_back_s(outage_s, chance) for _ in range(5000)]
        seconds = Counter(int(at_s) for at_s, _ in came)
        assert max(seconds) - min(seconds) >= 60, outage_s
        # A broker does some hundred TLS handshakes a second on one core.
        assert max(seconds.values()) < 400, outage_s
        # Nobody waits longer than the longest wait once it is there again.
        longest_s = 150 if outage_s <= 75 else LAST_BACK_S
        assert max(at_s for at_s, _ in came) <= outage_s + longest_s


def test_five_thousand_laptops_come_back_to_a_server_over_a_minute_or_more() -> None:
    for outage_s in (1, 20, 60, 75, 600, 7200):
        chance = random.Random(outage_s)
        seconds: Counter[int] = Counter()
        for _ in range(5000):
            # Each is on its grid: the first failure is at its own time of 300 s.
            at_s, failures = chance.uniform(0, 300), 0
            while at_s < outage_s:
                failures += 1
                at_s += retry_s(failures, None, chance.random())
            seconds[int(at_s)] += 1
            if failures and outage_s <= 75:
                assert at_s <= outage_s + 150
        assert max(seconds) - min(seconds) >= 60
        assert max(seconds.values()) < 200, outage_s


def test_a_pause_ends_by_itself_and_is_never_longer_than_the_council_allows(
    tmp_path: Path,
) -> None:
    hour_ms = 3_600_000
    write_pause(tmp_path, NOW_MS + hour_ms)
    assert paused_until_ms(tmp_path, NOW_MS, 86_400) == NOW_MS + hour_ms
    assert paused_until_ms(tmp_path, NOW_MS, 600) == NOW_MS + 600_000
    assert paused_until_ms(tmp_path, NOW_MS + hour_ms, 86_400) == 0
    # The clock was set back by a year in between.
    year_ms = 365 * 24 * hour_ms
    until_ms = paused_until_ms(tmp_path, NOW_MS - year_ms, 86_400)
    assert until_ms == NOW_MS - year_ms + 86_400_000
    assert local_time_text(NOW_MS + hour_ms) in quiet_reason(
        NOW_MS + hour_ms, NOW_MS, ()
    )
    assert quiet_reason(0, NOW_MS, ()) == ""
