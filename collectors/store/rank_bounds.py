"""Which groups may be among the highest (`query.Highest`), by the ranks of their days
in InfluxDB, which are a twelfth of the means: the percentiles of the others need not be
calculated. Pure.

A day's ranks are each in the middle of so many of its means (`day_ranks`), so a
percentile of the ranks of whole days is that of the means at a rank that is wrong by
half of that and one, seven in 288. What a range has besides whole days adds to that.
Together they are less than `_WRONG_PERCENT`, so a percentile of means is between a
lower one of ranks and the highest rank. (A percentile of ranks would be a closer bound,
but takes InfluxDB twelve times as long as the highest.) That says nothing of a group
with few means a day: it may always be among the highest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from collectors.store.day_ranks import MOST
from collectors.store.highest_groups import Group, possible_groups
from collectors.store.influx_http import InfluxSeries
from collectors.store.influxql import (
    Grafana,
    between,
    conditions,
    grouped,
    identifier,
    source,
)
from collectors.store.query import PERCENTILES, Query, Where
from collectors.store.rolled_measurements import (
    DAY,
    DAY_MS,
    answering_steps,
    rolled_name,
)
from probes.wire.catalogue import Measurement

Span = tuple[int, int]
_WRONG_PERCENT = 4
# The part of a range that may be outside its whole days.
_MOST_OUTSIDE = 0.01
_LEAST_RANKS_A_DAY = MOST - 1


def bounded_days(
    query: Query, declared: Measurement, complete: Callable[[str, Span], list[Span]]
) -> Span | None:
    """Returns the whole days whose ranks bound the percentiles of `query`; None if they
    do not, or if not only the highest are asked for. `complete`: the parts of a span
    whose buckets of a step are complete."""
    span = query.from_ms, query.to_ms
    if query.highest is None or DAY not in answering_steps(query, declared):
        return None
    if any(
        PERCENTILES.get(pick.aggregate, 100) + _WRONG_PERCENT > 100
        for pick in query.picks
    ):
        return None
    days = span[0] + -span[0] % DAY_MS, span[1] - span[1] % DAY_MS
    outside_ms = (span[1] - span[0]) - (days[1] - days[0])
    if outside_ms > _MOST_OUTSIDE * (span[1] - span[0]):
        return None
    return days if complete(DAY, days) == [days] else None


def bounds_text(query: Query, declared: Measurement, days: Span) -> str:
    """Returns the InfluxQL of a percentile of ranks for each pick, of the highest rank,
    and of how many ranks and days there are."""
    columns = []
    for pick in query.picks:
        ranks = identifier(f"{pick.field}_rank")
        percent = PERCENTILES[pick.aggregate]
        columns += [
            f"percentile({ranks}, {percent - _WRONG_PERCENT})",
            f"max({ranks})",
            f"count({ranks})",
            f"count({identifier(f'{pick.field}_n')})",
        ]
    named = ", ".join(f'{column} AS "c{n}"' for n, column in enumerate(columns))
    rows = source(query, declared, between(*days), Grafana(step=DAY))
    return f"SELECT {named} FROM {rows}" + grouped("", query.group_by, "none")


def outside_texts(query: Query, declared: Measurement, days: Span) -> list[str]:
    """Returns the InfluxQL of which groups have means before or after whole days."""
    fields = dict.fromkeys(pick.field for pick in query.picks)
    columns = ", ".join(
        f"count({identifier(name)})"
        for field in fields
        for name in (field, f"{field}_mean")
    )
    names = declared.name, rolled_name(declared.name, "5m")
    return [
        f"SELECT {columns} FROM {', '.join(map(identifier, names))}"
        f" WHERE {' AND '.join([between(*span), *conditions(query.where)])}"
        + grouped("", query.group_by, "none")
        for span in ((query.from_ms, days[0]), (days[1], query.to_ms))
        if span[0] < span[1]
    ]


def groups_within(
    query: Query, answer: Iterable[InfluxSeries], outside: Iterable[InfluxSeries]
) -> set[Group]:
    """Returns the groups that may be among the highest, from the answers to
    `bounds_text` and `outside_texts`."""
    least = {_group(query, series): -math.inf for series in outside}
    most = dict.fromkeys(least, math.inf)
    for series in answer:
        group = _group(query, series)
        _, *cells = series.values[0]
        fields = [cells[at : at + 4] for at in range(0, len(cells), 4)]
        known = [field for field in fields if field[0] is not None]
        # A field without ranks may have means: none of them is in a whole day.
        if all(
            ranks and ranks >= _LEAST_RANKS_A_DAY * (days or 1)
            for _, _, ranks, days in fields
        ):
            least[group] = max(low for low, _, _, _ in known)
            most[group] = max(high for _, high, _, _ in known)
        else:
            least[group], most[group] = -math.inf, math.inf
    return possible_groups(query, least, most)


def _group(query: Query, series: InfluxSeries) -> Group:
    return tuple(series.tags.get(tag, "") for tag in query.group_by)


def by_subject(
    query: Query, groups: Iterable[Group], tag: str
) -> Mapping[str, Sequence[Where]]:
    """Returns for each value of `tag` the conditions that leave these groups of it."""
    assert query.highest is not None
    others = [t for t in query.highest.of if t != tag]
    found: dict[str, dict[str, set[str]]] = {}
    for group in groups:
        values = dict(zip(query.group_by, group, strict=True))
        own = found.setdefault(values[tag], {other: set() for other in others})
        for other in others:
            own[other].add(values[other])
    return {
        subject: [Where(other, tuple(sorted(v))) for other, v in own.items()]
        for subject, own in sorted(found.items())
    }
