"""The kernel's filter for RTP (classic BPF): which packets reach us, and how much of
them. Pure.

The value that a filter returns is how many octets the kernel copies. Here these are the
headers up to that of RTP, so no octet of speech leaves the kernel.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

_LOAD_BYTE, _LOAD_SHORT = 0x30, 0x28
_LOAD_INDEXED_BYTE, _LOAD_INDEXED_SHORT, _LOAD_IP_HEAD = 0x50, 0x48, 0xB1
_RECALL, _STORE = 0x60, 0x02
_EQUAL, _AT_LEAST, _ANY_BIT = 0x15, 0x35, 0x45
_AND, _ADD, _SUBTRACT, _SHIFT_LEFT, _ADD_INDEX = 0x54, 0x04, 0x14, 0x64, 0x0C
_TO_A, _TO_INDEX = 0x87, 0x07
_RETURN, _RETURN_A = 0x06, 0x16
_UDP_HEAD, _RTP_HEAD, _IPV6_HEAD = 8, 12, 40
_ETHERNET_HEAD, _VLAN_TAG = 14, 4
_KEEP_NOTHING = "drop"
# Cells of the filter's memory.
_FLAGS, _KIND = 0, 1


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
    """Keeps the headers of RTP over IPv4 and IPv6, plain or behind one VLAN tag, or in
    GRE, ERSPAN or VXLAN over IPv4. (The kernel has taken off the outer tag before, so
    QinQ is kept, too.)"""
    lines: list[_FilterLine | str] = [
        _FilterLine(_LOAD_SHORT, 12),
        _FilterLine(_EQUAL, 0x8100, "tagged"),
        _FilterLine(_EQUAL, 0x88A8, "tagged"),
        *_network("plain", _ETHERNET_HEAD),
        "tagged",
        _FilterLine(_LOAD_SHORT, 16),
        *_network("tagged ", _ETHERNET_HEAD + _VLAN_TAG),
        *_tunnels(),
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
        # A later fragment has no UDP header.
        _FilterLine(_LOAD_SHORT, at + 6),
        _FilterLine(_ANY_BIT, 0x1FFF, _KEEP_NOTHING),
        _FilterLine(_LOAD_IP_HEAD, at),
        _FilterLine(_LOAD_BYTE, at + 9),
        _FilterLine(_EQUAL, 47, f"{label} gre"),
        _FilterLine(_EQUAL, 17, "", _KEEP_NOTHING),
        _FilterLine(_LOAD_INDEXED_BYTE, at + _UDP_HEAD),
        _FilterLine(_AND, 0xC0),
        _FilterLine(_EQUAL, 0x80, "", f"{label} vxlan"),
        _FilterLine(_LOAD_INDEXED_BYTE, at + _UDP_HEAD + 1),
        *_payload_type(f"{label} ipv4 kept"),
        _FilterLine(_TO_A, 0),
        _FilterLine(_ADD, at + _UDP_HEAD + _RTP_HEAD),
        _FilterLine(_RETURN_A, 0),
        f"{label} gre",
        *_advance(at - _ETHERNET_HEAD),
        _go_to("gre"),
        f"{label} vxlan",
        *_advance(at - _ETHERNET_HEAD),
        _go_to("vxlan"),
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


def _go_to(label: str) -> _FilterLine:
    return _FilterLine(_AT_LEAST, 0, label)


def _advance(octets: int) -> list[_FilterLine | str]:
    """Moves the index register."""
    return [
        _FilterLine(_TO_A, 0),
        _FilterLine(_ADD, octets),
        _FilterLine(_TO_INDEX, 0),
    ]


def _tunnels() -> list[_FilterLine | str]:
    """Goes on at `gre` or `vxlan` with what is behind the outer IP header 14 octets
    after the index. The inner frame, then, begins at the index."""
    at = _ETHERNET_HEAD
    return [
        "vxlan",
        _FilterLine(_LOAD_INDEXED_SHORT, at + 2),
        _FilterLine(_EQUAL, 4789, "vxlan port"),
        _FilterLine(_EQUAL, 8472, "", _KEEP_NOTHING),
        "vxlan port",
        _FilterLine(_LOAD_INDEXED_BYTE, at + _UDP_HEAD),
        _FilterLine(_ANY_BIT, 8, "", _KEEP_NOTHING),
        *_advance(at + _UDP_HEAD + 8),
        _go_to("inner"),
        "gre",
        _FilterLine(_LOAD_INDEXED_SHORT, at + 2),
        _FilterLine(_STORE, _KIND),
        _FilterLine(_LOAD_INDEXED_SHORT, at),
        _FilterLine(_STORE, _FLAGS),
        _FilterLine(_ANY_BIT, 7, _KEEP_NOTHING),
        *_advance(at + 4),
        # Checksum, key and sequence number.
        *_advance_if(0x8000, 4),
        *_advance_if(0x2000, 4),
        *_advance_if(0x1000, 4),
        _FilterLine(_RECALL, _KIND),
        _FilterLine(_EQUAL, 0x6558, "inner"),
        _FilterLine(_EQUAL, 0x0800, "gre ipv4"),
        _FilterLine(_EQUAL, 0x86DD, "gre ipv6"),
        _FilterLine(_EQUAL, 0x22EB, "erspan 3"),
        _FilterLine(_EQUAL, 0x88BE, "", _KEEP_NOTHING),
        # ERSPAN II has a header of its own, and a sequence number; I has neither.
        *_advance_if(0x1000, 8),
        _go_to("inner"),
        "erspan 3",
        _FilterLine(_LOAD_INDEXED_BYTE, 11),
        _FilterLine(_ANY_BIT, 1, "", "erspan 3 short"),
        *_advance(8),
        "erspan 3 short",
        *_advance(12),
        "inner",
        _FilterLine(_LOAD_INDEXED_SHORT, 12),
        _FilterLine(_EQUAL, 0x8100, "", "inner plain"),
        *_advance(_VLAN_TAG),
        _FilterLine(_LOAD_INDEXED_SHORT, 12),
        "inner plain",
        _FilterLine(_EQUAL, 0x0800, "inner ipv4"),
        _FilterLine(_EQUAL, 0x86DD, "inner ipv6", _KEEP_NOTHING),
        "gre ipv6",
        *_back_to_frame(),
        "inner ipv6",
        _FilterLine(_LOAD_INDEXED_BYTE, at + 6),
        _FilterLine(_EQUAL, 17, "", _KEEP_NOTHING),
        *_advance(_IPV6_HEAD),
        _go_to("inner udp"),
        "gre ipv4",
        *_back_to_frame(),
        "inner ipv4",
        _FilterLine(_LOAD_INDEXED_SHORT, at + 6),
        _FilterLine(_ANY_BIT, 0x1FFF, _KEEP_NOTHING),
        _FilterLine(_LOAD_INDEXED_BYTE, at + 9),
        _FilterLine(_EQUAL, 17, "", _KEEP_NOTHING),
        _FilterLine(_LOAD_INDEXED_BYTE, at),
        _FilterLine(_AND, 15),
        _FilterLine(_SHIFT_LEFT, 2),
        _FilterLine(_ADD_INDEX, 0),
        _FilterLine(_TO_INDEX, 0),
        "inner udp",
        _FilterLine(_LOAD_INDEXED_BYTE, at + _UDP_HEAD),
        _FilterLine(_AND, 0xC0),
        _FilterLine(_EQUAL, 0x80, "", _KEEP_NOTHING),
        _FilterLine(_LOAD_INDEXED_BYTE, at + _UDP_HEAD + 1),
        *_payload_type("inner kept"),
        _FilterLine(_TO_A, 0),
        _FilterLine(_ADD, at + _UDP_HEAD + _RTP_HEAD),
        _FilterLine(_RETURN_A, 0),
    ]


def _advance_if(flag: int, octets: int) -> list[_FilterLine | str]:
    """Moves the index register if the header of GRE has this flag."""
    without = f"without {flag} {octets}"
    return [
        _FilterLine(_RECALL, _FLAGS),
        _FilterLine(_ANY_BIT, flag, "", without),
        *_advance(octets),
        without,
    ]


def _back_to_frame() -> list[_FilterLine | str]:
    """As if the inner IP header had an Ethernet header before it."""
    return [
        _FilterLine(_TO_A, 0),
        _FilterLine(_SUBTRACT, _ETHERNET_HEAD),
        _FilterLine(_TO_INDEX, 0),
    ]


def _payload_type(kept: str) -> list[_FilterLine | str]:
    """RFC 3551 and 5761: up to 63 or from 96. RTCP (72 to 76) is neither, so no names
    in it (SDES) are copied."""
    return [
        _FilterLine(_AND, 0x7F),
        _FilterLine(_AT_LEAST, 96, kept),
        _FilterLine(_AT_LEAST, 64, _KEEP_NOTHING),
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
