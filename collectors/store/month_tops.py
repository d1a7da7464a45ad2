"""The tops of a month that is over, calculated from those of its days (`day_tops`), so
that a percentile of a year reads twelve files instead of 365.

A month has two files. The first has a row for each series: how many values there are;
marks, each the last of so many of the highest; a value that its 95th percentile is not
above (`bound`); and the highest value that is in no list (`next`). The second has the
lists: of the busiest series of each site a sixth of the month's values, in parts from
one mark to the next, the highest first. So most parts need not be read.

The days' tops may lack values of a month's highest sixth. What is calculated from some
values is never too high, and no value that is in no list is above `next`: a mark may be
too low, which costs time only, and a percentile is right if it is not below `next`. If
it is, the days are read instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from collectors.store import duckdb_sql
from collectors.store.arrow_tables import metadata
from collectors.store.day_tops import BUSY, WITHIN
from collectors.store.duckdb_sql import TIME, literal, name
from collectors.store.top_forms import BOUND_PERCENT, TopForm, known_form
from probes.wire.catalogue import Measurement

_LISTS = "-lists"
# So many values are sorted at once.
_MOST_VALUES = 4_000_000
# Rows that are read together, as many as have so many values: those of other sites and
# parts are not.
_VALUES_AT_ONCE = 245_760


def lists_file(month: Path) -> Path:
    """Returns the file of a month's lists, from that of its other figures."""
    return month.with_name(f"{month.stem}{_LISTS}{month.suffix}")


def write_month(
    days: Sequence[Path], declared: Measurement, target: Path, lists: Path
) -> None:
    """Writes the two files of a month from the tops of its days. Blocking. Raises the
    errors of DuckDB and Arrow."""
    form = known_form(declared)
    with (
        duckdb.connect(config={"threads": 1, "memory_limit": "512MB"}) as connection,
        _Writer(target, declared) as series,
        _Writer(lists, declared) as parts,
    ):
        read = duckdb_sql.files(map(str, days))
        for some in _sites_at_once(connection, read, form):
            connection.execute(
                f"CREATE OR REPLACE TEMP TABLE month AS {_month(read, form, declared)}"
                f" WHERE {_site()} BETWEEN {literal(some[0])} AND {literal(some[-1])}"
                f" GROUP BY {_keys(declared)}"
            )
            connection.execute(
                f"CREATE OR REPLACE TEMP TABLE placed AS {_placed(form, declared)}"
            )
            series.write(connection.sql(_series(form, declared)).to_arrow_table())
            parts.write(connection.sql(_parts(form, declared)).to_arrow_table())


class _Writer:
    """Writes a file of tables with the same columns."""

    def __init__(self, target: Path, declared: Measurement) -> None:
        self._target, self._declared = target, declared
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, rows: pa.Table) -> None:
        tags = [tag.name for tag in self._declared.tags]
        rows = rows.replace_schema_metadata(metadata(tags))
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._target,
                rows.schema,
                compression="zstd",
                use_dictionary=[*self._declared.identity, TIME],
            )
        apart = known_form(self._declared).month_apart
        self._writer.write_table(rows, _VALUES_AT_ONCE // apart)


def _sites_at_once(
    connection: duckdb.DuckDBPyConnection, read: str, form: TopForm
) -> Iterator[list[str]]:
    """Yields the sites, in order, as many at once as have not too many values."""
    rows = connection.execute(
        f"SELECT {_site()}, count(*) FROM {read} GROUP BY ALL ORDER BY 1"
    ).fetchall()
    some: list[str] = []
    values = 0
    for site, count in rows:
        own = count * form.kept * len(form.fields)
        if some and values + own > _MOST_VALUES:
            yield some
            some, values = [], 0
        some.append(site)
        values += own
    if some:
        yield some


def _month(read: str, form: TopForm, declared: Measurement) -> str:
    """Returns the SELECT of what the days of each series have together."""
    kept = form.month_kept + 1
    columns = ", ".join(
        f"CAST(sum({name(f'{f}:n')}) AS BIGINT) AS {name(f'{f}:n')},"
        f" max({name(f'{f}:next')}) AS {name(f'{f}:next')},"
        f" max({name(f'{f}:high')}) AS {name(f'{f}:high')},"
        f" max({name(f'{f}:bound')}) AS {name(f'{f}:bound')},"
        f" list_reverse_sort(flatten(list({name(f'{f}:top')})"
        f" FILTER ({name(f'{f}:top')} IS NOT NULL)))[1:{kept}]"
        f" AS {name(f'{f}:highest')}"
        for f in form.fields
    )
    keys = ", ".join(f"coalesce({name(t)}, '') AS {name(t)}" for t in declared.identity)
    return f"SELECT min({TIME}) AS {TIME}, {keys}, {columns} FROM {read}"


def _placed(form: TopForm, declared: Measurement) -> str:
    """Returns the SELECT of the same with exact bounds and whether it is `busy`."""
    bounds = {f: _bound(f) for f in form.fields}
    most = ", ".join(f"coalesce({bound}, 0)" for bound in bounds.values())
    place = f"row_number() OVER (PARTITION BY {name(WITHIN)} ORDER BY"
    place += f" greatest({most}) DESC, {_keys(declared)})"
    exact = ", ".join(f"{b} AS {name(f'{f}:bound')}" for f, b in bounds.items())
    return f"SELECT * REPLACE ({exact}), {place} <= {BUSY} AS busy FROM month"


def _bound(field: str) -> str:
    """Returns the SQL of a value above which the month has at most 5 %. Of values that
    are in no list, all may be as high as the highest."""
    count, highest = name(f"{field}:n"), name(f"{field}:highest")
    at = f"{highest}[{count} * {100 - BOUND_PERCENT} // 100 + 1]"
    unlisted, daily = name(f"{field}:next"), name(f"{field}:bound")
    return f"least({daily}, greatest({at}, {unlisted}))"


def _series(form: TopForm, declared: Measurement) -> str:
    columns = ", ".join(
        ", ".join(
            [
                name(f"{f}:n"),
                f"CASE WHEN busy THEN greatest({name(f'{f}:next')},"
                f" {name(f'{f}:highest')}[{form.month_kept + 1}])"
                f" ELSE {name(f'{f}:high')} END AS {name(f'{f}:next')}",
                name(f"{f}:bound"),
                *(
                    f"{name(f'{f}:highest')}[{mark}] AS {name(f'{f}:{mark}')}"
                    for mark in form.month_marks
                ),
            ]
        )
        for f in form.fields
    )
    keys = _keys(declared)
    return f"SELECT {TIME}, {keys}, {columns} FROM placed ORDER BY {keys}"


def _parts(form: TopForm, declared: Measurement) -> str:
    keys, size = _keys(declared), form.month_apart
    lists = {f: f"{name(f'{f}:highest')}[part * {size} + 1:(part + 1) * {size}]"
             for f in form.fields}  # fmt: skip
    columns = ", ".join(
        f"{sliced}[1] AS {name(f'{f}:first')}, {sliced} AS {name(f'{f}:top')}"
        for f, sliced in lists.items()
    )
    some = " OR ".join(f"len({sliced}) > 0" for sliced in lists.values())
    return (
        f"SELECT {TIME}, {keys}, part, {columns} FROM placed,"
        f" range({len(form.month_marks)}) AS parts(part)"
        f" WHERE busy AND ({some}) ORDER BY part, {keys}"
    )


def _site() -> str:
    return f"coalesce({name(WITHIN)}, '')"


def _keys(declared: Measurement) -> str:
    return ", ".join(map(name, declared.identity))
