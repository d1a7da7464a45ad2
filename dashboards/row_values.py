"""The values of a row of the store, by type. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from collectors.store.query import Row


def float_value(row: Row | None, name: str) -> float | None:
    """Returns a number of the row; None if there is no row, no value, or a text."""
    value = None if row is None else row.values.get(name)
    return None if value is None or isinstance(value, str) else float(value)


def weighted_mean(
    rows: Iterable[Row], share: str, count: str
) -> tuple[float | None, int]:
    """Returns the mean of a share whose rows stand for `count` each, and how many that
    is in all."""
    pairs = [
        (mean, int(weight))
        for row in rows
        if (mean := float_value(row, f"{share}_mean")) is not None
        and (weight := float_value(row, f"{count}_sum"))
    ]
    total = sum(weight for _, weight in pairs)
    if not total:
        return None, 0
    return sum(mean * weight for mean, weight in pairs) / total, total
