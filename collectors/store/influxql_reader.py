"""Reads a SELECT of InfluxQL as a `Query` and how its answer is to be shown. Pure.

This is the reverse of `influxql.render`: what that writes is read back as the same
`Query`. Beyond it, only what has the same meaning in a `Query` is read, such as the
SELECTs of Grafana's query editor. Anything else is refused in words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from collectors.store.influxql import PRODUCT, WEIGHT
from collectors.store.influxql_conditions import (
    Conditions,
    NotSupported,
    describe,
    read_conditions,
)
from collectors.store.influxql_syntax import (
    BinaryOperation,
    Call,
    Column,
    Expression,
    Limits,
    Name,
    Number,
    Parentheses,
    Select,
)
from collectors.store.query import PERCENTILES, Aggregate, Pick, Query, check_query
from collectors.store.time_buckets import Buckets, bucket_spans
from probes.wire.catalogue import Catalogue, Measurement, Misfit, UnknownName

_MS = 1_000_000
# Times of rows are far from these.
_FIRST_MS, _LAST_MS = -(2**53), 2**53
_PLAIN: dict[str, Aggregate] = {
    "mean": "mean",
    "min": "min",
    "max": "max",
    "sum": "sum",
    "count": "count",
    "last": "last",
}
_SUPPORTED = (
    "mean, min, max, sum, count and last of a field, percentile(field, 50), 95 or 99"
)


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
    the conditions.
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


def read_select(select: Select, catalogue: Catalogue, now_ms: int) -> Selection:
    """Returns what a SELECT asks for. Raises `NotSupported` in words."""
    try:
        if isinstance(select.source, str):
            return _from_measurement(select, catalogue, now_ms)
        if _is_weighted(select.source):
            return _from_weighted(select, select.source, catalogue, now_ms)
        return _from_means(select, select.source, catalogue, now_ms)
    except (Misfit, UnknownName) as error:
        raise NotSupported(str(error)) from None


def _from_measurement(select: Select, catalogue: Catalogue, now_ms: int) -> Selection:
    assert isinstance(select.source, str)
    declared = catalogue.measurement(select.source)
    outputs = [
        _output(column, _plain_output(column, declared), declared)
        for column in select.columns
    ]
    conditions = read_conditions(select.where, now_ms)
    return _selection(select, declared.name, outputs, conditions, catalogue, now_ms)


def _is_weighted(source: Select) -> bool:
    """Whether a subquery only multiplies fields of rows by their weights."""
    return not source.every_ns and not any(
        isinstance(column.expression, Call) for column in source.columns
    )


def _from_weighted(
    select: Select, source: Select, catalogue: Catalogue, now_ms: int
) -> Selection:
    """Reads a weighted mean: `render` sums values times weights in a subquery."""
    if not isinstance(source.source, str) or source.tags or source.limits != Limits():
        raise NotSupported(f"this subquery is not supported; {_subqueries()}")
    declared = catalogue.measurement(source.source)
    names = dict(_weighted_names(source, declared))
    outputs = [
        _output(column, _outer_output(column, names, declared), declared)
        for column in select.columns
    ]
    conditions = read_conditions(source.where, now_ms).and_also(
        read_conditions(select.where, now_ms)
    )
    return _selection(select, declared.name, outputs, conditions, catalogue, now_ms)


def _weighted_names(
    source: Select, declared: Measurement
) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yields name of a subquery's column -> (field, what of it)."""
    for column in source.columns:
        match column.expression:
            case Name(text=field):
                yield column.alias or field, (declared.field(field).name, "")
            case BinaryOperation(
                sign="*", left=Name(text=field), right=Name(text=weight)
            ):
                _check_weight(declared, field, weight)
                yield column.alias, (field, PRODUCT)
            case BinaryOperation(
                sign="+",
                left=Name(text=weight),
                right=BinaryOperation(
                    sign="*", left=Number(value=0), right=Name(text=field)
                ),
            ):
                _check_weight(declared, field, weight)
                yield column.alias, (field, WEIGHT)
            case other:
                raise NotSupported(
                    f"{describe([other])} in a subquery is not supported; "
                    f"{_subqueries()}"
                )


def _check_weight(declared: Measurement, field: str, weight: str) -> None:
    if declared.field(field).weight != weight:
        raise NotSupported(
            f'"{field}" has no weight "{weight}" in the catalogue of {declared.name}'
        )


def _outer_output(
    column: Column, names: Mapping[str, tuple[str, str]], declared: Measurement
) -> tuple[Pick, Pick | None]:
    def part(expression: Expression, wanted: str) -> str | None:
        """Returns the field whose product or weight is summed."""
        match expression:
            case Call(function="sum", arguments=(Name(text=name),)):
                field, what = names.get(name, ("", ""))
                return field if what == wanted else None
        return None

    expression = column.expression
    if isinstance(expression, BinaryOperation) and expression.sign == "/":
        field = part(expression.left, PRODUCT)
        if field and field == part(expression.right, WEIGHT):
            return Pick(field, "mean"), None
    if field := part(expression, WEIGHT):
        return Pick(field, "weight"), None
    plain = {name for name, (_, what) in names.items() if not what}
    if isinstance(expression, Call) and expression.arguments:
        first = expression.arguments[0]
        if isinstance(first, Name) and first.text not in plain:
            raise NotSupported(
                f'{describe([expression])}: the subquery has no column "{first.text}"'
            )
    return _plain_output(column, declared)


def _from_means(
    select: Select, source: Select, catalogue: Catalogue, now_ms: int
) -> Selection:
    """Reads percentiles of means, as suppliers bill by five minutes."""
    inner = read_select(source, catalogue, now_ms)
    means = {
        output.name: output.pick.field
        for output in inner.outputs
        if output.pick.aggregate == "mean"
    }
    outputs = []
    for column in select.columns:
        match column.expression:
            case Call(
                function="percentile",
                arguments=(Name(text=name), Number(value=percent)),
            ) if name in means and percent in PERCENTILES.values():
                pick = Pick(means[name], _percentile_name(percent))
                outputs.append(Output(column.alias or "percentile", pick))
            case other:
                raise NotSupported(
                    f"{describe([other])} of a subquery is not supported; "
                    f"{_subqueries()}"
                )
    is_same = set(select.tags) == set(inner.query.group_by) and not select.every_ns
    if not (inner.query.every_ms and is_same):
        raise NotSupported(f"this subquery is not supported; {_subqueries()}")
    conditions = read_conditions(select.where, now_ms)
    if conditions.where:
        raise NotSupported("conditions on tags belong in the subquery")
    query = msgspec.structs.replace(
        inner.query,
        picks=tuple(output.pick for output in outputs),
        group_by=select.tags,
        every_ms=None,
        mean_step_ms=inner.query.every_ms,
    )
    check_query(query, catalogue)
    return Selection(
        query,
        tuple(outputs),
        from_ms=inner.query.from_ms,
        limits=select.limits,
        is_empty=inner.is_empty or conditions.never,
    )


def _selection(
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


def _output(
    column: Column, picks: tuple[Pick, Pick | None], declared: Measurement
) -> Output:
    expression = column.expression
    while isinstance(expression, Parentheses):
        expression = expression.inside
    name = column.alias
    if not name:
        name = expression.function if isinstance(expression, Call) else "value"
    pick, divisor = picks
    counts = pick.aggregate == "count"
    if counts:
        kind = "int"
    elif divisor or pick.aggregate in ("mean", "weight"):
        kind = "float"
    else:
        kind = declared.field(pick.field).type
    if counts and name == f"{pick.field}_weight":
        # A field without a weight: `render` counts its values.
        pick = Pick(pick.field, "weight")
    return Output(name, pick, divisor, kind, counts)


def _plain_output(column: Column, declared: Measurement) -> tuple[Pick, Pick | None]:
    """Returns the aggregate of a field, and what it is divided by."""
    expression = column.expression
    while isinstance(expression, Parentheses):
        expression = expression.inside
    match expression:
        case Call(function=function, arguments=(Name(text=field),)) if (
            function in _PLAIN
        ):
            if function == "mean" and declared.field(field).weight:
                # InfluxQL has no weights: the mean of rows, however many calls.
                return Pick(field, "sum"), Pick(field, "count")
            return Pick(declared.field(field).name, _PLAIN[function]), None
        case Call(
            function="percentile", arguments=(Name(text=field), Number(value=percent))
        ) if percent in PERCENTILES.values():
            return Pick(declared.field(field).name, _percentile_name(percent)), None
    raise NotSupported(
        f"{describe([expression])} is not supported: expected {_SUPPORTED}"
    )


def _percentile_name(percent: float) -> Aggregate:
    names: dict[float, Aggregate] = {50: "p50", 95: "p95", 99: "p99"}
    return names[percent]


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


def _subqueries() -> str:
    return (
        "subqueries are supported only for weighted means and percentiles of means, as "
        "Towpath's own boards write them"
    )
