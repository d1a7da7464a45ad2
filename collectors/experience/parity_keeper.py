"""`ParityKeeper`: works out each month's experience parity once, when it is over."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

import msgspec
import structlog

from collectors.background_tasks import BackgroundTasks
from collectors.batch import batch_samples
from collectors.estate import Estate
from collectors.estate.opening_hours import OpeningHours, open_spans, usual_hours
from collectors.experience.good_quarter_hours import (
    PARTS,
    quarter_hours_query,
    seen_quarter_hours,
)
from collectors.experience.parity_month import (
    ParityTally,
    WorkingTime,
    working_quarter_hours,
)
from collectors.failure_log import FailureLog
from collectors.journal import Append
from collectors.local_days import add_months, local_date, midnight_ms
from collectors.store.query import Store
from collectors.wake_times import repeat_with_others
from probes.wire.atomic_file import replace_file
from probes.wire.clock import WallClock, wall_ms
from probes.wire.sample import Sample

_log = structlog.get_logger()
_LOOK_S = 3_600.0
_HOUR_MS = 3_600_000
# Laptops that were off at the end of the month deliver the next day.
SETTLE_MS = 24 * _HOUR_MS
# After that, most of the month's results of single laptops are deleted.
_TOO_LATE_MS = 14 * 24 * _HOUR_MS


class _ParityState(msgspec.Struct):
    """The start of the last month that was worked out."""

    month_ms: int = 0


class ParityKeeper:
    """`async with ParityKeeper(store, append, estate, state, least)`: looks every hour
    whether a month is over and settled, and appends its rows of `parity`."""

    def __init__(
        self,
        store: Store,
        append: Append,
        estate: Callable[[], Estate],
        state: Path,
        least: int,
        now_ms: WallClock = wall_ms,
    ) -> None:
        self._store, self._append, self._estate = store, append, estate
        self._state, self._least, self._now_ms = state, least, now_ms
        self._failures = FailureLog("parity_waits", "parity_continues")
        self._tasks = BackgroundTasks()

    async def __aenter__(self) -> Self:
        looks = repeat_with_others(_LOOK_S, self.look, self._failures)
        self._tasks.start(looks, "parity")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()

    async def look(self) -> bool:
        """Works out the last month if that is due. Returns whether it did."""
        hours = usual_hours(site.hours for site in self._estate().sites)
        now_ms = self._now_ms()
        begin_ms, end_ms = last_month(now_ms - SETTLE_MS, ZoneInfo(hours.timezone))
        if end_ms < now_ms - _TOO_LATE_MS:
            return False
        if begin_ms <= _load(self._state).month_ms:
            return False
        samples = await parity_of_month(
            self._store, hours, begin_ms, end_ms, self._least
        )
        await self._append.append(*batch_samples(samples, "parity", self._now_ms()))
        saved = msgspec.json.encode(_ParityState(begin_ms))
        await asyncio.to_thread(replace_file, self._state, saved, durable=True)
        _log.info("parity_month_done", month_ms=begin_ms, rows=len(samples))
        return True


async def parity_of_month(
    store: Store, hours: OpeningHours, begin_ms: int, end_ms: int, least: int
) -> list[Sample]:
    """Returns the rows of the month `[begin_ms, end_ms)`. It asks for an hour at a
    time, as a whole day of thousands of laptops is much memory."""
    tally = ParityTally()
    spans = open_spans(hours, begin_ms, end_ms)
    zone = ZoneInfo(hours.timezone)
    days = set()
    for begin, end in spans:
        cuts = [begin, *range((begin // _HOUR_MS + 1) * _HOUR_MS, end, _HOUR_MS), end]
        for from_ms, to_ms in itertools.pairwise(cuts):
            day = local_date(from_ms, zone).toordinal()
            days.add(day)
            for part in PARTS:
                answers = [
                    (
                        result,
                        await store.query(quarter_hours_query(result, from_ms, to_ms)),
                    )
                    for result in part.results
                ]
                tally.add(part, seen_quarter_hours(answers), day)
    working = WorkingTime(len(working_quarter_hours(spans)), len(days))
    return await asyncio.to_thread(tally.samples, begin_ms, working, least)


def last_month(now_ms: int, zone: ZoneInfo) -> tuple[int, int]:
    """Returns the last month that is over, as local midnights in ms."""
    first = local_date(now_ms, zone).replace(day=1)
    return midnight_ms(add_months(first, -1), zone), midnight_ms(first, zone)


def _load(path: Path) -> _ParityState:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_ParityState)
    except FileNotFoundError:
        return _ParityState()
    except ValueError as error:
        _log.error("parity_state_lost", file=str(path), error=str(error))
        return _ParityState()
