"""Reads the headers of RTP (RFC 3550 section 5.1), and what wraps it on UDP. Pure."""

from __future__ import annotations

import struct
from typing import NamedTuple

from collectors.rtp.rtp_codecs import is_payload_type

_HEAD = struct.Struct("!BBHII")
# RFC 8489 section 5, and the two indications of RFC 8656 that carry data.
_STUN_HEAD_BYTES, _STUN_COOKIE = 20, b"\x21\x12\xa4\x42"
_SEND, _DATA, _DATA_ATTRIBUTE = 0x0016, 0x0017, 0x0013


class RtpHeader(NamedTuple):
    """The fields that statistics need; speech is never read."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int


def read_rtp(payload: bytes, size: int) -> RtpHeader | None:
    """The header if a UDP payload of `size` bytes may be RTP: version 2, a payload type
    that has a meaning, not RTCP, and no shorter than its own header says."""
    if len(payload) < 12:
        return None
    first, second, sequence, timestamp, ssrc = _HEAD.unpack_from(payload)
    kind = second & 127
    # RFC 5761 section 4: 192 to 223 is RTCP on the same port.
    if first >> 6 != 2 or 192 <= second <= 223 or not is_payload_type(kind):
        return None
    least = 12 + 4 * (first & 15)
    if first & 16:
        if len(payload) < least + 4:
            return None
        least += 4 + 4 * struct.unpack_from("!H", payload, least + 2)[0]
    if size < least + (first >> 5 & 1):
        return None
    return RtpHeader(kind, second > 127, sequence, timestamp, ssrc)


def unwrap_relayed(payload: bytes, size: int) -> tuple[bytes, int]:
    """What a TURN relay carries (RFC 8656): in ChannelData, or before a channel is
    bound in an indication. Anything else is returned as given."""
    first = payload[0]
    if 0x40 <= first <= 0x4F:
        return _unwrap_channel(payload, size)
    return _unwrap_indication(payload, size) if first == 0 else (payload, size)


def _unwrap_indication(payload: bytes, size: int) -> tuple[bytes, int]:
    """The DATA attribute of a Send or Data indication."""
    if len(payload) < _STUN_HEAD_BYTES or payload[4:8] != _STUN_COOKIE:
        return payload, size
    kind, length = struct.unpack_from("!HH", payload)
    end = _STUN_HEAD_BYTES + length
    if kind not in (_SEND, _DATA) or end > size:
        return payload, size
    at = _STUN_HEAD_BYTES
    while at + 4 <= len(payload):
        attribute, length = struct.unpack_from("!HH", payload, at)
        if attribute == _DATA_ATTRIBUTE and at + 4 + length <= end:
            return payload[at + 4 : at + 4 + length], length
        at += 4 + (length + 3) // 4 * 4
    return payload, size


def _unwrap_channel(payload: bytes, size: int) -> tuple[bytes, int]:
    """RFC 8656 section 12.4."""
    if size < 4 or len(payload) < 4:
        return payload, size
    (length,) = struct.unpack_from("!H", payload, 2)
    # Over UDP, up to three bytes of padding may follow.
    if not length or not 0 <= size - 4 - length <= 3:
        return payload, size
    return payload[4 : 4 + length], length
