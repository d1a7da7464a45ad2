"""Reads the columns of a SELECT as aggregates of fields, whether they are of rows, of
rows times their weights, or of a roll-up. Pure.

These are the reverse of `influxql.column`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from collectors.store.influxql import PRODUCT, WEIGHT
from collectors.store.influxql_conditions import NotSupported, describe
from collectors.store.influxql_selection import Output
from collectors.store.influxql_syntax import (
    BinaryOperation,
    Call,
    Column,
    Expression,
    Name,
    Number,
    Parentheses,
    Select,
)
from collectors.store.query import PERCENTILES, Aggregate, Pick
from collectors.store.rolled_measurements import (
    RolledField,
    rolled_fields,
    rolled_name,
    rolled_steps,
)
from probes.wire.catalogue import Catalogue, Measurement

SUBQUERIES = (
    "subqueries are supported as Towpath's own boards write them: weighted means, "
    "percentiles of means, roll-ups, and top()"
)
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
# A part of a roll-up -> the aggregate that it is of rows.
_PARTS: dict[str, Aggregate] = {
    "n": "count",
    "sum": "sum",
    "min": "min",
    "max": "max",
    "last": "last",
    "weight": "weight",
}


class Ratio(NamedTuple):
    """`pick`, divided by `divisor` if there is one."""

    pick: Pick
    divisor: Pick | None = None


def unwrapped(expression: Expression) -> Expression:
    """Returns an expression without the parentheses around it."""
    while isinstance(expression, Parentheses):
        expression = expression.inside
    return expression


def output(column: Column, ratio: Ratio, declared: Measurement) -> Output:
    """Returns the column of the answer, with its name and type."""
    expression = unwrapped(column.expression)
    name = column.alias
    if not name:
        name = expression.function if isinstance(expression, Call) else "value"
    pick, divisor = ratio
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


def of_rows(expression: Expression, declared: Measurement) -> Ratio:
    """Reads an aggregate of a field of rows."""
    expression = unwrapped(expression)
    match expression:
        case Call(function=function, arguments=(Name(text=field),)) if (
            function in _PLAIN
        ):
            if function == "mean" and declared.field(field).weight:
                # InfluxQL has no weights: the mean of rows, however many calls.
                return Ratio(Pick(field, "sum"), Pick(field, "count"))
            return Ratio(Pick(declared.field(field).name, _PLAIN[function]))
        case Call(
            function="percentile", arguments=(Name(text=field), Number(value=percent))
        ) if percent in PERCENTILES.values():
            return Ratio(Pick(declared.field(field).name, percentile_name(percent)))
    raise NotSupported(
        f"{describe([expression])} is not supported: expected {_SUPPORTED}"
    )


def percentile_name(percent: float) -> Aggregate:
    names: dict[float, Aggregate] = {50: "p50", 95: "p95", 99: "p99"}
    return names[percent]


def rolled_measurement(name: str, catalogue: Catalogue) -> Measurement | None:
    """Returns the measurement whose roll-up is called `name`, if there is one."""
    for declared in catalogue:
        if name in (
            rolled_name(declared.name, step) for step in rolled_steps(declared)
        ):
            return declared
    return None


def of_roll_up(expression: Expression, declared: Measurement) -> Ratio:
    """Reads an aggregate of the fields of a roll-up as that of the rows."""
    expression = unwrapped(expression)
    parts = {part.name: part for part in rolled_fields(declared)}

    def part(merged: Expression) -> RolledField:
        match merged:
            case Call(function=function, arguments=(Name(text=name),)) if (
                name in parts and parts[name].merged_by == function
            ):
                return parts[name]
        raise NotSupported(
            f"{describe([merged])} of a roll-up is not supported: expected sum, min, "
            "max or last of a field of that kind, or the sum of one divided by the "
            "sum of another"
        )

    if isinstance(expression, BinaryOperation) and expression.sign == "/":
        above, below = part(expression.left), part(expression.right)
        pair = (above.part, below.part)
        if above.field != below.field or pair not in (
            ("sum", "n"),
            ("product", "weight"),
        ):
            raise NotSupported(f"{describe([expression])} is not a mean")
        return Ratio(Pick(above.field, "mean"))
    single = part(expression)
    if single.part not in _PARTS:
        raise NotSupported(f"{describe([expression])} alone is not supported")
    return Ratio(Pick(single.field, _PARTS[single.part]))


def weighted_names(
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
                    f"{describe([other])} in a subquery is not supported; {SUBQUERIES}"
                )


def of_weighted(
    expression: Expression,
    names: Mapping[str, tuple[str, str]],
    declared: Measurement,
) -> Ratio:
    """Reads an aggregate of the columns of `weighted_names`."""

    def summed(part: Expression, wanted: str) -> str | None:
        """Returns the field whose product or weight is summed."""
        match part:
            case Call(function="sum", arguments=(Name(text=name),)):
                field, what = names.get(name, ("", ""))
                return field if what == wanted else None
        return None

    expression = unwrapped(expression)
    if isinstance(expression, BinaryOperation) and expression.sign == "/":
        field = summed(expression.left, PRODUCT)
        if field and field == summed(expression.right, WEIGHT):
            return Ratio(Pick(field, "mean"))
    if field := summed(expression, WEIGHT):
        return Ratio(Pick(field, "weight"))
    plain = {name for name, (_, what) in names.items() if not what}
    if isinstance(expression, Call) and expression.arguments:
        first = expression.arguments[0]
        if isinstance(first, Name) and first.text not in plain:
            raise NotSupported(
                f'{describe([expression])}: the subquery has no column "{first.text}"'
            )
    return of_rows(expression, declared)


def _check_weight(declared: Measurement, field: str, weight: str) -> None:
    if declared.field(field).weight != weight:
        raise NotSupported(
            f'"{field}" has no weight "{weight}" in the catalogue of {declared.name}'
        )
