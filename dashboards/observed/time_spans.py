"""Spans of time, half-open `(from_ms, to_ms)`, in lists that are sorted and disjoint.
Pure."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Sequence

Span = tuple[int, int]


def merged(spans: Iterable[Span]) -> list[Span]:
    """Returns the spans, sorted, and joined if they touch or overlap."""
    result: list[Span] = []
    for begin, end in sorted(spans):
        if end <= begin:
            continue
        if result and begin <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((begin, end))
    return result


def within(spans: Sequence[Span], limits: Sequence[Span]) -> list[Span]:
    """Returns the parts of `spans` inside `limits`; both sorted and disjoint."""
    result: list[Span] = []
    at = 0
    for begin, end in spans:
        while at < len(limits) and limits[at][1] <= begin:
            at += 1
        for first, last in limits[at:]:
            if first >= end:
                break
            result.append((max(begin, first), min(end, last)))
    return result


def without(spans: Sequence[Span], removed: Sequence[Span]) -> list[Span]:
    """Returns the parts of `spans` outside `removed`; both sorted and disjoint."""
    result: list[Span] = []
    at = 0
    for begin, end in spans:
        while at < len(removed) and removed[at][1] <= begin:
            at += 1
        left = begin
        for first, last in removed[at:]:
            if first >= end:
                break
            if first > left:
                result.append((left, first))
            left = max(left, last)
        if left < end:
            result.append((left, end))
    return result


def length(spans: Iterable[Span]) -> int:
    """Returns the total length in ms."""
    return sum(end - begin for begin, end in spans)


class Overlap:
    """How much of any span is inside `spans`, which are sorted and disjoint. For many
    spans: it does not go through all of `spans` each time."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = spans
        self._begins = [begin for begin, _ in spans]
        self._before = [0, *itertools.accumulate(end - begin for begin, end in spans)]

    def length_ms(self, span: Span) -> int:
        return self._until(span[1]) - self._until(span[0])

    def _until(self, time_ms: int) -> int:
        at = bisect.bisect_right(self._begins, time_ms)
        if not at:
            return 0
        return self._before[at] - max(0, self._spans[at - 1][1] - time_ms)


def in_pieces(span: Span, days: int) -> list[Span]:
    """Returns the parts of `span`: each is so many days at most, and ends with a day
    (UTC), so that no bucket is in two."""
    day_ms = 24 * 3_600_000
    begin, last = span
    pieces = []
    while begin < last:
        end = min((begin + days * day_ms) // day_ms * day_ms, last)
        pieces.append((begin, end))
        begin = end
    return pieces
