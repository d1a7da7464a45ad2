"""The parts of an InfluxQL statement, as `influxql_parser` returns them. Pure."""

from __future__ import annotations

import msgspec


class Name(msgspec.Struct, frozen=True):
    """A tag or field. `kind` is what follows `::`: `tag`, `field` or nothing."""

    text: str
    kind: str = ""


class Text(msgspec.Struct, frozen=True):
    """A string in single quotes."""

    text: str


class Regex(msgspec.Struct, frozen=True):
    """A regular expression (RE2)."""

    pattern: str


class Number(msgspec.Struct, frozen=True):
    value: int | float


class Duration(msgspec.Struct, frozen=True):
    ns: int


class Call(msgspec.Struct, frozen=True):
    """A function in lower case and its arguments."""

    function: str
    arguments: tuple[Expression, ...] = ()


class BinaryOperation(msgspec.Struct, frozen=True):
    """`sign` is an operator in upper case."""

    sign: str
    left: Expression
    right: Expression


class Parentheses(msgspec.Struct, frozen=True):
    inside: Expression


Expression = (
    Name | Text | Regex | Number | Duration | Call | BinaryOperation | Parentheses
)


class Column(msgspec.Struct, frozen=True):
    """`alias` is empty without AS."""

    expression: Expression
    alias: str = ""


class Limits(msgspec.Struct, frozen=True):
    """LIMIT and OFFSET of points, SLIMIT and SOFFSET of series. None is no limit."""

    points: int | None = None
    skipped_points: int = 0
    series: int | None = None
    skipped_series: int = 0


class Select(msgspec.Struct, frozen=True):
    """`every_ns` is the length of the buckets; 0 without GROUP BY time. `fill` is null,
    none, previous, linear or a number; empty without fill(). `source` is a measurement
    or subqueries."""

    columns: tuple[Column, ...]
    source: str | tuple[Select, ...]
    where: Expression | None = None
    every_ns: int = 0
    offset_ns: int = 0
    tags: tuple[str, ...] = ()
    fill: str | float = ""
    descending: bool = False
    limits: Limits = Limits()
    zone: str = ""


class Show(msgspec.Struct, frozen=True):
    """`what` is what follows SHOW, such as `TAG VALUES`.

    `source` is a measurement, a pattern of measurements, or nothing for all. `keys` are
    those of WITH KEY, or a pattern; `keys_sign` is how they are compared.
    """

    what: str
    database: str = ""
    source: str | Regex = ""
    keys: tuple[str, ...] | Regex = ()
    keys_sign: str = ""
    where: Expression | None = None
    limits: Limits = Limits()


Statement = Select | Show
