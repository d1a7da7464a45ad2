"""When each job of one laptop is due: on its grid, and extra rounds in between.

Clocks, periods and chance are passed in, so that a test can play through a day.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from probes.agent.schedule_times import first_due_ms, next_due_ms, phase_ms, rare_due_ms
from probes.wire.clock import WallClock

SOON_MS = 60_000
# `regular`: on the grid. `soon`: after a start, a sleep, in another network. `brief`: a
# short one in bad minutes.
RoundKind = Literal["regular", "soon", "brief"]
# When to look again at a job that does not run at present.
LOOK_AGAIN_MS = 600_000
# Speed tests that were due during a sleep are spread over this part of the day.
SPREAD_MS = 4 * 3_600_000


class JobSchedule:
    """`next_job()` returns the job that is due; `start(job)` plans its next time.

    `period_ms` returns how often a job runs at present, 0 for never. `rare` jobs are
    planned from when they last ran (`last_ms`), not by the grid.
    """

    def __init__(
        self,
        agent: str,
        jobs: Iterable[str],
        period_ms: Callable[[str], int],
        now_ms: WallClock,
        *,
        rare: Sequence[str] = (),
        last_ms: Callable[[], int] = lambda: 0,
        soon_ms: int = SOON_MS,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._agent, self._jobs = agent, tuple(jobs)
        self._period_ms, self._now_ms = period_ms, now_ms
        self._rare, self._last_ms = frozenset(rare), last_ms
        self._soon_ms, self._chance = soon_ms, chance
        self._due_ms: dict[str, int] = {}
        self._extra_ms: dict[str, list[int]] = {}
        self._soon: set[str] = set()

    @property
    def due_ms(self) -> dict[str, int]:
        """When each job that runs at all is due next."""
        return {
            job: min([due_ms, *self._extra_ms.get(job, [])])
            for job, due_ms in self._due_ms.items()
            if self._period_ms(job)
        }

    @property
    def earliest_ms(self) -> int:
        """When the first job is due; 0 if none is planned."""
        extra_ms = [at_ms for times_ms in self._extra_ms.values() for at_ms in times_ms]
        return min([*self._due_ms.values(), *extra_ms], default=0)

    def plan_all(self) -> None:
        """Plans each job once, soon: at the start, after a sleep, and if the clock was
        set."""
        self._extra_ms.clear()
        self._due_ms = {job: self._plan(job, soon=True) for job in self._jobs}
        self._soon = set(self._jobs)

    def plan_soon(self, jobs: Iterable[str]) -> None:
        """Plans these jobs once, soon, and no later than they were due."""
        for job in jobs:
            if self._period_ms(job) and job not in self._rare:
                soon_ms = self._plan(job, soon=True)
                if soon_ms < self._due_ms.get(job, soon_ms + 1):
                    self._due_ms[job] = soon_ms
                    self._soon.add(job)

    def add_extra_rounds(self, jobs: Iterable[str], times_ms: Sequence[int]) -> None:
        """Plans rounds beside the grid, for those jobs that run at all."""
        for job in jobs:
            if self._period_ms(job):
                self._extra_ms[job] = sorted(times_ms)

    def drop_extra_rounds(self) -> None:
        self._extra_ms.clear()

    def due_in(self, job: str, wait_ms: int) -> None:
        """Plans `job` in `wait_ms`, whatever the grid says."""
        self._due_ms[job] = self._now_ms() + wait_ms

    def next_job(self) -> str | None:
        """Returns the job that has been due longest, None if none is due."""
        now_ms = self._now_ms()
        due = [
            (due_ms, job) for job, due_ms in self._due_ms.items() if due_ms <= now_ms
        ]
        due += [
            (times_ms[0], job)
            for job, times_ms in self._extra_ms.items()
            if times_ms and times_ms[0] <= now_ms
        ]
        return min(due)[1] if due else None

    def start(self, job: str) -> RoundKind:
        """Plans the job's next time before it runs, so that a job that is cut short
        does not run twice. Returns what kind of round this is."""
        now_ms = self._now_ms()
        times_ms = self._extra_ms.get(job, [])
        extra = bool(times_ms) and times_ms[0] <= now_ms < self._due_ms[job]
        self._extra_ms[job] = [at_ms for at_ms in times_ms if at_ms > now_ms]
        if extra:
            return "brief"
        kind: RoundKind = "soon" if job in self._soon else "regular"
        self._soon.discard(job)
        self._due_ms[job] = self._plan(job, soon=False)
        return kind

    def _plan(self, job: str, soon: bool) -> int:
        """Returns when `job` is due next."""
        now_ms, period_ms = self._now_ms(), self._period_ms(job)
        if not period_ms:
            return now_ms + LOOK_AGAIN_MS
        if job in self._rare:
            last_ms = self._last_ms() if soon else now_ms
            return rare_due_ms(now_ms, last_ms, period_ms, SPREAD_MS, self._chance())
        phase = phase_ms(self._agent, job, period_ms)
        if soon:
            return first_due_ms(now_ms, period_ms, phase, self._soon_ms)
        return next_due_ms(now_ms, period_ms, phase)
