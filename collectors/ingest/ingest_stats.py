"""Counters of ingest, and the `self_ingest` rows made from them."""

from __future__ import annotations

from collections import Counter

import msgspec

from collectors.http.refusal_reasons import HttpRefusal
from collectors.ingest.rejection_reasons import RejectionReason
from probes.wire.sample import Sample, Value


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
