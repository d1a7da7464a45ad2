"""InfluxQL for Grafana over any range: rows if it is short, else roll-ups. Pure.

A query that roll-ups answer reads the rows and each roll-up in a subquery of its own.
Each subquery has a guard: a condition of numbers only, which Grafana fills in. Exactly
one guard is true, and InfluxDB reads nothing for the others. These are all forms of the
texts for Grafana; [] is optional, and `AND…` stands for the guard, then the variables,
then the fixed tags:

1.  Rows::

        SELECT mean("f") AS "f_mean", … FROM "m" WHERE $timeFilter AND…
        [GROUP BY [time($__interval)][, "tag"…]] [fill(null)]

    The aggregates are mean, min, max, sum, count, last and percentile("f", 95).
    `fill` is there if `time()` is.
2.  Rows if a mean has a weight: as 1, with `sum("f:product") / sum("f:weight")` or
    `sum("f:weight")`, from::

        (SELECT "f" * "w" AS "f:product", "w" + 0 * "f" AS "f:weight"[, "g"]
         FROM "m" WHERE $timeFilter AND…) WHERE $timeFilter [AND guard]

3.  A roll-up: as 1, from "m_5m", "m_1h" or "m_1d", with `sum("f_sum") / sum("f_n")`,
    `sum("f_product") / sum("f_weight")`, or sum, min, max or last of one such field.
    From "m_1d" without `time()`, `$timeFilter` is that of whole days, from the midnight
    (UTC) that is nearest to the start of the range::

        time >= (${__from} + 43200000 - (${__from} + 43200000) % 86400000) * 1000000
        AND time <= ${__to}ms

4.  Percentiles of means: `percentile("f_mean", 95) AS "f_p95"` from 1 in parentheses,
    by `time(300000ms)` and the tags, with `fill(none)`; then GROUP BY as in 1, after
    `WHERE $timeFilter [AND guard]` if that has a time. Of a roll-up: as 1, from "m_5m",
    or `percentile("f_rank", 95) AS "f_p95"` from "m_1d".
5.  Rows or roll-ups, by the range: 1, 2 or 4 of rows first, then 3 or 4 of one to three
    roll-ups, each with its guard and `fill(none)`::

        SELECT last("f_mean") AS "f_mean", … FROM (rows), (5m), (1h), (1d)
        WHERE $timeFilter GROUP BY time($__interval)[, "tag"…] fill(null)

        SELECT "f_mean", … FROM (rows), (5m), (1h), (1d) [GROUP BY "tag"…]

    There is one value of each group and bucket, so `last` only passes it on, and fills
    what is empty. InfluxDB reads the subqueries anew for each `last`, so there is none
    if there is no time: a table with thirteen columns would take 20 times as long.
6.  The busiest, for a variable::

        SELECT "tag" FROM (SELECT top("value", "tag", 12) FROM
        (SELECT max("f") [+ max("g")] AS "value" FROM … GROUP BY "tag")[, (…), (…)]
        [WHERE "value" > 0])

    The inner parentheses are rows, as 1 or 2, and then roll-ups, as 3.
7.  `SHOW TAG VALUES FROM "m" WITH KEY = "tag" [WHERE AND…]`, made elsewhere.

A guard is `$__interval_ms < 300000` (rows), `$__interval_ms >= 300000 AND
$__interval_ms < 3600000` and so on. "m_1d" is read from 86400000 on, without `time()`
from 43200000 on, and its ranks from 7200000 on.
In 6, which Grafana does not give an interval, it has `${__to} - ${__from}` instead, and
the time filter is `time >= ${__from}ms AND time <= ${__to}ms`. A store that chooses
roll-ups itself answers 5 and 6
by the first subquery alone, whatever its guard.

Grafana rounds intervals to 1, 2, 5, 10, 15, 20, 30 minutes, 1, 2, 3, 6, 12 hours and
whole days, so that from 5 minutes (an hour) on, buckets are multiples of 5 minutes (an
hour).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from collectors.store.influxql import (
    Grafana,
    column,
    grouped,
    identifier,
    render,
    source,
)
from collectors.store.query import Query
from collectors.store.rolled_measurements import (
    DAY,
    DAY_MS,
    HOUR,
    HOUR_MS,
    answering_steps,
)
from probes.wire.catalogue import Measurement

INTERVAL_MS = "$__interval_ms"
RANGE_MS = "${__to} - ${__from}"
_RANGE = "time >= ${__from}ms AND time <= ${__to}ms"
# Grafana's interval from which a figure over the whole range reads whole days. It is
# the range divided by 60 and rounded, so such a range has 22½ days at least.
DAYS_FROM_MS = 12 * HOUR_MS
# The shortest range of which the busiest are found in roll-ups.
_RANGES_MS = {"5m": 3 * HOUR_MS, HOUR: DAY_MS, DAY: 45 * DAY_MS // 2}
_TO_NOON = f"(${{__from}} + {DAY_MS // 2})"
_WHOLE_DAYS = (
    f"time >= ({_TO_NOON[1:-1]} - {_TO_NOON} % {DAY_MS}) * 1000000"
    " AND time <= ${__to}ms"
)


def render_ranges(
    query: Query, declared: Measurement, grafana: Grafana, estimated: bool = False
) -> str:
    """Returns the text of a panel's query, which reads roll-ups if they answer it and
    Grafana's interval is long enough for them. `estimated`: percentiles may be those of
    ranks of days."""
    steps = answering_steps(query, declared)
    if query.mean_step_ms:
        if not estimated:
            steps.pop(DAY, None)
    elif DAY in steps and not grafana.interval:
        steps[DAY] = DAYS_FROM_MS
    if not steps:
        return render(query, declared, grafana)
    inner = msgspec.structs.replace(grafana, fill="none")
    sources = ", ".join(
        f"({render(query, declared, scaled)})"
        for scaled in _scales(inner, INTERVAL_MS, steps, not query.mean_step_ms)
    )
    names = [identifier(pick.name) for pick in query.picks]
    if not grafana.interval:
        return f"SELECT {', '.join(names)} FROM {sources}" + grouped(
            "", query.group_by, ""
        )
    columns = ", ".join(f"last({name}) AS {name}" for name in names)
    return f"SELECT {columns} FROM {sources} WHERE {grafana.time_filter}" + grouped(
        grafana.interval, query.group_by, grafana.fill
    )


def render_top(
    query: Query,
    declared: Measurement,
    count: int,
    variables: Mapping[str, str] | None = None,
    searches: Mapping[str, str] | None = None,
    above_zero: bool = False,
) -> str:
    """Returns the query of a variable: the `count` values of the query's one `group_by`
    tag with the largest sum of its picks, over the range of the board.

    `above_zero`: only those whose sum is more than 0, such as ports with a flag.
    `variables` and `searches` as in `Grafana`. In Grafana the variable has "All" and no
    `allValue`, so that all its values are selected, and is refreshed if the range
    changes.
    """
    [tag] = query.group_by
    steps = answering_steps(query, declared)
    grafana = Grafana(
        time_filter=_RANGE,
        interval="",
        variables=variables or {},
        searches=searches or {},
    )
    ranked = ", ".join(
        f"(SELECT {' + '.join(column(p, declared, scaled.step) for p in query.picks)}"
        f' AS "value" FROM {source(query, declared, scaled.time_filter, scaled)}'
        f" GROUP BY {identifier(tag)})"
        for scaled in _scales(
            grafana, RANGE_MS, {k: _RANGES_MS[k] for k in steps}, True
        )
    )
    name = identifier(tag)
    top = f'SELECT top("value", {name}, {count}) FROM {ranked}'
    if above_zero:
        top += ' WHERE "value" > 0'
    return f"SELECT {name} FROM ({top})"


def _scales(
    grafana: Grafana, scale: str, shortest: Mapping[str, int], has_parts: bool
) -> Iterator[Grafana]:
    """Yields `grafana` for the rows and for each roll-up, with its guard.

    `shortest`: step → the lowest `scale` at which it is read. `has_parts`: of days the
    parts are read, which are at midnight, not ranks.
    """
    if not shortest:
        yield grafana
        return
    starts = [("", 0), *shortest.items()]
    for at, (step, start) in enumerate(starts):
        guards = [f"{scale} >= {start}"] if start else []
        if at + 1 < len(starts):
            guards.append(f"{scale} < {starts[at + 1][1]}")
        is_rounded = step == DAY and has_parts and not grafana.interval
        times = _WHOLE_DAYS if is_rounded else grafana.time_filter
        times = " AND ".join([times, *guards])
        yield msgspec.structs.replace(grafana, time_filter=times, step=step)
