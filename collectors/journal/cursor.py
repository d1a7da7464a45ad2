"""`Cursor`: the position of one reader in one log, and reading from there."""

from __future__ import annotations

import contextlib
import json
import os
from collections import deque
from pathlib import Path

import msgspec
import structlog

from collectors.batch import Batch
from collectors.journal.frame import Damaged, Newer, unpack
from collectors.journal.journal_stats import ReaderStats
from collectors.journal.segment import (
    DROPPED,
    OLDEST,
    POSITION_BYTES,
    Position,
    Segment,
    committed_after,
    frame_at,
    list_segments,
    next_frame,
    position_line,
    read_lines,
)

_log = structlog.get_logger()


class _UnconfirmedFrame(msgspec.Struct):
    end: Position
    rows: int
    committed_ms: int


class Cursor:
    """One reader in one log. Call `read` in a thread; the rest from anywhere."""

    def __init__(
        self,
        log: Path,
        reader: str,
        start: Position,
        stats: ReaderStats,
        yields: bool = False,
    ) -> None:
        self._log, self._stats, self._yields = log, stats, yields
        self.position = start
        self._segment: Segment | None = None
        self._fd = -1
        self._stuck_size = -1
        self.newer = ""
        self._unpassed: deque[_UnconfirmedFrame] = deque()
        readers = log / "readers"
        readers.mkdir(exist_ok=True)
        self._passed_fd = os.open(readers / reader, os.O_RDWR | os.O_CREAT, 0o600)
        self._write_line(start, 0)
        if yields:
            self._write_line(start, POSITION_BYTES)
        else:
            os.ftruncate(self._passed_fd, POSITION_BYTES)

    def close(self) -> None:
        os.close(self._passed_fd)
        if self._fd >= 0:
            os.close(self._fd)

    def passed(self, position: Position) -> int:
        """Records that everything before `position` is done. Returns the rows this
        adds."""
        self._write_line(position, 0)
        rows = 0
        while self._unpassed and _is_behind(self._unpassed[0].end, position):
            rows += self._unpassed.popleft().rows
        return rows

    def _write_line(self, position: Position, offset: int) -> None:
        # If the disk has no room for these few bytes, the log keeps everything.
        with contextlib.suppress(OSError):
            os.pwrite(self._passed_fd, position_line(position), offset)

    def oldest_ms(self) -> int | None:
        return self._unpassed[0].committed_ms if self._unpassed else self.unread_ms()

    def unread_ms(self) -> int | None:
        return committed_after(self._log, self.position)

    def read(self, max_rows: int, batches: list[Batch]) -> int:
        """Appends to `batches` up to about `max_rows`; returns the rows added."""
        if self._yields:
            # The reader has by now received what an earlier call returned.
            self._write_line(self.position, POSITION_BYTES)
        rows = 0
        while rows < max_rows:
            # Listed before reading: a segment that ends before a newer one is complete.
            later = self._open_current()
            if self._segment is None:
                break
            offset, marker = self.position.offset, self._segment.marker
            result = frame_at(self._fd, offset, marker)
            if not isinstance(result, str):
                frame, data = result
                end = Position(self._segment.number, frame.end)
                try:
                    unpacked = unpack(frame, data)
                except Newer as newer:
                    self._stop(f"{self._segment.path} at {offset}: {newer}")
                    break
                except Damaged as damaged:
                    self._skip(frame.end, str(damaged))
                    continue
                self.position = end
                added = sum(len(batch) for batch in unpacked)
                rows += added
                batches += unpacked
                self._unpassed.append(_UnconfirmedFrame(end, added, frame.committed_ms))
                continue
            size = os.fstat(self._fd).st_size
            if result != "end" and not self._resync(offset, size, later is not None):
                break
            if result == "end":
                if later is None:
                    break
                self._open(later)
        return rows

    def _open_current(self) -> Segment | None:
        """Opens the segment of the position, or the next one that exists.

        Returns the segment after it, if there is one.
        """
        segments = list_segments(self._log)
        at = self.position
        if self._segment is None and segments:
            if at.segment > segments[-1].number:
                self._report_gap(0, "the log was started again")
                self.position = at = OLDEST
            ahead = [s for s in segments if s.number >= at.segment]
            if ahead[0].number != at.segment:
                self._count_missed(at.segment, ahead[0].number)
                self._open(ahead[0])
            else:
                self._open(ahead[0], at.offset)
        number = self._segment.number if self._segment else 0
        return next((s for s in segments if s.number > number), None)

    def _open(self, segment: Segment, offset: int = 0) -> None:
        if self._segment and segment.number > self._segment.number + 1:
            self._count_missed(self._segment.number + 1, segment.number)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._segment = None
        try:
            self._fd = os.open(segment.path, os.O_RDONLY)
        except FileNotFoundError:
            # Deleted just now; the next call finds the segment after it.
            self.position = Position(segment.number, offset)
            return
        self._segment = segment
        self._stuck_size = -1
        self.position = Position(segment.number, offset)

    def _count_missed(self, first: int, until: int) -> None:
        """Counts what was dropped of the segments `first` ≤ number < `until`."""
        missed: dict[int, int] = {}  # a segment is noted twice after a kill in between
        for line in read_lines(self._log / DROPPED):
            with contextlib.suppress(ValueError, KeyError, TypeError):
                record = json.loads(line)
                if first <= record["segment"] < until:
                    missed[record["segment"]] = record["rows"]
        if missed:
            self._report_gap(sum(missed.values()), "deleted before it was read")

    def _report_gap(self, rows: int, reason: str) -> None:
        self._stats.gaps += 1
        self._stats.gap_rows += rows
        _log.warning(
            "journal_gap",
            log=str(self._log),
            at=str(self.position),
            rows=rows,
            error=reason,
        )

    def _resync(self, offset: int, size: int, ended: bool) -> bool:
        """Skips bytes that are not a frame. Returns whether the position moved.

        In the newest segment they may be a frame that is being written, unless an
        intact one follows. Searches once for each size of the file.
        """
        assert self._segment is not None
        if size == self._stuck_size and not ended:
            return False
        self._stuck_size = size
        following = next_frame(self._fd, offset + 1, self._segment.marker)
        if following is None and not ended:
            return False
        self._skip(size if following is None else following, "not a frame")
        return True

    def _stop(self, error: str) -> None:
        if not self.newer:
            _log.error("journal_newer", error=error)
        self.newer = error

    def _skip(self, to: int, error: str) -> None:
        assert self._segment is not None
        offset = self.position.offset
        self._stats.damaged_frames += 1
        self._stats.damaged_bytes += to - offset
        _log.error(
            "journal_damaged",
            file=str(self._segment.path),
            offset=offset,
            bytes=to - offset,
            error=error,
        )
        self.position = Position(self._segment.number, to)


def _is_behind(end: Position, passed: Position) -> bool:
    return (end.segment, end.offset) <= (passed.segment, passed.offset)
