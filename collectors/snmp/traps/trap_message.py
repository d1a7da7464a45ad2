"""Traps and informs of SNMP v1 and v2c, and the PDU inside a v3 message. Pure.

Some senders cut a notification off at a size of their own, and some leave v1's list of
variables out: what came whole is kept, and the rest is counted.

RFC 1157 section 4.1.6 (v1 trap), RFC 3416 section 4.2.6 and 4.2.7 (v2 trap, inform),
RFC 3584 section 3.1 (what a v1 trap is called in v2).
"""

from __future__ import annotations

import ipaddress

import msgspec

from collectors.snmp.session.ber import (
    COUNTER64,
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
    oid_text,
    read,
    read_clipped,
    read_integer,
    read_octets,
    tlv,
)
from collectors.snmp.session.opaque import unwrap
from collectors.snmp.session.session import Value

V1, V2C = 0, 1
RESPONSE, TRAP_V1, INFORM, TRAP_V2 = 0xA2, 0xA4, 0xA6, 0xA7
SYS_UP_TIME = "1.3.6.1.2.1.1.3.0"
SNMP_TRAP_OID = "1.3.6.1.6.3.1.1.4.1.0"
SNMP_TRAP_ENTERPRISE = "1.3.6.1.6.3.1.1.4.3.0"
SNMP_TRAP_ADDRESS = "1.3.6.1.6.3.18.1.3.0"
SNMP_TRAPS = "1.3.6.1.6.3.1.1.5"
# More than the largest datagram a switch sends holds; what comes after is not read.
MOST_BINDS = 128
_ENTERPRISE_SPECIFIC = 6


class TrapBind(msgspec.Struct, frozen=True, gc=False):
    """One variable: its OID, what was sent as its type (a BER tag), and its value."""

    oid: str
    tag: int
    value: Value | None


class Pdu(msgspec.Struct, frozen=True, gc=False):
    """One notification. `uptime` in hundredths of a second; `address` is what the
    sender says its own address is (v1's agent-addr, snmpTrapAddress), "" if nothing.
    `raw_binds` is the list as it came, to be given back in the answer to an inform.
    `lost` is how many variables could not be read, at least."""

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


class Plain(msgspec.Struct, frozen=True, gc=False):
    """A v1 or v2c message."""

    version: int
    community: bytes
    pdu: Pdu


class NotATrap(Malformed):
    """An SNMP message that is sound, but neither a trap nor an inform."""


def version_of(data: bytes) -> int:
    """The version of an SNMP message as it says it. `Malformed` where it is none."""
    tag, at, end, _ = read_clipped(data, 0, len(data))
    if tag != SEQUENCE:
        raise Malformed(f"tag {tag:#04x} where a message was expected")
    return read_integer(data, at, end)[0]


def decode(data: bytes) -> Plain:
    """A trap or inform of v1 or v2c. `NotATrap` or `Malformed` for everything else."""
    _, at, end, _ = read_clipped(data, 0, len(data))
    version, at = read_integer(data, at, end)
    if version not in (V1, V2C):
        raise Malformed(f"SNMP version {version}")
    community, at = read_octets(data, at, end)
    return Plain(version, community, decode_pdu(data, at, end))


def decode_pdu(data: bytes, at: int, end: int) -> Pdu:
    """The PDU at `at`."""
    kind, at, end, _ = read_clipped(data, at, end)
    if kind in (TRAP_V2, INFORM):
        return _decode_v2(data, kind, at, end)
    if kind == TRAP_V1:
        return _decode_v1(data, at, end)
    raise NotATrap(f"a PDU of kind {kind:#04x}")


def answer(pdu: Pdu) -> bytes:
    """The Response to an inform: the same variables, no error (RFC 3416, 4.2.7)."""
    return tlv(
        RESPONSE,
        integer(pdu.request_id)
        + integer(0)
        + integer(0)
        + tlv(SEQUENCE, pdu.raw_binds),
    )


def encode_plain(version: int, community: bytes, pdu: bytes) -> bytes:
    return tlv(SEQUENCE, integer(version) + tlv(OCTETS, community) + pdu)


def _decode_v2(data: bytes, kind: int, at: int, end: int) -> Pdu:
    request_id, at = read_integer(data, at, end)
    _, at = read_integer(data, at, end)
    _, at = read_integer(data, at, end)
    found, raw, lost = _decode_list(data, at, end)
    uptime: int | None = None
    trap = address = ""
    binds = []
    for bind in found:
        # Some agents leave sysUpTime out, or send it in another place.
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
    return Pdu(kind, request_id, trap, uptime, tuple(binds), address, raw, lost)


def _decode_v1(data: bytes, at: int, end: int) -> Pdu:
    start, stop = expect(data, at, end, OID)
    enterprise = oid_text(data[start:stop])
    tag, start, stop = read(data, stop, end)
    if tag != IP_ADDRESS:
        raise Malformed("a v1 trap without agent-addr")
    address = ".".join(map(str, data[start:stop])) if stop - start == 4 else ""
    generic, at = read_integer(data, stop, end)
    specific, at = read_integer(data, at, end)
    uptime: int | None = None
    found: list[TrapBind] = []
    lost = 0
    try:
        _, start, at = read(data, at, end)
        if at - start <= 5:
            uptime = int.from_bytes(data[start:at], "big")
        found, _, lost = _decode_list(data, at, end)
    except Malformed:
        # The time-stamp is cut off: what came before it says what happened.
        lost = 1
    if generic == _ENTERPRISE_SPECIFIC:
        trap = f"{enterprise}.0.{specific & 0xFFFFFFFF}"
    elif 0 <= generic < _ENTERPRISE_SPECIFIC:
        trap = f"{SNMP_TRAPS}.{generic + 1}"
    else:
        raise Malformed(f"generic-trap {generic}")
    binds = (*found, TrapBind(SNMP_TRAP_ENTERPRISE, OID, enterprise))
    # Who knows no address of its own sends zeros.
    address = "" if address == "0.0.0.0" else address
    return Pdu(TRAP_V1, 0, trap, uptime, binds, address, b"", lost)


def _decode_list(data: bytes, at: int, end: int) -> tuple[list[TrapBind], bytes, int]:
    """(variables, those that came whole as they came, how many more could not be read)
    of the list at `at`, which may be missing or cut off."""
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
    while at < stop and len(binds) + lost < MOST_BINDS:
        try:
            inside, following = expect(data, at, stop, SEQUENCE)
        except Malformed:
            return binds, data[first:at], lost + 1
        try:
            name, value = expect(data, inside, following, OID)
            oid = oid_text(data[name:value])
            tag, start, end = read(data, value, following)
            binds.append(TrapBind(oid, tag, _value(tag, data[start:end])))
        except Malformed:
            lost += 1
        at = following
    return binds, data[first:at], lost + (not whole)


def _value(tag: int, raw: bytes) -> Value | None:
    """What was sent. What does not fit its type is given as it came."""
    if tag == OCTETS:
        return raw
    if tag == OPAQUE:
        return unwrap(raw)
    if tag == OID:
        # A value is not worth refusing the whole trap.
        try:
            return oid_text(raw) if raw else "0.0"
        except Malformed:
            return raw
    if tag == IP_ADDRESS:
        return _address(raw)
    if tag == INTEGER:
        return int.from_bytes(raw, "big", signed=True) if len(raw) <= 9 else raw
    if 0x41 <= tag <= COUNTER64:
        return int.from_bytes(raw, "big") if len(raw) <= 9 else raw
    if tag == NULL or tag in (0x80, 0x81, 0x82):
        return None
    return raw


def _address(raw: bytes) -> Value:
    return str(ipaddress.ip_address(raw)) if len(raw) in (4, 16) else raw
