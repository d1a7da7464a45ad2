"""What the receiving end says of itself: counters, and the `self_*` rows of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from collectors.ingest.enrolled import Agent
from probes.sample import Sample

_HOUR_MS = 3_600_000
_EXPECTED_MS = 30 * 24 * _HOUR_MS


class IngestStats(msgspec.Struct):
    """Counters since start; `in_flight` is a state. Reasons: see `body.Reason`."""

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
    reasons: Counter[str] = msgspec.field(default_factory=Counter)


def ingest_sample(
    stats: IngestStats, process: str, transport: str, now_ms: int
) -> Sample:
    """The `self_ingest` row of one transport: "https" or "mqtt"."""
    fields = {
        name: getattr(stats, name)
        for name in IngestStats.__struct_fields__
        if name != "reasons"
    }
    tags = {"process": process, "transport": transport}
    return Sample("self_ingest", tags, fields, now_ms)


def agents_samples(agents: Iterable[Agent], now_ms: int) -> list[Sample]:
    """A `self_agents` row per home site.

    Expected are agents heard in the last 30 days; heard are those of this clock hour
    and the one before, as the registry knows no finer time. Revoked ones are neither.
    """
    hour_ms = now_ms - now_ms % _HOUR_MS
    expected: Counter[str] = Counter()
    heard: Counter[str] = Counter()
    for agent in agents:
        if agent.revoked:
            continue
        site = agent.home_site
        expected[site] += agent.last_seen_ms >= hour_ms - _EXPECTED_MS
        heard[site] += agent.last_seen_ms >= hour_ms - _HOUR_MS
    return [
        Sample(
            "self_agents",
            {"home_site": site},
            {"expected": expected[site], "heard": heard[site]},
            now_ms,
        )
        for site in expected
    ]
