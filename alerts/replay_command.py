"""`towpath alerts replay`: what the rules would have paged, as text or JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from alerts.clock_text import clock_text
from alerts.history_replay import ReplayedPage
from collectors.json_text import json_text
from probes.wire.counted_text import counted
from probes.wire.durations import duration_text


def replay_text(
    pages: Sequence[ReplayedPage], zone: ZoneInfo, rows: int, everything: bool
) -> Iterator[str]:
    """A summary for each rule and each day; `everything`: every page before it."""
    if not rows:
        yield "The store has no rows of that time: nothing can be said."
        return
    if everything:
        for page in pages:
            yield (
                f"{clock_text(page.paged_ms, zone):<17} {page.alert.severity:<8}  "
                f"{page.alert.summary} ({_lasted(page)})"
            )
        yield ""
    if not pages:
        yield f"Nothing would have paged ({counted(rows, 'row')})."
        return
    by_rule: dict[str, list[ReplayedPage]] = {}
    for page in pages:
        by_rule.setdefault(page.alert.rule, []).append(page)
    width = max(map(len, by_rule))
    yield f"{'rule':<{width}}  {'pages':>5}  {'subjects':>8}  longest"
    for rule, ones in sorted(by_rule.items(), key=lambda kv: (-len(kv[1]), kv[0])):
        longest = max(ones, key=_length_ms)
        subjects = len({page.alert.key for page in ones})
        yield f"{rule:<{width}}  {len(ones):>5}  {subjects:>8}  {_lasted(longest)}"
    yield ""
    days = Counter(_day(page.paged_ms, zone) for page in pages)
    yield from (f"{day}  {count:>5}" for day, count in sorted(days.items()))
    yield ""
    yield f"{counted(len(pages), 'page')} ({counted(rows, 'row')})."


def replay_json(pages: Sequence[ReplayedPage], rows: int) -> str:
    """One object: how many rows, and every page."""
    return json_text(
        {
            "rows": rows,
            "pages": [
                {
                    "paged_ms": page.paged_ms,
                    "ended_ms": page.ended_ms,
                    "key": page.alert.key,
                    "rule": page.alert.rule,
                    "severity": page.alert.severity,
                    "site": page.alert.site,
                    "since_ms": page.alert.since_ms,
                    "flapping": page.alert.flapping,
                    "summary": page.alert.summary,
                }
                for page in pages
            ],
        }
    )


def _length_ms(page: ReplayedPage) -> float:
    if page.ended_ms is None:
        return float("inf")
    return page.ended_ms - page.alert.since_ms


def _lasted(page: ReplayedPage) -> str:
    if page.ended_ms is None:
        return "not over"
    return duration_text(_length_ms(page) / 1000)


def _day(ms: int, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone):%Y-%m-%d %a}"
