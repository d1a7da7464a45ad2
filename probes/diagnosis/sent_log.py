"""A log of what was sent, kept on the laptop for the person it is about."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from probes.wire.atomic_file import PRIVATE
from probes.wire.held_files import SHARED, while_held
from probes.wire.report import Report

_log = logging.getLogger(__name__)

LOG_BYTES = 2_000_000


class SentLog:
    """Logs every report exactly as sent: JSON lines, at most twice `LOG_BYTES`,
    readable only by the person it is about, or as `mode` says."""

    def __init__(self, folder: Path, mode: int = PRIVATE) -> None:
        self.path, self._mode = folder / "sent.jsonl", mode
        self._failing = False

    def append(self, now_ms: int, bodies: Sequence[bytes]) -> None:
        """Adds reports, given as JSON. A full disk loses the entry, not the report, and
        is logged once."""
        if not bodies:
            return
        try:
            self._append(now_ms, bodies)
            self._failing = False
        except OSError as error:
            if not self._failing:
                _log.warning("sent_log_failed path=%s error=%s", self.path, error)
            self._failing = True

    def _append(self, now_ms: int, bodies: Sequence[bytes]) -> None:
        if self.path.exists() and self.path.stat().st_size > LOG_BYTES:
            # If it is held open for longer, this file grows until the next time.
            with contextlib.suppress(OSError):
                self.path.replace(self.path.with_suffix(".1.jsonl"))
        with while_held(self._open, held=SHARED) as file:
            end = file.seek(0, os.SEEK_END)
            # A full disk or a power cut leaves a part of a line.
            if end:
                file.seek(end - 1)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            for body in bodies:
                entry = {"sent_ms": now_ms, "report": msgspec.Raw(body)}
                file.write(msgspec.json.encode(entry) + b"\n")

    def _open(self) -> BinaryIO:
        self.path.touch(mode=PRIVATE)
        if self._mode != PRIVATE:
            self.path.chmod(self._mode)
        return self.path.open("r+b")

    def last(self, most: int) -> list[str]:
        """The last `most` lines, newest last, without damaged ones."""
        lines: list[str] = []
        for path in (self.path.with_suffix(".1.jsonl"), self.path):
            with contextlib.suppress(OSError):
                lines += path.read_text("utf-8", errors="replace").splitlines()
        valid = []
        for line in lines[-most:]:
            with contextlib.suppress(ValueError, RecursionError):
                msgspec.json.decode(line)
                valid.append(line)
        return valid


class Sending(msgspec.Struct, frozen=True):
    """One delivery: when, which kinds of results, how many reports, and their octets
    before compression."""

    sent_ms: int
    kinds: tuple[str, ...]
    reports: int
    bytes: int


class _LogEntry(msgspec.Struct):
    sent_ms: int
    report: Report


def sendings(lines: Iterable[str]) -> list[Sending]:
    """The deliveries in the lines of a `SentLog`, the newest first. Skips lines that
    cannot be parsed. Pure."""
    by_time: dict[int, Sending] = {}
    for line in lines:
        try:
            entry = msgspec.json.decode(line, type=_LogEntry)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            continue
        before = by_time.get(entry.sent_ms, Sending(entry.sent_ms, (), 0, 0))
        kinds = {*before.kinds, *(result.probe for result in entry.report.results)}
        by_time[entry.sent_ms] = Sending(
            entry.sent_ms,
            tuple(sorted(kinds)),
            before.reports + 1,
            before.bytes + len(line.encode()),
        )
    return sorted(by_time.values(), key=lambda sending: -sending.sent_ms)
