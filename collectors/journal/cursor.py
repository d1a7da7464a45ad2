"""`Cursor`: where one reader stands in one log, and how it gets on."""

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
    frame_at,
    list_segments,
    next_frame,
    position_line,
    read_lines,
)

_events = structlog.get_logger()


class _Unpassed(msgspec.Struct):
    end: Position
    rows: int
    committed_ms: int


class Cursor:
    """One reader in one log. `read` in a thread; the rest from anywhere."""

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
        self._unpassed: deque[_Unpassed] = deque()
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
        """Rows of this run that lie before `position` and did not before."""
        self._write_line(position, 0)
        rows = 0
        while self._unpassed and _is_behind(self._unpassed[0].end, position):
            rows += self._unpassed.popleft().rows
        return rows

    def _write_line(self, position: Position, offset: int) -> None:
        # A disk with no room for so few bytes: the log then keeps everything.
        with contextlib.suppress(OSError):
            os.pwrite(self._passed_fd, position_line(position), offset)

    def oldest_ms(self) -> int | None:
        return self._unpassed[0].committed_ms if self._unpassed else self.unread_ms()

    def unread_ms(self) -> int | None:
        position = self.position
        for segment in list_segments(self._log):
            if segment.number < position.segment:
                continue
            offset = position.offset if segment.number == position.segment else 0
            try:
                fd = os.open(segment.path, os.O_RDONLY)
            except FileNotFoundError:
                continue
            try:
                found = frame_at(fd, offset, segment.marker)
                if not isinstance(found, str):
                    return found[0].committed_ms
            finally:
                os.close(fd)
        return None

    def read(self, max_rows: int, batches: list[Batch]) -> int:
        """Adds to `batches` until `max_rows` or the end; returns the rows added."""
        if self._yields:
            # What an earlier call returned is with the reader by now.
            self._write_line(self.position, POSITION_BYTES)
        rows = 0
        while rows < max_rows:
            # Listed before it is read: what ends while a newer one is there is done.
            later = self._stand()
            if self._segment is None:
                break
            offset, marker = self.position.offset, self._segment.marker
            found = frame_at(self._fd, offset, marker)
            if not isinstance(found, str):
                frame, data = found
                end = Position(self._segment.number, frame.end)
                try:
                    got = unpack(frame, data)
                except Newer as newer:
                    self._stop(f"{self._segment.path} at {offset}: {newer}")
                    break
                except Damaged as damaged:
                    self._skip(frame.end, str(damaged))
                    continue
                self.position = end
                added = sum(len(batch) for batch in got)
                rows += added
                batches += got
                self._unpassed.append(_Unpassed(end, added, frame.committed_ms))
                continue
            size = os.fstat(self._fd).st_size
            if found != "end" and not self._resynced(offset, size, later is not None):
                break
            if found == "end":
                if later is None:
                    break
                self._open(later)
        return rows

    def _stand(self) -> Segment | None:
        """Stands on the segment of the position, or on the next that is there.
        Returns the segment after it, if there is one."""
        segments = list_segments(self._log)
        at = self.position
        if self._segment is None and segments:
            if at.segment > segments[-1].number:
                self._gap(0, "the log was begun anew")
                self.position = at = OLDEST
            ahead = [s for s in segments if s.number >= at.segment]
            if ahead[0].number != at.segment:
                self._missed(at.segment, ahead[0].number)
                self._open(ahead[0])
            else:
                self._open(ahead[0], at.offset)
        number = self._segment.number if self._segment else 0
        return next((s for s in segments if s.number > number), None)

    def _open(self, segment: Segment, offset: int = 0) -> None:
        if self._segment and segment.number > self._segment.number + 1:
            self._missed(self._segment.number + 1, segment.number)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._segment = None
        try:
            self._fd = os.open(segment.path, os.O_RDONLY)
        except FileNotFoundError:
            # Dropped this moment; the next look finds the one after it.
            self.position = Position(segment.number, offset)
            return
        self._segment = segment
        self._stuck_size = -1
        self.position = Position(segment.number, offset)

    def _missed(self, first: int, until: int) -> None:
        """Count what was dropped of the segments `first` ≤ number < `until`."""
        rows = times = 0
        for line in read_lines(self._log / DROPPED):
            with contextlib.suppress(ValueError, KeyError, TypeError):
                record = json.loads(line)
                if first <= record["segment"] < until:
                    rows += record["rows"]
                    times += 1
        if times:
            self._gap(rows, "deleted before it was passed")

    def _gap(self, rows: int, why: str) -> None:
        self._stats.gaps += 1
        self._stats.gap_rows += rows
        _events.warning(
            "journal_gap", log=str(self._log), at=str(self.position), rows=rows, why=why
        )

    def _resynced(self, offset: int, size: int, ended: bool) -> bool:
        """Past bytes that are no frame: True where it stands on something new.

        In the newest segment it may be a frame that is being written, unless an
        intact one follows. Looked for once for each size the file has.
        """
        assert self._segment is not None
        if size == self._stuck_size and not ended:
            return False
        self._stuck_size = size
        found = next_frame(self._fd, offset + 1, self._segment.marker)
        if found is None and not ended:
            return False
        self._skip(size if found is None else found, "not a frame")
        return True

    def _stop(self, why: str) -> None:
        if not self.newer:
            _events.error("journal_newer", says=why)
        self.newer = why

    def _skip(self, to: int, why: str) -> None:
        assert self._segment is not None
        offset = self.position.offset
        self._stats.damaged_frames += 1
        self._stats.damaged_bytes += to - offset
        _events.error(
            "journal_damaged",
            file=str(self._segment.path),
            offset=offset,
            bytes=to - offset,
            why=why,
        )
        self.position = Position(self._segment.number, to)


def _is_behind(end: Position, passed: Position) -> bool:
    return (end.segment, end.offset) <= (passed.segment, passed.offset)
