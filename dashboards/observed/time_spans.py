"""Spans of time, half-open `(from_ms, to_ms)`, in lists that are sorted and disjoint.
Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Span = tuple[int, int]


def merged(spans: Iterable[Span]) -> list[Span]:
    """Any spans, sorted, and joined where they touch or overlap."""
    found: list[Span] = []
    for begin, end in sorted(spans):
        if end <= begin:
            continue
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found


def within(spans: Sequence[Span], limits: Sequence[Span]) -> list[Span]:
    """The parts of `spans` inside `limits`; both sorted and disjoint."""
    found: list[Span] = []
    at = 0
    for begin, end in spans:
        while at < len(limits) and limits[at][1] <= begin:
            at += 1
        for first, last in limits[at:]:
            if first >= end:
                break
            found.append((max(begin, first), min(end, last)))
    return found


def without(spans: Sequence[Span], removed: Sequence[Span]) -> list[Span]:
    """The parts of `spans` outside `removed`; both sorted and disjoint."""
    found: list[Span] = []
    at = 0
    for begin, end in spans:
        while at < len(removed) and removed[at][1] <= begin:
            at += 1
        left = begin
        for first, last in removed[at:]:
            if first >= end:
                break
            if first > left:
                found.append((left, first))
            left = max(left, last)
        if left < end:
            found.append((left, end))
    return found


def length(spans: Iterable[Span]) -> int:
    """ms in all."""
    return sum(end - begin for begin, end in spans)
