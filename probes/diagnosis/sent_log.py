"""What was sent, kept on the laptop for the person it is about."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from probes.wire.report import Report

LOG_BYTES = 2_000_000


class SentLog:
    """What was sent, word for word, for the person it is about: JSON lines of at most
    twice `LOG_BYTES`, readable by them alone."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "sent.jsonl"

    def append(self, now_ms: int, bodies: Sequence[bytes]) -> None:
        """Adds the reports in `bodies`, each one's JSON. A full disk loses the note,
        not the report."""
        if not bodies:
            return
        with contextlib.suppress(OSError):
            if self.path.exists() and self.path.stat().st_size > LOG_BYTES:
                self.path.replace(self.path.with_suffix(".1.jsonl"))
            self.path.touch(mode=0o600)
            with self.path.open("ab") as file:
                for body in bodies:
                    note = {"sent_ms": now_ms, "report": msgspec.Raw(body)}
                    file.write(msgspec.json.encode(note) + b"\n")

    def last(self, most: int) -> list[str]:
        """The last `most` notes, newest last; a torn line is left out."""
        lines: list[str] = []
        for path in (self.path.with_suffix(".1.jsonl"), self.path):
            with contextlib.suppress(OSError):
                lines += path.read_text("utf-8", errors="replace").splitlines()
        whole = []
        for line in lines[-most:]:
            with contextlib.suppress(ValueError):
                json.loads(line)
                whole.append(line)
        return whole


class Sending(msgspec.Struct, frozen=True):
    """One delivery: when, what kinds of results, how many reports, their octets before
    they were packed for the way."""

    sent_ms: int
    kinds: tuple[str, ...]
    reports: int
    bytes: int


class _Note(msgspec.Struct):
    sent_ms: int
    report: Report


def sendings(lines: Iterable[str]) -> list[Sending]:
    """The lines of a `SentLog`, a delivery each, the newest first. Pure; a line that
    cannot be read is left out."""
    found: dict[int, Sending] = {}
    for line in lines:
        try:
            note = msgspec.json.decode(line, type=_Note)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            continue
        before = found.get(note.sent_ms, Sending(note.sent_ms, (), 0, 0))
        kinds = {*before.kinds, *(each.probe for each in note.report.results)}
        found[note.sent_ms] = Sending(
            note.sent_ms,
            tuple(sorted(kinds)),
            before.reports + 1,
            before.bytes + len(line.encode()),
        )
    return sorted(found.values(), key=lambda each: -each.sent_ms)
