"""Bytes a system's command printed, as text; numbers and JSON in it. Bounded."""

from __future__ import annotations

import contextlib
import re

import msgspec

from probes.platforms.commands import MAX_OUTPUT_BYTES
from probes.wire import numbers


def decode(output: bytes | str) -> str:
    """UTF-16 (PowerShell's redirection), UTF-8, else one character an octet: parsers
    go by shapes in ASCII, so that an unknown code page does no harm. At most 2 MB."""
    if isinstance(output, str):
        return output[:MAX_OUTPUT_BYTES]
    output = output[:MAX_OUTPUT_BYTES]
    if output[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return output.decode("utf-16", "replace")
    if output[1:4:2] == b"\0\0":
        return output.decode("utf-16-le", "replace")
    try:
        return output.decode("utf-8-sig")
    except UnicodeDecodeError:
        return output.decode("latin-1")


def decode_json(output: bytes | str) -> object:
    """The JSON value in `output`, None where there is none to be had."""
    text = decode(output).strip()
    with contextlib.suppress(msgspec.MsgspecError, UnicodeError, RecursionError):
        return msgspec.json.decode(text)
    return None


def records(value: object) -> list[dict[str, object]]:
    """A list of objects; PowerShell prints a list of one as that one."""
    found = value if isinstance(value, list) else [value]
    return [each for each in found if isinstance(each, dict)]


def number(value: object) -> float | None:
    """A number given as one, or as a text that begins with it. Three digits after a
    comma or a point are thousands (`1,201`, `1.201`): no rate or level of a laptop has
    three decimals."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if abs(value) < 1e15 else None
    if not isinstance(value, str):
        return None
    # The no-break space of code pages 437 and 850, as `decode` reads it.
    return numbers.number(value.replace("\xff", " "), ",.")


def integer(value: object) -> int | None:
    """A whole number given as one, or as its text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) < 2**63 else None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else None
    if isinstance(value, str) and re.fullmatch(r"\s*[-+]?\d{1,18}\s*", value, re.ASCII):
        return int(value)
    return None
