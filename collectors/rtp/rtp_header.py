"""Reads the headers of RTP (RFC 3550 section 5.1), and what wraps it on UDP. Pure."""

from __future__ import annotations

import struct
from typing import NamedTuple

from collectors.rtp.rtp_codecs import is_payload_type

_HEAD = struct.Struct("!BBHII")


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


def unwrap_channel(payload: bytes, size: int) -> tuple[bytes, int]:
    """What a TURN relay's ChannelData carries (RFC 8656 section 12.4), or as given."""
    if size < 4 or len(payload) < 4 or not 0x40 <= payload[0] <= 0x4F:
        return payload, size
    (length,) = struct.unpack_from("!H", payload, 2)
    # Over UDP, up to three bytes of padding may follow.
    if not length or not 0 <= size - 4 - length <= 3:
        return payload, size
    return payload[4 : 4 + length], length
