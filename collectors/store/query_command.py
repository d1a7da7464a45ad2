"""`towpath query`: makes a query from command line options, and writes its answer.

Measurements about one laptop are refused, even aggregated: the answers of several
queries can be subtracted from each other, whatever the size of the groups. What may be
known about laptops is in `experience`, whose groups are large and checked together.
Everything is pure, except `unknown_names`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import get_args

import msgspec
from rich.cells import cell_len

from collectors.estate import Estate, known_names
from collectors.json_text import json_text
from collectors.store.query import (
    Aggregate,
    Pick,
    Query,
    Row,
    Store,
    Where,
    check_query,
)
from probes.wire.catalogue import (
    Catalogue,
    Measurement,
    Misfit,
    UnknownName,
    did_you_mean,
)
from probes.wire.display import is_formula
from probes.wire.durations import parse_duration_ms


class QueryRefused(ValueError):
    """The query is not valid or not allowed; the text is one sentence."""


class QueryOptions(msgspec.Struct, frozen=True):
    """The options of `towpath query`.

    `picks` are `field` (its mean, or its last text) or `field:aggregate`. `where` are
    `tag=value` (several values of one tag are alternatives) and `tag!=value`. `every`
    is such as `5m`. `parse_time_ms` reads `from_` and `to`.
    """

    measurement: str
    picks: Sequence[str]
    where: Sequence[str] = ()
    by: Sequence[str] = ()
    every: str = ""
    from_: str = "-1h"
    to: str = "now"


def query_from_options(
    options: QueryOptions, catalogue: Catalogue, now_ms: int
) -> Query:
    """Returns the query. Raises `QueryRefused`."""
    declared = shared_measurement(options.measurement, catalogue)
    query = Query(
        options.measurement,
        tuple(_pick(text, declared) for text in options.picks),
        parse_time_ms(options.from_, now_ms),
        parse_time_ms(options.to, now_ms),
        _filters(options.where),
        tuple(options.by),
        _duration_ms(options.every) if options.every else None,
    )
    try:
        check_query(query, catalogue)
    except Misfit as misfit:
        raise QueryRefused(str(misfit)) from None
    return query


async def unknown_names(
    query: Query, rows: Sequence[Row], estate: Estate, store: Store
) -> list[str]:
    """Returns a sentence for each filter value that is not known.

    A value is known if the estate or any row of the query's time (at least a day) has
    it. Without this, a typing error would look as if nothing was measured. `rows` are
    the query's answer.
    """
    sentences: list[str] = []
    for where in query.where:
        if rows and not where.negate and len(where.values) == 1:
            continue
        known = (
            known_names.ids(estate, where.tag) if where.tag in known_names.KINDS else []
        )
        if set(where.values) <= set(known):
            continue
        day_rows = await store.query(
            msgspec.structs.replace(
                query,
                picks=(Pick(query.picks[0].field, "last"),),
                from_ms=min(query.from_ms, query.to_ms - 86_400_000),
                where=(),
                group_by=(where.tag,),
                every_ms=None,
            )
        )
        if not day_rows and not known:
            # Nothing was measured at all, which the answer shows already.
            continue
        known += [row.tags.get(where.tag, "") for row in day_rows]
        for value in where.values:
            if value in known:
                continue
            sentence = (
                known_names.unknown_name_text(estate, where.tag, value)
                if where.tag in known_names.KINDS
                else ""
            )
            hint = did_you_mean(value, known)
            sentences.append(sentence or f"no {where.tag} is called {value!r}{hint}")
    return sentences


def _duration_ms(text: str) -> int:
    """Returns the milliseconds of `5m`. Raises `QueryRefused` for anything else."""
    try:
        duration_ms = parse_duration_ms(text)
    except ValueError as error:
        raise QueryRefused(str(error)) from None
    if not duration_ms:
        raise QueryRefused(f"{text!r} is zero, expected such as 5m or 1h")
    return duration_ms


def parse_time_ms(text: str, now_ms: int) -> int:
    """Returns the time of `now`, `-6h` (before now), or an ISO 8601 date or time.

    A time without a zone is UTC. Raises `QueryRefused` for anything else.
    """
    text = text.strip()
    if text == "now":
        return now_ms
    if text.startswith("-"):
        return now_ms - _duration_ms(text[1:])
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise QueryRefused(
            f"{text!r} is not a time, expected such as 2026-11-23, "
            "2026-11-23T14:05+00:00, -6h or now"
        ) from None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return round(time.timestamp() * 1000)


def table(rows: Iterable[Row], query: Query) -> str:
    """Returns the answer as aligned columns, or as a sentence if it is empty."""
    names = columns(query)
    cells = [[_cell_text(cell) for cell in _cells(row, query)] for row in rows]
    if not cells:
        return f"{query.measurement}: nothing was measured in that time\n"
    widths = [max(map(cell_len, column)) for column in zip(names, *cells, strict=True)]
    is_left = [name == "time" or name in query.group_by for name in names]
    lines = [
        "  ".join(
            f"{cell}{' ' * (width - cell_len(cell))}"
            if left
            else f"{' ' * (width - cell_len(cell))}{cell}"
            for cell, width, left in zip(line, widths, is_left, strict=True)
        ).rstrip()
        for line in (names, ["-" * width for width in widths], *cells)
    ]
    return "\n".join(lines) + "\n"


def comma_separated(rows: Iterable[Row], query: Query) -> str:
    """Returns the answer as CSV (RFC 4180); an absent value is an empty cell."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns(query))
    for row in rows:
        writer.writerow(
            ["" if c is None else without_formula(c) for c in _cells(row, query)]
        )
    return out.getvalue()


def as_json(rows: Iterable[Row], query: Query) -> str:
    """Returns the answer as a JSON list of objects.

    Each has `time` (ISO 8601, UTC) if there are buckets, then the tags, then the picks
    that have a value.
    """
    names = columns(query)
    objects = [
        {
            name: cell
            for name, cell in zip(names, _cells(row, query), strict=True)
            if cell is not None
        }
        for row in rows
    ]
    return json_text(objects, indent=1) + "\n"


def columns(query: Query) -> list[str]:
    """Returns the names of the answer's columns."""
    first = ["time"] if query.every_ms else []
    return [*first, *query.group_by, *(pick.name for pick in query.picks)]


def shared_measurement(measurement: str, catalogue: Catalogue) -> Measurement:
    """Returns the measurement. Raises `QueryRefused` if it is about single laptops."""
    try:
        declared = catalogue.measurement(measurement)
    except UnknownName as unknown:
        raise QueryRefused(str(unknown)) from None
    if declared.personal:
        raise QueryRefused(
            f"{measurement!r} is about single laptops and is not shown here; "
            "query 'experience', where no group is too small to be shown"
        )
    return declared


def _pick(text: str, declared: Measurement) -> Pick:
    field, _, aggregate = text.partition(":")
    try:
        kind = declared.field(field).type
    except UnknownName as unknown:
        raise QueryRefused(str(unknown)) from None
    if not aggregate:
        return Pick(field, "last" if kind == "str" else "mean")
    for known in get_args(Aggregate):
        if known == aggregate:
            return Pick(field, known)
    hint = did_you_mean(aggregate, get_args(Aggregate))
    raise QueryRefused(f"no aggregate is called {aggregate!r}{hint}")


def _filters(texts: Sequence[str]) -> tuple[Where, ...]:
    values: dict[tuple[str, bool], list[str]] = {}
    for text in texts:
        tag, equals, value = text.partition("=")
        if not equals:
            raise QueryRefused(f"--where {text!r}: expected tag=value or tag!=value")
        is_not = tag.endswith("!")
        values.setdefault((tag.removesuffix("!").strip(), is_not), []).append(value)
    return tuple(Where(t, tuple(v), is_not) for (t, is_not), v in values.items())


def _cells(row: Row, query: Query) -> list[str | int | float | None]:
    first = [] if row.time_ms is None else [iso_time(row.time_ms)]
    return [
        *first,
        *(row.tags.get(tag, "") for tag in query.group_by),
        *(row.values.get(pick.name) for pick in query.picks),
    ]


def iso_time(time_ms: int) -> str:
    """Returns `2026-11-23T14:05:00Z`, with milliseconds if they are not 0."""
    time = datetime.fromtimestamp(time_ms // 1000, UTC).replace(tzinfo=None)
    fraction = f".{time_ms % 1000:03d}" if time_ms % 1000 else ""
    return f"{time.isoformat()}{fraction}Z"


def _cell_text(cell: str | int | float | None) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:.6g}" if abs(cell) < 1e6 else f"{cell:.0f}"
    return str(cell)


def without_formula(cell: str | int | float) -> str | int | float:
    """Marks text that a spreadsheet would read as a formula."""
    if isinstance(cell, str) and is_formula(cell):
        return "'" + cell
    return cell
