"""Counters of ingest, and the `self_ingest` and `self_agents` rows made from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from collectors.http.refusal_reasons import HttpRefusal
from collectors.ingest.registry_records import EnrolledAgent
from collectors.ingest.rejection_reasons import RejectionReason
from probes.wire.sample import Sample, Value

_HOUR_MS = 3_600_000
_EXPECTED_MS = 30 * 24 * _HOUR_MS


class IngestStats(msgspec.Struct):
    """Counters since start, except `in_flight`, which is the present number. `reasons`
    counts by `RejectionReason`, and by `HttpRefusal` for connections."""

    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    unauthorised: int = 0
    in_flight: int = 0
    turned_away: int = 0
    failures: int = 0
    misfit_rows: int = 0
    expired_rows: int = 0
    retimed: int = 0
    other_targets: int = 0
    other_whereabouts: int = 0
    odd_values: int = 0
    reasons: Counter[RejectionReason | HttpRefusal] = msgspec.field(
        default_factory=Counter
    )

    def count_unauthorised(self, reason: RejectionReason) -> None:
        self.unauthorised += 1
        self.reasons[reason] += 1

    def count_turned_away(self, reason: RejectionReason) -> None:
        self.turned_away += 1
        self.reasons[reason] += 1

    def count_refused_connection(self, reason: HttpRefusal) -> None:
        self.reasons[reason] += 1


def ingest_sample(
    stats: IngestStats,
    process: str,
    transport: str,
    now_ms: int,
    connections: tuple[int, int] | None = None,
) -> Sample:
    """The `self_ingest` row of one transport: "https" or "mqtt".

    `connections`: (open connections, those on which nobody has signed in).
    """
    fields: dict[str, Value] = {
        name: getattr(stats, name)
        for name in IngestStats.__struct_fields__
        if name != "reasons"
    }
    reasons = [*RejectionReason, *(HttpRefusal if connections is not None else ())]
    fields |= {f"refused_{reason}": stats.reasons[reason] for reason in reasons}
    if connections is not None:
        fields |= dict(zip(("connections", "strangers"), connections, strict=True))
    tags = {"process": process, "transport": transport}
    return Sample("self_ingest", tags, fields, now_ms)


def expected_and_heard(
    agents: Iterable[EnrolledAgent],
    group_of: Callable[[EnrolledAgent], str],
    now_ms: int,
) -> tuple[Counter[str], Counter[str]]:
    """How many agents of each group are expected and heard, as `agents_samples`
    counts."""
    hour_ms = now_ms - now_ms % _HOUR_MS
    expected: Counter[str] = Counter()
    heard: Counter[str] = Counter()
    for agent in agents:
        if agent.counts:
            group = group_of(agent)
            expected[group] += agent.last_seen_ms >= hour_ms - _EXPECTED_MS
            heard[group] += agent.last_seen_ms >= hour_ms - _HOUR_MS
    return expected, heard


def agents_samples(agents: Iterable[EnrolledAgent], now_ms: int) -> list[Sample]:
    """A `self_agents` row per home site.

    Expected agents were seen in the last 30 days; heard ones in this clock hour or the
    one before, because the registry keeps only the hour. Agents that were
    revoked, or replaced when their computer was set up again, do not count.
    """
    expected, heard = expected_and_heard(agents, lambda agent: agent.home_site, now_ms)
    return [
        Sample(
            "self_agents",
            {"home_site": site},
            {"expected": expected[site], "heard": heard[site]},
            now_ms,
        )
        for site in expected
    ]
