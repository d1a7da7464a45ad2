"""Just enough of BER and SNMP v1/v2c messages for a simulated agent (RFC 1157, 3416).

Written apart from the libraries the collector uses, so that the two check each other.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

Oid = tuple[int, ...]

INTEGER, OCTETS, NULL, OID, SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30
IP_ADDRESS, COUNTER32, GAUGE32, TICKS, COUNTER64 = 0x40, 0x41, 0x42, 0x43, 0x46
GET, GET_NEXT, RESPONSE, SET, GET_BULK = 0xA0, 0xA1, 0xA2, 0xA3, 0xA5
V1, V2C = 0, 1
TOO_BIG, NO_SUCH_NAME, GEN_ERR = 1, 2, 5


class Malformed(ValueError):
    """Not an SNMP message this agent understands."""


class Request(NamedTuple):
    """A request: `first` and `second` are error-status and error-index, or for
    GETBULK non-repeaters and max-repetitions. `names` are encoded OIDs."""

    version: int
    community: bytes
    kind: int
    request_id: int
    first: int
    second: int
    names: list[bytes]


def tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    if size < 0x100:
        return bytes((tag, 0x81, size)) + content
    return bytes((tag, 0x82, size >> 8, size & 0xFF)) + content


def integer(number: int, tag: int = INTEGER) -> bytes:
    """Any integer type; unsigned ones only differ in their tag."""
    size = (number if number >= 0 else ~number).bit_length() // 8 + 1
    return tlv(tag, number.to_bytes(size, "big", signed=True))


def counter32(number: int) -> bytes:
    return integer(number % 2**32, COUNTER32)


def counter64(number: int) -> bytes:
    return integer(number % 2**64, COUNTER64)


def gauge32(number: int) -> bytes:
    return integer(min(number, 2**32 - 1), GAUGE32)


def ticks(number: int) -> bytes:
    return integer(number % 2**32, TICKS)


def octets(content: bytes | str) -> bytes:
    return tlv(OCTETS, content.encode() if isinstance(content, str) else content)


def oid(arcs: Oid | str) -> bytes:
    return tlv(OID, oid_content(oid_arcs(arcs)))


NO_SUCH_OBJECT = tlv(0x80, b"")
NO_SUCH_INSTANCE = tlv(0x81, b"")
END_OF_MIB_VIEW = tlv(0x82, b"")
EMPTY = tlv(NULL, b"")


def oid_arcs(text: Oid | str) -> Oid:
    if isinstance(text, str):
        return tuple(map(int, text.split(".")))
    return text


@lru_cache(maxsize=200_000)
def oid_content(arcs: Oid) -> bytes:
    """The content octets of an OID."""
    encoded = bytearray()
    for arc in (arcs[0] * 40 + arcs[1], *arcs[2:]):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | 0x80)
        encoded += bytes(reversed(groups))
    return bytes(encoded)


@lru_cache(maxsize=200_000)
def arcs_of(content: bytes) -> Oid:
    """The arcs of an OID's content octets. `Malformed` if it is cut off."""
    if not content or content[-1] & 0x80:
        raise Malformed("an OID that is cut off")
    arcs, arc = [], 0
    for octet in content:
        arc = arc << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(arc)
            arc = 0
    root = min(arcs[0] // 40, 2)
    return (root, arcs[0] - root * 40, *arcs[1:])


def bind(name: bytes, value: bytes) -> bytes:
    """One variable binding: an encoded OID's content and an encoded value."""
    return tlv(SEQUENCE, tlv(OID, name) + value)


def response(request: Request, binds: bytes, status: int = 0, index: int = 0) -> bytes:
    """The response to `request`; `binds` are encoded bindings, joined."""
    pdu = tlv(
        RESPONSE,
        integer(request.request_id)
        + integer(status)
        + integer(index)
        + tlv(SEQUENCE, binds),
    )
    return tlv(
        SEQUENCE, integer(request.version) + tlv(OCTETS, request.community) + pdu
    )


def decode(message: bytes) -> Request:
    """A v1 or v2c request. `Malformed` for everything else."""
    try:
        return _decode(message)
    except IndexError:
        raise Malformed("cut off") from None


def _decode(message: bytes) -> Request:
    tag, body, _ = _read(message, 0)
    if tag != SEQUENCE:
        raise Malformed("not a sequence")
    _, version, at = _read(body, 0)
    if int.from_bytes(version, "big") not in (V1, V2C):
        raise Malformed("neither v1 nor v2c")
    _, community, at = _read(body, at)
    kind, pdu, _ = _read(body, at)
    if kind not in (GET, GET_NEXT, GET_BULK, SET):
        raise Malformed(f"a PDU of kind {kind:#x}")
    _, request_id, at = _read(pdu, 0)
    _, first, at = _read(pdu, at)
    _, second, at = _read(pdu, at)
    _, binds, _ = _read(pdu, at)
    names, at = [], 0
    while at < len(binds):
        _, one, at = _read(binds, at)
        tag, name, _ = _read(one, 0)
        if tag != OID:
            raise Malformed("a binding without a name")
        names.append(name)
    return Request(
        int.from_bytes(version, "big"),
        community,
        kind,
        int.from_bytes(request_id, "big", signed=True),
        int.from_bytes(first, "big", signed=True),
        int.from_bytes(second, "big", signed=True),
        names,
    )


def _read(data: bytes, at: int) -> tuple[int, bytes, int]:
    """(tag, content, where the next begins)."""
    tag, size = data[at], data[at + 1]
    at += 2
    if size & 0x80:
        more = size & 0x7F
        if not 1 <= more <= 4:
            raise Malformed("a length of no use")
        size = int.from_bytes(data[at : at + more], "big")
        at += more
    if at + size > len(data):
        raise Malformed("cut off")
    return tag, data[at : at + size], at + size
