"""Octet strings as people read them."""

from __future__ import annotations

from collectors.snmp.session import Value

_MAC_BYTES = 6


def text(value: Value | None) -> str | None:
    """A DisplayString as text: UTF-8, else Latin-1; no NULs, no control characters.

    Agents cut UTF-8 in the middle of a character, pad with NULs and put line ends into
    descriptions; what is no text at all is shown in hex. None stays None.
    """
    if value is None:
        return None
    if not isinstance(value, bytes):
        return str(value)
    trimmed = value.rstrip(b"\0").lstrip(b"\0")
    decoded = _decode(trimmed)
    if decoded is None:
        return value.hex()
    cleaned = "".join(c if c.isprintable() else " " for c in decoded)
    return cleaned.strip()


def mac(value: Value | None) -> str | None:
    """A physical address of six octets as 12 hex digits; None if it is none."""
    if isinstance(value, bytes) and len(value) == _MAC_BYTES:
        return value.hex()
    return None


def whole(value: Value | None) -> int | None:
    return value if isinstance(value, int) else None


def _decode(raw: bytes) -> str | None:
    """None where the octets are no text in any reading."""
    controls = sum(octet < 32 and octet not in b"\t\r\n" for octet in raw)
    if controls * 8 > len(raw):
        return None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.end >= len(raw) - 3 and error.reason == "unexpected end of data":
            # Cut off within a character, as fields of fixed length do.
            return raw[: error.start].decode("utf-8")
        if any(0x7F <= octet < 0xA0 for octet in raw):
            return None
        return raw.decode("latin-1")
