"""Answers a `Query` from roll-ups in InfluxDB and the rows beside them. Pure.

`pieces` divides the range: whole days, then hours, and rows for what is left at the
ends and for buckets that are out of date. Each is asked for parts (`n`, `sum`, `max` …)
that `Merged` adds up, so the answer is that of the rows. Percentiles of rows have no
parts: they are read from rows (`of_rows`), those of means from the five-minute means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from collectors.store.influxql import (
    Grafana,
    between,
    grouped,
    identifier,
    percentiles_of,
    render,
    source,
)
from collectors.store.query import (
    Pick,
    Query,
    Row,
    means_query,
    value_converter,
)
from collectors.store.rolled_measurements import (
    HOUR,
    HOUR_MS,
    STEPS_MS,
    RolledField,
    answering_steps,
    parts_of,
    rolled_steps,
)
from probes.wire.catalogue import Measurement
from probes.wire.sample import Value

Span = tuple[int, int]
CompleteSpans = Callable[[str, Span], list[Span]]
# A shorter range has few rows, and one query of them is quicker than three.
_LEAST_MS = 6 * HOUR_MS
_PARTS_OF_ROWS = {"n": "count", "product": "mean"}


class Piece(msgspec.Struct, frozen=True):
    """A part of a range. `step`: the roll-up that it is read from; "" for rows."""

    step: str
    from_ms: int
    to_ms: int


def of_rows(query: Query, declared: Measurement) -> tuple[Pick, ...]:
    """Returns the picks that no roll-up answers as the rows do."""
    is_identified = set(declared.identity) <= set(query.group_by)
    return tuple(
        pick
        for pick in query.picks
        if parts_of(pick, declared) is None
        # A roll-up does not know which of several series had the latest value.
        or (pick.aggregate == "last" and not is_identified)
    )


def pieces(
    query: Query, declared: Measurement, complete: CompleteSpans, now_ms: int
) -> list[Piece]:
    """Returns what `query` is read from, in the order of time. `complete`: the parts of
    a span whose buckets of a step are complete. A bucket that is not over is not."""
    span = query.from_ms, query.to_ms
    if span[1] - span[0] < _LEAST_MS:
        return [Piece("", *span)]
    steps = [
        step
        for step, length in rolled_steps(declared).items()
        if query.every_ms is None or query.every_ms % length == 0
    ]
    if HOUR in steps and "5m" in steps:
        steps.remove("5m")
    return _divided(span, steps, complete, now_ms)


def _divided(
    span: Span, steps: list[str], complete: CompleteSpans, now_ms: int
) -> list[Piece]:
    if not steps:
        return [Piece("", *span)]
    *shorter, longest = steps
    length = STEPS_MS[longest]
    over = span[0], min(span[1], now_ms - now_ms % length)
    found: list[Piece] = []
    begin = span[0]
    for first, last in complete(longest, over) if over[0] < over[1] else ():
        if begin < first:
            found += _divided((begin, first), shorter, complete, now_ms)
        found.append(Piece(longest, first, last))
        begin = last
    if begin < span[1]:
        found += _divided((begin, span[1]), shorter, complete, now_ms)
    return found


def means_pieces(
    query: Query, declared: Measurement, complete: CompleteSpans, now_ms: int
) -> list[Piece]:
    """Returns what percentiles of means are read from: the means of each step that are
    kept, and rows. Steps are not divided: one that `query` begins or ends in is of
    rows."""
    span = query.from_ms, query.to_ms
    steps = [
        step
        for step, length in answering_steps(query, declared).items()
        if length == query.mean_step_ms and step in rolled_steps(declared)
    ]
    # The means that are kept are those of each series. (A port that is described anew
    # is another series: those five minutes count twice.)
    if not set(query.group_by) >= set(declared.identity):
        steps = []
    return _divided(span, steps, complete, now_ms)


def means_text(query: Query, declared: Measurement, found: list[Piece]) -> str:
    """Returns the InfluxQL of percentiles of the means in `means_pieces`."""
    if [piece.step for piece in found] == [""]:
        return render(query, declared)
    if len(found) == 1:
        times = between(query.from_ms, query.to_ms)
        return render(query, declared, Grafana(times, "", step=found[0].step))
    by_tags = grouped("", query.group_by, "none")
    fields = dict.fromkeys(pick.field for pick in query.picks)
    kept = ", ".join(
        f"{identifier(f'{name}_mean')} AS {identifier(f'{name}_mean')}"
        for name in fields
    )
    texts = [
        f"SELECT {kept} FROM {_rolled_source(query, declared, piece)}{by_tags}"
        if piece.step
        else render(means_query(_within(query, piece)), declared)
        for piece in found
    ]
    begin = query.from_ms - query.from_ms % (query.mean_step_ms or 1)
    return (
        f"SELECT {percentiles_of(query, 'mean')}"
        f" FROM {', '.join(f'({text})' for text in texts)}"
        f" WHERE {between(begin, query.to_ms)}{by_tags}"
    )


def _within(query: Query, piece: Piece) -> Query:
    return msgspec.structs.replace(query, from_ms=piece.from_ms, to_ms=piece.to_ms)


def _rolled_source(query: Query, declared: Measurement, piece: Piece) -> str:
    times = between(piece.from_ms, piece.to_ms)
    return source(query, declared, times, Grafana(step=piece.step))


def rolled_parts(query: Query, declared: Measurement) -> tuple[RolledField, ...]:
    """Returns the parts that all picks of `query` are calculated from."""
    return tuple(
        dict.fromkeys(
            part for pick in query.picks for part in parts_of(pick, declared) or ()
        )
    )


def rolled_text(query: Query, declared: Measurement, piece: Piece) -> str:
    """Returns the InfluxQL of the parts of a piece that is rolled up."""
    parts = rolled_parts(query, declared)
    columns = ", ".join(
        f"{part.merged_by}({identifier(part.name)}) AS {identifier(part.name)}"
        for part in parts
    )
    rows = _rolled_source(query, declared, piece)
    every = f"{query.every_ms}ms" if query.every_ms else ""
    return f"SELECT {columns} FROM {rows}" + grouped(every, query.group_by, "none")


def rows_query(query: Query, declared: Measurement, piece: Piece) -> Query:
    """Returns the query of the parts of a piece that is read from rows."""
    picks: dict[Pick, None] = {}
    for part in rolled_parts(query, declared):
        name = _PARTS_OF_ROWS.get(part.part, part.part)
        picks[Pick(part.field, name)] = None  # type: ignore[arg-type]
        if part.part == "product":
            picks[Pick(part.field, "weight")] = None
    return msgspec.structs.replace(_within(query, piece), picks=tuple(picks))


def parts_of_row(row: Row, parts: Iterable[RolledField]) -> dict[str, Value]:
    """Returns the parts in a row of `rows_query`."""
    values: dict[str, Value] = {}
    for part in parts:
        name = f"{part.field}_{_PARTS_OF_ROWS.get(part.part, part.part)}"
        value = row.values.get(name)
        if part.part == "product" and value is not None:
            value = float(value) * float(row.values.get(f"{part.field}_weight", 0))
        if value is not None:
            values[part.name] = value
    return values


@dataclass
class Merged:
    """Parts of one query, added piece by piece in the order of time."""

    query: Query
    declared: Measurement
    parts: tuple[RolledField, ...] = field(init=False)
    _groups: dict[tuple[object, ...], tuple[Row, dict[str, Value]]] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        self.parts = rolled_parts(self.query, self.declared)

    def add(
        self, time_ms: int | None, tags: Mapping[str, str], parts: Mapping[str, Value]
    ) -> None:
        key = (time_ms, *(tags[tag] for tag in self.query.group_by))
        row = Row(time_ms, dict(tags), {})
        _, known = self._groups.setdefault(key, (row, {}))
        for part in self.parts:
            value, before = parts.get(part.name), known.get(part.name)
            if value is None:
                continue
            known[part.name] = (
                value if before is None else _merge(part.merged_by, before, value)
            )

    def rows(self) -> list[Row]:
        """Returns the answer's rows; values that are absent are in none of them."""
        picks = [
            (
                pick,
                parts_of(pick, self.declared) or (),
                value_converter(pick, self.declared),
            )
            for pick in self.query.picks
        ]
        answer = []
        for row, known in self._groups.values():
            values: dict[str, Value] = {}
            for pick, parts, convert in picks:
                of_pick = [known.get(part.name) for part in parts]
                value = _value(of_pick, pick.aggregate in ("count", "weight"))
                if value is not None:
                    values[pick.name] = convert(value)
            if values:
                answer.append(msgspec.structs.replace(row, values=values))
        return answer


def _merge(how: str, before: Value, value: Value) -> Value:
    if how == "last":
        return value
    if isinstance(before, str) or isinstance(value, str):
        raise TypeError(f"texts have no {how}")
    if how == "min":
        return min(before, value)
    return max(before, value) if how == "max" else before + value


def _value(parts: list[Value | None], is_count: bool) -> Value | None:
    """Returns the dividend divided by the divisor, or the only part; None if a part
    is absent."""
    present = [part for part in parts if part is not None]
    if len(present) < len(parts):
        return None
    if len(present) == 1:
        return present[0] if present[0] or not is_count else None
    dividend, divisor = map(float, present)
    return dividend / divisor if divisor else None
