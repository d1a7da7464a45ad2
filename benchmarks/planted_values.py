"""The values of rows that benchmarks plant: those of a series, field and time are alike
in every store. Pure.

They repeat after `REPEATS` times, so that few blocks of InfluxDB's files have to be
encoded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from probes.wire.catalogue import Field

TEXT = "text"
REPEATS = 1000
_VARIANTS = 31
# The value at the place `i` (0 … REPEATS - 1) of the variant `v`: here, and in SQL. Of
# yes and no nearly all are yes.
_VALUES: dict[str, Callable[[int, int], float | int | str]] = {
    "float": lambda i, v: (i * 7919 + v * 104_729) % 10_000 / 10_000,
    "int": lambda i, v: (i * 7 + v * 5) % 4,
    "flag": lambda i, v: 1 - (i * 3 + v * 5) % 97 // 96,
    "str": lambda i, v: TEXT,
}
_SQL = {
    "float": "CAST(({i} * 7919 + {v} * 104729) % 10000 / 10000 AS DOUBLE)",
    "int": "CAST(({i} * 7 + {v} * 5) % 4 AS BIGINT)",
    "flag": "CAST(1 - (({i} * 3 + {v} * 5) % 97) // 96 AS BIGINT)",
    "str": f"'{TEXT}'",
}


def kind_of(field: Field) -> str:
    """Returns `float`, `int`, `flag` or `str`."""
    return "flag" if field.type == "int" and field.unit == "flag" else field.type


def variant_of(series: int, field: int) -> int:
    """Returns which values the n-th series of a measurement has in its n-th field."""
    return (series * 7 + field) % _VARIANTS


def place_of(time_ms: int, step_ms: int) -> int:
    """Returns which of the repeating values is that of a time."""
    return time_ms // step_ms % REPEATS


def values(kind: str, variant: int, place: int, count: int) -> list[Any]:
    """Returns the values of so many times, the first at `place`."""
    value = _VALUES[kind]
    return [value(at % REPEATS, variant) for at in range(place, place + count)]


def sql(field: Field, number: int, series: str, time: str, step_ms: int) -> str:
    """Returns the SQL of the values of the n-th field. `series` and `time`: columns of
    the number of a series and of the time in ms."""
    place = f"({time} // {step_ms} % {REPEATS})"
    variant = f"(({series} * 7 + {number}) % {_VARIANTS})"
    return _SQL[kind_of(field)].format(i=place, v=variant)
