"""The SELECTs that answer high percentiles by the tops of days and of months
(`day_tops`, `month_tops`). Pure."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from collectors.store import duckdb_sql
from collectors.store.day_tops import daily_bound
from collectors.store.duckdb_sql import TIME, literal, name
from collectors.store.file_layout import DAY_MS
from collectors.store.percentile_sql import kept, rank_sql
from collectors.store.query import Query
from collectors.store.top_forms import (
    TopForm,
    fields_of,
    known_form,
    lowest_percent,
    most_kept,
    percent_of,
)
from probes.wire.catalogue import Measurement


class TopSources(NamedTuple):
    """The files of months and of their lists; those of the days that are in no month;
    and the SELECT of all values of other days ("": there are none)."""

    months: Sequence[str]
    lists: Sequence[str]
    days: Sequence[str]
    means: str


class SoughtGroup(NamedTuple):
    """A group, a value for each field that none of its percentiles is below, and for
    each pick how many values from the highest on it is (None: it has no values)."""

    tags: tuple[str, ...]
    floors: tuple[float | None, ...]
    ranks: tuple[int | None, ...]


def render_most(query: Query, declared: Measurement, sources: TopSources) -> str:
    """Returns the SELECT of how many values the group has that has the most."""
    fields, keys = fields_of(query), _keys(query)
    counts = ", ".join(f"{name(f'{f}:n')} AS {name(f)}" for f in fields)
    parts = [
        f"SELECT {keys}, {counts} FROM ({rows})"
        for rows in _counted(query, declared, sources)
    ]
    if sources.means:
        counts = ", ".join(f"count({name(f)})" for f in fields)
        parts.append(
            f"SELECT {keys}, {counts} FROM {_named(query, sources.means)} GROUP BY ALL"
        )
    sums = ", ".join(f"coalesce(sum({name(f)}), 0)" for f in fields)
    return (
        f"SELECT max(n) FROM (SELECT {keys}, greatest({sums}) AS n"
        f" FROM ({' UNION ALL '.join(parts)}) GROUP BY {keys})"
    )


def render_outlines(
    query: Query,
    declared: Measurement,
    sources: TopSources,
    most: int,
    groups: Sequence[SoughtGroup] | None = None,
) -> str:
    """Returns the SELECT of what is known of each group (of `groups`) without its
    lists. `most`: no group has more values.

    After the tags of `group_by` it has for each field how many values there are; two
    values between which the percentiles are, of which the first is NULL if it is not
    known; the highest value that is in no list; the highest that is in no list of a
    busy row; and how many values may be above the first besides those above the lowest
    percentile. If no day or month has more than 5 % of its values above the second,
    all together have not.

    There are at least so many values from each mark to the one before as they are
    apart. So there are enough values from the mark that is chosen on. Above it, each
    list has fewer than one part more than its marks there; a list that is not marked
    may have all its values there. If there are months, the days are not marked.
    """
    form, keys, fields = known_form(declared), _keys(query), fields_of(query)
    apart = form.month_apart if sources.months else form.apart
    parts = [_marked_days(query, declared, sources, form)]
    if sources.months:
        parts.append(_marked_months(query, declared, sources, form))
    if sources.means:
        daily = ", ".join(
            f"count({f}), NULL, {daily_bound(form, f)}, NULL, NULL, count({f})"
            for f in map(name, fields)
        )
        parts.append(
            f"SELECT {keys}, {daily} FROM {_named(query, sources.means)}"
            f" GROUP BY {keys}, moment // {DAY_MS}"
        )
    outline = ", ".join(
        f"CAST(sum({n}) AS BIGINT),"
        f" max({name(f'{f}:mark')}, {-(-most_kept(query, f, most) // apart)})"
        f"[CAST(({place} + {apart - 1}) // {apart} AS BIGINT)],"
        f" max({name(f'{f}:bound')}), max({name(f'{f}:next')}),"
        f" max({name(f'{f}:high')}), CAST(sum({name(f'{f}:spare')}) AS BIGINT)"
        for f in fields
        for n in (name(f"{f}:n"),)
        for place in (
            f"sum({n}) - {rank_sql(f'sum({n})', lowest_percent(query, f))} + 1",
        )
    )
    some = (
        ""
        if groups is None
        else f" SEMI JOIN ({_sought(query, groups)}) USING ({keys})"
    )
    return (
        f"SELECT {keys}, {outline} FROM ({' UNION ALL '.join(parts)}){some}"
        f" GROUP BY {keys}"
    )


def _marked_days(
    query: Query, declared: Measurement, sources: TopSources, form: TopForm
) -> str:
    marks, columns = form.marks, []
    for f in fields_of(query):
        n, unlisted = name(f"{f}:n"), name(f"{f}:next")
        high = f"CASE WHEN busy THEN {unlisted} ELSE {name(f'{f}:high')} END"
        if sources.months:
            spare = f"least({n}, {form.kept})"
            columns += [n, "NULL", name(f"{f}:bound"), unlisted, high, spare]
        else:
            columns += _unnested(f, n, marks, unlisted, high, str(form.apart - 1))
    return _outlined(query, columns, day_rows(query, declared, sources.days))


def _marked_months(
    query: Query, declared: Measurement, sources: TopSources, form: TopForm
) -> str:
    columns = []
    for f in fields_of(query):
        n, unlisted = name(f"{f}:n"), name(f"{f}:next")
        spare = str(form.month_apart - 1)
        columns += _unnested(f, n, form.month_marks, unlisted, unlisted, spare)
    return _outlined(query, columns, month_rows(query, declared, sources.months))


def _unnested(
    field: str, n: str, marks: Sequence[int], unlisted: str, high: str, spare: str
) -> list[str]:
    """Returns the columns of a row for each mark, of which one has the counts."""
    zeros = ", 0" * (len(marks) - 1)
    listed = ", ".join(name(f"{field}:{mark}") for mark in marks)
    return [
        f"unnest([{n}{zeros}])",
        f"unnest([{listed}])",
        name(f"{field}:bound"),
        unlisted,
        high,
        f"unnest([{spare}{zeros}])",
    ]


def _outlined(query: Query, columns: Sequence[str], rows: str) -> str:
    parts = ("n", "mark", "bound", "next", "high", "spare")
    names = [name(f"{f}:{part}") for f in fields_of(query) for part in parts]
    listed = ", ".join(f"{c} AS {n}" for c, n in zip(columns, names, strict=True))
    return f"SELECT {_keys(query)}, {listed} FROM ({rows})"


def render(
    query: Query,
    declared: Measurement,
    sources: TopSources,
    most: int,
    groups: Sequence[SoughtGroup],
    only_busy: bool = False,
    spare: Mapping[str, int] | None = None,
) -> str:
    """Returns the SELECT of a column for each pick, after the place in `groups`; a
    group without values above its floors has no row. `only_busy`: of days, the lists
    of others are not read. `spare`: of each field how many values a group has above
    its floor at most, besides those above the lowest percentile; the percentile is
    among so many of the lowest. Otherwise it is among the highest.
    """
    keys, fields = _keys(query), fields_of(query)
    floors = {field: f"floor{n}" for n, field in enumerate(fields)}
    ranks = {pick: f"rank{n}" for n, pick in enumerate(query.picks)}
    known = ", ".join(["id", *floors.values(), *ranks.values()])
    listed = ", ".join(f"unnest({name(f'{f}:top')}) AS {name(f)}" for f in fields)
    near = _near(query, groups)
    busy = ["busy"] if only_busy else []
    parts = [
        f"SELECT {known}, {listed}"
        f" FROM ({day_rows(query, declared, sources.days, [*busy, near])})"
        f" JOIN sought USING ({keys})"
    ]
    if sources.lists:
        begins = " OR ".join(
            f"{name(f'{f}:first')} >= {floor}" for f, floor in floors.items()
        )
        parts.append(
            f"SELECT {known}, {listed}"
            f" FROM ({_list_rows(query, declared, sources.lists, [near])})"
            f" JOIN sought USING ({keys}) WHERE {begins}"
        )
    if sources.means:
        parts.append(
            f"SELECT {known}, {', '.join(map(name, fields))}"
            f" FROM {_named(query, sources.means)} JOIN sought USING ({keys})"
        )
    above = {f: f"{name(f)} {'>' if spare else '>='} {c}" for f, c in floors.items()}
    columns = []
    for pick in query.picks:
        f, floor, at = pick.field, floors[pick.field], f"any_value({ranks[pick]})"
        values = f"CASE WHEN {above[f]} THEN {name(f)} END"
        if spare is None:
            columns.append(f"max({values}, {most_kept(query, f, most)})[{at}]")
            continue
        count = f"count({values})"
        found = f"max({values}, {kept(percent_of(pick), most)})[{at}]"
        if percent_of(pick) == lowest_percent(query, f):
            found = f"min({values}, {max(1, spare[f])})[{count} - {at} + 1]"
        columns.append(
            f"CASE WHEN {count} >= {at} THEN {found}"
            f" WHEN any_value({floor}) > '-infinity' THEN any_value({floor}) END"
        )
    return (
        f"WITH sought AS MATERIALIZED ({_sought(query, groups)})"
        f" SELECT id, {', '.join(columns)} FROM ({' UNION ALL '.join(parts)})"
        f" WHERE {' OR '.join(above.values())} GROUP BY id"
    )


def render_times(query: Query, rows: str, groups: Sequence[SoughtGroup]) -> str:
    """Returns the SELECT of the times of `rows` (of days or months) with values above
    the floors of `groups` that are in no list."""
    higher = " OR ".join(
        f"{name(f'{f}:next')} > floor{n}" for n, f in enumerate(fields_of(query))
    )
    return (
        f"SELECT DISTINCT {TIME} FROM ({rows})"
        f" JOIN ({_sought(query, groups)}) USING ({_keys(query)}) WHERE {higher}"
    )


def day_rows(
    query: Query,
    declared: Measurement,
    days: Sequence[str],
    having: Sequence[str] = (),
) -> str:
    """Returns the SELECT of the tops of days that meet all conditions."""
    marks = map(str, known_form(declared).marks)
    kinds = _kinds(query, ["next", "high", "bound", *marks])
    columns = {**kinds, "busy": "BOOLEAN"}
    return _rows(query, declared, days, columns, having)


def month_rows(query: Query, declared: Measurement, months: Sequence[str]) -> str:
    """Returns the SELECT of the tops of months, without their lists."""
    marks = map(str, known_form(declared).month_marks)
    return _rows(query, declared, months, _kinds(query, ["next", "bound", *marks]))


def _list_rows(
    query: Query, declared: Measurement, lists: Sequence[str], having: Sequence[str]
) -> str:
    kinds = {
        name_: kind
        for f in fields_of(query)
        for name_, kind in ((f"{f}:first", "DOUBLE"), (f"{f}:top", "DOUBLE[]"))
    }
    return _rows(query, declared, lists, kinds, having)


def _kinds(query: Query, real: Sequence[str]) -> dict[str, str]:
    parts = {"n": "BIGINT", "top": "DOUBLE[]", **dict.fromkeys(real, "DOUBLE")}
    return {
        f"{f}:{part}": kind for f in fields_of(query) for part, kind in parts.items()
    }


def _rows(
    query: Query,
    declared: Measurement,
    paths: Sequence[str],
    kinds: Mapping[str, str],
    having: Sequence[str] = (),
) -> str:
    empty = duckdb_sql.empty_rows((tag.name for tag in declared.tags), kinds)
    columns = ", ".join(
        [
            TIME,
            *(f"coalesce({name(tag)}, '') AS {name(tag)}" for tag in query.group_by),
            *map(name, kinds),
        ]
    )
    read = (
        f" UNION ALL BY NAME SELECT * FROM {duckdb_sql.files(paths)}" if paths else ""
    )
    conditions = [*duckdb_sql.conditions(query), *having]
    return f"SELECT {columns} FROM ({empty}{read}) WHERE {' AND '.join(conditions)}"


def _counted(query: Query, declared: Measurement, sources: TopSources) -> list[str]:
    rows = [day_rows(query, declared, sources.days)]
    if sources.months:
        rows.append(month_rows(query, declared, sources.months))
    return rows


def _near(query: Query, groups: Sequence[SoughtGroup]) -> str:
    """Returns the condition that a row may be of one of `groups`: files are sorted, so
    that parts of them need not be read."""
    tag = name(query.group_by[0])
    values = [group.tags[0] for group in groups]
    least, most = literal(min(values)), literal(max(values))
    return f"({tag} BETWEEN {least} AND {most} OR {tag} IS NULL)"


def _sought(query: Query, groups: Sequence[SoughtGroup]) -> str:
    """Returns the SELECT of `groups` and their places."""
    floors = [f"floor{n}" for n in range(len(fields_of(query)))]
    ranks = [f"rank{n}" for n in range(len(query.picks))]
    columns = [*map(name, query.group_by), *floors, *ranks]
    listed = ", ".join(
        f"({place}, {', '.join(map(_value, itertools.chain(*group)))})"
        for place, group in enumerate(groups)
    )
    typed = [
        *map(name, query.group_by),
        *(f"coalesce(CAST({c} AS DOUBLE), '-infinity') AS {c}" for c in floors),
        *(f"CAST({c} AS BIGINT) AS {c}" for c in ranks),
    ]
    return (
        f"SELECT id, {', '.join(typed)}"
        f" FROM (VALUES {listed}) AS t(id, {', '.join(columns)})"
    )


def _value(value: str | float | None) -> str:
    """Returns it as a text, because a number with a point would be a decimal."""
    return "CAST(NULL AS VARCHAR)" if value is None else literal(str(value))


def _keys(query: Query) -> str:
    return ", ".join(map(name, query.group_by))


def _named(query: Query, means: str) -> str:
    """Returns `means` as a source: time, tags, fields."""
    columns = ", ".join(["moment", *map(name, (*query.group_by, *fields_of(query)))])
    return f"({means}) AS t({columns})"
