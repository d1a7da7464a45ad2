"""STUN messages (RFC 8489), as far as needed to see whether a relay answers. Pure.

A message is a header of 20 octets (type u16, length u16, cookie u32, transaction id of
12 octets) and attributes: type u16, length u16, value, padded to 4 octets.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from probes.wire.counted_text import counted

PORT = 3478
HEAD_BYTES = 20
TRANSACTION_BYTES = 12
COOKIE = 0x2112A442
_HEAD = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")
_BINDING, _ALLOCATE = 0x001, 0x003
_CLASS, _REQUEST, _SUCCESS, _ERROR = 0x0110, 0x0000, 0x0100, 0x0110

_ERROR_CODE, _XOR_MAPPED_ADDRESS, _REQUESTED_TRANSPORT = 0x0009, 0x0020, 0x0019
# MS-TURN section 2.2.2: Microsoft's relays need their own cookie as first attribute.
_MS_MAGIC_COOKIE, _MS_COOKIE = 0x000F, 0x72C64BC6
_UDP = 17
_MOST_ATTRIBUTES = 32


class StunError(ValueError):
    """The octets are not a STUN response; the text gives the reason."""


class StunResponse(NamedTuple):
    """A response. `error_code` is 0 for success, or for an error without a code.
    `mapped` is our address as the server saw it, or None if not included."""

    transaction: bytes
    success: bool
    error_code: int
    mapped: tuple[IPv4Address | IPv6Address, int] | None


def binding_request(transaction: bytes) -> bytes:
    """Builds a Binding request without attributes: RFC 8489 section 3."""
    return _HEAD.pack(_BINDING, 0, COOKIE, transaction)


def allocate_request(transaction: bytes) -> bytes:
    """Builds a TURN Allocate request without credentials (RFC 8656 section 7.1), as the
    first request of every client is. The response is usually 401."""
    attributes = b"".join(
        (
            _ATTRIBUTE.pack(_MS_MAGIC_COOKIE, 4) + _MS_COOKIE.to_bytes(4, "big"),
            _ATTRIBUTE.pack(_REQUESTED_TRANSPORT, 4) + bytes((_UDP, 0, 0, 0)),
        )
    )
    return _HEAD.pack(_ALLOCATE, len(attributes), COOKIE, transaction) + attributes


def read_response(packet: bytes | memoryview) -> StunResponse:
    """Parses a success or error response. Raises `StunError` if it is neither. Broken
    and unknown attributes are skipped."""
    if len(packet) < HEAD_BYTES:
        raise StunError(
            f"{counted(len(packet), 'octet')}, expected at least {HEAD_BYTES}"
        )
    kind, length, cookie, transaction = _HEAD.unpack_from(packet)
    # RFC 8489 pads to whole words, but Teams relays do not pad their error texts.
    if kind & 0xC000 or cookie != COOKIE:
        raise StunError("no STUN header")
    if kind & _CLASS not in (_SUCCESS, _ERROR):
        raise StunError(f"message type {kind:#06x}, expected a response")
    code, mapped = 0, None
    at, end = HEAD_BYTES, min(HEAD_BYTES + length, len(packet))
    for _ in range(_MOST_ATTRIBUTES):
        if at + _ATTRIBUTE.size > end:
            break
        attribute, size = _ATTRIBUTE.unpack_from(packet, at)
        value = bytes(packet[at + _ATTRIBUTE.size : at + _ATTRIBUTE.size + size])
        at += _ATTRIBUTE.size + (size + 3) // 4 * 4
        if len(value) < size or at > end + 3:
            break
        if attribute == _ERROR_CODE and size >= 4:
            # Section 14.8: the hundreds in three bits, then a number below 100.
            code = (value[2] & 7) * 100 + min(value[3], 99)
        elif attribute == _XOR_MAPPED_ADDRESS:
            mapped = _mapped_address(value, transaction)
    return StunResponse(transaction, kind & _CLASS == _SUCCESS, code, mapped)


def _mapped_address(
    value: bytes, transaction: bytes
) -> tuple[IPv4Address | IPv6Address, int] | None:
    """Decodes XOR-MAPPED-ADDRESS: section 14.2."""
    mask = COOKIE.to_bytes(4, "big") + transaction
    family, octets = (value[1], value[4:]) if len(value) > 4 else (0, b"")
    if (family, len(octets)) not in ((1, 4), (2, 16)):
        return None
    port = int.from_bytes(value[2:4], "big") ^ COOKIE >> 16
    clear = bytes(octet ^ key for octet, key in zip(octets, mask, strict=False))
    return (IPv4Address(clear) if family == 1 else IPv6Address(clear)), port
