"""What a SELECT of InfluxQL asks for: a `Query`, and how its answer is shown. Pure."""

from __future__ import annotations

import msgspec

from collectors.store.influxql_conditions import Conditions, NotSupported
from collectors.store.influxql_syntax import Limits, Select
from collectors.store.query import Pick, Query, check_query
from collectors.store.time_buckets import Buckets, bucket_spans
from probes.wire.catalogue import Catalogue

_MS = 1_000_000
# Times of rows are far from these.
_FIRST_MS, _LAST_MS = -(2**53), 2**53


class Output(msgspec.Struct, frozen=True):
    """One column of the answer: `pick`, divided by `divisor` if there is one.

    `kind` is the type of its values: `int`, `float` or `str`; `counts` if they count
    values, so that nothing is 0.
    """

    name: str
    pick: Pick
    divisor: Pick | None = None
    kind: str = "float"
    counts: bool = False


class Selection(msgspec.Struct, frozen=True):
    """A `Query` and how its answer is shown.

    `fill` is what an empty bucket has: "null", "none" (it is absent), "previous" or a
    number. `from_ms` is the time of a row without buckets. `is_empty`: no row can meet
    the conditions. With `top` the answer is that many values of the one tag in
    `group_by`, those with the largest sums of the outputs; `above_zero`: of those
    whose sum is more than 0.
    """

    query: Query
    outputs: tuple[Output, ...]
    buckets: Buckets | None = None
    fill: str | float = "null"
    from_ms: int = 0
    descending: bool = False
    limits: Limits = Limits()
    zone: str = ""
    is_empty: bool = False
    top: int | None = None
    above_zero: bool = False


def make_selection(
    select: Select,
    measurement: str,
    outputs: list[Output],
    conditions: Conditions,
    catalogue: Catalogue,
    now_ms: int,
) -> Selection:
    from_ms = _FIRST_MS if conditions.from_ms is None else conditions.from_ms
    to_ms = conditions.to_ms
    if to_ms is None:
        # InfluxDB ends buckets now, and has no end without buckets.
        to_ms = now_ms + 1 if select.every_ns else _LAST_MS
    from_ms = max(_FIRST_MS, min(from_ms, _LAST_MS - 1))
    to_ms = max(_FIRST_MS + 1, min(to_ms, _LAST_MS))
    is_empty = conditions.never or to_ms <= from_ms
    picks = dict.fromkeys(
        pick for output in outputs for pick in (output.pick, output.divisor) if pick
    )
    query = Query(
        measurement,
        tuple(picks),
        from_ms,
        from_ms + 1 if is_empty else to_ms,
        conditions.where,
        tuple(dict.fromkeys(select.tags)),
    )
    buckets = None
    if select.every_ns:
        buckets = _buckets(select, conditions.from_ms is not None)
        try:
            query = bucket_spans(query, buckets)
        except (ValueError, OverflowError, OSError) as error:
            raise NotSupported(str(error)) from None
    check_query(query, catalogue)
    if select.fill == "linear":
        raise NotSupported(
            "fill(linear) is not supported: expected null, none, previous or a number"
        )
    return Selection(
        query,
        _unique(outputs),
        buckets,
        "null" if select.fill == "" else select.fill,
        0 if conditions.from_ms is None else conditions.from_ms,
        select.descending,
        select.limits,
        select.zone,
        is_empty,
    )


def _buckets(select: Select, has_start: bool) -> Buckets:
    if select.every_ns % _MS or select.offset_ns % _MS or select.every_ns < 0:
        raise NotSupported("GROUP BY time(…): expected whole milliseconds")
    if not has_start:
        raise NotSupported(
            "GROUP BY time(…) needs a start, such as WHERE time >= now() - 1h"
        )
    try:
        return Buckets(
            select.every_ns // _MS, select.offset_ns // _MS, select.zone
        ).checked()
    except ValueError as error:
        raise NotSupported(str(error)) from None


def _unique(outputs: list[Output]) -> tuple[Output, ...]:
    """Returns the outputs with InfluxDB's numbers after equal names: mean, mean_1."""
    taken: set[str] = set()
    unique = []
    for output in outputs:
        name, number = output.name, 0
        while name in taken:
            number += 1
            name = f"{output.name}_{number}"
        taken.add(name)
        unique.append(msgspec.structs.replace(output, name=name))
    return tuple(unique)
