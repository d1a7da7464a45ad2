"""Decodes traps and informs of SNMP v1 and v2c, and the PDU in a v3 message. Pure.

Some senders truncate a notification at a size of their own, and some omit v1's list of
variables. Complete variables are kept, and the others are counted as lost.

RFC 1157 section 4.1.6 (v1 trap), RFC 3416 section 4.2.6 and 4.2.7 (v2 trap, inform),
RFC 3584 section 3.1 (the v2 OID of a v1 trap).
"""

from __future__ import annotations

import ipaddress

import msgspec

from collectors.snmp.session.ber import (
    COUNTER32,
    COUNTER64,
    INTEGER,
    IP_ADDRESS,
    OCTETS,
    OID,
    SEQUENCE,
    TICKS,
    Malformed,
    expect,
    integer,
    oid_text,
    read,
    read_clipped,
    read_integer,
    read_octets,
    tlv,
)
from collectors.snmp.session.pdu import read_value
from collectors.snmp.session.session import Value

V1, V2C = 0, 1
RESPONSE, TRAP_V1, INFORM, TRAP_V2 = 0xA2, 0xA4, 0xA6, 0xA7
SYS_UP_TIME = "1.3.6.1.2.1.1.3.0"
SNMP_TRAP_OID = "1.3.6.1.6.3.1.1.4.1.0"
SNMP_TRAP_ENTERPRISE = "1.3.6.1.6.3.1.1.4.3.0"
SNMP_TRAP_ADDRESS = "1.3.6.1.6.3.18.1.3.0"
SNMP_TRAPS = "1.3.6.1.6.3.1.1.5"
# More than any switch sends in one datagram; further variables are not read.
MAX_BINDS = 128
_ENTERPRISE_SPECIFIC = 6


class TrapBind(msgspec.Struct, frozen=True, gc=False):
    """One variable: its OID, its type as sent (a BER tag), and its value."""

    oid: str
    tag: int
    value: Value | None


class TrapPdu(msgspec.Struct, frozen=True, gc=False):
    """One notification.

    `uptime`: in hundredths of a second. `address`: the sender's own address as it
    states it (v1's agent-addr, or snmpTrapAddress), or "". `raw_binds`: the encoded
    variables, which the response to an inform repeats. `lost`: at least this many
    variables could not be read.
    """

    kind: int
    request_id: int
    trap: str
    uptime: int | None
    binds: tuple[TrapBind, ...]
    address: str
    raw_binds: bytes
    lost: int = 0

    @property
    def is_inform(self) -> bool:
        return self.kind == INFORM


class CommunityMessage(msgspec.Struct, frozen=True, gc=False):
    """A v1 or v2c message."""

    version: int
    community: bytes
    pdu: TrapPdu


class NotATrap(Malformed):
    """A valid SNMP message that is neither a trap nor an inform."""


def read_version(data: bytes) -> int:
    """Read the version of an SNMP message. Raises `Malformed` if it is not one."""
    tag, at, end, _ = read_clipped(data, 0, len(data))
    if tag != SEQUENCE:
        raise Malformed(f"tag {tag:#04x} where a message was expected")
    return read_integer(data, at, end)[0]


def decode(data: bytes) -> CommunityMessage:
    """Decode a trap or inform of v1 or v2c. Raises `NotATrap` or `Malformed`."""
    _, at, end, _ = read_clipped(data, 0, len(data))
    version, at = read_integer(data, at, end)
    if version not in (V1, V2C):
        raise Malformed(f"SNMP version {version}")
    community, at = read_octets(data, at, end)
    return CommunityMessage(version, community, decode_pdu(data, at, end))


def decode_pdu(data: bytes, at: int, end: int) -> TrapPdu:
    """Decode the PDU at `at`. Raises `NotATrap` or `Malformed`."""
    kind, at, end, _ = read_clipped(data, at, end)
    if kind in (TRAP_V2, INFORM):
        return _decode_v2(data, kind, at, end)
    if kind == TRAP_V1:
        return _decode_v1(data, at, end)
    raise NotATrap(f"a PDU of kind {kind:#04x}")


def encode_response(pdu: TrapPdu) -> bytes:
    """Encode the response to an inform: the same variables, no error (RFC 3416,
    4.2.7)."""
    return tlv(
        RESPONSE,
        integer(pdu.request_id)
        + integer(0)
        + integer(0)
        + tlv(SEQUENCE, pdu.raw_binds),
    )


def encode_message(version: int, community: bytes, pdu: bytes) -> bytes:
    return tlv(SEQUENCE, integer(version) + tlv(OCTETS, community) + pdu)


def _decode_v2(data: bytes, kind: int, at: int, end: int) -> TrapPdu:
    request_id, at = read_integer(data, at, end)
    _, at = read_integer(data, at, end)
    _, at = read_integer(data, at, end)
    variables, raw, lost = _decode_list(data, at, end)
    uptime: int | None = None
    trap = address = ""
    binds = []
    for bind in variables:
        # Some agents omit sysUpTime or send it in another position.
        if bind.oid == SNMP_TRAP_OID and isinstance(bind.value, str) and not trap:
            trap = bind.value
        elif bind.oid == SYS_UP_TIME and bind.tag == TICKS and uptime is None:
            uptime = bind.value if isinstance(bind.value, int) else None
        elif bind.oid == SNMP_TRAP_ADDRESS and isinstance(bind.value, str):
            address = bind.value
        else:
            binds.append(bind)
    if not trap:
        raise Malformed("a notification without snmpTrapOID")
    return TrapPdu(kind, request_id, trap, uptime, tuple(binds), address, raw, lost)


def _decode_v1(data: bytes, at: int, end: int) -> TrapPdu:
    start, stop = expect(data, at, end, OID)
    enterprise = oid_text(data[start:stop])
    tag, start, stop = read(data, stop, end)
    if tag != IP_ADDRESS:
        raise Malformed("a v1 trap without agent-addr")
    address = ".".join(map(str, data[start:stop])) if stop - start == 4 else ""
    generic, at = read_integer(data, stop, end)
    specific, at = read_integer(data, at, end)
    uptime: int | None = None
    variables: list[TrapBind] = []
    lost = 0
    try:
        _, start, at = read(data, at, end)
        if at - start <= 5:
            uptime = int.from_bytes(data[start:at], "big")
        variables, _, lost = _decode_list(data, at, end)
    except Malformed:
        # Truncated in the time-stamp: the fields before it identify the trap.
        lost = 1
    if generic == _ENTERPRISE_SPECIFIC:
        trap = f"{enterprise}.0.{specific & 0xFFFFFFFF}"
    elif 0 <= generic < _ENTERPRISE_SPECIFIC:
        trap = f"{SNMP_TRAPS}.{generic + 1}"
    else:
        raise Malformed(f"generic-trap {generic}")
    binds = (*variables, TrapBind(SNMP_TRAP_ENTERPRISE, OID, enterprise))
    # A sender that does not know its own address sends zeros.
    address = "" if address == "0.0.0.0" else address
    return TrapPdu(TRAP_V1, 0, trap, uptime, binds, address, b"", lost)


def _decode_list(data: bytes, at: int, end: int) -> tuple[list[TrapBind], bytes, int]:
    """Read the list of variables at `at`, which may be missing or truncated:
    (variables, their encoding, number of lost variables)."""
    if at >= end:
        return [], b"", 0
    try:
        tag, at, stop, whole = read_clipped(data, at, end)
    except Malformed:
        return [], b"", 1
    if tag != SEQUENCE:
        raise Malformed(f"tag {tag:#04x} where the list of variables was expected")
    binds: list[TrapBind] = []
    first, lost = at, 0
    while at < stop and len(binds) + lost < MAX_BINDS:
        try:
            inside, following = expect(data, at, stop, SEQUENCE)
        except Malformed:
            return binds, data[first:at], lost + 1
        try:
            name, value = expect(data, inside, following, OID)
            oid = oid_text(data[name:value])
            tag, _, end = read(data, value, following)
            binds.append(TrapBind(oid, tag, _read_value(data, value, end)))
        except Malformed:
            lost += 1
        at = following
    return binds, data[first:at], lost + (not whole)


def _read_value(data: bytes, at: int, end: int) -> Value | None:
    """Read the value at `at`. A value that does not fit its type does not cost the
    trap: it is read as far as possible, or returned as octets."""
    try:
        return read_value(data, at, end)
    except Malformed:
        tag, start, stop = read(data, at, end)
    raw = data[start:stop]
    if tag == OID and not raw:
        return "0.0"
    if tag == IP_ADDRESS and len(raw) == 16:
        return str(ipaddress.IPv6Address(raw))
    if (tag == INTEGER or COUNTER32 <= tag <= COUNTER64) and len(raw) <= 9:
        return int.from_bytes(raw, "big", signed=tag == INTEGER)
    return raw
