"""Reads the output of a system command: text, numbers and JSON. Bounded."""

from __future__ import annotations

import contextlib
import re

import msgspec

from probes.platforms.commands import MAX_OUTPUT_BYTES
from probes.wire import numbers


def decode(output: bytes | str) -> str:
    """Decodes UTF-16 (redirected from PowerShell), UTF-8, or else one character per
    octet: the parsers look for ASCII, so an unknown code page does no harm. At most
    2 MB."""
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
    """The JSON value in `output`, or None if it is not valid."""
    text = decode(output).strip()
    with contextlib.suppress(msgspec.MsgspecError, UnicodeError, RecursionError):
        return msgspec.json.decode(text)
    return None


def records(value: object) -> list[dict[str, object]]:
    """The objects in a list. PowerShell prints a list of one item as the item."""
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, dict)]


def number(value: object) -> float | None:
    """A number, or the number at the start of a text. Three digits after a comma or a
    point are thousands (`1,201`, `1.201`), because no rate or level of a laptop has
    three decimals."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if abs(value) < 1e15 else None
    if not isinstance(value, str):
        return None
    # The no-break space of code pages 437 and 850, as `decode` returns it.
    return numbers.number(value.replace("\xff", " "), ",.")


def integer(value: object) -> int | None:
    """A whole number, also from text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) < 2**63 else None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else None
    if isinstance(value, str) and re.fullmatch(r"\s*[-+]?\d{1,18}\s*", value, re.ASCII):
        return int(value)
    return None
