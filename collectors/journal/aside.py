"""Where batches go that nobody can use: JSON lines in a folder, bounded, never lost
sight of (the counts are in the stats of whoever sets them aside)."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from collectors.batch import Batch

_encoder = msgspec.json.Encoder(enc_hook=repr)


class Aside:
    """Two files, `NAME.jsonl` and the older `NAME.1.jsonl`, of `max_bytes` together.

    A line is {"aside_ms": …, "reason": …, "batch": […]}. Blocking: call it in a thread.
    """

    def __init__(self, folder: Path, name: str, max_bytes: int = 16 << 20) -> None:
        self._path = folder / f"{name}.jsonl"
        self._older = folder / f"{name}.1.jsonl"
        self._max_bytes = max_bytes // 2

    def put(self, batch: Batch, reason: str, now_ms: int) -> None:
        """Add a line. `OSError` where that cannot be written."""
        line = _line(batch, reason, now_ms)
        if len(line) > self._max_bytes:
            told = f"{reason} (not kept: {len(line)} bytes)"
            line = _line(Batch(batch.source, 0, batch.schema, ()), told, now_ms)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.exists() and (
            self._path.stat().st_size + len(line) > self._max_bytes
        ):
            self._path.replace(self._older)
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(fd, line)
        finally:
            os.close(fd)


def _line(batch: Batch, reason: str, now_ms: int) -> bytes:
    record = {"aside_ms": now_ms, "reason": reason, "batch": batch}
    try:
        return _encoder.encode(record) + b"\n"
    except (ValueError, TypeError, OverflowError, RecursionError):
        # Whatever made the batch unusable may also make it impossible to encode.
        record["batch"] = f"cannot be shown: {batch.schema!a}"
        with contextlib.suppress(ValueError, RecursionError):
            record["batch"] = ascii(batch)
        record["reason"] = ascii(reason)
        return _encoder.encode(record) + b"\n"
