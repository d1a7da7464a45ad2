"""Buckets of time: where they start, with an offset and in a council's time zone. Pure.

A `Query` counts its buckets from 1970 UTC. Buckets that start elsewhere, such as days
of London in summer, are given to it as spans.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

from collectors.store.query import Query

# Each span is a comparison for every row.
MAX_SPANS = 1000
_QUARTER_MS = 15 * 60_000


class Buckets(msgspec.Struct, frozen=True):
    """Buckets of `every_ms` that start `offset_ms` after its multiples in `zone`."""

    every_ms: int
    offset_ms: int = 0
    zone: str = ""

    def checked(self) -> Buckets:
        """Returns these buckets. Raises `ValueError` if the zone is unknown."""
        if self.zone:
            try:
                ZoneInfo(self.zone)
            except (OSError, ValueError):
                raise ValueError(f"unknown time zone {self.zone!r}") from None
        return self

    @property
    def are_plain(self) -> bool:
        """Whether they start at multiples of `every_ms` since 1970 UTC."""
        # Every zone is a multiple of 15 minutes from UTC nowadays.
        is_zoned = self.zone not in ("", "UTC") and _QUARTER_MS % self.every_ms
        return not (self.offset_ms % self.every_ms or is_zoned)

    def start_of(self, time_ms: int) -> int:
        """Returns the start of the bucket that `time_ms` is in."""
        shift = self.offset_ms - self._zone_ms(time_ms)
        start = (time_ms - shift) // self.every_ms * self.every_ms + shift
        # The clocks may have changed since the start of the bucket.
        change = self._zone_ms(time_ms) - self._zone_ms(start)
        if change and start + change <= time_ms:
            start += change
        return start

    def starts(self, from_ms: int, to_ms: int) -> Iterator[int]:
        """Yields the starts of the buckets of `[from_ms, to_ms)`, in order."""
        start = self.start_of(from_ms)
        while start < to_ms:
            yield start
            after = start + self.every_ms
            if self.zone:
                # An hour more, as a day with a change of clocks has 25 hours.
                later = self.start_of(after + min(self.every_ms // 2, 3_600_000))
                after = later if later > start else after
            start = after

    def _zone_ms(self, time_ms: int) -> int:
        if not self.zone:
            return 0
        moment = datetime.fromtimestamp(time_ms / 1000, UTC)
        offset = moment.astimezone(ZoneInfo(self.zone)).utcoffset()
        return round(offset.total_seconds() * 1000) if offset else 0


def bucket_spans(query: Query, buckets: Buckets) -> Query:
    """Returns `query` with these buckets. Raises `ValueError` if they are too many."""
    if buckets.are_plain:
        return msgspec.structs.replace(query, every_ms=buckets.every_ms)
    starts: list[int] = []
    for start in buckets.starts(query.from_ms, query.to_ms):
        if len(starts) >= MAX_SPANS:
            raise ValueError(
                f"more than {MAX_SPANS} buckets with tz() or an offset: query a "
                "shorter time or longer buckets"
            )
        starts.append(start)
    edges = [query.from_ms, *starts[1:], query.to_ms]
    return msgspec.structs.replace(query, spans=tuple(itertools.pairwise(edges)))
