"""STAMP's authenticated mode: RFC 8762 sections 4.2.2, 4.3.2 and 4.4. Pure.

Packets of 112 octets, the last 16 an HMAC-SHA-256 of the 96 before, truncated to 128
bits. All numbers are big-endian:

    sender     sequence u32, 12 zero, T1 u64, error estimate u16,
               SSID u16 (RFC 8972), 68 zero, HMAC
    reflector  sequence u32, 12 zero, T3 u64, error estimate u16, SSID u16, 4 zero,
               T2 u64, 8 zero, sender's sequence u32, 12 zero, T1 u64, error u16,
               6 zero, TTL u8, 15 zero, HMAC

TLVs may follow. Their own HMAC (RFC 8972 section 4.8) is neither made nor checked here,
so a reflector returns them as not recognised.
"""

from __future__ import annotations

import hashlib
import hmac
import struct

from probes.wire.stamp import (
    ERROR_ESTIMATE,
    ReflectorReply,
    SenderPacket,
    StampError,
    reply_fields,
)

AUTHENTICATED_BYTES = 112
_COVERED_BYTES = 96
_MAC_BYTES = 16
_SENDER = struct.Struct("!I12xQHH68x")
_REFLECTED = struct.Struct("!I12xQHH4xQ8xI12xQH6xB15x")
assert _SENDER.size == _REFLECTED.size == _COVERED_BYTES


def is_authentic(packet: bytes | memoryview, key: bytes) -> bool:
    """Returns whether `packet` begins with 112 octets made with `key`."""
    if len(packet) < AUTHENTICATED_BYTES:
        return False
    theirs = bytes(packet[_COVERED_BYTES:AUTHENTICATED_BYTES])
    return hmac.compare_digest(_mac(bytes(packet[:_COVERED_BYTES]), key), theirs)


def request(
    sequence: int,
    t1_ntp: int,
    key: bytes,
    ssid: int = 0,
    error_estimate: int = ERROR_ESTIMATE,
) -> bytes:
    """Returns a sender's packet of 112 octets."""
    return _signed(_SENDER.pack(sequence, t1_ntp, error_estimate, ssid), key)


def read_request(packet: bytes | memoryview, key: bytes) -> SenderPacket:
    """Returns a sender's packet. Raises `StampError` if it was not made with `key`, or
    if a reflector made it."""
    if not is_authentic(packet, key):
        raise StampError("not a sender's packet made with the key")
    # Otherwise two reflectors could answer each other without end.
    if any(packet[28:_COVERED_BYTES]):
        raise StampError("a reflector's packet, expected a sender's")
    return SenderPacket(*_SENDER.unpack(bytes(packet[:_COVERED_BYTES])))


def reply(
    sent: SenderPacket,
    sequence: int,
    t2_ntp: int,
    t3_ntp: int,
    key: bytes,
    sender_ttl: int = 0,
) -> bytes:
    """Returns a reflector's packet of 112 octets."""
    fields = reply_fields(sent, sequence, t2_ntp, t3_ntp, sender_ttl)
    return _signed(_REFLECTED.pack(*fields), key)


def read_reply(packet: bytes | memoryview, key: bytes) -> ReflectorReply:
    """Returns a reflector's reply. Raises `StampError` if `key` did not make it."""
    if not is_authentic(packet, key):
        raise StampError("not a reply made with the key")
    sequence, t3, _error, ssid, t2, asked, t1, _its_error, ttl = _REFLECTED.unpack(
        bytes(packet[:_COVERED_BYTES])
    )
    return ReflectorReply(sequence, t3, ssid, t2, asked, t1, ttl, -1)


def _signed(content: bytes, key: bytes) -> bytes:
    return content + _mac(content, key)


def _mac(content: bytes, key: bytes) -> bytes:
    return hmac.digest(key, content, hashlib.sha256)[:_MAC_BYTES]
