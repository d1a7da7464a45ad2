"""The answers of the embedded store: their order, and rows of cells. Pure."""

from __future__ import annotations

from collectors.store.duck_queries import Cells
from collectors.store.query import Query, Row, value_converter
from probes.wire.catalogue import Measurement
from probes.wire.sample import Value


def order_by(query: Query) -> str:
    """Returns the ORDER BY of `sort_rows`; DuckDB sorts several times as fast."""
    first = 1 if query.has_buckets else 0
    columns = [*range(first, first + len(query.group_by)), *range(first)]
    listed = ", ".join(str(column + 1) for column in columns)
    return f" ORDER BY {listed}" if columns else ""


def answer_rows(cells: Cells, query: Query, declared: Measurement) -> list[Row]:
    """Returns the rows of DuckDB's cells."""
    first = 1 if query.has_buckets else 0
    values_at = first + len(query.group_by)
    names = [pick.name for pick in query.picks]
    # A column of DuckDB has one type, which is mostly that of the answer.
    others = {}
    for at, pick in enumerate(query.picks, values_at):
        value = next((row[at] for row in cells if row[at] is not None), None)
        kind = value_converter(pick, declared, bool(query.mean_step_ms))
        if value is not None and type(value) is not kind:
            others[pick.name] = kind
    rows = []
    # The rows of one group share their tags: there may be hundreds of thousands.
    tags_of_group: dict[tuple[str, ...], dict[str, str]] = {}
    for row in cells:
        values: dict[str, Value] = dict(zip(names, row[values_at:], strict=True))
        if None in row:
            values = {name: v for name, v in values.items() if v is not None}
        for name, kind in others.items():
            if name in values:
                values[name] = kind(values[name])
        if values:
            group = row[first:values_at]
            tags = tags_of_group.get(group)
            if tags is None:
                tags = dict(zip(query.group_by, group, strict=True))
                tags_of_group[group] = tags
            rows.append(Row(row[0] if first else None, tags, values))
    return rows
