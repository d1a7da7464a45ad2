"""`AgreementKeeper`: works out each day in which hours test calls, and Microsoft's
record of calls, were poor."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from collectors.background_tasks import BackgroundTasks
from collectors.batch import batch_samples
from collectors.calls.probe_agreement import (
    LIMITS,
    ProbeAgreement,
    gather_agreement,
)
from collectors.estate import Estate
from collectors.estate.opening_hours import open_spans, usual_hours
from collectors.failure_log import FailureLog
from collectors.journal import Append
from collectors.local_days import local_date, midnight_ms
from collectors.store.query import Store
from collectors.wake_times import repeat_with_others
from probes.wire.clock import WallClock, wall_ms
from probes.wire.sample import Sample, Value

_LOOK_S = 3_600.0
# The record of a day is there at noon of the next one; or later, if it was not read for
# a while. The rows of a day replace themselves, so it may be worked out again.
_SETTLE_MS = 12 * 3_600_000
_DAYS = 7
# A day has too few hours for a verdict of its own, so each counts.
_LIMITS = LIMITS._replace(least_hours=1)


class AgreementKeeper:
    """`async with AgreementKeeper(store, append, estate)`: looks every hour whether a
    further day is over and settled, and then appends the rows of `probe_agreement` of
    the last days."""

    def __init__(
        self,
        store: Store,
        append: Append,
        estate: Callable[[], Estate],
        now_ms: WallClock = wall_ms,
    ) -> None:
        self._store, self._append, self._estate = store, append, estate
        self._now_ms = now_ms
        self._done: date | None = None
        self._failures = FailureLog("agreement_waits", "agreement_continues")
        self._tasks = BackgroundTasks()

    async def __aenter__(self) -> Self:
        looks = repeat_with_others(_LOOK_S, self.look, self._failures)
        self._tasks.start(looks, "agreement")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()

    async def look(self) -> bool:
        """Works out the last days if a further one is settled: true if so."""
        hours = usual_hours(site.hours for site in self._estate().sites)
        zone = ZoneInfo(hours.timezone)
        today = local_date(self._now_ms() - _SETTLE_MS, zone)
        if today == self._done:
            return False
        samples: list[Sample] = []
        for back in range(_DAYS, 0, -1):
            day = today - timedelta(days=back)
            begin_ms = midnight_ms(day, zone)
            end_ms = midnight_ms(day + timedelta(days=1), zone)
            spans = open_spans(hours, begin_ms, end_ms)
            groups = await gather_agreement(self._store.query, spans, None, _LIMITS)
            samples += day_rows(groups, begin_ms) if spans else ()
        if samples:
            batches = batch_samples(samples, "agreement", self._now_ms())
            await self._append.append(*batches)
        self._done = today
        return True


def day_rows(groups: tuple[ProbeAgreement, ...], begin_ms: int) -> list[Sample]:
    """Returns the rows of a day: always that of all together, and those of the groups
    that both sides can have. The other sums of a kind follow from its groups."""
    return [
        Sample(
            "probe_agreement",
            {"by": one.by, "group": one.group or one.by},
            _fields(one),
            begin_ms,
        )
        for one in groups
        if one.group or one.by == "all"
    ]


def _fields(one: ProbeAgreement) -> dict[str, Value]:
    fields: dict[str, Value] = {
        "state": one.state,
        "in_record": one.in_record,
        "in_tests": one.in_tests,
        "hours": one.hours,
        "both": one.both,
        "record_only": one.record_only,
        "tests_only": one.tests_only,
        "neither": one.neither,
        "recorded_poor": one.recorded_poor,
        "poor_streams": round(one.poor_streams, 3),
    }
    shares = {
        "same_ratio": one.agreement,
        "seen_ratio": one.sensitivity,
        "seen_streams_ratio": one.streams_sensitivity,
    }
    for name, share in shares.items():
        if share is not None:
            fields[name] = round(share, 6)
    return fields
