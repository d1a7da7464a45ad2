"""STAMP test packets: RFC 8762, with RFC 8972's session id and TLVs. Pure.

Unauthenticated mode. A sender's packet and its reply are of one size (at least 44
octets), so a reflector can never be used to amplify. All numbers are big-endian:

    sender     sequence u32, T1 u64, error estimate u16, SSID u16, 28 octets zero
    reflector  sequence u32, T3 u64, error estimate u16, SSID u16, T2 u64,
               sender's sequence u32, T1 u64, error u16, zero u16, TTL u8, 3 zero

TLVs follow: flags u8, type u8, length u16, value.

TWAMP Light (RFC 5357 appendix I) is read too. Its sender's packet has 14 octets and
then padding of any content, its reply ends with the TTL at octet 41; some reflectors
leave out even that and end with the sender's timestamp.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

PORT = 862
HEAD_BYTES = 44
# The shortest reply that TWAMP Light can give, and so the shortest request that is
# answered: a reply is never longer than its request.
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
    """Octets that are not a STAMP packet; the text says why."""


class Sent(NamedTuple):
    """A session-sender's packet, as a reflector reads it. `light`: TWAMP Light's, what
    follows the first 14 octets is padding, with neither session id nor TLVs."""

    sequence: int
    t1_ntp: int
    error_estimate: int
    ssid: int
    light: bool = False


class Reflected(NamedTuple):
    """A session-reflector's reply. `sequence` counts this session's packets as the
    reflector received them, where it is stateful. `dscp_arrived` is what the
    reflector saw on our packet, -1 where it did not say."""

    sequence: int
    t3_ntp: int
    ssid: int
    t2_ntp: int
    sender_sequence: int
    t1_ntp: int
    sender_ttl: int
    dscp_arrived: int


def ntp_of(unix_ns: int) -> int:
    """NTP's 64-bit timestamp (seconds since 1900, fraction of 2^32) of a Unix time."""
    seconds, rest = divmod(unix_ns, 1_000_000_000)
    # Rounded up, so that the way back gives the same nanosecond; seconds roll over
    # in 2036 (NTP's era 1), which both ends take modulo 2^32.
    fraction = -(-(rest << 32) // 1_000_000_000)
    return ((seconds + _NTP_TO_UNIX_S) & 0xFFFF_FFFF) << 32 | fraction


def _ntp_of_ptp(ptp: int) -> int:
    """A truncated PTPv2 timestamp (IEEE 1588: seconds u32, nanoseconds u32) as NTP's;
    only differences count, so leap seconds need not."""
    seconds, rest = ptp >> 32, ptp & 0xFFFF_FFFF
    return ntp_of(seconds * 1_000_000_000 + min(rest, 999_999_999))


def elapsed_ns(later_ntp: int, earlier_ntp: int) -> int:
    """Nanoseconds between two NTP timestamps, negative where they are in the other
    order; right across the roll-over of 2036."""
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
    """A sender's packet. `tlvs` is what `tail` made, the same for a whole run."""
    return _SENDER.pack(sequence, t1_ntp, error_estimate, ssid) + tlvs


def tail(size: int, dscp: int = 0) -> bytes:
    """What follows the 44 octets of a request of `size` octets.

    Where there is room it asks the reflector to answer with `dscp` and to say which
    DSCP arrived (Class of Service, RFC 8972 section 4.4), and fills up with Extra
    Padding (section 4.1). The padding is zero; only the packet's size matters here.
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


def read_request(packet: bytes | memoryview) -> Sent:
    """What a sender asks. `StampError` where it is too short to be answered in kind."""
    if len(packet) < LIGHT_BYTES:
        raise StampError(f"{len(packet)} octets, expected at least {LIGHT_BYTES}")
    whole = bytes(packet[:HEAD_BYTES]).ljust(HEAD_BYTES, b"\0")
    sequence, t1, error, ssid = _SENDER.unpack(whole)
    # STAMP's octets 16 to 43 are zero; where they are not, this is TWAMP's padding.
    if len(packet) < HEAD_BYTES or whole[16:] != _ZERO:
        return Sent(sequence, t1, error, 0, light=True)
    return Sent(sequence, t1, error, ssid)


def reply(
    sent: Sent,
    sequence: int,
    t2_ntp: int,
    t3_ntp: int,
    sender_ttl: int = 0,
    tlvs: bytes = b"",
) -> bytes:
    """A reflector's packet. `tlvs` is what `answer_tlvs` made of the request's; a
    reply to TWAMP Light is cut to the length of its request, and its `tlvs` is what
    came after 44 octets, as it came."""
    fields = reply_fields(sent, sequence, t2_ntp, t3_ntp, sender_ttl)
    return _REFLECTED.pack(*fields) + tlvs


def reply_fields(
    sent: Sent, sequence: int, t2_ntp: int, t3_ntp: int, sender_ttl: int
) -> tuple[int, ...]:
    """The fields of a reflector's packet in their order, the same in both modes
    (RFC 8762 sections 4.3.1 and 4.3.2)."""
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
    """Whether this is what a reflector answers, which must never be answered: its T2
    and T3 are times of one clock, at most a minute apart.

    A sender's packet has zeros there, or in TWAMP Light padding of any content: one in
    thirty million random ones is taken for a reply.
    """
    if len(packet) < _READABLE_BYTES:
        return False
    (t3_s,) = _SECONDS.unpack_from(packet, 4)
    (t2_s,) = _SECONDS.unpack_from(packet, 16)
    return t2_s != 0 and abs(int(t3_s) - int(t2_s)) <= _MOST_INSIDE_S


def wanted_dscp(tlvs: bytes) -> int:
    """The DSCP a sender asks its replies to have, -1 where it does not ask."""
    at = 0
    while at + TLV_HEAD_BYTES <= len(tlvs):
        _flags, kind, length = _TLV.unpack_from(tlvs, at)
        at += TLV_HEAD_BYTES
        if kind == CLASS_OF_SERVICE and length == 4 and at < len(tlvs):
            return tlvs[at] >> 2
        at += length
    return -1


def answer_tlvs(tlvs: bytes, arrived: int = -1, used: int = 0, count: int = 0) -> bytes:
    """The TLVs of a reply: as many octets as came, flags set as RFC 8972 section 4
    asks, the DSCP that arrived and the session's counters filled in.

    `arrived` is -1 where the system does not tell; the type then stays unrecognised.
    `used` is the DSCP of the reply. `count` is how many packets of the session have
    been received, this one included; 0 where nobody counts.
    """
    out = bytearray(tlvs)
    at, end = 0, len(out)
    while at < end:
        if end - at < TLV_HEAD_BYTES:
            # Shorter than a header: there is room for the flags, perhaps, only.
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
            # RP = 1 where policy did not let the reply have the DSCP it was asked for.
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
    """The TLVs of a reply that understood none of them (RFC 8972 section 4)."""
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


def read_reply(packet: bytes | memoryview) -> Reflected:
    """The reply of a STAMP or TWAMP Light reflector. Raises `StampError` if it is none;
    TLVs that are not understood are passed over."""
    if len(packet) < _READABLE_BYTES:
        raise StampError(f"{len(packet)} octets, expected at least {_READABLE_BYTES}")
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
    return Reflected(sequence, t3, ssid, t2, asked, t1, ttl, dscp)
