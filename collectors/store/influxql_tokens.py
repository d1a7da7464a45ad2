"""Splits InfluxQL text into tokens. Pure, and linear in the length of the text.

The rules are those of InfluxDB's own scanner: identifiers in double quotes, strings in
single quotes, and a regular expression between slashes only where one is expected.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

Kind = Literal["word", "name", "string", "number", "duration", "regex", "sign", "end"]

_TOKEN = re.compile(
    r"""
      (?P<space>\s+|--[^\n]*|/\*.*?\*/)
    | (?P<duration>(?:[0-9]{1,18}(?:ns|us|µs?|u|ms|s|m|h|d|w))+)
    | (?P<number>[0-9]+\.?[0-9]*|\.[0-9]+)
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<name>"(?:[^"\\\n]|\\.)*")
    | (?P<string>'(?:[^'\\\n]|\\.)*')
    | (?P<sign>=~|!~|!=|<>|<=|>=|::|[-+*/%()=,;<>.])
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
# A backslash before a slash keeps it from ending the expression; any other one is part
# of the expression, and does not escape a backslash after it.
_REGEX = re.compile(r"/((?:[^/\\\n]|\\/|\\(?!/))*)/")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "\\": "\\", '"': '"', "'": "'"}
_LONGEST_SHOWN = 40


class InfluxqlError(ValueError):
    """The text is not InfluxQL; the message is in InfluxDB's form."""


class InfluxqlToken(msgspec.Struct, frozen=True):
    """`text` is the value: an identifier without its quotes, a regular expression
    without its slashes. `at` is its place in the text, from 0."""

    kind: Kind
    text: str
    at: int


def tokens(text: str) -> Iterator[InfluxqlToken]:
    """Yields the tokens, the last of which is `end`. Raises `InfluxqlError`."""
    at = 0
    before = ""
    while at < len(text):
        regex = _REGEX.match(text, at) if before in ("=~", "!~", "FROM") else None
        if regex is not None:
            yield InfluxqlToken("regex", regex[1].replace("\\/", "/"), at)
            at, before = regex.end(), ""
            continue
        match = _TOKEN.match(text, at)
        if match is None:
            raise InfluxqlError(f"found {_shown(text, at)}, {place(text, at)}")
        kind = match.lastgroup
        if kind != "space":
            token = _token(kind, match[0], at, text)
            yield token
            before = token.text.upper() if kind in ("word", "sign") else ""
        at = match.end()
    yield InfluxqlToken("end", "EOF", at)


def place(text: str, at: int) -> str:
    """Returns where `at` is, for a message: `at line 1, char 8`."""
    line = text.count("\n", 0, at) + 1
    return f"at line {line}, char {at - (text.rfind(chr(10), 0, at) + 1) + 1}"


def _token(kind: str | None, found: str, at: int, text: str) -> InfluxqlToken:
    if kind in ("name", "string"):
        return InfluxqlToken(
            "name" if kind == "name" else "string", _unquote(found, text), at
        )
    if kind == "word":
        return InfluxqlToken("word", found, at)
    if kind == "duration":
        return InfluxqlToken("duration", found, at)
    return InfluxqlToken("number" if kind == "number" else "sign", found, at)


def _unquote(quoted: str, text: str) -> str:
    def unescape(match: re.Match[str]) -> str:
        if match[1] not in _ESCAPES:
            raise InfluxqlError(
                f"bad escape \\{match[1]} in {quoted[:_LONGEST_SHOWN]}: "
                "expected \\n, \\\\, \\' or \\\""
            )
        return _ESCAPES[match[1]]

    return _ESCAPE.sub(unescape, quoted[1:-1])


def _shown(text: str, at: int) -> str:
    return repr(text[at : at + 1])
