"""What is due when: the jobs of one laptop on their grid, and rounds put in between.

Clocks, periods and chance are given, so that a day can be played through in a test.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

from probes.agent.probe_schedule import first_due_ms, next_due_ms, phase_ms, rare_due_ms
from probes.wire.clock import WallClock

SOON_MS = 60_000
LOOK_AGAIN_MS = 600_000
# Speed tests that were slept through are spread over so much of the day.
SPREAD_MS = 4 * 3_600_000


class Agenda:
    """`next()` is the job whose time has come; `begin(job)` plans its next time.

    `period_ms` says how often a job runs now, 0: never, as things are. `rare` jobs go
    by when they were last done (`last_ms`), not by the grid.
    """

    def __init__(
        self,
        who: str,
        jobs: Iterable[str],
        period_ms: Callable[[str], int],
        now_ms: WallClock,
        *,
        rare: Sequence[str] = (),
        last_ms: Callable[[], int] = lambda: 0,
        soon_ms: int = SOON_MS,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._who, self._jobs = who, tuple(jobs)
        self._period_ms, self._now_ms = period_ms, now_ms
        self._rare, self._last_ms = frozenset(rare), last_ms
        self._soon_ms, self._chance = soon_ms, chance
        self._due_ms: dict[str, int] = {}
        self._between: dict[str, list[int]] = {}

    @property
    def due_ms(self) -> dict[str, int]:
        """When each job that runs at all is due next."""
        return {
            job: min([at, *self._between.get(job, [])])
            for job, at in self._due_ms.items()
            if self._period_ms(job)
        }

    @property
    def earliest_ms(self) -> int:
        between = [at for each in self._between.values() for at in each]
        return min([*self._due_ms.values(), *between], default=0)

    def plan_all(self) -> None:
        """Each job once, soon: at the start, after a sleep, when the clock was set."""
        self._between.clear()
        self._due_ms = {job: self._at(job, soon=True) for job in self._jobs}

    def plan_soon(self, jobs: Iterable[str]) -> None:
        """These once, soon, and not later than they were due anyway."""
        for job in jobs:
            if self._period_ms(job) and job not in self._rare:
                soon_ms = self._at(job, soon=True)
                self._due_ms[job] = min(self._due_ms.get(job, soon_ms), soon_ms)

    def put_between(self, jobs: Iterable[str], times_ms: Sequence[int]) -> None:
        """Rounds beside the grid, for jobs that run at all."""
        for job in jobs:
            if self._period_ms(job):
                self._between[job] = sorted(times_ms)

    def drop_between(self) -> None:
        self._between.clear()

    def put_off(self, job: str, wait_ms: int) -> None:
        """`job` next in so long, whatever the grid says."""
        self._due_ms[job] = self._now_ms() + wait_ms

    def next(self) -> str | None:
        """The job that has waited longest, None where no time has come."""
        now_ms = self._now_ms()
        due = [(at, job) for job, at in self._due_ms.items() if at <= now_ms]
        due += [
            (times[0], job)
            for job, times in self._between.items()
            if times and times[0] <= now_ms
        ]
        return min(due)[1] if due else None

    def begin(self, job: str) -> bool:
        """Plans the next time before it is done: a job that is cut short is not done
        twice. True where this round is one between those of the grid."""
        now_ms = self._now_ms()
        times = self._between.get(job, [])
        between = bool(times) and times[0] <= now_ms < self._due_ms[job]
        self._between[job] = [at for at in times if at > now_ms]
        if not between:
            self._due_ms[job] = self._at(job, soon=False)
        return between

    def _at(self, job: str, soon: bool) -> int:
        now_ms, period_ms = self._now_ms(), self._period_ms(job)
        if not period_ms:
            return now_ms + LOOK_AGAIN_MS
        if job in self._rare:
            last_ms = self._last_ms() if soon else now_ms
            return rare_due_ms(now_ms, last_ms, period_ms, SPREAD_MS, self._chance())
        phase = phase_ms(self._who, job, period_ms)
        if soon:
            return first_due_ms(now_ms, period_ms, phase, self._soon_ms)
        return next_due_ms(now_ms, period_ms, phase)
