"""ICMP echo (RFC 792, RFC 4443): builds requests and parses the replies. Pure."""

from __future__ import annotations

import socket
import struct
from typing import Literal, NamedTuple

_HEAD = struct.Struct("!BBHHH")
_REQUEST = {socket.AF_INET: 8, socket.AF_INET6: 128}
ECHO_REPLY = {socket.AF_INET: 0, socket.AF_INET6: 129}
_EXCEEDED = {socket.AF_INET: 11, socket.AF_INET6: 3}
_UNREACHABLE = {socket.AF_INET: 3, socket.AF_INET6: 1}
_IPV4_HEAD_BYTES = 20
_IPV6_HEAD_BYTES = 40

Kind = Literal["reply", "exceeded", "unreachable"]


class IcmpReply(NamedTuple):
    """A reply to the echo request with this identifier and number."""

    kind: Kind
    identifier: int
    number: int


def echo_request(family: int, identifier: int, number: int, payload: bytes) -> bytes:
    """Builds an echo request. IPv4 includes the checksum; for IPv6 the system adds it
    (RFC 3542)."""
    kind = _REQUEST[socket.AddressFamily(family)]
    packet = _HEAD.pack(kind, 0, 0, identifier, number) + payload
    if family == socket.AF_INET6:
        return packet
    return packet[:2] + _checksum(packet).to_bytes(2, "big") + packet[4:]


def parse_icmp(family: int, packet: bytes) -> IcmpReply | None:
    """Parses an ICMP message without its IP header. Returns None if it does not answer
    an echo request."""
    family = socket.AddressFamily(family)
    if len(packet) < _HEAD.size:
        return None
    kind, _code, _sum, identifier, number = _HEAD.unpack_from(packet)
    if kind == ECHO_REPLY[family]:
        return IcmpReply("reply", identifier, number)
    answers: dict[int, Kind] = {
        _EXCEEDED[family]: "exceeded",
        _UNREACHABLE[family]: "unreachable",
    }
    if kind not in answers:
        return None
    quoted = packet[_HEAD.size :]
    if family == socket.AF_INET:
        quoted = without_ip_header(quoted)
    else:
        quoted = quoted[_IPV6_HEAD_BYTES:]
    if len(quoted) < _HEAD.size:
        return None
    quoted_kind, _code, _sum, identifier, number = _HEAD.unpack_from(quoted)
    if quoted_kind != _REQUEST[family]:
        return None
    return IcmpReply(answers[kind], identifier, number)


def echo_reply_payload(packet: bytes) -> bytes | None:
    """The payload of an echo reply of either family; None for anything else.

    A raw IPv4 socket gives the IP header too, a datagram socket does not.
    """
    if len(packet) >= _IPV4_HEAD_BYTES and packet[0] >> 4 == 4:
        packet = without_ip_header(packet)
    if len(packet) < _HEAD.size or packet[0] not in ECHO_REPLY.values():
        return None
    return packet[_HEAD.size :]


def without_ip_header(packet: bytes) -> bytes:
    """The payload of an IPv4 packet; empty if it is not one."""
    if not packet or packet[0] >> 4 != 4:
        return b""
    return packet[(packet[0] & 15) * 4 :]


def _checksum(packet: bytes) -> int:
    """RFC 1071."""
    padded = packet + b"\0" * (len(packet) % 2)
    words: tuple[int, ...] = struct.unpack(f"!{len(padded) // 2}H", padded)
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
