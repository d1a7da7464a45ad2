"""The kernel's filter for RTP (classic BPF): which packets reach us, and how much of
them. Pure.

The value that a filter returns is how many octets the kernel copies. Here these are the
headers up to that of RTP, so no octet of speech leaves the kernel.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

_LOAD_BYTE, _LOAD_SHORT = 0x30, 0x28
_LOAD_INDEXED_BYTE, _LOAD_IP_HEAD = 0x50, 0xB1
_EQUAL, _AT_LEAST, _ANY_BIT = 0x15, 0x35, 0x45
_AND, _ADD, _TO_A = 0x54, 0x04, 0x87
_RETURN, _RETURN_A = 0x06, 0x16
_UDP_HEAD, _RTP_HEAD, _IPV6_HEAD = 8, 12, 40
_ETHERNET_HEAD, _VLAN_TAG = 14, 4
_KEEP_NOTHING = "drop"


class Instruction(NamedTuple):
    """One instruction; jumps count the instructions that are skipped."""

    code: int
    jump_true: int
    jump_false: int
    value: int


class _FilterLine(NamedTuple):
    """An instruction with jumps by label: "" goes on with the next."""

    code: int
    value: int
    true: str = ""
    false: str = ""


def rtp_filter() -> list[Instruction]:
    """Keeps the headers of RTP over IPv4 and IPv6, plain or behind one VLAN tag. (The
    kernel has taken off the outer tag before, so QinQ is kept, too.)"""
    lines: list[_FilterLine | str] = [
        _FilterLine(_LOAD_SHORT, 12),
        _FilterLine(_EQUAL, 0x8100, "tagged"),
        _FilterLine(_EQUAL, 0x88A8, "tagged"),
        *_network("plain", _ETHERNET_HEAD),
        "tagged",
        _FilterLine(_LOAD_SHORT, 16),
        *_network("tagged ", _ETHERNET_HEAD + _VLAN_TAG),
        _KEEP_NOTHING,
        _FilterLine(_RETURN, 0),
    ]
    return _assemble(lines)


def _network(label: str, at: int) -> list[_FilterLine | str]:
    """Goes on at the IP header `at`, with the Ethernet type in the accumulator."""
    six = f"{label} ipv6"
    return [
        _FilterLine(_EQUAL, 0x86DD, six),
        _FilterLine(_EQUAL, 0x0800, "", _KEEP_NOTHING),
        _FilterLine(_LOAD_BYTE, at + 9),
        _FilterLine(_EQUAL, 17, "", _KEEP_NOTHING),
        # A later fragment has no UDP header.
        _FilterLine(_LOAD_SHORT, at + 6),
        _FilterLine(_ANY_BIT, 0x1FFF, _KEEP_NOTHING),
        _FilterLine(_LOAD_IP_HEAD, at),
        _FilterLine(_LOAD_INDEXED_BYTE, at + _UDP_HEAD),
        _FilterLine(_AND, 0xC0),
        _FilterLine(_EQUAL, 0x80, "", _KEEP_NOTHING),
        _FilterLine(_LOAD_INDEXED_BYTE, at + _UDP_HEAD + 1),
        *_payload_type(f"{label} ipv4 kept"),
        _FilterLine(_TO_A, 0),
        _FilterLine(_ADD, at + _UDP_HEAD + _RTP_HEAD),
        _FilterLine(_RETURN_A, 0),
        six,
        _FilterLine(_LOAD_BYTE, at + 6),
        _FilterLine(_EQUAL, 17, "", _KEEP_NOTHING),
        _FilterLine(_LOAD_BYTE, at + _IPV6_HEAD + _UDP_HEAD),
        _FilterLine(_AND, 0xC0),
        _FilterLine(_EQUAL, 0x80, "", _KEEP_NOTHING),
        _FilterLine(_LOAD_BYTE, at + _IPV6_HEAD + _UDP_HEAD + 1),
        *_payload_type(f"{label} ipv6 kept"),
        _FilterLine(_RETURN, at + _IPV6_HEAD + _UDP_HEAD + _RTP_HEAD),
    ]


def _payload_type(kept: str) -> list[_FilterLine | str]:
    """RFC 3551: up to 34 or from 96. RTCP (72 to 76) is neither, so no names in it
    (SDES) are copied."""
    return [
        _FilterLine(_AND, 0x7F),
        _FilterLine(_AT_LEAST, 96, kept),
        _FilterLine(_AT_LEAST, 35, _KEEP_NOTHING),
        kept,
    ]


def _assemble(lines: list[_FilterLine | str]) -> list[Instruction]:
    places: dict[str, int] = {}
    plain: list[_FilterLine] = []
    for line in lines:
        if isinstance(line, str):
            places[line] = len(plain)
        else:
            plain.append(line)
    return [
        Instruction(
            line.code,
            places[line.true] - at - 1 if line.true else 0,
            places[line.false] - at - 1 if line.false else 0,
            line.value,
        )
        for at, line in enumerate(plain)
    ]


def packed(program: list[Instruction]) -> bytes:
    """The program as `struct sock_filter[]`."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
