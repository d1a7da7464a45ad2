"""`Query`: the query of a store, as a value that `influxql` and `duckdb_sql` render.

It means the same on every store:
- Time is UTC; ranges and buckets are half-open `[from, to)`; buckets start at
  multiples of `every_ms` since 1970; an empty bucket is absent from the answer.
- `p50`, `p95`, `p99` are nearest-rank percentiles: the value at rank n·p/100, halves
  rounded up, of n values in ascending order. They are always measured values.
- `last` is the value with the latest time. If several series of one group have values
  at that time it is one of them, so group by identity if that matters.
- `sum` of integers is defined within 64 bits.
- The `mean` of a field with a `weight` in the catalogue is weighted: the sum of value
  times weight divided by the sum of weights, over rows that have both. `weight` is that
  sum of weights, such as the number of calls, so that means can be merged. Each value
  of a field without a weight counts 1. If the sum of weights is 0, both are absent.
- Absent values do not count, and a count of nothing is absent, not 0. A tag that a row
  does not have is the empty text. `Where` without values matches no row.
- A row of the answer is one group in one bucket. Its `time_ms` is the start of the
  bucket (None without buckets), which may be before `from_ms`. Rows are in the order of
  their tags (as in `group_by`), then of time. `mean` and `weight` are floats, `count`
  is an integer, and other values have the type of their field.
- With `spans` the buckets are those spans, which are ordered and do not overlap,
  instead of multiples of `every_ms`. Rows between them do not count.
- With `selections` only rows in one of them count. They are ordered and do not overlap,
  and each edge is that of a bucket, or of the query.
- With `mean_step_ms` percentiles are of means: of the mean of each group in steps of
  that length, as suppliers bill by five minutes. Whole days come from roll-ups.
- With `highest` only some groups are in the answer: those of the subjects (each is the
  values of its tags `of`) with the highest values, so many for each value of the tag
  `within`. A subject's value is the highest of all picks of its groups. Subjects that
  are equal to the last are in the answer too.
- (measurement, tags, time) is one row. The value of each field that was written last
  replaces earlier ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from collectors.batch import Batch
from probes.wire.catalogue import Catalogue, Measurement, Misfit, UnknownName
from probes.wire.sample import Value

Aggregate = Literal[
    "mean", "min", "max", "sum", "count", "last", "p50", "p95", "p99", "weight"
]


PERCENTILES: dict[str, int] = {"p50": 50, "p95": 95, "p99": 99}


class Pick(msgspec.Struct, frozen=True):
    """One column of the answer: an aggregate of a field."""

    field: str
    aggregate: Aggregate = "mean"

    @property
    def name(self) -> str:
        """The column's name in every answer, such as `in_bps_p95`."""
        return f"{self.field}_{self.aggregate}"


class Where(msgspec.Struct, frozen=True):
    """Rows whose tag is (or, with `negate`, is not) one of `values`.

    With `pattern` it is the tags in which that regular expression (RE2) matches
    somewhere instead, and `values` is empty.
    """

    tag: str
    values: tuple[str, ...]
    negate: bool = False
    pattern: str = ""


class Highest(msgspec.Struct, frozen=True):
    """The `count` highest subjects of each value of the tag `within`, each the values
    of the tags `of`."""

    count: int
    within: str
    of: tuple[str, ...]


class SelectedSpan(msgspec.Struct, frozen=True):
    """Rows in `[from_ms, to_ms)` whose tag is one of `values`."""

    from_ms: int
    to_ms: int
    tag: str
    values: tuple[str, ...]

    @property
    def where(self) -> Where:
        return Where(self.tag, self.values)


class Query(msgspec.Struct, frozen=True):
    """A query of `[from_ms, to_ms)`, in buckets if `every_ms` or `spans` are given.

    `spans` are half-open (from, to) in ms. The first starts at `from_ms` and the last
    ends at `to_ms`.
    """

    measurement: str
    picks: tuple[Pick, ...]
    from_ms: int
    to_ms: int
    where: tuple[Where, ...] = ()
    group_by: tuple[str, ...] = ()
    every_ms: int | None = None
    mean_step_ms: int | None = None
    spans: tuple[tuple[int, int], ...] = ()
    highest: Highest | None = None
    selections: tuple[SelectedSpan, ...] = ()

    @property
    def has_buckets(self) -> bool:
        return bool(self.every_ms or self.spans)

    @property
    def asked_spans(self) -> tuple[tuple[int, int], ...]:
        """The spans whose rows count: all others are between them."""
        selected = tuple((one.from_ms, one.to_ms) for one in self.selections)
        return self.spans or selected or ((self.from_ms, self.to_ms),)


class Row(msgspec.Struct, frozen=True):
    """One group in one bucket. `values` has only the values that are present."""

    time_ms: int | None
    tags: dict[str, str]
    values: dict[str, Value]


class Store(Protocol):
    """A store: writes batches idempotently and answers queries."""

    async def write(self, batches: list[Batch]) -> None: ...

    async def query(self, query: Query) -> list[Row]: ...


def check_query(query: Query, catalogue: Catalogue) -> None:
    """Raises `Misfit` with one sentence if `query` does not fit the catalogue."""
    try:
        declared = catalogue.measurement(query.measurement)
        if not query.picks:
            raise Misfit(f"a query of {query.measurement!r} picks nothing")
        for pick in query.picks:
            field = declared.field(pick.field)
            if field.type == "str" and pick.aggregate not in ("last", "count"):
                raise Misfit(
                    f"{query.measurement}.{pick.field} is text: "
                    f"only last and count are defined, not {pick.aggregate}"
                )
        for tag in (
            *query.group_by,
            *(where.tag for where in query.where),
            *(selection.tag for selection in query.selections),
        ):
            declared.tag(tag)
        if len({pick.name for pick in query.picks}) < len(query.picks):
            raise Misfit(
                f"a query of {query.measurement!r} picks the same column twice"
            )
    except UnknownName as unknown:
        raise Misfit(str(unknown)) from None
    if query.mean_step_ms is not None and (
        query.mean_step_ms <= 0
        or query.has_buckets
        or any(
            p.aggregate not in PERCENTILES or _has_weight(p, declared)
            for p in query.picks
        )
    ):
        raise Misfit(
            f"a query of {query.measurement!r} with mean_step_ms = "
            f"{query.mean_step_ms}: expected percentiles of numbers without a weight, "
            "and no buckets"
        )
    if query.highest and (
        query.has_buckets
        or query.highest.count < 1
        or not {query.highest.within, *query.highest.of} <= set(query.group_by)
        or any(declared.field(pick.field).type == "str" for pick in query.picks)
    ):
        raise Misfit(
            f"a query of {query.measurement!r} of the highest: expected numbers, tags "
            "that it groups by, and no buckets"
        )
    if query.to_ms <= query.from_ms:
        raise Misfit(f"a query of {query.measurement!r} ends before it begins")
    if query.every_ms is not None and query.every_ms <= 0:
        raise Misfit(f"a query of {query.measurement!r} has buckets without length")
    if query.spans and not _are_valid_spans(query):
        raise Misfit(
            f"a query of {query.measurement!r} has spans: expected each to start after "
            "the one before, the first at from_ms, the last to end at to_ms, and no "
            "every_ms"
        )
    if query.selections and not _are_valid_selections(query):
        raise Misfit(
            f"a query of {query.measurement!r} has selections: expected buckets of "
            "every_ms, and each selection to start where a bucket does, after the one "
            "before"
        )


def weight_field(pick: Pick, declared: Measurement) -> str:
    """Returns the field that `pick` is weighted by; empty if there is none."""
    if pick.aggregate not in ("mean", "weight"):
        return ""
    return declared.field(pick.field).weight


def field_types(query: Query, declared: Measurement) -> dict[str, str]:
    """Returns name -> type of every field that `query` reads, including weights."""
    names = {pick.field: None for pick in query.picks}
    names |= {
        weight: None for p in query.picks if (weight := weight_field(p, declared))
    }
    return {name: declared.field(name).type for name in names}


def means_query(query: Query) -> Query:
    """Returns the query of the means that a query with `mean_step_ms` is based on."""
    picks = {pick.field: Pick(pick.field, "mean") for pick in query.picks}
    return msgspec.structs.replace(
        query,
        picks=tuple(picks.values()),
        every_ms=query.mean_step_ms,
        mean_step_ms=None,
        highest=None,
    )


def counts_query(query: Query) -> Query | None:
    """Returns the query of how many values the percentiles of `query` are of; None if
    it has none, or those of means."""
    fields = {p.field: None for p in query.picks if p.aggregate in PERCENTILES}
    if not fields or query.mean_step_ms:
        return None
    picks = tuple(Pick(field, "count") for field in fields)
    return msgspec.structs.replace(query, picks=picks, highest=None)


def _are_valid_spans(query: Query) -> bool:
    edges = [edge for span in query.spans for edge in span]
    return (
        query.every_ms is None
        and all(begin < end for begin, end in query.spans)
        and edges == sorted(edges)
        and (edges[0], edges[-1]) == (query.from_ms, query.to_ms)
    )


def _are_valid_selections(query: Query) -> bool:
    if not query.every_ms:
        return False
    edges = [edge for one in query.selections for edge in (one.from_ms, one.to_ms)]
    ends = {query.from_ms, query.to_ms}
    return (
        all(one.from_ms < one.to_ms for one in query.selections)
        and edges == sorted(edges)
        and query.from_ms <= edges[0]
        and edges[-1] <= query.to_ms
        and not any(edge % query.every_ms for edge in edges if edge not in ends)
    )


def _has_weight(pick: Pick, declared: Measurement) -> bool:
    return bool(declared.field(pick.field).weight)


def sort_rows(rows: list[Row], query: Query) -> list[Row]:
    """Returns `rows` in the order of every store's answers."""
    return sorted(
        rows,
        key=lambda row: (
            [row.tags.get(tag, "") for tag in query.group_by],
            -1 if row.time_ms is None else row.time_ms,
        ),
    )


def value_converter(
    pick: Pick, declared: Measurement, of_means: bool = False
) -> Callable[[Value], Value]:
    """Returns the function that converts a value to the type of `pick`'s answer.

    `of_means`: the query has `mean_step_ms`.
    """
    if pick.aggregate == "count":
        return int
    is_real = of_means or pick.aggregate in ("mean", "weight")
    kind = "float" if is_real else declared.field(pick.field).type
    return {"float": float, "int": int}.get(kind, str)
