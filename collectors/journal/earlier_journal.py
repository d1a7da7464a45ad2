"""A journal whose kind was changed: readers first read what is left in the earlier
journal, then the present one.

A reader saves its positions in both journals as one map, so that it continues exactly
where it stopped. In that map `EARLIER` precedes the name of each log of the earlier
journal.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

import structlog

from collectors.journal.batch_reader import BatchReader
from collectors.journal.journal_reader import Chunk
from collectors.journal.segment import (
    OLDEST,
    WAKE_FOLDER,
    Position,
    Positions,
    Segment,
    committed_after,
    list_logs,
    list_segments,
    read_progress,
)

_log = structlog.get_logger()
# No log has a name with a colon.
EARLIER = "earlier:"
# Numbers of files are far below, times in microseconds far above.
_LEAST_INCARNATION = 1_000_000_000_000
# If the earlier one gives nothing for so long, the present one is not kept waiting.
_EARLIER_FIRST_S = 60.0
_QUIET_S = 3600.0
_DAY_MS = 86_400_000


def is_of_stream(position: Position) -> bool:
    """Whether it was saved while the journal was in NATS, not in files."""
    return position != OLDEST and position.segment >= _LEAST_INCARNATION


def positions_of(saved: Positions | None, streams: bool) -> Positions:
    """Where to begin in a journal in streams, or in files. Pure."""
    return {
        log.removeprefix(EARLIER): at
        # Those that were saved while it was the present one count more.
        for log, at in sorted((saved or {}).items(), key=_is_present)
        if at != OLDEST and is_of_stream(at) == streams
    }


def join_positions(earlier: Positions, present: Positions, streams: bool) -> Positions:
    """What a reader of both saves. `streams`: the present one is in streams. Pure."""
    known = positions_of(present, streams)
    left = positions_of(earlier, not streams)
    return {**known, **{f"{EARLIER}{log}": at for log, at in left.items()}}


def _is_present(item: tuple[str, Position]) -> bool:
    return not item[0].startswith(EARLIER)


class EarlierReader:
    """As `JournalReader`, of two journals. `streams`: the present one is in streams."""

    def __init__(
        self, earlier: BatchReader, present: BatchReader, streams: bool
    ) -> None:
        self._earlier, self._present, self._streams = earlier, present, streams
        self.name = present.name
        self.stats = earlier.stats = present.stats
        self._is_first = True
        self._entered = AsyncExitStack()

    @property
    def positions(self) -> Positions:
        return join_positions(
            self._earlier.positions, self._present.positions, self._streams
        )

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as entering:
            await entering.enter_async_context(self._earlier)
            await entering.enter_async_context(self._present)
            self._entered = entering.pop_all()
        self._heard_s = time.monotonic()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._entered.aclose()

    async def read(self, max_rows: int = 50_000, wait_s: float = 5.0) -> Chunk | None:
        chunk = await self._earlier.read(max_rows, min(wait_s, 1.0) * self._is_first)
        if chunk is not None:
            self._heard_s = time.monotonic()
        elif self._may_go_on():
            chunk = await self._present.read(max_rows, wait_s)
        return None if chunk is None else Chunk(chunk.batches, self.positions)

    def passed(self, positions: Positions) -> None:
        self._earlier.passed(positions_of(positions, not self._streams))
        self._present.passed(positions_of(positions, self._streams))

    def oldest_ms(self) -> int | None:
        return _first(self._earlier.oldest_ms(), self._present.oldest_ms())

    def unread_ms(self) -> int | None:
        return _first(self._earlier.unread_ms(), self._present.unread_ms())

    def _may_go_on(self) -> bool:
        """Whether the present one may be read: rows keep their order, unless the
        earlier journal cannot be reached."""
        is_read = self._earlier.unread_ms() is None
        if self._is_first and not is_read:
            if time.monotonic() - self._heard_s < _EARLIER_FIRST_S:
                return False
            _log.warning("earlier_journal_away", reader=self.name)
        self._is_first = False
        return True


def _first(*times_ms: int | None) -> int | None:
    return min((ms for ms in times_ms if ms is not None), default=None)


def remove_passed(folder: Path, max_days: int, now_ms: int) -> int:
    """Deletes the files of an earlier journal that every reader has passed, or that are
    too old. Returns how many are left. One that was written in the last hour is kept
    although it was passed: a process may write to it until it is started again."""
    readers = sorted(path.stem for path in (folder / WAKE_FOLDER).glob("*.lock"))
    left = 0
    for log in list_logs(folder):
        segments = list_segments(folder / log)
        for segment in segments:
            status = segment.path.stat()
            if not status.st_size:
                continue
            is_passed = _is_passed(folder / log, segment, readers)
            is_quiet = now_ms / 1000 - status.st_mtime >= _QUIET_S
            first_ms = committed_after(folder / log, Position(segment.number, 0))
            is_old = (first_ms or now_ms) < now_ms - max_days * _DAY_MS
            if not (is_old or (is_quiet and is_passed)):
                left += 1
                continue
            if not is_passed:
                _log.error("journal_dropped_unread", file=str(segment.path))
            if segment is segments[-1]:
                # Numbers go on after it, so that no position means another file.
                os.truncate(segment.path, 0)
            else:
                segment.path.unlink()
    return left


def _is_passed(log: Path, segment: Segment, readers: Iterable[str]) -> bool:
    """Whether each reader has passed the last of its frames."""
    passed = [read_progress(log / "readers" / name).passed for name in readers]
    last = min(((at.segment, at.offset) for at in passed), default=(OLDEST.segment, 0))
    if last[0] != segment.number:
        return last[0] > segment.number
    return committed_after(log, Position(*last)) is None
