"""The kernel's filter for RTP and RTCP: which packets reach us, and how much of them.
Pure.

Of RTP these are the headers, so no octet of speech leaves the kernel.
"""

from __future__ import annotations

from collectors.rtp.filter_program import (
    ADD_INDEX,
    AND,
    ANY_BIT,
    AT_LEAST,
    EQUAL,
    ETHERNET_HEAD,
    KEEP_NOTHING,
    LOAD_BYTE,
    LOAD_INDEX,
    LOAD_INDEXED_BYTE,
    LOAD_INDEXED_SHORT,
    LOAD_IP_HEAD,
    LOAD_SHORT,
    RECALL,
    RETURN,
    SHIFT_LEFT,
    STORE,
    SUBTRACT,
    TO_A,
    TO_INDEX,
    UDP_HEAD,
    VLAN_TAG,
    FilterLine,
    FilterLines,
    Instruction,
    advance,
    assemble,
    go_to,
    keep_from_index,
    keep_nothing,
)
from collectors.rtp.rtcp_filter import rtcp_lines
from collectors.rtp.sip_filter import sip_lines, sip_segment_lines

_RTP_HEAD, _IPV6_HEAD = 12, 40
# Cells of the filter's memory.
_FLAGS, _KIND = 0, 1


def rtp_filter(with_sip: bool = False) -> list[Instruction]:
    """Keeps the headers of RTP and the reports of RTCP, over IPv4 and IPv6, plain or
    behind one VLAN tag, or in GRE, ERSPAN or VXLAN over IPv4. (The kernel has taken off
    the outer tag before, so QinQ is kept, too.) `with_sip` keeps SIP messages that are
    about calls."""
    lines: FilterLines = [
        FilterLine(LOAD_SHORT, 12),
        FilterLine(EQUAL, 0x8100, "tagged"),
        FilterLine(EQUAL, 0x88A8, "tagged"),
        *_network("plain", ETHERNET_HEAD, with_sip),
        "tagged",
        FilterLine(LOAD_SHORT, 16),
        *_network("tagged ", ETHERNET_HEAD + VLAN_TAG, with_sip),
        *_tunnels(with_sip),
        *rtcp_lines(),
        *(sip_segment_lines() if with_sip else ()),
        "other udp",
        *(sip_lines() if with_sip else ()),
        *keep_nothing(),
    ]
    return assemble(lines)


def _network(label: str, at: int, with_sip: bool) -> FilterLines:
    """Goes on at the IP header `at`, with the Ethernet type in the accumulator."""
    six = f"{label} ipv6"
    tcp, tcp_six = f"{label} tcp", f"{label} ipv6 tcp"
    segments: FilterLines = [
        *(tcp, *advance(at - ETHERNET_HEAD), go_to("tcp")),
        *(tcp_six, FilterLine(LOAD_INDEX, at + _IPV6_HEAD - ETHERNET_HEAD)),
        go_to("tcp"),
    ]
    return [
        FilterLine(EQUAL, 0x86DD, six),
        FilterLine(EQUAL, 0x0800, "", KEEP_NOTHING),
        # A later fragment has no UDP header.
        FilterLine(LOAD_SHORT, at + 6),
        FilterLine(ANY_BIT, 0x1FFF, KEEP_NOTHING),
        FilterLine(LOAD_IP_HEAD, at),
        FilterLine(LOAD_BYTE, at + 9),
        FilterLine(EQUAL, 47, f"{label} gre"),
        *([FilterLine(EQUAL, 6, tcp)] if with_sip else ()),
        FilterLine(EQUAL, 17, "", KEEP_NOTHING),
        FilterLine(LOAD_INDEXED_BYTE, at + UDP_HEAD),
        FilterLine(AND, 0xC0),
        FilterLine(EQUAL, 0x80, "", f"{label} vxlan"),
        FilterLine(LOAD_INDEXED_BYTE, at + UDP_HEAD + 1),
        *_payload_type(f"{label} ipv4 kept", f"{label} rtcp"),
        *keep_from_index(at + UDP_HEAD + _RTP_HEAD),
        f"{label} gre",
        *advance(at - ETHERNET_HEAD),
        go_to("gre"),
        f"{label} vxlan",
        *advance(at - ETHERNET_HEAD),
        go_to("vxlan"),
        f"{label} rtcp",
        *advance(at - ETHERNET_HEAD),
        go_to("rtcp"),
        six,
        FilterLine(LOAD_BYTE, at + 6),
        *([FilterLine(EQUAL, 6, tcp_six)] if with_sip else ()),
        FilterLine(EQUAL, 17, "", KEEP_NOTHING),
        FilterLine(LOAD_BYTE, at + _IPV6_HEAD + UDP_HEAD),
        FilterLine(AND, 0xC0),
        FilterLine(EQUAL, 0x80, "", f"{label} ipv6 other"),
        FilterLine(LOAD_BYTE, at + _IPV6_HEAD + UDP_HEAD + 1),
        *_payload_type(f"{label} ipv6 kept", f"{label} ipv6 rtcp"),
        FilterLine(RETURN, at + _IPV6_HEAD + UDP_HEAD + _RTP_HEAD),
        f"{label} ipv6 rtcp",
        FilterLine(LOAD_INDEX, at + _IPV6_HEAD - ETHERNET_HEAD),
        go_to("rtcp"),
        f"{label} ipv6 other",
        FilterLine(LOAD_INDEX, at + _IPV6_HEAD - ETHERNET_HEAD),
        go_to("other udp"),
        *(segments if with_sip else ()),
        *keep_nothing(),
    ]


def _tunnels(with_sip: bool) -> FilterLines:
    """Goes on at `gre` or `vxlan` with what is behind the outer IP header 14 octets
    after the index. The inner frame, then, begins at the index."""
    at = ETHERNET_HEAD
    segments: FilterLines = [
        *("inner tcp", *_pass_ip_head(at), go_to("tcp")),
        *("inner ipv6 tcp", *advance(_IPV6_HEAD), go_to("tcp")),
    ]
    return [
        "vxlan",
        FilterLine(LOAD_INDEXED_SHORT, at + 2),
        FilterLine(EQUAL, 4789, "vxlan port"),
        FilterLine(EQUAL, 8472, "", "no rtp"),
        "vxlan port",
        FilterLine(LOAD_INDEXED_BYTE, at + UDP_HEAD),
        FilterLine(ANY_BIT, 8, "", KEEP_NOTHING),
        *advance(at + UDP_HEAD + 8),
        go_to("inner"),
        "gre",
        FilterLine(LOAD_INDEXED_SHORT, at + 2),
        FilterLine(STORE, _KIND),
        FilterLine(LOAD_INDEXED_SHORT, at),
        FilterLine(STORE, _FLAGS),
        FilterLine(ANY_BIT, 7, KEEP_NOTHING),
        *advance(at + 4),
        # Checksum, key and sequence number.
        *_advance_if(0x8000, 4),
        *_advance_if(0x2000, 4),
        *_advance_if(0x1000, 4),
        FilterLine(RECALL, _KIND),
        FilterLine(EQUAL, 0x6558, "inner"),
        FilterLine(EQUAL, 0x0800, "gre ipv4"),
        FilterLine(EQUAL, 0x86DD, "gre ipv6"),
        FilterLine(EQUAL, 0x22EB, "erspan 3"),
        FilterLine(EQUAL, 0x88BE, "", KEEP_NOTHING),
        # ERSPAN II has a header of its own, and a sequence number; I has neither.
        *_advance_if(0x1000, 8),
        go_to("inner"),
        "erspan 3",
        FilterLine(LOAD_INDEXED_BYTE, 11),
        FilterLine(ANY_BIT, 1, "", "erspan 3 short"),
        *advance(8),
        "erspan 3 short",
        *advance(12),
        "inner",
        FilterLine(LOAD_INDEXED_SHORT, 12),
        FilterLine(EQUAL, 0x8100, "", "inner plain"),
        *advance(VLAN_TAG),
        FilterLine(LOAD_INDEXED_SHORT, 12),
        "inner plain",
        FilterLine(EQUAL, 0x0800, "inner ipv4"),
        FilterLine(EQUAL, 0x86DD, "inner ipv6", KEEP_NOTHING),
        "gre ipv6",
        *_back_to_frame(),
        "inner ipv6",
        FilterLine(LOAD_INDEXED_BYTE, at + 6),
        *([FilterLine(EQUAL, 6, "inner ipv6 tcp")] if with_sip else ()),
        FilterLine(EQUAL, 17, "", KEEP_NOTHING),
        *advance(_IPV6_HEAD),
        go_to("inner udp"),
        "gre ipv4",
        *_back_to_frame(),
        "inner ipv4",
        FilterLine(LOAD_INDEXED_SHORT, at + 6),
        FilterLine(ANY_BIT, 0x1FFF, KEEP_NOTHING),
        FilterLine(LOAD_INDEXED_BYTE, at + 9),
        *([FilterLine(EQUAL, 6, "inner tcp")] if with_sip else ()),
        FilterLine(EQUAL, 17, "", KEEP_NOTHING),
        *_pass_ip_head(at),
        "inner udp",
        FilterLine(LOAD_INDEXED_BYTE, at + UDP_HEAD),
        FilterLine(AND, 0xC0),
        FilterLine(EQUAL, 0x80, "", "no rtp"),
        FilterLine(LOAD_INDEXED_BYTE, at + UDP_HEAD + 1),
        *_payload_type("inner kept", "rtcp"),
        *keep_from_index(at + UDP_HEAD + _RTP_HEAD),
        "no rtp",
        go_to("other udp"),
        *(segments if with_sip else ()),
        *keep_nothing(),
    ]


def _pass_ip_head(at: int) -> FilterLines:
    """Moves the index register over an IPv4 header `at` after it."""
    return [
        FilterLine(LOAD_INDEXED_BYTE, at),
        FilterLine(AND, 15),
        FilterLine(SHIFT_LEFT, 2),
        FilterLine(ADD_INDEX, 0),
        FilterLine(TO_INDEX, 0),
    ]


def _advance_if(flag: int, octets: int) -> FilterLines:
    """Moves the index register if the header of GRE has this flag."""
    without = f"without {flag} {octets}"
    return [
        FilterLine(RECALL, _FLAGS),
        FilterLine(ANY_BIT, flag, "", without),
        *advance(octets),
        without,
    ]


def _back_to_frame() -> FilterLines:
    """As if the inner IP header had an Ethernet header before it."""
    return [
        FilterLine(TO_A, 0),
        FilterLine(SUBTRACT, ETHERNET_HEAD),
        FilterLine(TO_INDEX, 0),
    ]


def _payload_type(kept: str, rtcp: str) -> FilterLines:
    """RFC 3551 and 5761: up to 63 or from 96. RTCP (72 to 79, marked) is neither."""
    return [
        FilterLine(AND, 0x7F),
        FilterLine(AT_LEAST, 96, kept),
        FilterLine(AT_LEAST, 64, rtcp),
        kept,
    ]
