"""Reads the WHERE of an InfluxQL statement: its times and its conditions on tags. Pure.

InfluxQL allows any mixture of AND and OR. A `Query` has a range of time and conditions
that all hold, each on one tag. What does not fit that is refused in words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from collectors.store.influxql import exactly
from collectors.store.influxql_syntax import (
    BinaryOperation,
    Call,
    Duration,
    Expression,
    Name,
    Number,
    Parentheses,
    Regex,
    Text,
)
from collectors.store.query import Where

_MS = 1_000_000
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}
_META = frozenset(r".+*?()|[]{}^$")
_EVERYTHING = ("", ".*", "^.*$", "^(.*)$", ".*$", "^.*", "^", "(?i)", "(?i).*")


class NotSupported(ValueError):
    """Valid InfluxQL that the store cannot answer; the text says what it can."""


class Conditions(msgspec.Struct, frozen=True):
    """Rows of `[from_ms, to_ms)` that meet every condition of `where`.

    A bound is None if the text has none. `never` is true if a condition without a tag,
    such as `60000 < 300`, excludes every row.
    """

    from_ms: int | None = None
    to_ms: int | None = None
    where: tuple[Where, ...] = ()
    never: bool = False

    def and_also(self, other: Conditions) -> Conditions:
        """Returns the conditions of both."""
        return Conditions(
            _extreme(max, self.from_ms, other.from_ms),
            _extreme(min, self.to_ms, other.to_ms),
            self.where + other.where,
            self.never or other.never,
        )


def read_conditions(expression: Expression | None, now_ms: int) -> Conditions:
    """Returns the conditions of a WHERE. Raises `NotSupported`."""
    read = Conditions()
    for part in _all_of(expression):
        read = read.and_also(_condition(part, now_ms))
    return read


def _condition(part: Expression, now_ms: int) -> Conditions:
    if isinstance(part, BinaryOperation) and part.sign in _FLIPPED:
        if _is_time(part.left):
            return _time_range(part.sign, _nanoseconds(part.right, now_ms))
        if _is_time(part.right):
            return _time_range(_FLIPPED[part.sign], _nanoseconds(part.left, now_ms))
        if is_guard(part):
            left, right = _number(part.left), _number(part.right)
            assert left is not None
            assert right is not None
            return Conditions(never=not _holds(left, part.sign, right))
    where = _tag_condition(part)
    return Conditions(where=() if where is None else (where,))


def is_guard(part: Expression) -> bool:
    """Whether a condition compares only numbers: Grafana fills in the length of a
    bucket or of the range (`60000 < 300000`)."""
    return (
        isinstance(part, BinaryOperation)
        and part.sign in _FLIPPED
        and _number(part.left) is not None
        and _number(part.right) is not None
    )


def without_guards(expression: Expression | None) -> Expression | None:
    """Returns the WHERE without its guards."""
    kept = [part for part in _all_of(expression) if not is_guard(part)]
    joined: Expression | None = None
    for part in kept:
        joined = part if joined is None else BinaryOperation("AND", joined, part)
    return joined


def _number(expression: Expression) -> float | None:
    match expression:
        case Number(value=value):
            return value
        case Parentheses(inside=inside):
            return _number(inside)
        case BinaryOperation(sign=sign, left=left, right=right) if sign in "+-*":
            a, b = _number(left), _number(right)
            if a is None or b is None:
                return None
            return {"+": a + b, "-": a - b, "*": a * b}[sign]
    return None


def _all_of(expression: Expression | None) -> Iterator[Expression]:
    """Yields the expressions that must all hold."""
    if expression is None:
        return
    if isinstance(expression, BinaryOperation) and expression.sign == "AND":
        yield from _all_of(expression.left)
        yield from _all_of(expression.right)
    elif isinstance(expression, Parentheses) and not _is_list(expression):
        yield from _all_of(expression.inside)
    else:
        yield expression


def _is_list(inside: Expression) -> bool:
    """Whether parentheses hold one condition with several values: `a != 'x' AND a !=
    'y'`, or anything with OR."""
    while isinstance(inside, Parentheses):
        inside = inside.inside
    if isinstance(inside, BinaryOperation) and inside.sign == "OR":
        return True
    parts = list(_joined(inside, "AND"))
    names = {
        part.left.text
        for part in parts
        if isinstance(part, BinaryOperation)
        and part.sign == "!="
        and isinstance(part.left, Name)
        and isinstance(part.right, Text)
    }
    is_one_tag = len(names) == 1 and all(
        isinstance(part, BinaryOperation)
        and part.sign == "!="
        and isinstance(part.right, Text)
        for part in parts
    )
    return len(parts) > 1 and is_one_tag


def _joined(expression: Expression, sign: str) -> Iterator[Expression]:
    while isinstance(expression, Parentheses):
        expression = expression.inside
    if isinstance(expression, BinaryOperation) and expression.sign == sign:
        yield from _joined(expression.left, sign)
        yield from _joined(expression.right, sign)
    else:
        yield expression


def _tag_condition(part: Expression) -> Where | None:
    """Returns the condition, or None if every row meets it."""
    while isinstance(part, Parentheses):
        part = part.inside
    sign = "AND" if isinstance(part, BinaryOperation) and part.sign == "AND" else "OR"
    tests = [_test(one) for one in _joined(part, sign)]
    tags = {tag for tag, _, _ in tests}
    if len(tags) > 1:
        names = ", ".join(sorted(tags))
        raise NotSupported(
            f"OR between different tags ({names}) is not supported: "
            "expected AND between tags, and OR between values of one tag"
        )
    (tag,) = tags
    signs = {sign for _, sign, _ in tests}
    values = tuple(value for _, _, value in tests)
    if len(tests) == 1:
        return _one_test(*tests[0])
    if signs == {"!="} and sign == "AND":
        return Where(tag, tuple(map(_text, values)), negate=True)
    if signs == {"="}:
        return Where(tag, tuple(map(_text, values)))
    if signs <= {"=", "=~"}:
        return _pattern(tag, "|".join(f"(?:{_as_pattern(v)})" for v in values), False)
    raise NotSupported(
        f'conditions on "{tag}" that mix OR with != or !~ are not supported'
    )


def _one_test(tag: str, sign: str, value: Text | Regex) -> Where | None:
    if isinstance(value, Text):
        return Where(tag, (value.text,), negate=sign == "!=")
    return _pattern(tag, value.pattern, sign == "!~")


def _test(part: Expression) -> tuple[str, str, Text | Regex]:
    if not isinstance(part, BinaryOperation):
        raise NotSupported(f"{_shown(part)} is not a condition")
    name, sign, value = part.left, part.sign, part.right
    if isinstance(value, Name) and isinstance(name, Text):
        name, value = value, name
    is_regex = sign in ("=~", "!~") and isinstance(value, Regex)
    is_text = sign in ("=", "!=") and isinstance(value, Text)
    if not isinstance(name, Name) or not (is_regex or is_text):
        raise NotSupported(
            f"the condition {_shown(part)} is not supported: expected a tag with "
            "=, != and a text, or =~, !~ and a regular expression"
        )
    if name.kind == "field":
        raise NotSupported(
            f'"{name.text}"::field: conditions on fields are not supported, only on '
            "tags and time"
        )
    assert isinstance(value, Text | Regex)
    return name.text, sign, value


def _pattern(tag: str, pattern: str, negate: bool) -> Where | None:
    """Returns a condition with the values that a simple pattern lists, because the
    files are searched by value."""
    if pattern in _EVERYTHING:
        return Where(tag, ()) if negate else None
    if pattern == "x^":
        return None if negate else Where(tag, ())
    values = literal_values(pattern)
    if values is not None:
        return Where(tag, values, negate)
    return Where(tag, (), negate, pattern)


def literal_values(pattern: str) -> tuple[str, ...] | None:
    r"""Returns the texts that `^text$` or `^(one|two)$` matches, else None.

    Grafana writes the choices of a variable so, with punctuation escaped (`core\.1`).
    """
    if not (pattern.startswith("^") and pattern.endswith("$")):
        return None
    body = pattern[1:-1]
    is_list = body.startswith("(") and body.endswith(")") and not body.endswith("\\)")
    if is_list:
        body = body[1:-1].removeprefix("?:")
    values, current = [], ""
    characters = iter(body)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            if not escaped or (escaped.isascii() and escaped.isalnum()):
                return None
            current += escaped
        elif character == "|" and is_list:
            values.append(current)
            current = ""
        elif character in _META:
            return None
        else:
            current += character
    return (*values, current)


def _as_pattern(value: Text | Regex) -> str:
    return value.pattern if isinstance(value, Regex) else exactly(value.text)


def _text(value: Text | Regex) -> str:
    assert isinstance(value, Text)
    return value.text


def _is_time(expression: Expression) -> bool:
    return isinstance(expression, Name) and expression.text.lower() == "time"


def _time_range(sign: str, ns: int) -> Conditions:
    """Rows are at whole milliseconds, so each bound becomes a half-open one in ms."""
    after_ms, from_ms = ns // _MS + 1, -(-ns // _MS)
    if sign == "=":
        return Conditions(from_ms, after_ms)
    if sign == "!=":
        raise NotSupported("time != is not supported: expected >=, >, <, <= or =")
    if sign in (">", ">="):
        return Conditions(from_ms=from_ms if sign == ">=" else after_ms)
    return Conditions(to_ms=from_ms if sign == "<" else after_ms)


def _nanoseconds(expression: Expression, now_ms: int) -> int:
    if isinstance(expression, Parentheses):
        return _nanoseconds(expression.inside, now_ms)
    if isinstance(expression, Duration):
        return expression.ns
    if isinstance(expression, Number) and isinstance(expression.value, int):
        return expression.value
    if isinstance(expression, Text):
        return _instant(expression.text)
    if isinstance(expression, Call) and expression == Call("now"):
        return now_ms * _MS
    if isinstance(expression, BinaryOperation) and expression.sign in ("+", "-"):
        left = _nanoseconds(expression.left, now_ms)
        right = _nanoseconds(expression.right, now_ms)
        return left + right if expression.sign == "+" else left - right
    raise NotSupported(
        f"the time {_shown(expression)} is not supported: expected now(), a number "
        "with a unit (1764382000000ms), a text ('2026-01-31T00:00:00Z'), and + or - a "
        "duration"
    )


def _instant(text: str) -> int:
    """Returns the nanoseconds since 1970 of `2026-01-31T00:00:00Z`, UTC if no zone."""
    match = re.fullmatch(
        r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?)?"
        r"(Z|[+-]\d\d:\d\d)?",
        text,
        re.ASCII,
    )
    try:
        if match is None:
            raise ValueError
        day, clock, fraction, zone = match.groups()
        offset = "" if zone in (None, "Z") else zone
        moment = datetime.fromisoformat(f"{day}T{clock or '00:00:00'}{offset}")
    except ValueError:
        raise NotSupported(
            f"{text!r} is not a time: expected 2026-01-31T00:00:00Z"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = math.floor(moment.timestamp())
    return seconds * 1_000_000_000 + int((fraction or "0").ljust(9, "0"))


def _holds(a: float, sign: str, b: float) -> bool:
    return {
        "=": a == b,
        "!=": a != b,
        "<": a < b,
        "<=": a <= b,
        ">": a > b,
        ">=": a >= b,
    }[sign]


def _extreme(
    choose: Callable[[list[int]], int], one: int | None, other: int | None
) -> int | None:
    known = [bound for bound in (one, other) if bound is not None]
    return choose(known) if known else None


def describe(expressions: Iterable[Expression]) -> str:
    """Returns expressions as a person would write them, for a message."""
    return ", ".join(map(_shown, expressions))


def _shown(expression: Expression) -> str:
    match expression:
        case Name(text=text):
            return f'"{text}"'
        case Text(text=text):
            return f"'{text}'"
        case Regex(pattern=pattern):
            return f"/{pattern}/"
        case Number(value=value):
            return f"{value:g}" if isinstance(value, float) else str(value)
        case Duration(ns=ns):
            return f"{ns // _MS}ms"
        case Call(function=function, arguments=arguments):
            return f"{function}({describe(arguments)})"
        case BinaryOperation(sign=sign, left=left, right=right):
            return f"{_shown(left)} {sign} {_shown(right)}"
        case Parentheses(inside=inside):
            return f"({_shown(inside)})"
    raise AssertionError(expression)
