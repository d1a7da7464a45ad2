"""STAMP test packets: RFC 8762, with the session id and TLVs of RFC 8972. Pure.

Unauthenticated mode. A sender's packet and its reply have the same size (at least 44
octets), so a reflector cannot be used for amplification. All numbers are big-endian:

    sender     sequence u32, T1 u64, error estimate u16, SSID u16, 28 octets zero
    reflector  sequence u32, T3 u64, error estimate u16, SSID u16, T2 u64,
               sender's sequence u32, T1 u64, error u16, zero u16, TTL u8, 3 zero

TLVs follow: flags u8, type u8, length u16, value.

TWAMP Light (RFC 5357 appendix I) is read too. Its sender's packet has 14 octets, then
padding of any content. Its reply ends with the TTL at octet 41; some reflectors leave
out even that and end with the sender's timestamp.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from probes.wire.counted_text import counted

PORT = 862
HEAD_BYTES = 44
# The shortest reply of TWAMP Light, and so the shortest request that is answered: a
# reply is never longer than its request.
LIGHT_BYTES = 41
_READABLE_BYTES = 36
TLV_HEAD_BYTES = 4
MAX_BYTES = 1472
_NTP_TO_UNIX_S = 2_208_988_800
_SENDER = struct.Struct("!IQHH28x")
_ZERO = bytes(28)
_REFLECTED = struct.Struct("!IQHHQIQHxxB3x")
_TLV = struct.Struct("!BBH")
_SECONDS = struct.Struct("!I")
_MOST_INSIDE_S = 60
_CLASS_OF_SERVICE = struct.Struct("!BBHI")

# Flags and types of TLVs: RFC 8972 sections 4 and 5.
UNRECOGNISED, MALFORMED = 0x80, 0x40
EXTRA_PADDING, CLASS_OF_SERVICE, DIRECT_MEASUREMENT = 1, 4, 5

# RFC 4656 section 4.1.2: 1 x 2^-32 x 2^22 s, so about 1 ms, and not known to be
# synchronised. The multiplier must never be 0.
ERROR_ESTIMATE = 22 << 8 | 1
# Z of RFC 8762 section 4.2.1: this end's timestamps are PTPv2's, seconds and ns.
_PTP = 1 << 14


class StampError(ValueError):
    """The octets are not a STAMP packet; the text is the reason."""


class SenderPacket(NamedTuple):
    """A session-sender's packet as a reflector reads it. `light`: it is TWAMP Light's,
    where padding follows the first 14 octets, without a session id or TLVs."""

    sequence: int
    t1_ntp: int
    error_estimate: int
    ssid: int
    light: bool = False


class ReflectorReply(NamedTuple):
    """A session-reflector's reply. `sequence` counts this session's packets as the
    reflector received them, if it is stateful. `dscp_arrived` is the DSCP of our packet
    on arrival, -1 if the reflector did not report it."""

    sequence: int
    t3_ntp: int
    ssid: int
    t2_ntp: int
    sender_sequence: int
    t1_ntp: int
    sender_ttl: int
    dscp_arrived: int


def ntp_of(unix_ns: int) -> int:
    """Returns a Unix time as a 64-bit NTP timestamp (seconds since 1900, fraction of
    2^32)."""
    seconds, rest = divmod(unix_ns, 1_000_000_000)
    # Rounded up, so that converting back gives the same nanosecond. The seconds roll
    # over in 2036 (NTP era 1); both ends calculate modulo 2^32.
    fraction = -(-(rest << 32) // 1_000_000_000)
    return ((seconds + _NTP_TO_UNIX_S) & 0xFFFF_FFFF) << 32 | fraction


def _ntp_of_ptp(ptp: int) -> int:
    """Returns a truncated PTPv2 timestamp (IEEE 1588: seconds u32, nanoseconds u32) as
    an NTP timestamp. Only differences count, so leap seconds do not matter."""
    seconds, rest = ptp >> 32, ptp & 0xFFFF_FFFF
    return ntp_of(seconds * 1_000_000_000 + min(rest, 999_999_999))


def elapsed_ns(later_ntp: int, earlier_ntp: int) -> int:
    """Returns the nanoseconds between two NTP timestamps, negative if `later_ntp` is
    the earlier one. Correct across the roll-over of 2036."""
    difference = (later_ntp - earlier_ntp) & 0xFFFF_FFFF_FFFF_FFFF
    if difference >= 1 << 63:
        difference -= 1 << 64
    return difference * 1_000_000_000 >> 32


def request(
    sequence: int,
    t1_ntp: int,
    ssid: int = 0,
    error_estimate: int = ERROR_ESTIMATE,
    tlvs: bytes = b"",
) -> bytes:
    """Returns a sender's packet. `tlvs` is from `request_tlvs`, the same for a whole
    run."""
    return _SENDER.pack(sequence, t1_ntp, error_estimate, ssid) + tlvs


def request_tlvs(size: int, dscp: int = 0) -> bytes:
    """Returns what follows the 44 octets of a request of `size` octets.

    If there is room, it asks the reflector to reply with `dscp` and to report the DSCP
    that arrived (Class of Service, RFC 8972 section 4.4). The rest is Extra Padding
    (section 4.1) of zeros; only the packet's size matters here.
    """
    left = size - HEAD_BYTES
    if left < 0 or 0 < left < TLV_HEAD_BYTES or size > MAX_BYTES:
        raise ValueError(f"a STAMP packet of {size} octets: 44, or 48 to {MAX_BYTES}")
    tlvs = b""
    if left == _CLASS_OF_SERVICE.size or left >= 12:
        tlvs = _CLASS_OF_SERVICE.pack(UNRECOGNISED, CLASS_OF_SERVICE, 4, dscp << 26)
        left -= len(tlvs)
    if left:
        left -= TLV_HEAD_BYTES
        tlvs += _TLV.pack(UNRECOGNISED, EXTRA_PADDING, left) + bytes(left)
    return tlvs


def read_request(packet: bytes | memoryview) -> SenderPacket:
    """Returns a sender's packet. Raises `StampError` if it is too short for a reply of
    the same size."""
    if len(packet) < LIGHT_BYTES:
        raise StampError(
            f"{counted(len(packet), 'octet')}, expected at least {LIGHT_BYTES}"
        )
    whole = bytes(packet[:HEAD_BYTES]).ljust(HEAD_BYTES, b"\0")
    sequence, t1, error, ssid = _SENDER.unpack(whole)
    # STAMP's octets 16 to 43 are zero. If they are not, this is padding of TWAMP.
    if len(packet) < HEAD_BYTES or whole[16:] != _ZERO:
        return SenderPacket(sequence, t1, error, 0, light=True)
    return SenderPacket(sequence, t1, error, ssid)


def reply(
    sent: SenderPacket,
    sequence: int,
    t2_ntp: int,
    t3_ntp: int,
    sender_ttl: int = 0,
    tlvs: bytes = b"",
) -> bytes:
    """Returns a reflector's packet. `tlvs` is from `reply_tlvs`. A reply to TWAMP Light
    is cut to the length of its request, and its `tlvs` is what followed the 44 octets,
    unchanged."""
    fields = reply_fields(sent, sequence, t2_ntp, t3_ntp, sender_ttl)
    return _REFLECTED.pack(*fields) + tlvs


def reply_fields(
    sent: SenderPacket, sequence: int, t2_ntp: int, t3_ntp: int, sender_ttl: int
) -> tuple[int, ...]:
    """Returns the fields of a reflector's packet in order, the same in both modes (RFC
    8762 sections 4.3.1 and 4.3.2)."""
    return (
        sequence & 0xFFFF_FFFF,
        t3_ntp,
        ERROR_ESTIMATE,
        sent.ssid,
        t2_ntp,
        sent.sequence,
        sent.t1_ntp,
        sent.error_estimate,
        sender_ttl,
    )


def is_reflected(packet: bytes | memoryview) -> bool:
    """Returns whether this is a reflector's reply, which must never be answered: its T2
    and T3 are times of the same clock, at most a minute apart.

    A sender's packet has zeros there, or padding of any content in TWAMP Light: one in
    thirty million random ones is mistaken for a reply.
    """
    if len(packet) < _READABLE_BYTES:
        return False
    (t3_s,) = _SECONDS.unpack_from(packet, 4)
    (t2_s,) = _SECONDS.unpack_from(packet, 16)
    return t2_s != 0 and abs(int(t3_s) - int(t2_s)) <= _MOST_INSIDE_S


def requested_dscp(tlvs: bytes) -> int:
    """Returns the DSCP that a sender requests for its replies, -1 for none."""
    at = 0
    while at + TLV_HEAD_BYTES <= len(tlvs):
        _flags, kind, length = _TLV.unpack_from(tlvs, at)
        at += TLV_HEAD_BYTES
        if kind == CLASS_OF_SERVICE and length == 4 and at < len(tlvs):
            return tlvs[at] >> 2
        at += length
    return -1


def reply_tlvs(tlvs: bytes, arrived: int = -1, used: int = 0, count: int = 0) -> bytes:
    """Returns the TLVs of a reply: as many octets as in the request, with the flags of
    RFC 8972 section 4, the DSCP that arrived and the session's counters.

    `arrived` is -1 if the system does not report it; the type then stays unrecognised.
    `used` is the DSCP of the reply. `count` is how many packets of the session have
    been received, this one included; 0 if they are not counted.
    """
    out = bytearray(tlvs)
    at, end = 0, len(out)
    while at < end:
        if end - at < TLV_HEAD_BYTES:
            # Shorter than a header: there may be room for the flags only.
            out[at] = MALFORMED
            break
        _flags, kind, length = _TLV.unpack_from(out, at)
        value = at + TLV_HEAD_BYTES
        if value + length > end:
            out[at] = MALFORMED
            break
        out[at] = 0
        if kind == EXTRA_PADDING:
            pass
        elif kind == CLASS_OF_SERVICE and length == 4 and arrived >= 0:
            wanted = out[value] >> 2
            # RP = 1 if policy did not allow the requested DSCP for the reply.
            refused = int(wanted != used)
            word = wanted << 26 | (arrived & 63) << 20 | refused << 16
            struct.pack_into("!I", out, value, word)
        elif kind == DIRECT_MEASUREMENT and length == 12 and count > 0:
            struct.pack_into("!II", out, value + 4, *(count & 0xFFFF_FFFF,) * 2)
        else:
            out[at] = UNRECOGNISED
        at = value + length
    return bytes(out)


def unrecognised_tlvs(tlvs: bytes) -> bytes:
    """Returns the TLVs of a reply that recognises none of them (RFC 8972 section 4)."""
    out = bytearray(tlvs)
    at = 0
    while at < len(out):
        if len(out) - at < TLV_HEAD_BYTES:
            out[at] = MALFORMED
            break
        length = _TLV.unpack_from(out, at)[2]
        if at + TLV_HEAD_BYTES + length > len(out):
            out[at] = MALFORMED
            break
        out[at] = UNRECOGNISED
        at += TLV_HEAD_BYTES + length
    return bytes(out)


def read_reply(packet: bytes | memoryview) -> ReflectorReply:
    """Returns the reply of a STAMP or TWAMP Light reflector, ignoring unknown TLVs.
    Raises `StampError` if it is not a reply."""
    if len(packet) < _READABLE_BYTES:
        raise StampError(
            f"{counted(len(packet), 'octet')}, expected at least {_READABLE_BYTES}"
        )
    whole = bytes(packet[:HEAD_BYTES]).ljust(HEAD_BYTES, b"\0")
    sequence, t3, error, ssid, t2, asked, t1, _its_error, ttl = _REFLECTED.unpack(whole)
    if error & _PTP:
        t3, t2 = _ntp_of_ptp(t3), _ntp_of_ptp(t2)
    dscp, at = -1, HEAD_BYTES
    while at + TLV_HEAD_BYTES <= len(packet):
        flags, kind, length = _TLV.unpack_from(packet, at)
        at += TLV_HEAD_BYTES
        if at + length > len(packet) or flags & MALFORMED:
            break
        if kind == CLASS_OF_SERVICE and length == 4 and not flags & UNRECOGNISED:
            dscp = int.from_bytes(packet[at : at + 4], "big") >> 20 & 63
            break
        at += length
    return ReflectorReply(sequence, t3, ssid, t2, asked, t1, ttl, dscp)
