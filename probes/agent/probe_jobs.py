"""Runs one probe when it is due: from the conditions of the moment to the spool."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from msgspec.structs import replace

from probes.agent.burst_schedule import BurstSchedule
from probes.agent.change_filter import ChangeFilter
from probes.agent.day_budget import day_budget_bytes, room_bytes
from probes.agent.job_schedule import JobSchedule, RoundKind
from probes.agent.place import PlaceVerdict
from probes.agent.probe_budget import (
    ProbeConditions,
    is_busy,
    on_battery,
    record_test,
)
from probes.agent.probe_round import ProbeRounds
from probes.agent.spool import Spool
from probes.wire.data_costs import day, round_bytes
from probes.wire.failure import Outcome
from probes.wire.policy import Policy
from probes.wire.probe import Probe
from probes.wire.probe_list import PROBES
from probes.wire.report import VERSION, Report, Result, Whereabouts

_log = logging.getLogger(__name__)

SendingAllowance = Literal["free", "sparing", "none"]
# After these a speed test is tried again before its next regular time.
_SOON_AGAIN = frozenset({Outcome.IN_USE, Outcome.BUSY, Outcome.ON_BATTERY})
_SOON_AGAIN_S = 1800


class ProbeJobs:
    """`await measure(probe, …)` runs one round and puts its results into the spool.
    `last_results`, `left_out` and `place` are for the status file. `left_out`: how many
    rounds were not run since the start, as the data budget had no room for them."""

    def __init__(
        self,
        agent: str,
        software: str,
        folder: Path,
        spool: Spool,
        rounds: ProbeRounds,
        schedule: JobSchedule,
        now_ms: Callable[[], int],
    ) -> None:
        self._agent, self._software, self._folder = agent, software, folder
        self._spool, self._rounds, self._schedule = spool, rounds, schedule
        self._now_ms = now_ms
        self._bursts, self._changes = BurstSchedule(), ChangeFilter()
        self._last: dict[tuple[str, str], Result] = {}
        self.left_out = 0
        self.place = PlaceVerdict(Whereabouts(), "")

    @property
    def metered(self) -> bool:
        """Whether the laptop is on a connection that is paid by volume."""
        return self.place.whereabouts.connection == "mobile"

    @property
    def last_results(self) -> tuple[Result, ...]:
        """The last result of each probe and target."""
        return tuple(self._last[key] for key in sorted(self._last))

    def budget_bytes(self, policy: Policy) -> int:
        """Returns this month's data budget on the present connection; 0: no limit."""
        if self.metered:
            return policy.metered_budget_bytes_per_month
        return policy.budget_bytes_per_month

    async def measure(
        self,
        probe: Probe,
        policy: Policy,
        place: PlaceVerdict,
        clock_error_ms: int,
        kind: RoundKind,
    ) -> int | None:
        """Runs one round of `probe` at `place`. Returns in how many ms the policy
        should be fetched because things have just turned bad, else None."""
        self.place = place
        true_ms = self._now_ms() - clock_error_ms
        frozen_ms = policy.frozen_until_ms(place.whereabouts.site, true_ms)
        conditions = await self._conditions(probe, policy, kind, frozen_ms is not None)
        try:
            results = await self._rounds.measure(probe.name, policy, conditions)
        except asyncio.CancelledError:
            # The agent stops: what was sent until now has no result that counts it.
            brief = kind == "brief"
            cost_bytes = round_bytes(probe, policy, self.metered, brief)
            self._spool.spend(cost_bytes, _purse(probe))
            raise
        spent = Outcome.BUDGET_SPENT
        self.left_out += any(result.outcome is spent for result in results)
        for result in results:
            self._last[result.probe, result.target] = result
            if result.outcome in _SOON_AGAIN:
                retry_s = result.values.get("retry_after_s")
                again_s = retry_s if isinstance(retry_s, int) else _SOON_AGAIN_S
                again_ms = int(random.uniform(0.7, 1.3) * again_s * 1000)
                self._schedule.due_in(probe.name, again_ms)
            elif probe.heavy and frozen_ms and result.outcome is Outcome.PAUSED:
                # Not all laptops of an office in the minute after its event.
                after_ms = frozen_ms - true_ms
                spread_ms = random.uniform(0, _SOON_AGAIN_S * 1000)
                self._schedule.due_in(probe.name, int(after_ms + spread_ms))
            elif probe.heavy and result.cost_bytes:
                record_test(self._folder, self._now_ms())
        refresh_in_ms = self._plan_burst(probe, policy, results)
        self._spool.spend(sum(result.cost_bytes for result in results), _purse(probe))
        self._report(results, clock_error_ms)
        return refresh_in_ms

    async def _conditions(
        self, probe: Probe, policy: Policy, kind: RoundKind, frozen: bool
    ) -> ProbeConditions:
        budget_bytes = (
            policy.speed_test_bytes_per_month
            if probe.heavy
            else self.budget_bytes(policy)
        )
        spent_bytes = self._spool.spent_bytes(_purse(probe))
        left_bytes = budget_bytes - spent_bytes if budget_bytes else None
        if not probe.heavy:
            brief = kind == "brief"
            cost_bytes = round_bytes(probe, policy, self.metered, brief)
            room = self.room_today_bytes(policy, regular=kind == "regular")
            if room is not None and room < cost_bytes:
                left_bytes = 0
            return ProbeConditions(
                metered=self.metered, left_bytes=left_bytes, brief=brief
            )
        if frozen:
            # Whether the laptop is in use need not be known.
            return ProbeConditions(self.metered, left_bytes=left_bytes, frozen=True)
        return ProbeConditions(self.metered, on_battery(), await is_busy(), left_bytes)

    def room_today_bytes(self, policy: Policy, regular: bool) -> int | None:
        """Returns what one more round may cost today; None if there is no limit."""
        budget_bytes = day_budget_bytes(policy, self.metered)
        if not budget_bytes:
            return None
        plan = day(policy, self.metered, ip=6)
        spent_bytes = self._spool.spent_today_bytes()
        return room_bytes(budget_bytes, spent_bytes, self._now_ms(), plan, regular)

    def sending_allowance(self, policy: Policy) -> SendingAllowance:
        """Returns how much of what waits may be sent now. `sparing`: the rest of the
        day is needed for what is measured in it; `none`: the day's data is used up."""
        budget_bytes = day_budget_bytes(policy, self.metered)
        if budget_bytes and self._spool.spent_today_bytes() >= budget_bytes:
            return "none"
        room = self.room_today_bytes(policy, regular=False)
        return "free" if room is None or room > 0 else "sparing"

    def _plan_burst(
        self, probe: Probe, policy: Policy, results: Sequence[Result]
    ) -> int | None:
        """Plans a few short rounds if things have just turned bad. Returns in how many
        ms the first one is, or None if there is none."""
        now_ms = self._now_ms()
        times_ms = self._bursts.rounds_after(results, now_ms, random.random())
        if times_ms and policy.hurry and not self.metered:
            _log.info("burst_planned probe=%s rounds=%d", probe.name, len(times_ms))
            explaining = [probe.name for probe in PROBES if probe.burst == "explains"]
            self._schedule.add_extra_rounds((probe.name, *explaining), times_ms)
        if not self._bursts.is_bad:
            self._schedule.drop_extra_rounds()
        return times_ms[0] - now_ms if times_ms else None

    def _report(self, results: Sequence[Result], clock_error_ms: int) -> None:
        """Puts the results worth sending into the spool, with times by the server's
        clock if this laptop's is known to be wrong."""
        news = [result for result in results if self._changes.should_send(result)]
        if not news:
            return
        self._spool.put(
            Report(
                version=VERSION,
                id=secrets.token_hex(12),
                agent=self._agent,
                sent_ms=max(self._now_ms() - clock_error_ms, 0),
                software=self._software,
                whereabouts=self.place.whereabouts,
                results=tuple(
                    replace(result, time_ms=max(result.time_ms - clock_error_ms, 0))
                    for result in news
                ),
            )
        )


def _purse(probe: Probe) -> str:
    """Returns the name under which the probe's data is counted: heavy probes have a
    budget of their own."""
    return probe.name if probe.heavy else ""
