"""The agent's loop: one thing at a time, each in its own time.

One task runs every job (probes, delivery, policy) in turn, so that no probe measures
the agent's own traffic. Jobs sit on a grid with this laptop's own phase; what a sleep
made them miss is skipped. A stop is obeyed within two seconds; what was measured is in
the spool by then.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from probes.agent.agenda import SOON_MS, Agenda
from probes.agent.burst_schedule import EXPLAIN, BurstSchedule
from probes.agent.change_filter import ChangeFilter
from probes.agent.clock_changes import SET_S, Clocks, clock_change, wrong_ms
from probes.agent.enrol import device_id
from probes.agent.pause import paused_until_ms, why_quiet
from probes.agent.place import Judgement, KnownPlaces, Locator
from probes.agent.probe_budget import (
    ProbeConditions,
    is_busy,
    last_test_ms,
    note_test,
    on_battery,
)
from probes.agent.probe_round import PROBES, ROUND_S, Round
from probes.agent.publish_https import HttpsPublisher
from probes.agent.report_delivery import (
    CredentialRefused,
    Later,
    Publisher,
    ReportDelivery,
)
from probes.agent.settings import Settings
from probes.agent.spool import DAY_MS, Spool
from probes.diagnosis.agent_status import Status, write_status
from probes.diagnosis.sent_log import SentLog
from probes.wire.atomic_file import replace_file
from probes.wire.failure import Outcome
from probes.wire.measurements import CATALOGUE
from probes.wire.policy import Policy
from probes.wire.policy import decode as decode_policy
from probes.wire.report import VERSION, AgentCredential, Report, Result, Whereabouts

log = logging.getLogger(__name__)

POLICY = "policy.json"
DELIVER, REFRESH = "deliver", "policy"
TICK_S = 15.0
CHANGE_AGAIN_MS = 300_000
# Why a speed test is tried again before its next time.
_SOON_AGAIN = frozenset({Outcome.IN_USE, Outcome.BUSY, Outcome.ON_BATTERY})


class Agent:
    """`await Agent(…).run(stop)` until `stop` is set."""

    def __init__(
        self,
        settings: Settings,
        credential: AgentCredential,
        spool: Spool,
        publisher: Publisher,
        policies: HttpsPublisher | None,
        software: str,
        *,
        clocks: Clocks | None = None,
        locator: Locator | None = None,
        round: Round | None = None,
        network_bytes: Callable[[], int] = lambda: 0,
        clock_ahead_s: Callable[[], float | None] = lambda: None,
        clock_was_set: Callable[[float], None] = lambda _by_s: None,
        soon_ms: int = SOON_MS,
        tick_s: float = TICK_S,
    ) -> None:
        self._settings, self._credential = settings, credential
        self._folder = settings.folder()
        self._spool, self._policies, self._software = spool, policies, software
        self._clocks = clocks or Clocks()
        self._tick_s = tick_s
        now_ms = self._clocks.now_ms
        self._round = round or Round(
            software,
            now_ms,
            ca_file=settings.ca_file,
            opt_out=settings.opt_out,
            waiting=lambda: spool.waiting,
            dropped=lambda: spool.dropped,
        )
        self._locator = locator or Locator(
            KnownPlaces(self._folder, device_id(self._folder).encode()),
            settings.ca_file,
        )
        self._delivery = ReportDelivery(spool, publisher, SentLog(self._folder), now_ms)
        self._clock_ahead_s, self._clock_was_set = clock_ahead_s, clock_was_set
        self._network_bytes, self._counted_bytes = network_bytes, 0
        self._policy = read_policy(self._folder)
        self._policy_ms: int | None = None
        self._policy_trouble = ""
        self._faulty: set[str] = set()
        self._agenda = Agenda(
            credential.agent,
            (*PROBES, DELIVER, REFRESH),
            self._period_ms,
            now_ms,
            rare=("bandwidth",),
            last_ms=lambda: last_test_ms(self._folder),
            soon_ms=soon_ms,
        )
        self._hurry = BurstSchedule()
        self._network: object = None
        self._network_ms = self._changed_ms = 0
        self._last: dict[tuple[str, str], Result] = {}
        self._news = ChangeFilter()
        self._place = Judgement(Whereabouts(), "")
        self._started_ms = now_ms()

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set; then the job under way is given up."""
        log.info("agent %s begins, reporting to %s", *self._names())
        stopping = asyncio.create_task(stop.wait(), name="agent-stop")
        self._network = self._locator.network()
        self._agenda.plan_all()
        if self._policies is not None:
            self._agenda.put_off(REFRESH, 0)
        try:
            while not stop.is_set():
                await self._wait(stopping)
                job = self._agenda.next()
                if job is None or stop.is_set():
                    continue
                clocks = self._clocks.wall_s(), self._clocks.monotonic_s()
                working = asyncio.create_task(self._do(job), name=f"agent-{job}")
                await asyncio.wait(
                    {working, stopping}, return_when=asyncio.FIRST_COMPLETED
                )
                if not working.done():
                    working.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await working
                self._look_at_clocks(*clocks, ROUND_S)
                self._write_status()
        finally:
            stopping.cancel()
            self._write_status(stopped=True)
            log.info("agent ends, %d reports wait", self._spool.waiting)

    # The time of things.

    async def _wait(self, stopping: asyncio.Task[bool]) -> None:
        """Waits for the next job's time, and looks at clocks and network meanwhile."""
        wall_s, monotonic_s = self._clocks.wall_s(), self._clocks.monotonic_s()
        wait_s = max(self._agenda.earliest_ms / 1000 - wall_s, 0.0)
        wait_s = min(wait_s, self._tick_s)
        await asyncio.wait({stopping}, timeout=wait_s)
        if not self._quiet():
            await self._round.glance()
        self._look_at_clocks(wall_s, monotonic_s, wait_s)
        self._look_at_network()

    def _look_at_clocks(
        self, wall_s: float, monotonic_s: float, meant_s: float
    ) -> None:
        """Plans everything anew where the laptop slept or its clock was set since."""
        passed_s = self._clocks.monotonic_s() - monotonic_s
        set_s = self._clocks.wall_s() - wall_s - passed_s
        change = clock_change(set_s + passed_s, passed_s, meant_s)
        if abs(set_s) > SET_S:
            self._clock_was_set(set_s)
            self._spool.clock_was_set(int(set_s * 1000))
        if change != "none":
            slept = "the laptop slept" if change == "woke" else "the clock was set"
            log.info("%s: everything is planned again", slept)
            self._agenda.plan_all()

    def _look_at_network(self) -> None:
        """Measures soon where the laptop is in another network, or its VPN came or
        went; what was seen before says nothing of it."""
        network, now_ms = self._locator.network(), self._clocks.now_ms()
        if network == self._network:
            return
        begun, self._network = self._network is None, network
        self._network_ms = now_ms
        # A connection that comes and goes must not have everything measured each time.
        if not begun and not 0 <= now_ms - self._changed_ms < CHANGE_AGAIN_MS:
            log.info("the network is another one: it is measured soon")
            self._changed_ms = now_ms
            self._agenda.drop_between()
            self._agenda.plan_soon((*PROBES, DELIVER))

    def _period_ms(self, job: str) -> int:
        """0: never, as things are; on another connection it may be otherwise."""
        if job == DELIVER:
            return self._policy.report_s * 1000 * (3 if self._metered() else 1)
        if job == REFRESH:
            return self._policy.refresh_s * 1000 if self._policies is not None else 0
        if job in self._settings.opt_out:
            return DAY_MS
        period_s = CATALOGUE.measurement(job).period_s
        return 1000 * self._policy.cadence(job, period_s, self._metered())

    # The jobs.

    async def _do(self, job: str) -> None:
        brief = self._agenda.begin(job)
        if not self._period_ms(job):
            return
        try:
            if job == DELIVER:
                await self._deliver()
            elif job == REFRESH:
                await self._refresh()
            elif not self._quiet():
                await self._measure(job, brief)
        except Exception:  # a fault in one job must not stop the others
            if job not in self._faulty:
                log.exception("%s failed in itself; it is tried again", job)
            self._faulty.add(job)
        else:
            self._faulty.discard(job)

    async def _measure(self, probe: str, brief: bool) -> None:
        self._place = await self._locator.where(
            self._policy.beacon_url, self._policy.offices
        )
        found = await self._round.measure(
            probe, self._policy, await self._facts(probe, brief)
        )
        for each in found:
            self._last[each.probe, each.target] = each
            if each.outcome in _SOON_AGAIN:
                asked_s = each.values.get("retry_after_s")
                again_s = asked_s if isinstance(asked_s, int) else 1800
                again_ms = int(random.uniform(0.7, 1.3) * again_s * 1000)
                self._agenda.put_off(probe, again_ms)
            elif probe == "bandwidth" and each.cost_bytes:
                note_test(self._folder, self._clocks.now_ms())
        self._hasten(probe, found)
        purse = probe if probe == "bandwidth" else ""
        self._spool.spend(sum(each.cost_bytes for each in found), purse)
        told = [each for each in found if self._news.tells(each)]
        if told:
            # By the server's clock, where this one is known to be wrong.
            wrong_ms = self._wrong_ms()
            told = [
                replace(each, time_ms=max(each.time_ms - wrong_ms, 0)) for each in told
            ]
            self._spool.put(
                Report(
                    version=VERSION,
                    id=secrets.token_hex(12),
                    agent=self._credential.agent,
                    sent_ms=max(self._clocks.now_ms() - wrong_ms, 0),
                    software=self._software,
                    whereabouts=self._place.whereabouts,
                    results=tuple(told),
                )
            )

    def _wrong_ms(self) -> int:
        """How far this clock is ahead, 0 where it is right or nobody knows."""
        return wrong_ms(self._clock_ahead_s()) or 0

    def _hasten(self, probe: str, found: Sequence[Result]) -> None:
        """Puts a few short rounds in between where things have just gone bad."""
        now_ms = self._clocks.now_ms()
        times_ms = self._hurry.note(found, now_ms, random.random())
        if times_ms and self._policy.hurry and not self._metered():
            log.info("%s turned bad: it is looked at more often for minutes", probe)
            self._agenda.put_between((probe, *EXPLAIN), times_ms)
        if times_ms and self._policies is not None:
            # Perhaps the council knows of it: its user is told.
            self._agenda.put_off(REFRESH, times_ms[0] - now_ms)
        if not self._hurry.is_bad:
            self._agenda.drop_between()

    async def _facts(self, probe: str, brief: bool) -> ProbeConditions:
        metered = self._metered()
        if probe != "bandwidth":
            budget, spent = self._budget_bytes(), self._spool.spent_bytes()
            left = budget - spent if budget else None
            return ProbeConditions(metered=metered, left_bytes=left, brief=brief)
        budget = self._policy.speed_test_bytes_per_month
        left = budget - self._spool.spent_bytes(probe) if budget else None
        return ProbeConditions(metered, on_battery(), await is_busy(), left)

    def _budget_bytes(self) -> int:
        if self._metered():
            return self._policy.metered_budget_bytes_per_month
        return self._policy.budget_bytes_per_month

    def _metered(self) -> bool:
        return self._place.whereabouts.connection == "mobile"

    def _quiet(self) -> str:
        """Why nothing is measured now; empty where it is."""
        hours = self._policy.hours, self._settings.measuring_hours()
        return why_quiet(self._paused_ms(), self._clocks.now_ms(), hours)

    def _paused_ms(self) -> int:
        return paused_until_ms(
            self._folder, self._clocks.now_ms(), self._policy.longest_pause_s
        )

    async def _deliver(self) -> None:
        if self._spool.doubts():
            if self._clock_ahead_s() is None:
                # Whoever has been offline asks the time before it tells of its days.
                await self._refresh()
            self._spool.end_doubt()
        wait_s = await self._delivery.deliver()
        self._count_network()
        if wait_s is not None:
            self._agenda.put_off(DELIVER, int(wait_s * 1000))

    async def _refresh(self) -> None:
        if self._policies is None:
            return
        try:
            policy = await self._policies.policy(self._place.whereabouts.site)
        except (Later, CredentialRefused) as error:
            if str(error) != self._policy_trouble:
                log.warning("the policy was not had: %s", error)
            self._policy_trouble = str(error)
            # Sooner than the next regular time, and not with everybody else; not
            # soon where the server does not want this laptop.
            refused = isinstance(error, CredentialRefused)
            wait_s = random.uniform(2700, 4500) if refused else random.uniform(60, 300)
            self._agenda.put_off(REFRESH, int(wait_s * 1000))
            return
        finally:
            self._count_network()
        self._policy_trouble = ""
        self._policy_ms = self._clocks.now_ms()
        if policy is not None and policy != self._policy:
            # What is wrong at the council comes and goes, and so do tokens: neither
            # changes any plans.
            same_plan = policy.plan() == self._policy.plan()
            self._policy = policy
            with contextlib.suppress(OSError):
                replace_file(
                    self._folder / POLICY, msgspec.json.encode(policy), durable=True
                )
            if same_plan:
                return
            log.info("the council's policy is new: everything is planned again")
            self._agenda.plan_all()
            self._agenda.put_off(REFRESH, self._period_ms(REFRESH))

    def _count_network(self) -> None:
        total = self._network_bytes()
        self._spool.spend(total - self._counted_bytes)
        self._counted_bytes = total

    def _names(self) -> tuple[str, str]:
        return self._credential.agent, self._settings.server or "nobody"

    def _write_status(self, stopped: bool = False) -> None:
        spool, delivery = self._spool, self._delivery
        write_status(
            self._folder,
            Status(
                written_ms=self._clocks.now_ms(),
                started_ms=self._started_ms,
                software=self._software,
                server=self._settings.server,
                agent=self._credential.agent,
                home_site=self._credential.home_site,
                stopped=stopped,
                whereabouts=self._place.whereabouts,
                place_reason=self._place.reason,
                quiet=self._quiet(),
                last=tuple(self._last[key] for key in sorted(self._last)),
                waiting=spool.waiting,
                dropped=spool.dropped,
                spool_trouble=spool.trouble,
                spool_lost=spool.lost,
                delivered=delivery.delivered,
                delivered_ms=delivery.delivered_ms,
                delivery_trouble=delivery.trouble or self._policy_trouble,
                policy_ms=self._policy_ms,
                refused=dict(delivery.refused),
                next_ms=self._agenda.due_ms,
                network_ms=self._network_ms,
                clock_wrong_ms=self._wrong_ms(),
                incidents=self._policy.incidents,
                paused_ms=self._paused_ms(),
                longest_pause_s=self._policy.longest_pause_s,
                spent_bytes=spool.spent_bytes(),
                budget_bytes=self._budget_bytes(),
            ),
        )


def read_policy(folder: Path) -> Policy:
    """The last policy the server gave; an empty one where there is none to use."""
    try:
        return decode_policy((folder / POLICY).read_bytes())
    except (OSError, msgspec.DecodeError):
        return Policy()
