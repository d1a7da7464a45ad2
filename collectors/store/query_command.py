"""`towpath query`: what the words of its command line mean, and answers as text. Pure,
but for `unknown_names`.

Measurements about one laptop are refused, aggregated or not: questions asked one after
another can be subtracted from each other, whatever the size of the groups. What may
be known of them is in `experience`, whose groups are large and checked together.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import get_args

import msgspec

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
from probes.wire.durations import parse_duration_ms


class QueryRefused(ValueError):
    """The question may not be answered, or is not one. One sentence."""


def query_from_options(
    measurement: str,
    picks: Sequence[str],
    catalogue: Catalogue,
    now_ms: int,
    where: Sequence[str] = (),
    by: Sequence[str] = (),
    every: str = "",
    from_: str = "-1h",
    to: str = "now",
) -> Query:
    """The query the words of a command line mean. `QueryRefused` otherwise.

    `picks` are `field` (its mean, or last text) or `field:aggregate`; `where` are
    `tag=value` (several of one tag: any of them) and `tag!=value`; `every` is `5m`;
    times are as `moment` reads them.
    """
    declared = shared_measurement(measurement, catalogue)
    query = Query(
        measurement,
        tuple(_pick(text, declared) for text in picks),
        parse_time_ms(from_, now_ms),
        parse_time_ms(to, now_ms),
        _wheres(where),
        tuple(by),
        _duration_ms(every) if every else None,
    )
    try:
        check_query(query, catalogue)
    except Misfit as misfit:
        raise QueryRefused(str(misfit)) from None
    return query


async def unknown_names(
    asked: Query, rows: Sequence[Row], estate: Estate, store: Store
) -> list[str]:
    """A sentence for each value in the question's filters that neither the estate has
    nor any row of its time (a day at least): a typing error would read as "nothing was
    measured". `rows` are its answer."""
    found: list[str] = []
    for where in asked.where:
        if rows and not where.negate and len(where.values) == 1:
            continue
        known = (
            known_names.ids(estate, where.tag) if where.tag in known_names.KINDS else []
        )
        if set(where.values) <= set(known):
            continue
        seen = await store.query(
            msgspec.structs.replace(
                asked,
                picks=(Pick(asked.picks[0].field, "last"),),
                from_ms=min(asked.from_ms, asked.to_ms - 86_400_000),
                where=(),
                group_by=(where.tag,),
                every_ms=None,
            )
        )
        if not seen and not known:
            # Nothing was measured at all: that is said, and is another thing.
            continue
        known += [row.tags.get(where.tag, "") for row in seen]
        for value in where.values:
            if value in known:
                continue
            says = (
                known_names.unknown_name_text(estate, where.tag, value)
                if where.tag in known_names.KINDS
                else ""
            )
            hint = did_you_mean(value, known)
            found.append(says or f"no {where.tag} is called {value!r}{hint}")
    return found


def _duration_ms(text: str) -> int:
    """Returns the milliseconds of `5m`. Raises `QueryRefused` for anything else."""
    try:
        duration_ms = parse_duration_ms(text)
    except ValueError as error:
        raise QueryRefused(str(error)) from None
    if not duration_ms:
        raise QueryRefused(f"{text!r} is no time at all, expected such as 5m or 1h")
    return duration_ms


def parse_time_ms(text: str, now_ms: int) -> int:
    """`now`, `-6h` (before now), or an ISO 8601 date or time (UTC where it names no
    zone), in ms. `QueryRefused` for anything else."""
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
    """Aligned columns for a person; one sentence where there is nothing."""
    names = columns(query)
    cells = [[_shown(cell) for cell in _cells(row, query)] for row in rows]
    if not cells:
        return f"{query.measurement}: nothing was measured in that time\n"
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    is_left = [name == "time" or name in query.group_by for name in names]
    lines = [
        "  ".join(
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(line, widths, is_left, strict=True)
        ).rstrip()
        for line in (names, ["-" * width for width in widths], *cells)
    ]
    return "\n".join(lines) + "\n"


def comma_separated(rows: Iterable[Row], query: Query) -> str:
    """CSV (RFC 4180) with a line of names; an absent value is an empty cell."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns(query))
    for row in rows:
        writer.writerow(
            ["" if c is None else without_formula(c) for c in _cells(row, query)]
        )
    return out.getvalue()


def as_json(rows: Iterable[Row], query: Query) -> str:
    """A JSON list of objects: `time` (ISO 8601, UTC; where there are buckets), then
    the tags, then the picks that were there."""
    names = columns(query)
    found = [
        {
            name: cell
            for name, cell in zip(names, _cells(row, query), strict=True)
            if cell is not None
        }
        for row in rows
    ]
    return json_text(found, indent=1) + "\n"


def columns(query: Query) -> list[str]:
    """The names of the answer's columns."""
    first = ["time"] if query.every_ms else []
    return [*first, *query.group_by, *(pick.name for pick in query.picks)]


def shared_measurement(measurement: str, catalogue: Catalogue) -> Measurement:
    """The measurement of that name. Raises `QueryRefused` if it is about single
    laptops."""
    try:
        declared = catalogue.measurement(measurement)
    except UnknownName as unknown:
        raise QueryRefused(str(unknown)) from None
    if declared.personal:
        raise QueryRefused(
            f"{measurement!r} is about single laptops and is not shown here; "
            "ask for 'experience', where no group is too small to be shown"
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


def _wheres(texts: Sequence[str]) -> tuple[Where, ...]:
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
    """2026-11-23T14:05:00Z, with milliseconds where there are some."""
    time = datetime.fromtimestamp(time_ms // 1000, UTC).replace(tzinfo=None)
    fraction = f".{time_ms % 1000:03d}" if time_ms % 1000 else ""
    return f"{time.isoformat()}{fraction}Z"


def _shown(cell: str | int | float | None) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:.6g}" if abs(cell) < 1e6 else f"{cell:.0f}"
    return str(cell)


def without_formula(cell: str | int | float) -> str | int | float:
    """Text that a spreadsheet would take for a formula is marked as text."""
    if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + cell
    return cell
