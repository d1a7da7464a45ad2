"""Counters of a journal and of its readers, and the rows made from them. Pure."""

from __future__ import annotations

import dataclasses
from collections import Counter, deque

from probes.wire.percentiles import percentile
from probes.wire.sample import Sample, Value

_COMMITS_KEPT = 1024


@dataclasses.dataclass
class JournalStats:
    """Counters since start. `oldest_ms`: commit time of the oldest frame held."""

    bytes: int = 0
    segments: int = 0
    oldest_ms: int | None = None
    commits: int = 0
    appended_rows: int = 0
    dead_rows: int = 0
    dead_reasons: Counter[str] = dataclasses.field(default_factory=Counter)
    dropped_bytes: int = 0
    dropped_rows: int = 0
    cut_bytes: int = 0
    refused_rows: int = 0
    full: bool = False
    commit_ms: deque[float] = dataclasses.field(
        default_factory=lambda: deque(maxlen=_COMMITS_KEPT)
    )

    @property
    def commit_p99_ms(self) -> float | None:
        """99th percentile of the last 1,024 commits; None if there were none."""
        return percentile(self.commit_ms, 99) if self.commit_ms else None


@dataclasses.dataclass
class ReaderStats:
    """Counters since start. `gap_rows`: rows dropped before they could be read.
    `newer_logs`: logs that wait now, as a newer version of Towpath wrote what comes
    next."""

    read_rows: int = 0
    passed_rows: int = 0
    aside_rows: int = 0
    failures: int = 0
    damaged_frames: int = 0
    damaged_bytes: int = 0
    gaps: int = 0
    gap_rows: int = 0
    newer_logs: int = 0


def journal_sample(stats: JournalStats, process: str, now_ms: int) -> Sample:
    """`stats` as a row of `self_journal`."""
    fields: dict[str, Value] = {
        "bytes": stats.bytes,
        "age_s": _age_s(stats.oldest_ms, now_ms),
        "appended_rows": stats.appended_rows,
        "dead_rows": stats.dead_rows,
        "dropped_bytes": stats.dropped_bytes,
        "dropped_rows": stats.dropped_rows,
        "refused_rows": stats.refused_rows,
        "full": int(stats.full),
    }
    if (p99_ms := stats.commit_p99_ms) is not None:
        fields["commit_p99_ms"] = p99_ms
    return Sample("self_journal", {"process": process}, fields, now_ms)


def reader_sample(
    stats: ReaderStats, oldest_ms: int | None, reader: str, process: str, now_ms: int
) -> Sample:
    """`stats` as a row of `self_reader`; `oldest_ms` is `JournalReader.oldest_ms()`."""
    fields: dict[str, Value] = {
        "lag_s": _age_s(oldest_ms, now_ms),
        "passed_rows": stats.passed_rows,
        "aside_rows": stats.aside_rows,
        "failures": stats.failures,
        "damaged_frames": stats.damaged_frames,
        "gap_rows": stats.gap_rows,
        "newer_logs": stats.newer_logs,
    }
    return Sample("self_reader", {"process": process, "reader": reader}, fields, now_ms)


def _age_s(oldest_ms: int | None, now_ms: int) -> float:
    return 0.0 if oldest_ms is None else max(0, now_ms - oldest_ms) / 1000
