"""What is wrong with a file a person wrote, one sentence a finding.

`towpath.toml` and the estate are both checked against pydantic models; this turns
what pydantic says into "where, what, what was expected, did you mean".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from probes.catalogue import did_you_mean

_EXPECTED = {
    "ip_v4_address": "an IPv4 address such as 10.1.2.3",
    "ip_v6_address": "an IPv6 address such as fd00::1",
    "ip_v4_network": "an IPv4 network such as 10.1.0.0/16, host bits zero",
    "ip_v6_network": "an IPv6 network such as fd00:1::/32",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
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
}
_PATTERNS = {
    "[a-z0-9][a-z0-9._-]": "an id of small letters, digits, dot, dash, underscore",
    r"[^\s:]+:\d{1,5}": "host:port",
    r"[01]\d|2[0-3]": "a time of day such as 08:30",
}


def explain(
    error: ValidationError, model: type[BaseModel]
) -> Iterator[tuple[str, str]]:
    """(dotted path, sentence) for everything pydantic found wrong.

    The several tries of a union (an address of either version) are one finding.
    """
    seen: set[str] = set()
    for found in error.errors(include_url=False):
        parts = [p for p in found["loc"] if not _is_union_branch(p)]
        path = dotted(parts)
        if path in seen:
            continue
        seen.add(path)
        yield path, _sentence(found, parts, model)


def dotted(parts: Sequence[int | str]) -> str:
    """`devices[3].address`, counting from 1 as people do."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            text += f".{part}" if text else str(part)
    return text


def line_of(text: str, parts: Sequence[int | str]) -> int | None:
    """The line (from 1) in the TOML `text` where `parts` was written, if found.

    tomllib keeps no positions, so the n-th `[[section]]` and the key below it are
    looked for; good enough to send a person to the right line.
    """
    lines = text.splitlines()
    at, section = 0, ""
    found: int | None = None
    for part in parts:
        if isinstance(part, int):
            headers = [
                n
                for n, line in enumerate(lines)
                if re.match(rf"\s*\[\[\s*{re.escape(section)}\s*\]\]", line)
            ]
            if part < len(headers):
                at = found = headers[part]
            continue
        section = f"{section}.{part}" if section else part
        for n in range(at, len(lines)):
            if n > at and re.match(r"\s*\[", lines[n]) and isinstance(found, int):
                header = re.match(rf"\s*\[+\s*{re.escape(section)}\s*\]", lines[n])
                if not header:
                    break
            if re.match(
                rf"\s*(\[+\s*{re.escape(section)}\s*\]|[\"']?{re.escape(part)}[\"']?\s*=)",
                lines[n],
            ):
                at = found = n
                break
    return None if found is None else found + 1


def _is_union_branch(part: int | str) -> bool:
    return isinstance(part, str) and bool(
        re.fullmatch(
            r"(ip(v4|v6)(address|network|interface)|IPv[46](Address|Network)"
            r"|lax-or-strict.*|function-.*|union.*|tagged-union.*)",
            part,
            re.IGNORECASE,
        )
    )


def _sentence(
    found: Mapping[str, Any], parts: Sequence[int | str], model: type[BaseModel]
) -> str:
    kind, given = found["type"], found["input"]
    if kind == "extra_forbidden":
        known = _keys(model, parts[:-1])
        return f"unknown key{did_you_mean(str(parts[-1]), known)}"
    if kind == "missing":
        return "is missing"
    context = found.get("ctx", {})
    if kind == "literal_error":
        expected = str(context["expected"])
        options = re.findall(r"'([^']*)'", expected)
        return f"is {given!r}, expected {expected}{did_you_mean(str(given), options)}"
    if kind == "string_pattern_mismatch":
        for fragment, meaning in _PATTERNS.items():
            if fragment in str(context["pattern"]):
                return f"is {given!r}, expected {meaning}"
    if kind in _EXPECTED:
        wanted = _EXPECTED[kind]
        if kind.startswith("ip_v4"):
            wanted = wanted.replace("IPv4 ", "IP ")
        return f"is {given!r}, expected {wanted}"
    message = str(found["msg"]).removeprefix("Value error, ")
    return f"is {given!r}: {message[0].lower()}{message[1:]}"


def _keys(model: type[BaseModel], parts: Sequence[int | str]) -> list[str]:
    """The keys `model` knows at `parts`."""
    current: type[BaseModel] | None = model
    for part in parts:
        if isinstance(part, int):
            continue
        if current is None or part not in current.model_fields:
            return []
        current = _model_in(current.model_fields[part].annotation)
    return [] if current is None else list(current.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_in(inner)
        if found is not None:
            return found
    return None
