"""The files of a log, and functions to read them.

<journal>/<log>/0000000007-5f0c…e1.segment   frames, appended to the newest only
<journal>/<log>/readers/<reader>             how far that reader has passed, and read
<journal>/<log>/dropped.jsonl                what was dropped unread
<journal>/<log>/dead/                        what was not in the catalogue
<journal>/<log>/lock, reserve
<journal>/.readers/<reader>.wake, .lock      a pipe that wakes it
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from collectors.journal.frame import (
    HEADER_BYTES,
    MARKER_BYTES,
    Frame,
    header,
    intact,
)

WAKE_FOLDER = ".readers"
DROPPED = "dropped.jsonl"
_NAME = re.compile(r"^(\d{10,})-([0-9a-f]{16})\.segment$")
_LOG_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._+,-]{0,99}$")
_SEARCH_BYTES = 1 << 20


class Position(msgspec.Struct, frozen=True):
    """A place in a log: after everything before `offset` in segment `segment`."""

    segment: int
    offset: int


Positions = dict[str, Position]
OLDEST = Position(0, 0)


class Segment(msgspec.Struct, frozen=True):
    """One file of a log. Numbers only increase and are never used twice."""

    number: int
    marker: bytes
    path: Path


def check_name(name: str, what: str) -> str:
    """Returns `name` if it can name a log or a reader. Raises `ValueError`."""
    if not _LOG_NAME.match(name):
        raise ValueError(
            f"{what} {name!r}: expected letters, digits and . _ + , - only, "
            "beginning with a letter or digit"
        )
    return name


def segment_path(log: Path, number: int, marker: bytes) -> Path:
    return log / f"{number:010d}-{marker.hex()}.segment"


def list_segments(log: Path) -> list[Segment]:
    """The segments of a log, oldest first; none if there is no such folder."""
    try:
        with os.scandir(log) as entries:
            names = [entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []
    segments = []
    for name in names:
        if match := _NAME.match(name):
            number, marker = int(match[1]), bytes.fromhex(match[2])
            segments.append(Segment(number, marker, log / name))
    return sorted(segments, key=lambda segment: segment.number)


def list_logs(journal: Path) -> list[str]:
    """The names of the logs in a journal's folder."""
    try:
        with os.scandir(journal) as entries:
            return sorted(e.name for e in entries if _LOG_NAME.match(e.name))
    except FileNotFoundError:
        return []


def frame_at(fd: int, offset: int, marker: bytes) -> tuple[Frame, bytes] | str:
    """The intact frame at `offset` and all its bytes.

    Otherwise "end" (nothing there yet), "short" (perhaps being written) or "damaged".
    """
    data = os.pread(fd, 1 << 16, offset)
    if not data:
        return "end"
    frame = header(data, offset, marker)
    if isinstance(frame, str):
        return frame
    whole = HEADER_BYTES + frame.length
    if len(data) < whole:
        if os.fstat(fd).st_size < frame.end:
            return "short"
        data = _pread_all(fd, whole, offset)
    else:
        data = data[:whole]
    return (frame, data) if intact(frame, data) else "damaged"


def next_frame(fd: int, offset: int, marker: bytes) -> int | None:
    """The offset of the first intact frame after `offset`, past damage; or None."""
    at = offset
    while data := os.pread(fd, _SEARCH_BYTES, at):
        index = data.find(marker)
        while index >= 0:
            if not isinstance(frame_at(fd, at + index, marker), str):
                return at + index
            index = data.find(marker, index + 1)
        if len(data) < MARKER_BYTES:
            return None
        # A marker may cross the end of the bytes that were read.
        at += len(data) - MARKER_BYTES + 1
    return None


def frames(fd: int, marker: bytes, crc: bool = True) -> Iterator[Frame]:
    """The frames of a segment, in order, without damaged ones.

    Without `crc` only the headers are read, and damage inside a frame is not noticed.
    """
    offset: int | None = 0
    while offset is not None:
        frame: Frame | str
        if crc:
            whole = frame_at(fd, offset, marker)
            frame = whole if isinstance(whole, str) else whole[0]
        else:
            frame = header(os.pread(fd, HEADER_BYTES, offset), offset, marker)
            if not isinstance(frame, str) and frame.end > os.fstat(fd).st_size:
                frame = "short"
        if isinstance(frame, str):
            offset = None if frame == "end" else next_frame(fd, offset + 1, marker)
        else:
            yield frame
            offset = frame.end


def committed_after(log: Path, position: Position) -> int | None:
    """When the first frame after `position` was committed; None if there is none."""
    for segment in list_segments(log):
        if segment.number < position.segment:
            continue
        offset = position.offset if segment.number == position.segment else 0
        try:
            fd = os.open(segment.path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            frame = frame_at(fd, offset, segment.marker)
            if not isinstance(frame, str):
                return frame[0].committed_ms
        finally:
            os.close(fd)
    return None


class Progress(msgspec.Struct, frozen=True):
    """How far a reader is in a log. It needs nothing before `passed`. If the disk is
    full, the log may delete what is before `released`, which is further if the reader
    yields."""

    passed: Position = OLDEST
    released: Position = OLDEST


def read_progress(path: Path) -> Progress:
    """Reads a reader's file; no progress if it cannot be read."""
    try:
        numbers = [int(word) for word in path.read_text("ascii").split()]
        passed = Position(numbers[0], numbers[1])
        released = Position(numbers[2], numbers[3]) if numbers[2:] else passed
    except (OSError, ValueError, IndexError):
        return Progress()
    return Progress(passed, released)


def read_lines(path: Path) -> list[str]:
    """The lines of a small file; none if it cannot be read."""
    try:
        return path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def position_line(position: Position) -> bytes:
    """A line of `POSITION_BYTES`, so that it can be overwritten in place on a full
    disk."""
    return f"{position.segment:020d} {position.offset:020d}\n".encode("ascii")


POSITION_BYTES = len(position_line(OLDEST))


def _pread_all(fd: int, length: int, offset: int) -> bytes:
    data = os.pread(fd, length, offset)
    while len(data) < length:
        more = os.pread(fd, length - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data
