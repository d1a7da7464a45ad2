"""The values of a row of the store, by type. Pure."""

from __future__ import annotations

from collectors.store.query import Row


def float_value(row: Row | None, name: str) -> float | None:
    """Returns a number of the row; None if there is no row, no value, or a text."""
    value = None if row is None else row.values.get(name)
    return None if value is None or isinstance(value, str) else float(value)
