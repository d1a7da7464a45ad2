"""Reads a SELECT of InfluxQL as a `Query` and how its answer is to be shown. Pure.

This is the reverse of `influxql.render` and of the forms of `influxql_ranges`: what
those write is read back as the same `Query`. Beyond it, only what has the same meaning
in a `Query` is read, such as the SELECTs of Grafana's query editor. Anything else is
refused in words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from collectors.store import influxql_columns
from collectors.store.influxql_columns import SUBQUERIES, Ratio, unwrapped
from collectors.store.influxql_conditions import (
    NotSupported,
    describe,
    read_conditions,
    without_guards,
)
from collectors.store.influxql_selection import Output, Selection, make_selection
from collectors.store.influxql_syntax import (
    BinaryOperation,
    Call,
    Column,
    Expression,
    Limits,
    Name,
    Number,
    Select,
)
from collectors.store.query import PERCENTILES, Pick, check_query
from probes.wire.catalogue import Catalogue, Measurement, Misfit, UnknownName

_MOST_TOP = 1000


def read_select(select: Select, catalogue: Catalogue, now_ms: int) -> Selection:
    """Returns what a SELECT asks for. Raises `NotSupported` in words."""
    try:
        return _read(select, catalogue, now_ms)
    except (Misfit, UnknownName) as error:
        raise NotSupported(str(error)) from None


def _read(select: Select, catalogue: Catalogue, now_ms: int) -> Selection:
    if isinstance(select.source, str):
        return _from_measurement(select, catalogue, now_ms)
    first = select.source[0]
    if _is_top(first):
        return _from_top(select, first, catalogue, now_ms)
    if len(select.source) > 1:
        return _from_ranges(select, catalogue, now_ms)
    if _is_weighted(first):
        return _from_weighted(select, first, catalogue, now_ms)
    return _from_means(select, first, catalogue, now_ms)


def _from_measurement(select: Select, catalogue: Catalogue, now_ms: int) -> Selection:
    assert isinstance(select.source, str)
    rolled = influxql_columns.rolled_measurement(select.source, catalogue)
    declared = rolled or catalogue.measurement(select.source)
    read = influxql_columns.of_roll_up if rolled else influxql_columns.of_rows
    outputs = list(_outputs(select, declared, lambda part: read(part, declared)))
    conditions = read_conditions(select.where, now_ms)
    return make_selection(select, declared.name, outputs, conditions, catalogue, now_ms)


def _is_weighted(source: Select) -> bool:
    """Whether a subquery only multiplies fields of rows by their weights."""
    return not source.every_ns and not any(
        isinstance(part, Call)
        for column in source.columns
        for part in _parts(column.expression)
    )


def _from_weighted(
    select: Select, source: Select, catalogue: Catalogue, now_ms: int
) -> Selection:
    """Reads a weighted mean: `render` sums values times weights in a subquery."""
    if not isinstance(source.source, str) or source.tags or source.limits != Limits():
        raise NotSupported(f"this subquery is not supported; {SUBQUERIES}")
    declared = catalogue.measurement(source.source)
    names = dict(influxql_columns.weighted_names(source, declared))
    outputs = list(
        _outputs(
            select,
            declared,
            lambda part: influxql_columns.of_weighted(part, names, declared),
        )
    )
    conditions = read_conditions(source.where, now_ms).and_also(
        read_conditions(select.where, now_ms)
    )
    return make_selection(select, declared.name, outputs, conditions, catalogue, now_ms)


def _from_means(
    select: Select, source: Select, catalogue: Catalogue, now_ms: int
) -> Selection:
    """Reads percentiles of means, as suppliers bill by five minutes."""
    inner = _read(source, catalogue, now_ms)
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
                pick = Pick(means[name], influxql_columns.percentile_name(percent))
                outputs.append(Output(column.alias or "percentile", pick))
            case other:
                raise NotSupported(
                    f"{describe([other])} of a subquery is not supported; {SUBQUERIES}"
                )
    if select.every_ns:
        raise NotSupported("percentiles of means are not supported by time")
    if not inner.query.every_ms or set(select.tags) != set(inner.query.group_by):
        raise NotSupported(f"this subquery is not supported; {SUBQUERIES}")
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


def _from_ranges(select: Select, catalogue: Catalogue, now_ms: int) -> Selection:
    """Reads a query of rows or of roll-ups, whichever the guards choose. The embedded
    store chooses its roll-ups itself, so the rows answer it whatever the guards are."""
    assert not isinstance(select.source, str)
    source = _unguarded(select.source[0])
    conditions = read_conditions(without_guards(select.where), now_ms)
    is_same = (select.every_ns, set(select.tags)) == (source.every_ns, set(source.tags))
    if not is_same or conditions.where or source.limits != Limits():
        raise NotSupported(f"these subqueries are not supported; {SUBQUERIES}")
    inner = _read(
        msgspec.structs.replace(
            source,
            tags=select.tags,
            fill=select.fill,
            descending=select.descending,
            limits=select.limits,
            zone=select.zone,
        ),
        catalogue,
        now_ms,
    )
    by_name = {output.name: output for output in inner.outputs}
    outputs = []
    for column in select.columns:
        match column.expression:
            case Call(function="last", arguments=(Name(text=name),)) if name in by_name:
                outputs.append(
                    msgspec.structs.replace(by_name[name], name=column.alias or "last")
                )
            case Name(text=name) if name in by_name and not select.every_ns:
                outputs.append(
                    msgspec.structs.replace(by_name[name], name=column.alias or name)
                )
            case other:
                raise NotSupported(
                    f"{describe([other])} of subqueries is not supported; {SUBQUERIES}"
                )
    return msgspec.structs.replace(inner, outputs=tuple(outputs))


def _unguarded(select: Select) -> Select:
    source = select.source
    if not isinstance(source, str):
        source = tuple(map(_unguarded, source))
    return msgspec.structs.replace(
        select, source=source, where=without_guards(select.where)
    )


def _is_top(source: Select) -> bool:
    return any(
        isinstance(column.expression, Call) and column.expression.function == "top"
        for column in source.columns
    )


def _from_top(
    select: Select, source: Select, catalogue: Catalogue, now_ms: int
) -> Selection:
    """Reads the values of a tag with the largest sums of aggregates, for a variable."""
    match (select.columns, source.columns, source.source):
        case (
            (Column(expression=Name(text=wanted)),),
            (
                Column(
                    expression=Call(
                        function="top",
                        arguments=(
                            Name(text=value),
                            Name(text=tag),
                            Number(value=int(count)),
                        ),
                    )
                ),
            ),
            (ranked, *_),
        ) if wanted == tag and 0 < count <= _MOST_TOP and isinstance(ranked, Select):
            pass
        case _:
            raise NotSupported(
                "top() is supported only as SELECT tag FROM (SELECT top(value, tag, "
                f"12) FROM (SELECT … AS value … GROUP BY tag)), up to {_MOST_TOP}"
            )
    ranked = _unguarded(ranked)
    if ranked.tags != (tag,) or ranked.every_ns or len(ranked.columns) != 1:
        raise NotSupported(f"top() of this subquery is not supported; {SUBQUERIES}")
    (column,) = ranked.columns
    above_zero = BinaryOperation(">", Name(value), Number(0))
    if (
        column.alias != value
        or select.where
        or (source.where and source.where != above_zero)
    ):
        raise NotSupported(f"top() of this subquery is not supported; {SUBQUERIES}")
    terms = [Column(term, str(n)) for n, term in enumerate(_sum_of(column.expression))]
    inner = _read(
        msgspec.structs.replace(ranked, columns=tuple(terms)), catalogue, now_ms
    )
    return msgspec.structs.replace(inner, top=count, above_zero=bool(source.where))


def _sum_of(expression: Expression) -> Iterator[Expression]:
    expression = unwrapped(expression)
    if isinstance(expression, BinaryOperation) and expression.sign == "+":
        yield from _sum_of(expression.left)
        yield from _sum_of(expression.right)
    else:
        yield expression


def _parts(expression: Expression) -> Iterator[Expression]:
    """Yields an expression and all its operands."""
    expression = unwrapped(expression)
    yield expression
    if isinstance(expression, BinaryOperation):
        yield from _parts(expression.left)
        yield from _parts(expression.right)


def _outputs(
    select: Select, declared: Measurement, read: Callable[[Expression], Ratio]
) -> Iterator[Output]:
    for column in select.columns:
        yield influxql_columns.output(column, read(column.expression), declared)
