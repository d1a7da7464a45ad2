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

from collectors.store.influxql import Grafana, grouped, identifier, render, source
from collectors.store.query import (
    PERCENTILES,
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
    found = _divided(span, steps, complete, now_ms)
    return sorted(found, key=lambda piece: piece.from_ms)


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
    tags, step_ms = query.group_by, query.mean_step_ms or 1
    if [piece.step for piece in found] == [""]:
        return render(query, declared)
    if len(found) == 1:
        times = f"time >= {query.from_ms}ms AND time < {query.to_ms}ms"
        rows = source(query, declared, times, Grafana(step=found[0].step))
        return f"SELECT {_percentiles(query, '_mean')} FROM {rows}" + grouped(
            "", tags, "none"
        )
    fields = dict.fromkeys(pick.field for pick in query.picks)
    texts = []
    for piece in found:
        own = msgspec.structs.replace(query, from_ms=piece.from_ms, to_ms=piece.to_ms)
        if not piece.step:
            texts.append(render(means_query(own), declared))
            continue
        times = f"time >= {piece.from_ms}ms AND time < {piece.to_ms}ms"
        rows = source(own, declared, times, Grafana(step=piece.step))
        kept = ", ".join(
            f"{identifier(f'{name}_mean')} AS {identifier(f'{name}_mean')}"
            for name in fields
        )
        texts.append(f"SELECT {kept} FROM {rows}" + grouped("", tags, "none"))
    begin = query.from_ms - query.from_ms % step_ms
    return (
        f"SELECT {_percentiles(query, '_mean')}"
        f" FROM {', '.join(f'({text})' for text in texts)}"
        f" WHERE time >= {begin}ms AND time < {query.to_ms}ms"
        + grouped("", tags, "none")
    )


def _percentiles(query: Query, suffix: str) -> str:
    return ", ".join(
        f"percentile({identifier(pick.field + suffix)}, {PERCENTILES[pick.aggregate]})"
        f" AS {identifier(pick.name)}"
        for pick in query.picks
    )


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
    times = f"time >= {piece.from_ms}ms AND time < {piece.to_ms}ms"
    rows = source(query, declared, times, Grafana(step=piece.step))
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
    return msgspec.structs.replace(
        query, picks=tuple(picks), from_ms=piece.from_ms, to_ms=piece.to_ms
    )


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
            (pick, parts_of(pick, self.declared) or (), self._converter(pick))
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

    def _converter(self, pick: Pick) -> Callable[[Value], Value]:
        return value_converter(pick, self.declared)


def _merge(how: str, before: Value, value: Value) -> Value:
    if how == "last":
        return value
    if isinstance(before, str) or isinstance(value, str):
        raise TypeError(f"texts have no {how}")
    if how == "min":
        return min(before, value)
    return max(before, value) if how == "max" else before + value


def _value(parts: list[Value | None], is_count: bool) -> Value | None:
    """Returns the dividend by the divisor, or the only part; nothing of nothing."""
    present = [part for part in parts if part is not None]
    if len(present) < len(parts):
        return None
    if len(present) == 1:
        return present[0] if present[0] or not is_count else None
    dividend, divisor = map(float, present)
    return dividend / divisor if divisor else None
