"""Parses the expressions of InfluxQL, and the words and signs around them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

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
from collectors.store.influxql_tokens import InfluxqlError, InfluxqlToken, place, tokens

Item = TypeVar("Item")

# An expression or subquery inside this many others is refused.
_MAX_DEPTH = 40
_UNITS_NS = {
    "ns": 1,
    "u": 1_000,
    "us": 1_000,
    "µ": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 604_800_000_000_000,
}
_DURATION = re.compile(r"([0-9]+)([a-zµ]+)")
# Operators by strength, the weakest first.
_STRENGTH = (
    ("OR",),
    ("AND",),
    ("=", "!=", "<>", "=~", "!~", "<", "<=", ">", ">="),
    ("+", "-"),
    ("*", "/", "%"),
)
# Words that end a list of columns or an expression.
_RESERVED = frozenset(
    (
        *("SELECT", "FROM", "WHERE", "GROUP", "BY", "ORDER", "LIMIT", "OFFSET"),
        *("SLIMIT", "SOFFSET", "AS", "AND", "OR", "WITH", "ON", "INTO", "SHOW"),
    )
)


class ExpressionParser:
    """Reads the tokens of `text` one after the other.

    Every method raises `InfluxqlError` if the next token is not what it reads.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(tokens(text))
        self._at = 0
        self._depth = 0

    def expression(self, level: int) -> Expression:
        if level == len(_STRENGTH):
            return self._operand()
        left = self.expression(level + 1)
        while self.now.kind in ("sign", "word"):
            sign = self.now.text.upper()
            if sign not in _STRENGTH[level]:
                break
            self._at += 1
            right = self.expression(level + 1)
            left = BinaryOperation("!=" if sign == "<>" else sign, left, right)
        return left

    def _operand(self) -> Expression:
        token = self.now
        if self.skip("("):
            self.enter()
            inside = self.expression(0)
            self.expect(")")
            self._depth -= 1
            return Parentheses(inside)
        if self.skip("-"):
            if self.now.kind == "duration":
                return Duration(-self.duration())
            return Number(-self.number())
        if token.kind == "string":
            self._at += 1
            return Text(token.text)
        if token.kind == "regex":
            return self.regex()
        if token.kind == "number":
            return Number(self.number())
        if token.kind == "duration":
            return Duration(self.duration())
        if token.kind == "word" and self.after.text == "(":
            self._at += 2
            self.enter()
            arguments = [] if self.now.text == ")" else self.list(self.argument)
            self.expect(")")
            self._depth -= 1
            return Call(token.text.lower(), tuple(arguments))
        return self.name()

    def argument(self) -> Expression:
        return self.expression(3)

    def name(self) -> Name:
        text = self.identifier()
        kind = self.next_word().lower() if self.skip("::") else ""
        return Name(text, kind)

    @property
    def now(self) -> InfluxqlToken:
        return self._tokens[self._at]

    @property
    def after(self) -> InfluxqlToken:
        return self._tokens[min(self._at + 1, len(self._tokens) - 1)]

    def next(self) -> InfluxqlToken:
        token = self.now
        if token.kind != "end":
            self._at += 1
        return token

    def next_word(self) -> str:
        if self.now.kind != "word":
            raise self.unexpected("a keyword")
        return self.next().text.upper()

    def list(self, item: Callable[[], Item]) -> list[Item]:
        items = [item()]
        while self.skip(","):
            items.append(item())
        return items

    def identifier(self) -> str:
        token = self.now
        is_word = token.kind == "word" and token.text.upper() not in _RESERVED
        if token.kind != "name" and not is_word:
            raise self.unexpected("identifier")
        return self.next().text

    def number(self, whole: bool = False) -> int | float:
        token = self.now
        if token.kind != "number" or (whole and not token.text.isdigit()):
            raise self.unexpected("integer" if whole else "number")
        if len(token.text) > 30:
            raise self.unexpected("a shorter number")
        self._at += 1
        return int(token.text) if token.text.isdigit() else float(token.text)

    def duration(self) -> int:
        token = self.now
        if token.kind != "duration":
            raise self.unexpected("duration")
        self._at += 1
        return sum(
            int(count) * _UNITS_NS[unit]
            for count, unit in _DURATION.findall(token.text)
        )

    def regex(self) -> Regex:
        if self.now.kind != "regex":
            raise self.unexpected("regex")
        return Regex(self.next().text)

    def is_end(self) -> bool:
        return self.now.kind == "end"

    def is_word(self, word: str) -> bool:
        return self.now.kind == "word" and self.now.text.upper() == word

    def skip_word(self, word: str) -> bool:
        is_next = self.is_word(word)
        self._at += is_next
        return is_next

    def expect_word(self, word: str) -> None:
        if not self.skip_word(word):
            raise self.unexpected(word)

    def skip(self, sign: str) -> bool:
        is_next = self.now.kind == "sign" and self.now.text == sign
        self._at += is_next
        return is_next

    def expect(self, sign: str) -> None:
        if not self.skip(sign):
            raise self.unexpected(sign)

    def enter(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise InfluxqlError(f"more than {_MAX_DEPTH} levels of parentheses")

    def leave(self) -> None:
        self._depth -= 1

    def back(self, count: int) -> None:
        """Returns to the tokens before."""
        self._at -= count

    def forward(self, count: int) -> None:
        """Skips tokens that were looked at already."""
        self._at += count

    def unexpected(self, expected: str) -> InfluxqlError:
        token = self.now
        where = place(self._text, token.at)
        return InfluxqlError(f"found {token.text[:60]}, expected {expected} {where}")
