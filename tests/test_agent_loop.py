"""The agent's loop: each job on its schedule, through sleep, clock changes, pauses."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from waiting import until

from probes.agent.agent import Agent
from probes.agent.agent_parts import AgentIdentity, AgentTiming, ServerLink
from probes.agent.clock_changes import Clocks, clock_change
from probes.agent.place import KnownPlaces, Locator
from probes.agent.policy_refresh import read_policy
from probes.agent.probe_budget import ProbeConditions, reason_not_to_run, record_test
from probes.agent.probe_budget import test_bytes as bytes_of_a_test
from probes.agent.probe_round import ProbeRounds
from probes.agent.quiet_times import write_pause
from probes.agent.report_delivery import Later
from probes.agent.schedule_times import first_due_ms, next_due_ms, phase_ms
from probes.agent.settings import Settings, SpoolLimits
from probes.agent.spool import Spool
from probes.agent.spool_rows import SpooledReport
from probes.diagnosis.agent_status import read_status, status_lines
from probes.measure.active_interface import Interface
from probes.wire.failure import Outcome
from probes.wire.laptop_probes import VPN
from probes.wire.path_probes import BANDWIDTH, CALL_PATH
from probes.wire.policy import MeasuringHours, Policy
from probes.wire.probe_list import PROBES
from probes.wire.report import AgentCredential, Receipt, Result

WHO = AgentCredential("agent-1", "s3cret", "hall")
HOUR_MS = 3_600_000
BEGINS_S = 1_790_000_000.0
NAMES = [probe.name for probe in PROBES]
QUICK = dict.fromkeys(NAMES, 0) | {"vpn": 600, "agent": 600}


class Clock:
    """Real clocks, with the wall clock that much ahead, and both that much on."""

    def __init__(self) -> None:
        self.ahead_s = self.passed_s = 0.0

    def clocks(self) -> Clocks:
        return Clocks(
            lambda: time.time() + self.ahead_s + self.passed_s,
            lambda: time.monotonic() + self.passed_s,
        )

    async def pass_s(self, seconds: float) -> None:
        """Lets time pass for both clocks, in steps no sleep is taken for."""
        for _ in range(int(seconds / 10)):
            self.passed_s += 10
            await asyncio.sleep(0.05)


class Counting(ProbeRounds):
    """A round that measures nothing and counts."""

    def __init__(self, clocks: Clocks) -> None:
        self.done: Counter[str] = Counter()
        self.outcome = Outcome.OK
        self.fault: Exception | None = None
        self._clocks = clocks

    async def glance(self) -> None:
        """Nothing of this machine is looked at."""

    async def measure(
        self, probe: str, policy: Policy, conditions: ProbeConditions
    ) -> list[Result]:
        self.done[probe] += 1
        if self.fault is not None:
            raise self.fault
        return [Result(probe, 1, self._clocks.now_ms(), self.outcome, "t", {}, 1000)]


class Taking:
    def __init__(self) -> None:
        self.ids: list[str] = []
        self.away = False
        self.tries = 0

    async def send(self, reports: Sequence[SpooledReport]) -> Receipt:
        self.tries += 1
        if self.away:
            raise Later("the broker is away")
        self.ids += [report.id for report in reports]
        return Receipt(tuple(report.id for report in reports))


class Laptop:
    def __init__(self, folder: Path, policy: Policy) -> None:
        self.folder, self.clock = folder, Clock()
        # Always the same time of day: regular rounds are at this laptop's own times.
        self.clock.ahead_s = BEGINS_S - time.time()
        (folder / "policy.json").write_bytes(_json(policy))
        self.clocks = self.clock.clocks()
        self.round = Counting(self.clocks)
        self.taking = Taking()
        self.lines: list[Interface] = []
        self.stop = asyncio.Event()
        self.who = WHO
        self.spool = Spool(folder, SpoolLimits(), self.clocks.now_ms)

    @contextlib.asynccontextmanager
    async def running(self, **more: object):  # type: ignore[no-untyped-def]
        ahead = more.pop("clock_ahead_s", lambda: None)
        policies = more.pop("policies", None)
        came_back = more.pop("came_back", lambda: False)
        with self.spool:
            settings = Settings(
                server="https://x", state_folder=str(self.folder), **more
            )
            agent = Agent(
                AgentIdentity(settings, self.who, "test"),
                self.spool,
                ServerLink(
                    self.taking, policies, clock_ahead_s=ahead, came_back=came_back
                ),
                timing=AgentTiming(self.clocks, soon_ms=100, tick_s=0.02),
                rounds=self.round,
                locator=Locator(
                    KnownPlaces(self.folder, b"key"), gather=lambda: self.lines
                ),
            )
            task = asyncio.create_task(agent.run(self.stop))
            try:
                yield self
                self.stop.set()
                await asyncio.wait_for(task, 10)
            finally:
                task.cancel()


def _json(policy: Policy) -> bytes:
    import msgspec

    return msgspec.json.encode(policy)


async def test_after_a_sleep_everything_runs_once_and_nothing_is_made_up_for(
    tmp_path: Path,
) -> None:
    laptop = Laptop(tmp_path, Policy(cadence_s=QUICK, report_s=600))
    async with laptop.running():
        await until(lambda: laptop.round.done == Counter(vpn=1, agent=1))
        laptop.clock.ahead_s += 3 * 3600
        await until(lambda: laptop.round.done == Counter(vpn=2, agent=2))
        await asyncio.sleep(0.3)
        assert laptop.round.done == Counter(vpn=2, agent=2)
        # The clock is set back by a day: the agent does not wait for a day.
        laptop.clock.ahead_s -= 27 * 3600
        await until(lambda: laptop.round.done == Counter(vpn=3, agent=3))
        await asyncio.sleep(0.3)
        assert laptop.round.done == Counter(vpn=3, agent=3)
        await until(lambda: len(laptop.taking.ids) >= 4)


async def test_nothing_is_measured_in_a_pause_or_outside_the_hours(
    tmp_path: Path,
) -> None:
    laptop = Laptop(tmp_path, Policy(cadence_s=QUICK, report_s=600))
    write_pause(tmp_path, laptop.clocks.now_ms() + HOUR_MS)
    async with laptop.running():
        status = tmp_path / "status.json"
        await until(lambda: status.exists() and b"paused" in status.read_bytes())
        await asyncio.sleep(0.3)
        assert not laptop.round.done
        write_pause(tmp_path, 0)
        laptop.clock.ahead_s += 1000
        await until(lambda: laptop.round.done["vpn"] == 1)
    seen = read_status(tmp_path)
    assert seen is not None
    assert seen.stopped

    closed = MeasuringHours("00:00", "00:00", (0, 1, 2, 3, 4, 5, 6))
    other = tmp_path / "other"
    other.mkdir()
    laptop = Laptop(other, Policy(cadence_s=QUICK, hours=closed))
    async with laptop.running():
        status = other / "status.json"
        await until(
            lambda: status.exists() and b"measuring hours" in status.read_bytes()
        )
        await asyncio.sleep(0.3)
        assert not laptop.round.done
    assert "measuring hours" in " ".join(
        status_lines(read_status(other), laptop.clocks.now_ms())
    )


async def test_when_the_connection_is_there_again_nothing_waits_for_the_next_try(
    tmp_path: Path,
) -> None:
    laptop = Laptop(tmp_path, Policy(cadence_s=QUICK, report_s=600))
    laptop.taking.away = True
    signs: list[bool] = []
    async with laptop.running(came_back=lambda: bool(signs and signs.pop())):
        await until(lambda: laptop.spool.waiting == 2)
        tries = laptop.taking.tries
        laptop.clock.ahead_s += 800
        await until(lambda: laptop.taking.tries > tries)
        assert not laptop.taking.ids
        laptop.taking.away = False
        signs.append(True)
        await until(lambda: len(laptop.taking.ids) >= 2)


async def test_not_configured_is_sent_once_and_not_in_every_round(
    tmp_path: Path,
) -> None:
    laptop = Laptop(tmp_path, Policy(cadence_s={**QUICK, "agent": 0}, report_s=86400))
    laptop.round.outcome = Outcome.NOT_CONFIGURED
    async with laptop.running():
        for turn in range(1, 5):
            await until(lambda turn=turn: laptop.round.done["vpn"] >= turn)
            laptop.clock.ahead_s += 1000
        assert laptop.spool.waiting + len(laptop.taking.ids) == 1
        laptop.round.outcome = Outcome.NOT_PRESENT
        done = laptop.round.done["vpn"]
        laptop.clock.ahead_s += 1000
        await until(lambda: laptop.round.done["vpn"] > done)
        await until(lambda: laptop.spool.waiting + len(laptop.taking.ids) == 2)


async def test_that_the_laptop_is_in_use_never_leaves_it(tmp_path: Path) -> None:
    laptop = Laptop(tmp_path, Policy(cadence_s=QUICK, report_s=86400))
    laptop.round.outcome = Outcome.IN_USE
    async with laptop.running():
        await until(lambda: laptop.round.done == Counter(vpn=1, agent=1))
        # Soon again, though not at once; and its user may see why.
        laptop.clock.ahead_s += 1000
        await until(lambda: laptop.round.done["vpn"] == 2)
    assert laptop.taking.ids == []
    seen = read_status(tmp_path)
    assert seen is not None
    assert {result.outcome for result in seen.last} == {Outcome.IN_USE}
    with laptop.spool as spool:
        assert spool.waiting == 0


async def test_a_fault_in_one_job_stops_nothing(tmp_path: Path) -> None:
    laptop = Laptop(tmp_path, Policy(cadence_s=QUICK, report_s=600))
    laptop.round.fault = ZeroDivisionError("a bug")
    async with laptop.running():
        await until(lambda: laptop.round.done == Counter(vpn=1, agent=1))
        laptop.round.fault = None
        laptop.clock.ahead_s += 1000
        await until(lambda: len(laptop.taking.ids) == 2)


async def test_a_stop_in_the_middle_of_a_measurement_is_obeyed_at_once_and_counted(
    tmp_path: Path,
) -> None:
    laptop = Laptop(tmp_path, Policy(cadence_s=QUICK | {"agent": 0}))
    never = asyncio.Event()

    class Endless(Counting):
        async def measure(
            self, probe: str, policy: Policy, conditions: ProbeConditions
        ) -> list[Result]:
            self.done[probe] += 1
            await never.wait()
            return []

    laptop.round = Endless(laptop.clocks)
    async with laptop.running():
        await until(lambda: bool(laptop.round.done))
    assert laptop.spool.trouble == ""
    # What the round had sent until then is counted as usual.
    with laptop.spool:
        assert laptop.spool.spent_bytes() == 2000


async def test_the_network_used_is_counted_against_the_month(tmp_path: Path) -> None:
    laptop = Laptop(tmp_path, Policy(cadence_s=QUICK, report_s=600))
    async with laptop.running():
        await until(lambda: laptop.round.done == Counter(vpn=1, agent=1))
        await until(lambda: laptop.spool.spent_bytes() == 2000)


async def test_a_speed_test_that_was_slept_through_comes_within_hours(
    tmp_path: Path,
) -> None:
    cadence = dict.fromkeys(NAMES, 0) | {"bandwidth": 86_400}
    for age_h, least_h, most_h in ((1, 22.9, 23), (48, 0, 4.01)):
        folder = tmp_path / str(age_h)
        folder.mkdir()
        laptop = Laptop(folder, Policy(cadence_s=cadence, report_s=600))
        now_ms = laptop.clocks.now_ms()
        record_test(folder, now_ms - age_h * HOUR_MS)
        async with laptop.running():
            await until(
                lambda at=folder: (
                    (seen := read_status(at)) and "bandwidth" in seen.next_ms
                ),
                "its status",
            )
        status = read_status(folder)
        assert status is not None
        due_h = (status.next_ms["bandwidth"] - now_ms) / HOUR_MS
        assert least_h <= due_h <= most_h


def test_speed_tests_have_a_purse_of_their_own(tmp_path: Path) -> None:
    with Spool(tmp_path, SpoolLimits(), lambda: 0) as spool:
        spool.spend(5)
        spool.spend(7, "bandwidth")
        assert (spool.spent_bytes(), spool.spent_bytes("bandwidth")) == (5, 7)


def test_a_policy_that_cannot_be_read_is_an_empty_one(tmp_path: Path) -> None:
    assert read_policy(tmp_path) == Policy()
    (tmp_path / "policy.json").write_bytes(b'{"report_s": "x"}')
    assert read_policy(tmp_path) == Policy()


@given(st.integers(0, 2**42), st.integers(1, 10**9), st.integers(0, 10**9))
def test_due_times_lie_on_the_grid_and_in_the_future(
    now_ms: int, period_ms: int, phase: int
) -> None:
    due_ms = next_due_ms(now_ms, period_ms, phase)
    assert now_ms < due_ms <= now_ms + period_ms
    assert (due_ms - phase) % period_ms == 0
    soon_ms = first_due_ms(now_ms, period_ms, phase, 60_000)
    assert now_ms < soon_ms <= min(due_ms, now_ms + 60_000)


def test_five_thousand_laptops_are_spread_evenly_over_the_period() -> None:
    period_ms = 600_000
    minutes = Counter(
        phase_ms(f"agent-{n}", "call_path", period_ms) // 60_000 for n in range(5000)
    )
    assert set(minutes) == set(range(10))
    assert max(minutes.values()) < 600


def test_a_sleep_is_distinguished_from_a_set_clock_and_from_a_slow_machine() -> None:
    # Linux, macOS: the monotonic clock stops. Windows: it goes on.
    assert clock_change(7200, 15, 15) == "set"
    assert clock_change(7200, 7200, 15) == "woke"
    assert clock_change(-3600, 15, 15) == "set"
    assert clock_change(25, 15, 15) == "set"
    assert clock_change(20, 20, 15) == "none"


def clock(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def test_hours_may_go_over_midnight() -> None:
    office = MeasuringHours("08:00", "18:00", (0, 1, 2, 3, 4))
    assert office.allow(0, clock("08:00"))
    assert not office.allow(0, clock("18:00"))
    assert not office.allow(5, clock("12:00"))
    night = MeasuringHours("22:00", "06:00", (4,))
    assert night.allow(4, clock("23:00"))
    assert night.allow(5, clock("05:59"))
    assert not night.allow(4, clock("05:00"))
    assert not night.allow(5, clock("23:00"))
    assert MeasuringHours().allow(6, clock("23:59"))


def test_speed_tests_are_polite() -> None:
    def why(**facts: object) -> Outcome | None:
        return reason_not_to_run(BANDWIDTH, False, ProbeConditions(**facts))  # type: ignore[arg-type]

    assert why() is None
    assert why(metered=True) is Outcome.METERED
    assert why(on_battery=True) is Outcome.ON_BATTERY
    assert why(busy=True) is Outcome.IN_USE
    assert why(left_bytes=5_000_000) is Outcome.BUDGET_SPENT
    assert bytes_of_a_test(ProbeConditions(left_bytes=100_000_000)) == 10_000_000
    assert bytes_of_a_test(ProbeConditions(left_bytes=10**9)) == 80_000_000
    assert (
        reason_not_to_run(CALL_PATH, False, ProbeConditions(left_bytes=0))
        is Outcome.BUDGET_SPENT
    )
    assert reason_not_to_run(CALL_PATH, False, ProbeConditions(metered=True)) is None
    assert reason_not_to_run(VPN, False, ProbeConditions(left_bytes=-1)) is None
    assert reason_not_to_run(VPN, True, ProbeConditions()) is Outcome.NOT_PERMITTED
