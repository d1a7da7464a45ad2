"""The agent keeps to the data budget of a day, whatever happens in it."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import run_virtually

from probes.agent.agent import Agent
from probes.agent.agent_parts import AgentIdentity, AgentTiming, ServerLink
from probes.agent.clock_changes import Clocks
from probes.agent.day_budget import DAY_MS, room_bytes
from probes.agent.job_schedule import JobSchedule
from probes.agent.place import KnownPlaces, Locator
from probes.agent.policy_refresh import read_policy
from probes.agent.probe_round import ProbeRounds, RoundSetup
from probes.agent.settings import Settings, SpoolLimits
from probes.agent.spool import Spool
from probes.agent.spool_rows import SpooledReport
from probes.measure.active_interface import Interface
from probes.measure.probe_runner import ProbeRunner, RoundContext
from probes.wire import data_costs
from probes.wire.data_costs import BAD_MINUTES, DELIVERY, Cost
from probes.wire.failure import Outcome
from probes.wire.policy import Policy, ReflectorAt, Service, TeamsRelay
from probes.wire.probe import Probe
from probes.wire.report import AgentCredential, Receipt, Result

SERVICES = tuple(Service(f"s{n}", "https://s.example/") for n in range(5))
POLICY = Policy(
    version="v1",
    reflectors=(ReflectorAt("hall", "hall.example"),),
    teams_relay=TeamsRelay(host="relay"),
    services=SERVICES,
    names=("a", "b", "c"),
    beacon_url="https://beacon.example/",
    cadence_s={"bandwidth": 0},
)
# 2026-11-29 00:00 UTC.
MIDNIGHT_S = 1_795_910_400


class CostlyRunner(ProbeRunner):
    """Uses the data that a round of the probe costs with IPv6; a call is poor every
    other hour."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    async def run(self, context: RoundContext) -> AsyncIterator[Result]:
        await asyncio.sleep(2 if context.brief else 10)
        hour = context.now_ms() // 3_600_000
        yield Result(
            self._probe.name,
            1,
            context.now_ms(),
            Outcome.OK,
            "t",
            {"poor": hour % 2} if self._probe.name == "call_path" else {},
            data_costs.round_bytes(self._probe, context.policy, False, context.brief),
        )


class CostlyRounds(ProbeRounds):
    def _runner(self, probe: Probe) -> ProbeRunner:
        return CostlyRunner(probe)

    async def glance(self) -> None:
        """Nothing of this machine is looked at."""


class CouncilServer:
    """Takes reports and notes their results; each request costs what is planned."""

    def __init__(self) -> None:
        self.cost_bytes = 0
        self.results: list[Result] = []

    async def send(self, reports: Sequence[SpooledReport]) -> Receipt:
        self.cost_bytes += data_costs.DELIVERY_BYTES
        for report in reports:
            body = msgspec.json.decode(report.body)
            self.results += msgspec.convert(body["results"], list[Result])
        ids = tuple(report.id for report in reports)
        return Receipt(ids, policy=POLICY.version)

    async def policy(self, _site: str) -> Policy:
        self.cost_bytes += data_costs.POLICY_BYTES
        return POLICY


async def spend_a_day(
    folder: Path, policy: Policy, restarts: int
) -> tuple[int, CouncilServer]:
    """A day from midnight: starts spread over it, and another network every half hour.
    Returns what was spent."""
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    clocks = Clocks(lambda: MIDNIGHT_S + loop.time() - started_s, loop.time)
    server = CouncilServer()
    (folder / "policy.json").write_bytes(msgspec.json.encode(policy))
    policies = server if policy is POLICY else None

    def network() -> list[Interface]:
        number = int(clocks.wall_s() // 1800) % 200
        address = f"192.168.{number}.20"
        return [
            Interface("wlan0", up=True, addresses=(address,), gateway="192.168.1.1")
        ]

    with Spool(folder, SpoolLimits(), clocks.now_ms) as spool:
        for _ in range(restarts):
            stop = asyncio.Event()
            settings = Settings(server="https://x", state_folder=str(folder))
            locator = Locator(
                KnownPlaces(folder, b"key"),
                gather=network,
                neighbour=lambda *_: "",
                resolvers=lambda: (),
                managed=list,
            )
            agent = Agent(
                AgentIdentity(settings, AgentCredential("a", "b", "hall"), "test"),
                spool,
                ServerLink(server, policies, network_bytes=lambda: server.cost_bytes),
                timing=AgentTiming(clocks),
                locator=locator,
            )
            jobs = agent._probe_jobs
            jobs._rounds = agent._rounds = CostlyRounds(
                RoundSetup(software="test", now_ms=clocks.now_ms)
            )
            agent._counted_bytes = server.cost_bytes
            task = asyncio.create_task(agent.run(stop))
            await asyncio.sleep((data_costs.DAY_S - 60) / restarts)
            spent = spool.spent_today_bytes()
            stop.set()
            await task
    return spent, server


def left_out(server: CouncilServer) -> Counter[str]:
    return Counter(r.probe for r in server.results if r.outcome is Outcome.BUDGET_SPENT)


def measured_hours(server: CouncilServer, probe: str) -> set[int]:
    return {
        result.time_ms // 3_600_000 % 24
        for result in server.results
        if result.probe == probe and result.outcome is Outcome.OK
    }


def test_a_day_of_restarts_and_poor_calls_stays_within_its_budget() -> None:
    # In memory: what a disk takes to make each report durable would be minutes.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        spent, server = run_virtually(spend_a_day(Path(folder), POLICY, restarts=8))
    assert 23_000_000 < spent <= 25_000_000
    # What was left out is counted, and only extra rounds were.
    assert sum(left_out(server).values()) > 20
    assert {r.outcome for r in server.results} == {Outcome.OK, Outcome.BUDGET_SPENT}
    assert measured_hours(server, "call_path") == set(range(24))


def test_a_plan_that_is_too_large_is_thinned_out_evenly_over_the_day() -> None:
    policy = msgspec.structs.replace(POLICY, cadence_s={"call_path": 300})
    plan = data_costs.day(policy, metered=False, ip=6)
    assert data_costs.total(plan) > 45_000_000
    spent, by_hour = 0, Counter[int]()
    for now_ms in range(0, DAY_MS, 300_000):
        spent += data_costs.sending_bytes(plan) // 288
        for cost in (160_000, 30_000):
            if room_bytes(25_000_000, spent, now_ms, plan, regular=True) >= cost:
                spent += cost
                by_hour[now_ms // 3_600_000] += cost == 160_000
    assert 24_000_000 < spent <= 25_000_000
    assert set(by_hour) == set(range(24))
    assert max(by_hour.values()) <= min(by_hour.values()) + 4


LINES = data_costs.day(POLICY, metered=False, ip=6)


@given(
    st.lists(
        st.tuples(st.integers(0, 3_600_000), st.integers(1, 400_000), st.booleans()),
        max_size=60,
    ),
    st.integers(0, DAY_MS - 1),
)
def test_no_round_takes_what_the_rest_of_the_day_needs(
    rounds: list[tuple[int, int, bool]], now_ms: int
) -> None:
    spent, budget = 0, 25_000_000
    for passed_ms, cost, regular in rounds:
        now_ms = min(now_ms + passed_ms, DAY_MS - 1)
        room = room_bytes(budget, spent, now_ms, LINES, regular)
        if cost <= room:
            spent += cost
        left_ratio = 1 - now_ms / DAY_MS
        assert spent + data_costs.sending_bytes(LINES) * left_ratio <= budget + 1
        assert room <= room_bytes(budget, 0, now_ms, LINES, regular=True)


def test_extra_rounds_get_what_the_regular_ones_leave() -> None:
    lines = [Cost("call_path", 100, 100), Cost(DELIVERY, 10, 100)]
    lines.append(Cost(BAD_MINUTES, 50, 10))
    noon, margin = DAY_MS // 2, 23_000
    budget = 12_000 + margin
    assert (
        room_bytes(budget, 5_000, noon, lines, regular=False) == 12_000 - 5_000 - 5_500
    )
    assert room_bytes(budget, 5_000, noon, lines, regular=True) == 12_000 - 5_000 - 500
    # With less than the plan needs, rounds follow the day.
    assert room_bytes(10_000, 5_000, noon, lines, regular=True) <= 500_000


def test_the_days_data_is_counted_apart_from_the_months(tmp_path: Path) -> None:
    now = [MIDNIGHT_S * 1000]
    with Spool(tmp_path, SpoolLimits(), lambda: now[0]) as spool:
        spool.spend(5)
        spool.spend(9, "bandwidth")
        assert (spool.spent_today_bytes(), spool.spent_bytes()) == (5, 5)
        now[0] += DAY_MS
        spool.spend(7)
        assert (spool.spent_today_bytes(), spool.spent_bytes()) == (7, 12)
    with Spool(tmp_path, SpoolLimits(), lambda: now[0]) as spool:
        assert (spool.spent_today_bytes(), spool.spent_bytes()) == (7, 12)


def test_a_round_is_known_as_regular_soon_or_brief() -> None:
    now = [MIDNIGHT_S * 1000]
    plan = JobSchedule("a", ["wifi"], lambda _: 600_000, lambda: now[0])
    plan.plan_all()
    now[0] = plan.earliest_ms
    assert plan.start("wifi") == "soon"
    plan.add_extra_rounds(["wifi"], [now[0] + 1])
    now[0] += 1
    assert plan.start("wifi") == "brief"
    now[0] = plan.earliest_ms
    assert plan.start("wifi") == "regular"


def test_a_policy_of_an_older_server_has_the_usual_budget(tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text("{}")
    assert read_policy(tmp_path).budget_bytes_per_day == 25_000_000


def test_deliveries_that_are_more_than_a_day_has_do_not_stop_its_first_rounds() -> None:
    lines = [Cost("web", 5_000, 86_400), Cost(DELIVERY, 6_000, 8_640)]
    for regular in (True, False):
        assert room_bytes(25_000_000, 0, 0, lines, regular) == 500_000
        assert room_bytes(25_000_000, 0, DAY_MS // 2, lines, regular) == 13_000_000
        assert room_bytes(25_000_000, 600_000, 0, lines, regular) < 0
