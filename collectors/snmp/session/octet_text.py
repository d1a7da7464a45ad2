"""Reads octet strings as text, and values as numbers."""

from __future__ import annotations

import re

from collectors.snmp.session.session import Value
from probes.wire import numbers

_MAC_BYTES = 6
# A name has more than two letters; shorter octets with zeros between are numbers.
_MIN_UTF16 = 6
_WESTERN, _CHINESE = "cp1252", "gb2312"
# Characters above ASCII that occur in Western text, such as quotation marks, dashes,
# degrees and pounds. Other characters suggest that the octets are not text.
_MARKS = frozenset(
    bytes.fromhex("808284859192939495969799a1a3a7a9abaeb0b1b2b3b4b5b7bbbfd7").decode(
        "cp1252"
    )
)
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_HIGH = re.compile(rb"[\x80-\xff]+")
# GB 2312: its symbols, and the most common characters.
_CHINESE_PAIRS = re.compile(rb"(?:[\xa1-\xa3\xb0-\xd7][\xa1-\xfe])+")
_CHINESE_CHARACTERS = re.compile(rb"[\xb0-\xd7][\xa1-\xfe]")


def text(value: Value | None) -> str | None:
    """A DisplayString as text, without padding and control characters.

    Octets are read as UTF-8, UTF-16, GB 2312 or Windows-1252, whichever fits. If none
    fits, they are shown in hex. Returns None for None, and for octets that are all 0xff
    (memory that was never written).
    """
    if value is None:
        return None
    if not isinstance(value, bytes):
        return f"{value:.12g}" if isinstance(value, float) else str(value)
    if value and not value.strip(b"\xff"):
        return None
    decoded = decode_text(value)
    return value.hex() if decoded is None else decoded


def decode_text(octets: bytes) -> str | None:
    """`octets` as text; None if no encoding fits."""
    # 0xff is not part of a text. Memory that was never written has it as padding, or
    # between the letters.
    trimmed = octets.replace(b"\xff", b"").strip(b"\0")
    decoded: str | None
    if octets[:2] in _BYTE_ORDER_MARKS and len(octets) != _MAC_BYTES:
        decoded = octets[: len(octets) // 2 * 2].decode("utf-16", "replace")
    elif controls := len(_CONTROL.findall(trimmed)):
        decoded = _wide(octets)
        if decoded is None and controls * 8 <= len(trimmed):
            decoded = _unicode(trimmed)
    else:
        decoded = _unicode(trimmed)
        if decoded is None:
            decoded = _chinese(trimmed) or _western(trimmed, len(octets) == _MAC_BYTES)
    if decoded is None:
        return None
    return "".join(c if _is_visible(c) else " " for c in decoded).strip()


def as_number(value: Value | None) -> float | None:
    """A value as a number; of text, the number that it begins with (`25.3 C`).

    None for anything else, also for NaN and the infinities.
    """
    if isinstance(value, int | float):
        return numbers.finite(value)
    content = decode_text(value) if isinstance(value, bytes) else value
    return None if content is None else numbers.number(content)


def mac(value: Value | None) -> str | None:
    """A physical address of six octets as 12 hex digits; None for anything else."""
    if isinstance(value, bytes) and len(value) == _MAC_BYTES:
        return value.hex()
    return None


def as_int(value: Value | None) -> int | None:
    return value if isinstance(value, int) else None


def _is_visible(character: str) -> bool:
    return character.isprintable() and character != "\ufffd"


def _unicode(octets: bytes) -> str | None:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.end >= len(octets) - 3 and error.reason == "unexpected end of data":
            # Cut off within a character, as in fields of fixed length.
            return octets[: error.start].decode("utf-8")
        return None


def _wide(octets: bytes) -> str | None:
    """UTF-16 without a byte order mark, if it has Western European letters only."""
    even = octets[: len(octets) // 2 * 2]
    while even[-2:] in (b"\0\0", b"\xff\xff"):
        even = even[:-2]
    if len(even) < _MIN_UTF16:
        return None
    for zeros, letters, codec in (
        (even[1::2], even[0::2], "utf-16-le"),
        (even[0::2], even[1::2], "utf-16-be"),
    ):
        if not any(zeros) and _is_printable(letters):
            return even.decode(codec)
    return None


def _is_printable(octets: bytes) -> bool:
    return all(32 <= c < 127 or c >= 160 or c in b"\t\r\n" for c in octets)


def _chinese(octets: bytes) -> str | None:
    """GB 2312, if octets above ASCII come in pairs and make at least two characters."""
    runs = _HIGH.findall(octets)
    if not all(_CHINESE_PAIRS.fullmatch(run) for run in runs):
        return None
    if sum(len(_CHINESE_CHARACTERS.findall(run)) for run in runs) < 2:
        return None
    try:
        return octets.decode(_CHINESE)
    except UnicodeDecodeError:
        return None


def _western(octets: bytes, maybe_mac: bool) -> str | None:
    """Windows-1252, if it is mostly ASCII, as Western words are; not a MAC address."""
    decoded = octets.decode(_WESTERN, "replace")
    plain = sum(octet < 128 for octet in octets)
    words = all(c.isalnum() or c in _MARKS for c in decoded if ord(c) > 127)
    if maybe_mac:
        letters = sum(c.isascii() and (c.isalnum() or c == " ") for c in decoded)
        return decoded if plain >= 5 or (words and letters >= 4) else None
    return decoded if words or plain * 3 >= len(octets) * 2 else None
