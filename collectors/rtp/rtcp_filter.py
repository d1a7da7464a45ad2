"""The part of the kernel's filter for RTCP. Pure.

Reports are copied if all packets of the datagram (RFC 3550 section 6.1) follow each
other up to its end: to the end of the last report, and nothing behind it. Of encrypted
ones (SRTCP, RFC 3711), which end with more than that, only what is in clear is copied:
the first eight octets.
"""

from __future__ import annotations

from collectors.rtp.filter_program import (
    ABOVE_INDEX,
    ADD,
    ADD_INDEX,
    AND,
    AT_LEAST,
    EQUAL,
    EQUAL_INDEX,
    ETHERNET_HEAD,
    LOAD_INDEXED_BYTE,
    LOAD_INDEXED_SHORT,
    RECALL,
    RECALL_INDEX,
    RETURN_A,
    SHIFT_LEFT,
    STORE,
    SUBTRACT,
    SUBTRACT_INDEX,
    TO_A,
    TO_INDEX,
    UDP_HEAD,
    FilterLine,
    FilterLines,
    go_to,
    keep_nothing,
)
from collectors.rtp.rtcp_packets import CLEAR_BYTES, EXTENDED, RECEIVER, SENDER

# Cells of the filter's memory; the first two are those of tunnels.
_START, _END, _KEPT = 2, 3, 4
# A sender report of 31 blocks has 772 octets; phones send fewer than 150.
_MOST_BYTES = 1024
# Reports, names, an end, feedback; there are never as many.
_MOST_PACKETS = 8


def rtcp_lines() -> FilterLines:
    """Goes on at the label `rtcp`, with the header of UDP 14 octets after the index."""
    at = ETHERNET_HEAD + UDP_HEAD
    lines: FilterLines = [
        "rtcp",
        FilterLine(LOAD_INDEXED_BYTE, at + 1),
        FilterLine(EQUAL, SENDER, "rtcp begins"),
        FilterLine(EQUAL, RECEIVER, "rtcp begins"),
        FilterLine(EQUAL, EXTENDED, "", "drop"),
        "rtcp begins",
        FilterLine(TO_A, 0),
        FilterLine(STORE, _START),
        FilterLine(STORE, _KEPT),
        FilterLine(LOAD_INDEXED_SHORT, ETHERNET_HEAD + 4),
        FilterLine(AT_LEAST, UDP_HEAD + CLEAR_BYTES, "", "drop"),
        FilterLine(SUBTRACT, UDP_HEAD),
        FilterLine(ADD_INDEX, 0),
        FilterLine(STORE, _END),
    ]
    for number in range(_MOST_PACKETS):
        lines += _packet(f"rtcp {number}", at)
    return [
        *lines,
        "rtcp unread",
        FilterLine(RECALL, _START),
        FilterLine(ADD, at + CLEAR_BYTES),
        FilterLine(RETURN_A, 0),
        "rtcp whole",
        FilterLine(RECALL_INDEX, _START),
        FilterLine(RECALL, _KEPT),
        FilterLine(SUBTRACT_INDEX, 0),
        FilterLine(AT_LEAST, _MOST_BYTES, "rtcp long"),
        FilterLine(ADD_INDEX, 0),
        FilterLine(ADD, at),
        FilterLine(RETURN_A, 0),
        "rtcp long",
        FilterLine(RECALL, _START),
        FilterLine(ADD, at + _MOST_BYTES),
        FilterLine(RETURN_A, 0),
        *keep_nothing(),
    ]


def _packet(label: str, at: int) -> FilterLines:
    """Goes on behind one packet of a datagram; a report is to be kept."""
    length = [
        FilterLine(LOAD_INDEXED_SHORT, at + 2),
        FilterLine(SHIFT_LEFT, 2),
        FilterLine(ADD, 4),
        FilterLine(ADD_INDEX, 0),
    ]
    return [
        FilterLine(LOAD_INDEXED_BYTE, at),
        FilterLine(AND, 0xC0),
        FilterLine(EQUAL, 0x80, "", "rtcp unread"),
        FilterLine(LOAD_INDEXED_BYTE, at + 1),
        FilterLine(EQUAL, SENDER, f"{label} report"),
        FilterLine(EQUAL, RECEIVER, f"{label} report"),
        FilterLine(EQUAL, EXTENDED, f"{label} report"),
        FilterLine(AT_LEAST, 192, "", "rtcp unread"),
        FilterLine(AT_LEAST, 224, "rtcp unread"),
        *length,
        go_to(f"{label} next"),
        f"{label} report",
        *length,
        FilterLine(STORE, _KEPT),
        f"{label} next",
        FilterLine(TO_INDEX, 0),
        FilterLine(RECALL, _END),
        FilterLine(EQUAL_INDEX, 0, "rtcp whole"),
        FilterLine(ABOVE_INDEX, 0, "", "rtcp unread"),
    ]
