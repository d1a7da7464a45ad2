"""The agent's loop: one job at a time, each on its own schedule.

One task runs every job (probes, delivery, policy) in turn, so that no probe measures
the agent's own traffic. Jobs run on a grid with this laptop's own phase. What was due
while the laptop slept is skipped. The agent stops within two seconds; by then all
results are in the spool.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

from probes.agent.agent_parts import AgentIdentity, AgentTiming, ServerLink
from probes.agent.clock_changes import SET_S, clock_change, clock_error_ms
from probes.agent.day_budget import day_budget_bytes
from probes.agent.enrol import device_id
from probes.agent.job_schedule import JobSchedule, RoundKind
from probes.agent.laptop_requests import (
    FOR_ALL,
    LaptopAnswer,
    LaptopRequest,
    RequestDesk,
    act_on,
)
from probes.agent.place import KnownPlaces, Locator
from probes.agent.policy_refresh import PolicyRefresh, Refreshed
from probes.agent.probe_budget import last_test_ms
from probes.agent.probe_jobs import ProbeJobs
from probes.agent.probe_round import ROUND_S, ProbeRounds, RoundSetup
from probes.agent.quiet_times import paused_until_ms, quiet_reason
from probes.agent.report_delivery import ReportDelivery
from probes.agent.spool import DAY_MS, Spool
from probes.agent.stop_orders import StopOrders
from probes.diagnosis.agent_status import Status, status_file, write_status
from probes.diagnosis.sent_log import SentLog
from probes.wire.atomic_file import PRIVATE
from probes.wire.probe_list import PROBES, find_probe

_log = logging.getLogger(__name__)

DELIVER, REFRESH = "deliver", "policy"
# A connection that comes and goes must not cause a round of everything each time.
NETWORK_CHANGE_MS = 300_000


class Agent:
    """`await Agent(…).run(stop)` works until `stop` is set."""

    def __init__(
        self,
        identity: AgentIdentity,
        spool: Spool,
        server: ServerLink,
        *,
        timing: AgentTiming | None = None,
        locator: Locator | None = None,
        rounds: ProbeRounds | None = None,
    ) -> None:
        timing = timing or AgentTiming()
        self._identity, self._spool, self._server = identity, spool, server
        self._settings, self._clocks = identity.settings, timing.clocks
        self._folder, self._tick_s = self._settings.folder(), timing.tick_s
        shown, shared = self._settings.shown_folder(), self._settings.shared_folder
        # What a service shows is for everybody at the laptop.
        shown_mode = FOR_ALL if shared else PRIVATE
        self._status_file = status_file(shown, shown_mode)
        self._desk = RequestDesk(Path(shared), self._act) if shared else None
        now_ms = self._clocks.now_ms
        self._rounds = rounds or ProbeRounds(
            RoundSetup(
                software=identity.software,
                now_ms=now_ms,
                ca_file=self._settings.ca_file,
                opt_out=self._settings.opt_out,
                waiting=lambda: spool.waiting,
                dropped=lambda: spool.dropped,
                left_out=lambda: self._probe_jobs.left_out,
            )
        )
        self._locator = locator or Locator(
            KnownPlaces(self._folder, device_id(self._folder).encode()),
            self._settings.ca_file,
        )
        self._delivery = ReportDelivery(
            spool, server.publisher, SentLog(shown, shown_mode), now_ms
        )
        self._policy = PolicyRefresh(
            self._folder,
            server.policies,
            StopOrders(self._folder, self._settings.server, self._settings.stop_key),
            self._clocks.monotonic_s,
        )
        self._schedule = JobSchedule(
            identity.credential.agent,
            (*(probe.name for probe in PROBES), DELIVER, REFRESH),
            self._period_ms,
            now_ms,
            rare=[probe.name for probe in PROBES if probe.heavy],
            last_ms=lambda: last_test_ms(self._folder),
            soon_ms=timing.soon_ms,
        )
        self._probe_jobs = ProbeJobs(
            identity.credential.agent,
            identity.software,
            self._folder,
            spool,
            self._rounds,
            self._schedule,
            now_ms,
        )
        self._failing: set[str] = set()
        self._counted_bytes = 0
        self._network: object = None
        self._network_ms = self._changed_ms = 0
        self._started_ms = now_ms()
        self._woken = asyncio.Event()

    async def run(
        self, stop: asyncio.Event, woken: asyncio.Event | None = None
    ) -> None:
        """Works until `stop` is set, then gives up the job in progress. `woken` is set
        when the laptop has slept; the clocks show it too, at the next tick."""
        if woken is not None:
            self._woken = woken
        agent, server = self._identity.credential.agent, self._settings.server
        _log.info("agent_started agent=%s server=%s", agent, server or "none")
        stopping = asyncio.create_task(stop.wait(), name="agent-stop")
        self._network = self._locator.network()
        self._schedule.plan_all()
        if self._server.policies is not None:
            self._schedule.due_in(REFRESH, 0)
        try:
            while not stop.is_set():
                await self._wait(stopping)
                job = self._schedule.next_job()
                if job is None or stop.is_set():
                    continue
                clocks = self._clocks.wall_s(), self._clocks.monotonic_s()
                working = asyncio.create_task(self._run_job(job), name=f"agent-{job}")
                await asyncio.wait(
                    {working, stopping}, return_when=asyncio.FIRST_COMPLETED
                )
                if not working.done():
                    working.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await working
                self._check_clocks(*clocks, ROUND_S)
                self._write_status()
        finally:
            stopping.cancel()
            self._write_status(stopped=True)
            _log.info("agent_stopped waiting=%d", self._spool.waiting)

    # Clocks, network and schedule.

    async def _wait(self, stopping: asyncio.Task[bool]) -> None:
        """Waits for the next job, at most one tick; then checks clocks and network."""
        wall_s, monotonic_s = self._clocks.wall_s(), self._clocks.monotonic_s()
        wait_s = max(self._schedule.earliest_ms / 1000 - wall_s, 0.0)
        wait_s = min(wait_s, self._tick_s)
        waking = asyncio.create_task(self._woken.wait(), name="agent-woken")
        await asyncio.wait(
            {stopping, waking},
            timeout=wait_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        waking.cancel()
        self._woken.clear()
        if self._desk is not None and self._desk.serve():
            self._write_status()
        if not self._quiet_reason():
            await self._rounds.glance()
        self._check_clocks(wall_s, monotonic_s, wait_s)
        self._check_network()
        if self._policy.should_ask:
            self._schedule.due_in(REFRESH, 0)
        if self._server.came_back is not None and self._server.came_back():
            # Laptops' connections come back spread over minutes, so this is spread too.
            self._schedule.due_in(DELIVER, 0)

    def _check_clocks(
        self, wall_s: float, monotonic_s: float, expected_s: float
    ) -> None:
        """Plans everything again if the laptop has slept or its clock was set since."""
        passed_s = self._clocks.monotonic_s() - monotonic_s
        set_s = self._clocks.wall_s() - wall_s - passed_s
        change = clock_change(set_s + passed_s, passed_s, expected_s)
        if abs(set_s) > SET_S:
            self._server.clock_was_set(set_s)
            self._spool.clock_was_set(int(set_s * 1000))
        if change != "none":
            _log.info("jobs_replanned reason=%s", change)
            self._schedule.plan_all()

    def _check_network(self) -> None:
        """Measures soon if the laptop is in another network, or its VPN has connected
        or disconnected: what was measured before is not about this network."""
        network, now_ms = self._locator.network(), self._clocks.now_ms()
        if network == self._network:
            return
        first, self._network = self._network is None, network
        self._network_ms = now_ms
        if not first and not 0 <= now_ms - self._changed_ms < NETWORK_CHANGE_MS:
            _log.info("network_changed")
            self._changed_ms = now_ms
            self._schedule.drop_extra_rounds()
            self._schedule.plan_soon((*(probe.name for probe in PROBES), DELIVER))

    def _period_ms(self, job: str) -> int:
        """Returns how often `job` runs now; 0: never. It may change with the policy and
        the connection."""
        policy, metered = self._policy.current, self._probe_jobs.metered
        if job == DELIVER:
            return 1000 * policy.report_every_s(metered)
        if job == REFRESH:
            return policy.refresh_s * 1000 if self._server.policies is not None else 0
        if job in self._policy.stops.stopped(self._stop_ms()):
            return 0
        if job in self._settings.opt_out:
            return DAY_MS
        probe = find_probe(job)
        return 0 if probe is None else 1000 * probe.cadence_s(policy, metered)

    # The jobs.

    async def _run_job(self, job: str) -> None:
        kind = self._schedule.start(job)
        if not self._period_ms(job):
            return
        try:
            if job == DELIVER:
                await self._deliver(kind)
            elif job == REFRESH:
                await self._refresh()
            elif not self._quiet_reason():
                await self._measure(job, kind)
        except Exception:  # noqa: BLE001 - a fault in one job must not stop the others
            if job not in self._failing:
                _log.exception("job_failed job=%s", job)
            self._failing.add(job)
        else:
            self._failing.discard(job)

    async def _measure(self, job: str, kind: RoundKind) -> None:
        probe, policy = find_probe(job), self._policy.current
        if probe is None:
            return
        place = await self._locator.where(policy.beacon_url, policy.offices)
        self._count_network()
        refresh_in_ms = await self._probe_jobs.measure(
            probe, policy, place, self._clock_error_ms(), kind
        )
        if refresh_in_ms is not None and self._server.policies is not None:
            # The council may already know of the fault; then its user is told.
            self._schedule.due_in(REFRESH, refresh_in_ms)

    async def _deliver(self, kind: RoundKind) -> None:
        allowance = self._probe_jobs.sending_allowance(self._policy.current)
        if allowance == "none" or (allowance == "sparing" and kind != "regular"):
            return
        if self._spool.count_doubtful():
            if self._server.clock_ahead_s() is None:
                # After days offline, ask for the time before reporting about them.
                await self._refresh()
            self._spool.correct_times()
        sparing = allowance == "sparing"
        wait_s = await self._delivery.deliver(sparing)
        self._count_network()
        fetch_s = self._policy.hear(self._delivery.take_policy_version())
        if fetch_s is not None and self._server.policies is not None:
            self._schedule.due_in(REFRESH, int(fetch_s * 1000))
        if wait_s is not None and not (sparing and not self._delivery.trouble):
            self._schedule.due_in(DELIVER, int(wait_s * 1000))

    async def _refresh(self) -> None:
        renewal = self._server.renewal
        try:
            outcome = await self._fetch_policy()
            if outcome.refused and renewal is not None and await renewal.recover():
                outcome = await self._fetch_policy()
            if outcome.retry_s is not None:
                self._schedule.due_in(REFRESH, int(outcome.retry_s * 1000))
            elif outcome.new_plan:
                _log.info("jobs_replanned reason=policy")
                self._schedule.plan_all()
                self._schedule.due_in(REFRESH, self._period_ms(REFRESH))
            if outcome.retry_s is None and renewal is not None:
                await renewal.run(self._policy.current.credential_days)
            await self._refresh_support(outcome.retry_s is None)
        finally:
            self._count_network()

    async def _fetch_policy(self) -> Refreshed:
        site = self._probe_jobs.place.whereabouts.site
        return await self._policy.fetch(site, self._clocks.now_ms, self._stop_ms)

    def _count_network(self) -> None:
        total = self._server.network_bytes() + self._locator.cost_bytes
        self._spool.spend(total - self._counted_bytes)
        self._counted_bytes = total

    # What the agent knows about itself.

    def _clock_error_ms(self) -> int:
        """Returns how far this clock is ahead; 0 if it is right or that is unknown."""
        return clock_error_ms(self._server.clock_ahead_s()) or 0

    def _stop_ms(self) -> int:
        """Returns the time by which stop orders end: by the laptop's clock and by the
        server's, whichever is later to say so. Neither alone can end one."""
        now_ms = self._clocks.now_ms()
        return min(now_ms, now_ms - self._clock_error_ms())

    def _quiet_reason(self) -> str:
        """Returns why nothing is measured now; empty if something is."""
        stopped = self._policy.stops.quiet_reason(self._stop_ms())
        if stopped:
            return stopped
        hours = self._policy.current.hours, self._settings.measuring_hours()
        return quiet_reason(self._paused_ms(), self._clocks.now_ms(), hours)

    def _paused_ms(self) -> int:
        longest_s = self._policy.current.longest_pause_s
        return paused_until_ms(self._folder, self._clocks.now_ms(), longest_s)

    async def _refresh_support(self, is_reached: bool) -> None:
        support = self._server.support
        if support is not None and (is_reached or support.is_wanted):
            is_awaited = support.is_wanted
            again_s = await support.refresh()
            if again_s is not None:
                self._schedule.due_in(REFRESH, int(again_s * 1000))
            if is_awaited:
                # Who waits for a code gets it now, not at the next tick.
                self._woken.set()

    def _act(self, request: LaptopRequest) -> LaptopAnswer | None:
        """None: the answer comes later."""
        if request.ask == "support-code" and self._server.support is not None:
            answer = self._server.support.answer_or_ask()
            if answer is None:
                self._schedule.due_in(REFRESH, 0)
            return answer
        longest_s = self._policy.current.longest_pause_s
        return act_on(request, self._folder, longest_s, self._clocks.now_ms())

    def _write_status(self, stopped: bool = False) -> None:
        credential, spool, delivery = (
            self._identity.credential,
            self._spool,
            self._delivery,
        )
        policy, jobs = self._policy, self._probe_jobs
        write_status(
            self._status_file,
            Status(
                written_ms=self._clocks.now_ms(),
                started_ms=self._started_ms,
                software=self._identity.software,
                server=self._settings.server,
                agent=credential.agent,
                home_site=credential.home_site,
                stopped=stopped,
                whereabouts=jobs.place.whereabouts,
                place_reason=jobs.place.reason,
                quiet=self._quiet_reason(),
                stops=policy.stops.sentences(self._stop_ms()),
                stop_faults=policy.stops.faults,
                last=jobs.last_results,
                waiting=spool.waiting,
                dropped=spool.dropped,
                spool_trouble=spool.trouble,
                spool_lost=spool.lost,
                delivered=delivery.delivered,
                delivered_ms=delivery.delivered_ms,
                delivery_trouble=delivery.trouble or policy.trouble,
                policy_ms=policy.fetched_ms,
                refused=dict(delivery.refused),
                next_ms=self._schedule.due_ms,
                network_ms=self._network_ms,
                clock_wrong_ms=self._clock_error_ms(),
                incidents=policy.current.incidents,
                paused_ms=self._paused_ms(),
                longest_pause_s=policy.current.longest_pause_s,
                spent_bytes=spool.spent_bytes(),
                budget_bytes=jobs.budget_bytes(policy.current),
                spent_today_bytes=spool.spent_today_bytes(),
                budget_today_bytes=day_budget_bytes(policy.current, jobs.metered),
                left_out=jobs.left_out,
                support=self._server.shown_support,
            ),
        )
