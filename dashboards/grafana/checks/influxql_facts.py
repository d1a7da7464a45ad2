"""What an InfluxQL text names, and where Grafana's variables are in it. Pure.

It reads anything in time linear in the length of the text: also what no InfluxDB would
accept, since people's boards are checked with it. The store's own parser accepts only
what that store answers.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

LONGEST = 65_536
_LONGEST_CALL = 200
Place = Literal["text", "regex", "name", "bare"]

# What is not closed runs to the end.
_TOKEN = re.compile(
    r"""
      (?P<space>\s+|--[^\n]*|/\*.*?(?:\*/|\Z))
    | (?P<text>'(?:[^'\\]|\\.)*(?:'|\Z))
    | (?P<name>"(?:[^"\\]|\\.)*(?:"|\Z))
    | (?P<variable>(?:\$\{[^{}]*\}|\[\[[^\[\]]*\]\])\w*|\$[A-Za-z_]\w*)
    | (?P<number>[0-9][\w.]*)
    | (?P<word>[A-Za-z_]\w*)
    | (?P<sign>=~|!~|!=|<>|<=|>=|::|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_REGEX = re.compile(r"\s*/(?:[^/\\]|\\.)*(?:/|\Z)", re.DOTALL)
_VARIABLE = re.compile(r"\$\{([^{}]*)\}|\$([A-Za-z_]\w*)|\[\[([^\[\]]*)\]\]")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_KEYWORD = re.compile(
    r"all|and|any|as|asc|by|cardinality|databases?|desc|diagnostics|"
    r"distinct|exact|explain|field|fill|from|groups?|in|into|keys?|"
    r"limit|linear|measurements?|none|now|null|offset|on|or|order|"
    r"policies|previous|queries|retention|select|series|show|slimit|"
    r"soffset|stats|tag|time|true|false|tz|values|where|with",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class QueryToken:
    """`text` is the value without quotes; `depth` is how many brackets are open."""

    kind: str
    text: str
    depth: int

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.text.upper() in words


@dataclass(frozen=True)
class VariableUse:
    """A variable in a query: `${name:form}` and what it is part of."""

    name: str
    form: str
    place: Place


@dataclass(frozen=True)
class SelectedColumn:
    """A column of the outer SELECT that is a function of one field, and nothing more.
    `name` is what InfluxDB calls it."""

    name: str
    function: str
    field: str


@dataclass(frozen=True)
class InfluxqlFacts:
    """`groups`: the tags that the outer SELECT is grouped by ("*": all). `chosen`: tag
    → the variable or the values that it is compared with. `is_raw`: the outer
    SELECT has no function."""

    measurements: tuple[str, ...]
    fields: frozenset[str]
    names: frozenset[str]
    columns: tuple[SelectedColumn, ...]
    groups: tuple[str, ...]
    by_time: bool
    is_raw: bool
    chosen: dict[str, str | frozenset[str]]
    limit: int | None
    series_limit: int | None
    tops: tuple[int, ...]
    variables: tuple[VariableUse, ...]


# Each query is looked at by several checks, and many boards repeat theirs.
@lru_cache(maxsize=1000)
def read_facts(query: str) -> InfluxqlFacts:
    """Returns what `query` names; of a very long one, only of its beginning."""
    tokens, variables = _tokens(query[:LONGEST])
    measurements, used = _measurements(tokens)
    fields, names, aliases = set(), set(), set()
    for n, token in enumerate(tokens):
        before = tokens[n - 1] if n else None
        if before is not None and before.is_word("AS"):
            aliases.add(token.text)
        elif n not in used and _is_name(tokens, n):
            in_call = before is not None and before.text == "(" and n > 1
            if (
                in_call
                and tokens[n - 2].kind == "word"
                and not _is_keyword(tokens[n - 2])
            ):
                fields.add(token.text)
            names.add(token.text)
    outer = [token for token in tokens if not token.depth]
    groups, by_time = _groups(tokens)
    selected = _selected(tokens)
    return InfluxqlFacts(
        measurements=measurements,
        fields=frozenset(fields - aliases),
        names=frozenset(names - fields - aliases),
        columns=tuple(_columns(selected)),
        groups=groups,
        by_time=by_time,
        is_raw=_reads_rows(tokens)
        and not any(
            token.kind == "word" and following.text == "("
            for token, following in itertools.pairwise(selected)
        ),
        chosen=_chosen(tokens),
        limit=_limit(outer, "LIMIT"),
        series_limit=_limit(outer, "SLIMIT"),
        tops=tuple(_tops(tokens)),
        variables=tuple(variables),
    )


def _tokens(query: str) -> tuple[list[QueryToken], list[VariableUse]]:
    tokens: list[QueryToken] = []
    variables: list[VariableUse] = []
    at = depth = 0
    while at < len(query):
        kind: str | None = "regex"
        match = None
        if tokens and (tokens[-1].text in ("=~", "!~") or tokens[-1].is_word("FROM")):
            match = _REGEX.match(query, at)
        if match is None:
            match = _TOKEN.match(query, at)
            assert match is not None
            kind = match.lastgroup
        at = match.end()
        text = match[0]
        if kind == "space" or kind is None:
            continue
        if kind in ("text", "name", "regex", "variable"):
            place: Place = "bare" if kind == "variable" else kind  # type: ignore[assignment]
            variables += [
                VariableUse(*_named(next(filter(None, part.groups()), "")), place)
                for part in _VARIABLE.finditer(text)
            ]
        if kind in ("text", "name"):
            text = _ESCAPE.sub(r"\1", text[1:-1])
        if text == ")":
            depth = max(0, depth - 1)
        tokens.append(QueryToken(kind, text.strip(), depth))
        if text == "(":
            depth += 1
    return tokens, variables


def _named(inner: str) -> tuple[str, str]:
    """`site:regex` → name and form; `site.text` is of the variable `site`."""
    name, _, form = inner.partition(":")
    return name.partition(".")[0], form


def _is_keyword(token: QueryToken) -> bool:
    return bool(_KEYWORD.fullmatch(token.text))


def _is_name(tokens: Sequence[QueryToken], n: int) -> bool:
    """Whether a token names a field or tag."""
    token = tokens[n]
    following = tokens[n + 1].text if n + 1 < len(tokens) else ""
    before = tokens[n - 1].text if n else ""
    if before == "::":
        return False
    if token.kind == "name":
        return "$" not in token.text and "[[" not in token.text
    return token.kind == "word" and following != "(" and not _is_keyword(token)


def _measurements(tokens: Sequence[QueryToken]) -> tuple[tuple[str, ...], set[int]]:
    """Returns the measurements after each FROM, and which tokens name them. Those that
    a variable or a regular expression chooses are left out."""
    found: dict[str, None] = {}
    used: set[int] = set()
    n = 0
    while n < len(tokens):
        if not tokens[n].is_word("FROM", "ON", "INTO"):
            n += 1
            continue
        is_from = tokens[n].is_word("FROM")
        n += 1
        last = ""
        while n < len(tokens):
            token = tokens[n]
            if token.kind == "name" or (
                token.kind == "word" and not _is_keyword(token)
            ):
                used.add(n)
                last = "" if "$" in token.text or "[[" in token.text else token.text
            elif token.text == ",":
                if is_from and last:
                    found[last] = None
                last = ""
            elif token.text != "." and token.kind not in ("variable", "regex"):
                break
            elif token.kind in ("variable", "regex"):
                last = ""
            n += 1
        if is_from and last:
            found[last] = None
    return tuple(found), used


def _clause(tokens: Sequence[QueryToken], first: str, second: str) -> list[QueryToken]:
    """Returns what follows the outer `GROUP BY` or the like."""
    for n, token in enumerate(tokens[:-1]):
        if not token.depth and token.is_word(first) and tokens[n + 1].is_word(second):
            return list(tokens[n + 2 :])
    return []


def _groups(tokens: Sequence[QueryToken]) -> tuple[tuple[str, ...], bool]:
    groups: list[str] = []
    by_time = False
    before = ""
    for token in _clause(tokens, "GROUP", "BY"):
        if token.depth or before == "::":
            before = ""
            continue
        before = token.text
        if token.is_word("FILL", "ORDER", "LIMIT", "SLIMIT", "OFFSET", "SOFFSET", "TZ"):
            break
        if token.text == ";":
            break
        if token.is_word("TIME"):
            by_time = True
        elif token.kind in ("name", "word") or token.text == "*":
            groups.append(token.text)
        elif token.kind in ("regex", "variable"):
            groups.append("*")
    return tuple(groups), by_time


def _selected(tokens: Sequence[QueryToken]) -> list[QueryToken]:
    """Returns what is between the first SELECT and its FROM."""
    if not tokens or not tokens[0].is_word("SELECT"):
        return []
    selected = []
    for token in tokens[1:]:
        if not token.depth and token.is_word("FROM"):
            break
        selected.append(token)
    return selected


def _reads_rows(tokens: Sequence[QueryToken]) -> bool:
    """Whether the outer SELECT reads a measurement and no subquery."""
    for token, following in itertools.pairwise(tokens):
        if not token.depth and token.is_word("FROM"):
            return following.text != "("
    return False


def _columns(selected: Sequence[QueryToken]) -> list[SelectedColumn]:
    columns = []
    for part in _split(selected):
        alias = ""
        if len(part) > 2 and part[-2].is_word("AS"):
            alias, part = part[-1].text, part[:-2]
        match part:
            case [
                QueryToken(kind="word") as call,
                QueryToken(text="("),
                field,
                *rest,
            ] if (
                field.kind in ("name", "word")
                and (not rest or rest[-1].text == ")")
                and all(token.kind == "number" or token.text in ",)" for token in rest)
            ):
                function = call.text.lower()
                columns.append(SelectedColumn(alias or function, function, field.text))
            case [QueryToken(kind="name") as field]:
                columns.append(SelectedColumn(alias or field.text, "", field.text))
    return columns


def _split(tokens: Sequence[QueryToken]) -> list[list[QueryToken]]:
    parts: list[list[QueryToken]] = [[]]
    for token in tokens:
        if token.text == "," and not token.depth:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _chosen(tokens: Sequence[QueryToken]) -> dict[str, str | frozenset[str]]:
    chosen: dict[str, str | frozenset[str]] = {}
    for name, sign, value in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if name.kind not in ("name", "word") or sign.text not in ("=", "=~"):
            continue
        variable = _VARIABLE.search(value.text)
        if variable and value.kind in ("regex", "text", "variable"):
            chosen[name.text], _ = _named(next(filter(None, variable.groups()), ""))
        elif sign.text == "=" and value.kind == "text":
            before = chosen.get(name.text, frozenset())
            if isinstance(before, frozenset):
                chosen[name.text] = before | {value.text}
    return chosen


def _limit(tokens: Sequence[QueryToken], word: str) -> int | None:
    for token, following in itertools.pairwise(tokens):
        if token.is_word(word) and following.text.isdecimal():
            return int(following.text[:9])
    return None


def _tops(tokens: Sequence[QueryToken]) -> list[int]:
    """Returns the counts of `top(…, n)` and `bottom(…, n)`."""
    counts = []
    for n, token in enumerate(tokens[:-1]):
        if not token.is_word("TOP", "BOTTOM") or tokens[n + 1].text != "(":
            continue
        depth = tokens[n + 1].depth
        last = None
        for inner in tokens[n + 2 : n + _LONGEST_CALL]:
            if inner.depth <= depth:
                break
            last = inner
        if last is not None and last.text.isdecimal():
            counts.append(int(last.text[:9]))
    return counts
