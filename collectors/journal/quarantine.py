"""Keeps batches that cannot be processed as JSON lines in a folder, up to a limit. They
are counted in the stats of the writer or reader."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from collectors.batch import Batch
from probes.wire.atomic_file import replace_file
from probes.wire.counted_text import counted

_encoder = msgspec.json.Encoder(enc_hook=repr)


class QuarantinedLine(msgspec.Struct):
    """One line, if its batch can be read."""

    aside_ms: int
    reason: str
    batch: Batch


class Quarantine:
    """Two files, `NAME.jsonl` and the older `NAME.1.jsonl`, of `max_bytes` together.

    A line is {"aside_ms": …, "reason": …, "batch": […]}. Blocking: call it in a thread.
    """

    def __init__(self, folder: Path, name: str, max_bytes: int = 16 << 20) -> None:
        self._path = folder / f"{name}.jsonl"
        self._older = folder / f"{name}.1.jsonl"
        self._max_bytes = max_bytes // 2

    def put(self, batch: Batch, reason: str, now_ms: int) -> None:
        """Appends a line. Raises `OSError`."""
        line = _line(batch, reason, now_ms)
        if len(line) > self._max_bytes:
            reason = f"{reason} (not kept: {counted(len(line), 'byte')})"
            line = _line(Batch(batch.source, 0, batch.schema, ()), reason, now_ms)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(self._path.parent):
            if self._path.exists() and (
                self._path.stat().st_size + len(line) > self._max_bytes
            ):
                self._path.replace(self._older)
            fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(fd, line)
            finally:
                os.close(fd)


def remove_lines(path: Path, unwanted: Callable[[bytes], bool]) -> int:
    """Rewrites one file of a `Quarantine` without the unwanted lines, whichever
    process writes it. Returns how many there were. Raises `OSError`."""
    with _locked(path.parent):
        try:
            lines = path.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return 0
        kept = [line for line in lines if not unwanted(line)]
        if len(kept) < len(lines):
            if kept:
                replace_file(path, b"".join(kept), durable=True)
            else:
                path.unlink()
        return len(lines) - len(kept)


def matching_lines(path: Path, wanted: Callable[[bytes], bool]) -> list[bytes]:
    """The wanted lines of one file of a `Quarantine`. Raises `OSError`."""
    try:
        return [line for line in path.read_bytes().splitlines() if wanted(line)]
    except FileNotFoundError:
        return []


def aside_ms(line: bytes) -> int:
    """When a line was quarantined; 0 if that is unknown."""
    try:
        return msgspec.json.decode(line, type=_Line).aside_ms
    except msgspec.MsgspecError:
        return 0


class _Line(msgspec.Struct):
    aside_ms: int


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Locks the folder, so that only one process at a time changes its files."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _line(batch: Batch, reason: str, now_ms: int) -> bytes:
    record = {"aside_ms": now_ms, "reason": reason, "batch": batch}
    try:
        return _encoder.encode(record) + b"\n"
    except (ValueError, TypeError, OverflowError, RecursionError):
        # What makes a batch unusable may also make it impossible to encode.
        record["batch"] = f"cannot be shown: {batch.schema!a}"
        with contextlib.suppress(ValueError, RecursionError):
            record["batch"] = ascii(batch)
        record["reason"] = ascii(reason)
        return _encoder.encode(record) + b"\n"
