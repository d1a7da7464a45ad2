"""Turns pydantic's errors about files that people write into sentences.

Each sentence has the place, the value, what was expected, and perhaps what was meant.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError

from probes.wire.catalogue import did_you_mean

_EXPECTED = {
    "ip_v4_address": "an IPv4 address such as 10.1.2.3",
    "ip_v6_address": "an IPv6 address such as fd00::1",
    "ip_v4_network": "an IPv4 network such as 10.1.0.0/16, host bits zero",
    "ip_v6_network": "an IPv6 network such as fd00:1::/32",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "a text in quotes",
    "tuple_type": "a list in [ ]",
    "list_type": "a list in [ ]",
    "model_type": "a table",
    "date_from_datetime_parsing": "a date such as 2027-03-31",
    "date_parsing": "a date such as 2027-03-31",
    "datetime_from_date_parsing": "a time such as 2027-03-31T18:30:00Z",
    "datetime_parsing": "a time such as 2027-03-31T18:30:00Z",
    "path_type": "a path in quotes",
    "dict_type": "a table",
}
_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
# A value under such a name is never printed: it may be the secret itself.
_SECRET = re.compile(r"password|secret|token|community|key", re.IGNORECASE)
_PATTERNS = {
    "[a-z0-9][a-z0-9._-]": "an id of small letters, digits, dot, dash, underscore",
    r"[^\s:]+:\d{1,5}": "host:port",
    r"[01]\d|2[0-3]": "a time of day such as 08:30",
    "https?://": "an address that begins with https:// or http://",
    r"[^@\s]+@[^@\s]+": "a mail address",
    "[a-z][a-z0-9_]": "a name of small letters, digits and underscore",
    "[A-Za-z][A-Za-z0-9_]": "a name of letters, digits and underscore",
    "[A-Za-z0-9": "a name of letters, digits, dash and underscore",
}


def explain(
    error: ValidationError, model: type[BaseModel]
) -> Iterator[tuple[str, str]]:
    """(dotted path, sentence) for every error.

    The attempts of a union (an address of either version) give one finding.
    """
    seen: set[str] = set()
    for details in error.errors(include_url=False):
        branches = [p for p in details["loc"] if not _is_union_branch(p)]
        parts, known = _follow(model, branches)
        path = dotted(parts)
        if path in seen:
            continue
        seen.add(path)
        yield path, _sentence(details, parts, known)


def dotted(parts: Sequence[int | str]) -> str:
    """`devices[3].address`, counting from 1."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            text += f".{part}" if text else str(part)
    return text


def encoding_error(error: UnicodeDecodeError) -> str:
    """`7: is not UTF-8 text`, with the line of the first bad byte."""
    line = bytes(error.object[: error.start]).count(b"\n") + 1
    return f"{line}: is not UTF-8 text (save it with the encoding UTF-8)"


def line_of(text: str, parts: Sequence[int | str]) -> int | None:
    """The line (from 1) of `parts` in the TOML `text`, if it can be found.

    tomllib keeps no positions, so this searches for headers and the keys below them.
    """
    lines = text.splitlines()
    first, end, section = 0, len(lines), ""
    line: int | None = None
    for part in parts:
        if isinstance(part, int):
            entries = [n for n in range(first, end) if _is_header(lines[n], section, 2)]
            if part < len(entries):
                first = line = entries[part]
                end = [*entries, end][part + 1]
            continue
        section = f"{section}.{part}" if section else part
        at = _key_or_header(lines[first:end], part, section)
        if at is not None:
            first = line = first + at
    return None if line is None else line + 1


def entry_lines(text: str, section: str) -> list[int]:
    """The line (from 1) of each `[[section]]` in the TOML `text`, in one pass."""
    header = re.compile(rf"\s*\[\[\s*{re.escape(section)}\s*\]")
    return [n for n, line in enumerate(text.splitlines(), 1) if header.match(line)]


def _key_or_header(lines: Sequence[str], key: str, section: str) -> int | None:
    """The line with the header `section`, or with `key` below the first header."""
    below = True
    for n, line in enumerate(lines):
        if _is_header(line, section):
            return n
        if n and line.lstrip().startswith("["):
            below = False
        if below and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", line):
            return n
    return None


def _is_header(line: str, section: str, brackets: int = 1) -> bool:
    """True for `[section]`, or for `[[section]]` if `brackets` is 2."""
    return bool(re.match(rf"\s*\[{{{brackets},}}\s*{re.escape(section)}\s*\]", line))


def _is_union_branch(part: int | str) -> bool:
    return isinstance(part, str) and bool(
        re.fullmatch(
            r"(\[key\]|ip(v4|v6)(address|network|interface)|IPv[46](Address|Network)"
            r"|lax-or-strict.*|function-.*|union.*|tagged-union.*)",
            part,
            re.IGNORECASE,
        )
    )


def _sentence(
    details: Mapping[str, Any], parts: Sequence[int | str], known: Sequence[str]
) -> str:
    kind, value = details["type"], details["input"]
    if kind == "extra_forbidden":
        return f"unknown key{did_you_mean(str(parts[-1]), known)}"
    if kind == "missing":
        return "is missing"
    context = details.get("ctx", {})
    message = str(details["msg"]).removeprefix("Value error, ")
    message = f"{message[0].lower()}{message[1:]}"
    if isinstance(value, dict | BaseModel) or _SECRET.search(str(parts[-1])):
        expected = _EXPECTED.get(kind)
        return f"cannot be used: {f'expected {expected}' if expected else message}"
    prefix = f"is {value!r}, expected"
    if kind == "literal_error":
        expected = str(context["expected"])
        options = re.findall(r"'([^']*)'", expected)
        return f"{prefix} {expected}{did_you_mean(str(value), options)}"
    if kind == "string_pattern_mismatch":
        for fragment, meaning in _PATTERNS.items():
            if fragment in str(context["pattern"]):
                return f"{prefix} {meaning}"
    if kind in _BOUNDS:
        words, name = _BOUNDS[kind]
        return f"{prefix} {words} {context[name]:g}"
    if kind in _EXPECTED:
        wanted = _EXPECTED[kind]
        if kind.startswith("ip_v4"):
            wanted = wanted.replace("IPv4 ", "IP ")
        return f"{prefix} {wanted}"
    return f"is {value!r}: {message}"


def _follow(
    model: type[BaseModel], parts: Sequence[int | str]
) -> tuple[list[int | str], list[str]]:
    """(`parts` without the names of union branches, the keys known beside the last)."""
    kept: list[int | str] = []
    known: list[str] = []
    at: Any = model
    for part in parts:
        branch = _branches(at).get(str(part))
        if branch is not None:
            at = branch
        else:
            kept.append(part)
            known, at = _step(at, part)
    return kept, known


def _branches(annotation: Any) -> dict[str, Any]:
    """The members of a tagged union, by tag."""
    return {
        mark.tag: get_args(member)[0]
        for member in _members(annotation)
        if get_origin(member) is Annotated
        for mark in get_args(member)[1:]
        if isinstance(mark, Tag)
    }


def _step(annotation: Any, part: int | str) -> tuple[list[str], Any]:
    """(the known keys beside `part`, the annotation of `part`)."""
    for member in _members(annotation):
        plain = get_args(member)[0] if get_origin(member) is Annotated else member
        if isinstance(plain, type) and issubclass(plain, BaseModel):
            field = plain.model_fields.get(str(part))
            return list(plain.model_fields), field.annotation if field else None
        if get_origin(plain) in (dict, tuple, list):
            return [], get_args(plain)[get_origin(plain) is dict]
    return [], None


def _members(annotation: Any) -> Sequence[Any]:
    """The members of a union; any other annotation is its own only member."""
    plain = annotation
    if get_origin(plain) is Annotated:
        plain = get_args(plain)[0]
    if get_origin(plain) in (Union, types.UnionType):
        return get_args(plain)
    return (annotation,)
