"""`DeletionClock`: the time by which data is old enough to be deleted.

If this machine's clock is set years ahead, everything that is kept for a time would be
deleted within the hour. So a clock that has jumped ahead is not trusted: nothing is
deleted by its age until an operator (`towpath clock --trust`) or the laptops' own
clocks confirm the time.
"""

from __future__ import annotations

import os
import statistics
import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import msgspec
import structlog

from collectors.background_tasks import BackgroundTasks
from collectors.clock_steps import ClockSteps
from collectors.failure_log import FailureLog
from collectors.wake_times import repeat_with_others
from probes.wire.atomic_file import replace_file
from probes.wire.clock import MonotonicClock, WallClock, steady_s, wall_ms
from probes.wire.durations import duration_text
from probes.wire.sample import Sample, Value

_log = structlog.get_logger()
DAY_MS = 86_400_000
CLOCK_FILE = "clock.json"
# Towpath runs all the time. After a longer pause the clock is confirmed first.
MOST_AHEAD_MS = 7 * DAY_MS
LEAST_LAPTOPS = 3
_MOST_LAPTOPS = 100
_AGREE_MS = DAY_MS
_LOOK_S = 60.0
_NOTE_MS = 600_000


DeletionBound = Callable[[int], int]
"""The time on the wall clock → the time by which data is deleted, which is the same
or earlier: `DeletionClock.bounded`."""


def as_it_is(now_ms: int) -> int:
    """The bound of a clock that is trusted whatever it shows."""
    return now_ms


class ClockNote(msgspec.Struct, frozen=True):
    """The newest time that was trusted (ms since 1970 UTC)."""

    trusted_ms: int


class DeletionClock:
    """`async with DeletionClock(state / CLOCK_FILE, process)`: notes the time that is
    trusted, for the next start. Several processes may share the file.

    Until it is entered, and at the first start, the wall clock is trusted.
    """

    def __init__(
        self,
        file: Path,
        process: str,
        now_ms: WallClock = wall_ms,
        monotonic_s: MonotonicClock = steady_s,
    ) -> None:
        self._file, self._process = file, process
        self._now_ms, self._monotonic_s = now_ms, monotonic_s
        self._lock = threading.Lock()
        self._trusted_ms: int | None = None
        self._at_s, self._noted_ms, self._ahead_ms = 0.0, 0, 0
        self._steps = ClockSteps(now_ms, monotonic_s)
        self._laptops: OrderedDict[str, int] = OrderedDict()
        self._distrust = FailureLog("clock_not_trusted", "clock_trusted_again")
        self._note_failures = FailureLog("clock_not_noted")
        self._tasks = BackgroundTasks()

    async def __aenter__(self) -> Self:
        with self._lock:
            note = read_note(self._file)
            self._at_s = self._monotonic_s()
            self._trusted_ms = self._now_ms() if note is None else note
        await self.look()
        failures = FailureLog("clock_not_compared")
        self._tasks.start(repeat_with_others(_LOOK_S, self.look, failures), "clock")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()
        self._noted_ms = 0
        await self.look()

    def ms(self) -> int:
        """The time by which data is deleted: the wall clock's, or if that is not
        trusted, what it would be if it had not been set."""
        return self.bounded(self._now_ms())

    def bounded(self, now_ms: int) -> int:
        """`now_ms`, or an earlier time if the wall clock is not trusted."""
        with self._lock:
            if self._trusted_ms is None:
                return now_ms
            expected_ms = self._compare()
            return min(now_ms, expected_ms) if self._ahead_ms else now_ms

    def note_laptop(self, agent: str, clock_ms: int) -> None:
        """Notes the time on the clock of a laptop, which has signed in."""
        with self._lock:
            self._forget_if_set()
            self._laptops[agent] = self._now_ms() - clock_ms
            self._laptops.move_to_end(agent)
            if len(self._laptops) > _MOST_LAPTOPS:
                self._laptops.popitem(last=False)

    def samples(self, now_ms: int) -> list[Sample]:
        """Its row of `self_clock`."""
        self.ms()
        fields: dict[str, Value] = {
            "trusted": int(not self._ahead_ms),
            "ahead_s": self._ahead_ms / 1000,
        }
        return [Sample("self_clock", {"process": self._process}, fields, now_ms)]

    async def look(self) -> None:
        """Compares the clocks, logs a change, and notes what is trusted."""
        with self._lock:
            noted_ms = read_note(self._file) if self._ahead_ms else None
            wall_ms = self._now_ms()
            if noted_ms is not None and abs(wall_ms - noted_ms) <= MOST_AHEAD_MS:
                # Confirmed by the command, or to another process by laptops.
                self._trust(wall_ms)
            expected_ms = self._compare()
            if self._ahead_ms:
                text = sentence(wall_ms, expected_ms)
                self._distrust.failed(text)
            else:
                self._distrust.recovered()
            if abs(expected_ms - self._noted_ms) < _NOTE_MS:
                return
            self._noted_ms = expected_ms
        try:
            write_note(self._file, expected_ms)
        except OSError as error:
            self._note_failures.failed(error)
        else:
            self._note_failures.recovered()

    def _compare(self) -> int:
        """Follows the wall clock while it can be right. Returns the time by which data
        is deleted, or would be if the wall clock is behind."""
        wall_ms, steady_s = self._now_ms(), self._monotonic_s()
        assert self._trusted_ms is not None
        expected_ms = self._trusted_ms + round((steady_s - self._at_s) * 1000)
        ahead_ms = wall_ms - expected_ms
        if abs(ahead_ms) <= MOST_AHEAD_MS or self._laptops_agree():
            return self._trust(wall_ms)
        # A clock that is behind deletes nothing too early.
        self._ahead_ms = max(ahead_ms, 0)
        return expected_ms

    def _trust(self, wall_ms: int) -> int:
        self._trusted_ms, self._at_s = wall_ms, self._monotonic_s()
        self._ahead_ms = 0
        return wall_ms

    def _laptops_agree(self) -> bool:
        self._forget_if_set()
        if len(self._laptops) < LEAST_LAPTOPS:
            return False
        return abs(statistics.median(self._laptops.values())) <= _AGREE_MS

    def _forget_if_set(self) -> None:
        # What laptops' clocks showed was compared with the clock as it was then.
        if self._steps.was_set():
            self._laptops.clear()


def sentence(clock_ms: int, trusted_ms: int) -> str:
    """Why nothing is deleted, and what to do."""
    ahead = duration_text((clock_ms - trusted_ms) / 1000)
    return (
        f"this machine's clock shows {_date(clock_ms)}, {ahead} after the newest time "
        f"that is trusted ({_date(trusted_ms)}): nothing is deleted by its age until "
        f"the clocks of {LEAST_LAPTOPS} laptops agree with it, or `towpath clock "
        "--trust` says that it is right"
    )


def read_note(file: Path) -> int | None:
    """The newest time that was trusted; None if there is none, or it is damaged."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=ClockNote).trusted_ms
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        _log.warning("clock_note_unreadable", file=str(file), error=str(error))
        return None


def write_note(file: Path, trusted_ms: int) -> None:
    """Raises `OSError`."""
    note = msgspec.json.encode(ClockNote(trusted_ms))
    replace_file(file, note, durable=True, concurrent=True)


def clock_warning(file: Path, now_ms: int) -> str:
    """A sentence if the clock is not trusted; empty if it is, or nothing ever ran."""
    if file.exists() and not os.access(file, os.R_OK):
        # `towpath check` may be run by another user than the server's.
        return ""
    trusted_ms = read_note(file)
    if trusted_ms is None or now_ms - trusted_ms <= MOST_AHEAD_MS:
        return ""
    return sentence(now_ms, trusted_ms)


def _date(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
