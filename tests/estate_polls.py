"""Made polls of an estate of five devices, and a store that has them and counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from store_doubles import MemoryStore

from collectors.server_measurements import CATALOGUE
from collectors.store.query import Query, Row, check_query
from dashboards.observed import ObservedPiece
from dashboards.observed.poll_history import Poll
from probes.wire.sample import Sample

S_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
# A midnight UTC.
START_MS = 1_790_553_600_000 // DAY_MS * DAY_MS
SITES = {"a1": "a", "a2": "a", "b1": "b", "c1": "c", "c2": "c"}


def estate_polls(
    silent: Sequence[tuple[int, int]], minutes: int, down: Sequence[str] = ()
) -> list[Poll]:
    return [
        Poll(
            at * S_MS,
            device,
            device not in down and not any(a <= at < b for a, b in silent),
        )
        for minute in range(minutes)
        for n, device in enumerate(SITES)
        for at in [minute * 60 + n * 11]
    ]


def down_ms(pieces: Sequence[ObservedPiece]) -> float:
    return sum(piece.ms for piece in pieces if not piece.up)


def seen_ms(pieces: Sequence[ObservedPiece]) -> float:
    return sum(piece.ms for piece in pieces)


class Counting(MemoryStore):
    def __init__(self, samples: Sequence[Sample]) -> None:
        super().__init__(samples)
        self.asked: list[Query] = []
        self.rows = 0

    async def query(self, query: Query) -> list[Row]:
        check_query(query, CATALOGUE)
        self.asked.append(query)
        rows = await super().query(query)
        self.rows += len(rows)
        return rows


def store_of(polls: Sequence[Poll], sites: Mapping[str, str] = SITES) -> Counting:
    return Counting(
        [
            Sample(
                "device",
                {"device": poll.device, "site": sites[poll.device], "role": "switch"},
                {"up": int(poll.up)},
                START_MS + poll.time_ms,
            )
            for poll in polls
        ]
    )
