"""Encodes SNMP requests (GET, GETNEXT, GETBULK) and decodes responses. Pure.

RFC 1157 section 4.1, RFC 3416 section 4.2. A response is read binding by binding. A
value that cannot be read costs only its binding, which has the reason; libraries refuse
the whole response.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from collectors.snmp.session import opaque
from collectors.snmp.session.ber import (
    COUNTER32,
    COUNTER64,
    GAUGE32,
    INTEGER,
    IP_ADDRESS,
    NULL,
    OCTETS,
    OID,
    OPAQUE,
    SEQUENCE,
    TICKS,
    Malformed,
    expect,
    integer,
    oid_name,
    oid_text,
    read,
    read_clipped,
    read_integer,
    tlv,
)
from collectors.snmp.session.session import Value
from probes.wire.counted_text import counted

GET, GET_NEXT, RESPONSE, GET_BULK, REPORT = 0xA0, 0xA1, 0xA2, 0xA5, 0xA8
TOO_BIG, NO_SUCH_NAME, GEN_ERR, AUTHORIZATION_ERROR = 1, 2, 5, 16
# noSuchObject, noSuchInstance, endOfMibView: the agent has no such value.
_ABSENT = (0x80, 0x81, 0x82)
_UNSIGNED32 = 0x47
_BITS = {COUNTER32: 32, GAUGE32: 32, TICKS: 32, _UNSIGNED32: 32, COUNTER64: 64}
_EMPTY = tlv(NULL, b"")


class VarBind(NamedTuple):
    """One variable binding.

    `value` is None if the agent has no value, or if it cannot be read: then `fault` is
    the reason. `oid` is "" if not even the name can be read.
    """

    oid: str
    value: Value | None
    fault: str = ""


class Response(NamedTuple):
    """A response. `complete` is False if the list breaks off after `binds`."""

    kind: int
    request_id: int
    status: int
    error_index: int
    binds: list[VarBind]
    complete: bool


def encode(
    kind: int, request_id: int, names: Sequence[bytes], first: int = 0, second: int = 0
) -> bytes:
    """A request for `names`, which are the contents of OIDs.

    `first` and `second` are non-repeaters and max-repetitions of a GETBULK, else 0.
    """
    binds = b"".join([tlv(SEQUENCE, tlv(OID, name) + _EMPTY) for name in names])
    return tlv(
        kind,
        integer(request_id) + integer(first) + integer(second) + tlv(SEQUENCE, binds),
    )


def decode(data: bytes, at: int, end: int, requested: Sequence[str] = ()) -> Response:
    """The PDU at `at`. Raises `Malformed` if it is no response or report.

    `requested` are the OIDs of a GET; they replace names that cannot be read.
    """
    kind, at, stop, _ = read_clipped(data, at, end)
    if kind not in (RESPONSE, REPORT):
        raise Malformed(f"a PDU of kind {kind:#04x}")
    request_id, at = read_integer(data, at, stop)
    status, at = read_integer(data, at, stop)
    index, at = read_integer(data, at, stop)
    tag, at, stop, _ = read_clipped(data, at, stop)
    if tag != SEQUENCE:
        raise Malformed(f"tag {tag:#04x} instead of the list of bindings")
    binds, complete = _binds(data, at, stop, requested)
    return Response(kind, request_id, status, index, binds, complete)


def _binds(
    data: bytes, at: int, end: int, requested: Sequence[str]
) -> tuple[list[VarBind], bool]:
    binds: list[VarBind] = []
    while at < end:
        oid = requested[len(binds)] if len(binds) < len(requested) else ""
        try:
            tag, start, stop = read(data, at, end)
        except Malformed as error:
            # The start of the next binding is not known.
            binds.append(_broken(data, at, end, oid, str(error)))
            return binds, False
        if tag == SEQUENCE:
            binds.append(_bind(data, start, stop, oid))
        else:
            binds.append(_broken(data, at, stop, oid, f"tag {tag:#04x}"))
        at = stop
    return binds, True


def _bind(data: bytes, at: int, end: int, requested: str) -> VarBind:
    try:
        start, stop = expect(data, at, end, OID)
        name = data[start:stop]
        oid = requested if requested and name == oid_name(requested) else oid_text(name)
    except Malformed as error:
        return VarBind(requested, None, f"its name is {error}")
    try:
        return VarBind(oid, read_value(data, stop, end))
    except Malformed as error:
        return VarBind(oid, None, str(error))


def _broken(data: bytes, at: int, end: int, requested: str, reason: str) -> VarBind:
    """A binding that is cut off or is no sequence; its name may still be readable."""
    try:
        _, start, _, _ = read_clipped(data, at, end)
        start, stop = expect(data, start, end, OID)
        return VarBind(oid_text(data[start:stop]), None, reason)
    except Malformed:
        return VarBind(requested, None, reason)


def read_value(data: bytes, at: int, end: int) -> Value | None:
    """The value at `at`; None if the agent has no value.

    Raises `Malformed` if SNMP has no such type (RFC 2578 section 7.1), or the length
    does not fit the type.
    """
    if at == end:
        raise Malformed("no value")
    tag = data[at]
    if tag & 0x20:
        raise Malformed(f"a value of many parts (tag {tag:#04x})")
    if tag in opaque.BARE:
        return _bare(data, at, end)
    tag, start, stop = read(data, at, end)
    raw = data[start:stop]
    if tag == OCTETS:
        return raw
    if tag == OPAQUE:
        return opaque.unwrap(raw)
    if tag == INTEGER:
        if not 1 <= len(raw) <= 8:
            raise Malformed(f"an integer of {counted(len(raw), 'octet')}")
        return int.from_bytes(raw, "big", signed=True)
    if tag in _BITS:
        number = int.from_bytes(raw, "big")
        if not raw or number >> _BITS[tag]:
            raise Malformed(
                f"a {_BITS[tag]}-bit number of {counted(len(raw), 'octet')}"
            )
        return number
    if tag == OID:
        return oid_text(raw)
    if tag == IP_ADDRESS:
        if len(raw) != 4:
            raise Malformed(f"an IPv4 address of {counted(len(raw), 'octet')}")
        return ".".join(map(str, raw))
    if tag == NULL or tag in _ABSENT:
        if raw:
            raise Malformed(f"a null of {counted(len(raw), 'octet')}")
        return None
    raise Malformed(f"a value of a type that SNMP does not have (tag {tag:#04x})")


def _bare(data: bytes, at: int, end: int) -> Value:
    """A number of net-snmp's types without the Opaque around it."""
    value = opaque.unwrap_bare(data[at:end])
    if value is None:
        raise Malformed(
            f"a value of a type that SNMP does not have (tag {data[at]:#04x})"
        )
    return value
