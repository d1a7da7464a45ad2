"""SNMP v1/v2c messages for a simulated agent (RFC 1157, 3416); BER is the collector's.

The messages are put together apart from the libraries the poller uses, so that the two
check each other.
"""

from __future__ import annotations

from typing import NamedTuple

from collectors.snmp.session.ber import (
    COUNTER32,
    COUNTER64,
    GAUGE32,
    INTEGER,
    IP_ADDRESS,
    NULL,
    OCTETS,
    OID,
    SEQUENCE,
    TICKS,
    Malformed,
    Oid,
    arcs_of,
    expect,
    integer,
    octets,
    oid,
    oid_arcs,
    oid_content,
    read,
    read_integer,
    tlv,
)

__all__ = [
    "COUNTER32",
    "COUNTER64",
    "EMPTY",
    "END_OF_MIB_VIEW",
    "GAUGE32",
    "GEN_ERR",
    "GET",
    "GET_BULK",
    "GET_NEXT",
    "INTEGER",
    "IP_ADDRESS",
    "NO_SUCH_INSTANCE",
    "NO_SUCH_NAME",
    "NO_SUCH_OBJECT",
    "NULL",
    "OCTETS",
    "OID",
    "RESPONSE",
    "SEQUENCE",
    "SET",
    "TICKS",
    "TOO_BIG",
    "V1",
    "V2C",
    "Malformed",
    "Oid",
    "SnmpRequest",
    "arcs_of",
    "bind",
    "counter32",
    "counter64",
    "decode",
    "expect",
    "gauge32",
    "integer",
    "octets",
    "oid",
    "oid_arcs",
    "oid_content",
    "response",
    "ticks",
    "tlv",
]

GET, GET_NEXT, RESPONSE, SET, GET_BULK = 0xA0, 0xA1, 0xA2, 0xA3, 0xA5
V1, V2C = 0, 1
TOO_BIG, NO_SUCH_NAME, GEN_ERR = 1, 2, 5


class SnmpRequest(NamedTuple):
    """A request: `first` and `second` are error-status and error-index, or for
    GETBULK non-repeaters and max-repetitions. `names` are encoded OIDs."""

    version: int
    community: bytes
    kind: int
    request_id: int
    first: int
    second: int
    names: list[bytes]


def counter32(number: int) -> bytes:
    return integer(number % 2**32, COUNTER32)


def counter64(number: int) -> bytes:
    return integer(number % 2**64, COUNTER64)


def gauge32(number: int) -> bytes:
    return integer(min(number, 2**32 - 1), GAUGE32)


def ticks(number: int) -> bytes:
    return integer(number % 2**32, TICKS)


NO_SUCH_OBJECT = tlv(0x80, b"")
NO_SUCH_INSTANCE = tlv(0x81, b"")
END_OF_MIB_VIEW = tlv(0x82, b"")
EMPTY = tlv(NULL, b"")


def bind(name: bytes, value: bytes) -> bytes:
    """One variable binding: an encoded OID's content and an encoded value."""
    return tlv(SEQUENCE, tlv(OID, name) + value)


def response(
    request: SnmpRequest, binds: bytes, status: int = 0, index: int = 0
) -> bytes:
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


def decode(message: bytes) -> SnmpRequest:
    """A v1 or v2c request. `Malformed` for everything else."""
    at, end = expect(message, 0, len(message), SEQUENCE)
    version, at = read_integer(message, at, end)
    if version not in (V1, V2C):
        raise Malformed("neither v1 nor v2c")
    start, stop = expect(message, at, end, OCTETS)
    community = message[start:stop]
    kind, at, end = read(message, stop, end)
    if kind not in (GET, GET_NEXT, GET_BULK, SET):
        raise Malformed(f"a PDU of kind {kind:#x}")
    request_id, at = read_integer(message, at, end)
    first, at = read_integer(message, at, end)
    second, at = read_integer(message, at, end)
    at, end = expect(message, at, end, SEQUENCE)
    names = []
    while at < end:
        _, bind_at, at = read(message, at, end)
        start, stop = expect(message, bind_at, at, OID)
        names.append(message[start:stop])
    return SnmpRequest(version, community, kind, request_id, first, second, names)
