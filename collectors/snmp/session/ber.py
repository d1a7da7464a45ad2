"""Encodes and decodes BER as SNMP uses it (X.690; RFC 3417 section 8). Pure.

What is read comes from the network: every length is checked against the data, and an
object identifier has at most 128 parts of 32 bits (RFC 3416 section 4.1).
"""

from __future__ import annotations

from functools import lru_cache

Oid = tuple[int, ...]

INTEGER, OCTETS, NULL, OID, SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30
IP_ADDRESS, COUNTER32, GAUGE32, TICKS, OPAQUE = 0x40, 0x41, 0x42, 0x43, 0x44
COUNTER64 = 0x46
_MAX_PARTS = 128
_MAX_OID_OCTETS = 5 * _MAX_PARTS


class Malformed(ValueError):
    """The octets are not as expected; the text says what is wrong."""


def read(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """(tag, start of the content, end of the content) of the element at `at`.

    Does not read beyond `end`. Only lengths of the definite form are allowed.
    """
    if at + 2 > end:
        raise Malformed("cut off")
    tag, size = data[at], data[at + 1]
    if tag & 0x1F == 0x1F:
        raise Malformed("a tag of several octets")
    start = at + 2
    if size & 0x80:
        more = size & 0x7F
        if not 1 <= more <= 4 or start + more > end:
            raise Malformed("an invalid length")
        size = int.from_bytes(data[start : start + more], "big")
        start += more
    stop = start + size
    if stop > end:
        raise Malformed("cut off")
    return tag, start, stop


def read_clipped(data: bytes, at: int, end: int) -> tuple[int, int, int, bool]:
    """`read`, and whether the element is complete; if not, it ends at `end`."""
    try:
        return *read(data, at, end), True
    except Malformed:
        more = data[at + 1] & 0x7F if at + 1 < end and data[at + 1] & 0x80 else 0
        if at + 2 + more > end or data[at] & 0x1F == 0x1F:
            raise
        return data[at], at + 2 + more, end, False


def expect(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    """(start, end) of the content of the element at `at`, which must have `tag`."""
    actual, start, stop = read(data, at, end)
    if actual != tag:
        raise Malformed(f"tag {actual:#04x} instead of {tag:#04x}")
    return start, stop


def read_integer(data: bytes, at: int, end: int) -> tuple[int, int]:
    """(the number, start of the next element)."""
    start, stop = expect(data, at, end, INTEGER)
    if not 1 <= stop - start <= 5:
        raise Malformed("an invalid number")
    return int.from_bytes(data[start:stop], "big", signed=True), stop


def read_octets(data: bytes, at: int, end: int) -> tuple[bytes, int]:
    """(the octets, start of the next element)."""
    start, stop = expect(data, at, end, OCTETS)
    return data[start:stop], stop


def tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    if size < 0x100:
        return bytes((tag, 0x81, size)) + content
    if size < 0x10000:
        return bytes((tag, 0x82, size >> 8, size & 0xFF)) + content
    return bytes((tag, 0x84)) + size.to_bytes(4, "big") + content


def integer(number: int, tag: int = INTEGER) -> bytes:
    """An integer of any type; unsigned types only have another tag."""
    size = (number if number >= 0 else ~number).bit_length() // 8 + 1
    return tlv(tag, number.to_bytes(size, "big", signed=True))


def octets(content: bytes | str) -> bytes:
    return tlv(OCTETS, content.encode() if isinstance(content, str) else content)


def oid(arcs: Oid | str) -> bytes:
    return tlv(OID, oid_content(oid_arcs(arcs)))


def oid_arcs(text: Oid | str) -> Oid:
    if isinstance(text, str):
        return tuple(map(int, text.split(".")))
    return text


@lru_cache(maxsize=200_000)
def oid_content(arcs: Oid) -> bytes:
    """The content octets of an OID."""
    return _content(arcs)


@lru_cache(maxsize=16_384)
def oid_name(text: str) -> bytes:
    """The content octets of an OID given as text."""
    return _content(oid_arcs(text))


def _content(arcs: Oid) -> bytes:
    encoded = bytearray()
    for arc in (arcs[0] * 40 + arcs[1], *arcs[2:]):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | 0x80)
        encoded += bytes(reversed(groups))
    return bytes(encoded)


@lru_cache(maxsize=200_000)
def arcs_of(content: bytes) -> Oid:
    """The arcs of an OID's content octets. Raises `Malformed`."""
    return _arcs(content)


def _arcs(content: bytes) -> Oid:
    if not content:
        raise Malformed("an OID of no octets")
    if content[-1] & 0x80:
        raise Malformed("an OID that is cut off")
    if len(content) > _MAX_OID_OCTETS:
        raise Malformed("an OID that is too long")
    arcs, arc = [], 0
    for octet in content:
        arc = arc << 7 | octet & 0x7F
        if arc >> 32:
            raise Malformed("a part of an OID beyond 32 bits")
        if not octet & 0x80:
            arcs.append(arc)
            arc = 0
    if len(arcs) > _MAX_PARTS:
        raise Malformed("an OID that is too long")
    root = min(arcs[0] // 40, 2)
    return (root, arcs[0] - root * 40, *arcs[1:])


def oid_text(content: bytes) -> str:
    """The OID as text without a leading dot, from its content octets."""
    if len(content) > _MAX_OID_OCTETS:
        raise Malformed("an OID that is too long")
    # Rows of a column differ in the last part only: the other parts are cached.
    at = len(content) - 1
    while at > 0 and content[at - 1] & 0x80:
        at -= 1
    if at < 1 or content[-1] & 0x80:
        return ".".join(map(str, _arcs(content)))
    last = 0
    for octet in content[at:]:
        last = last << 7 | octet & 0x7F
    if last >> 32:
        raise Malformed("a part of an OID beyond 32 bits")
    return f"{_prefix_text(content[:at])}.{last}"


@lru_cache(maxsize=16_384)
def _prefix_text(content: bytes) -> str:
    arcs = _arcs(content)
    if len(arcs) >= _MAX_PARTS:
        raise Malformed("an OID that is too long")
    return ".".join(map(str, arcs))
