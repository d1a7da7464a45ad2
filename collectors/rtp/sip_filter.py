"""The part of the kernel's filter for SIP, over UDP and TCP. Pure.

A filter sees one packet at a time. Over UDP that is a whole message: those about calls
are copied. Over TCP a message may go on in further segments, which begin with anything.
So on port 5060 a segment is copied unless it begins a message that is about no call; on
other ports, if it begins one that is. Of TLS (port 5061) two octets are copied, so
that its records can be counted.
"""

from __future__ import annotations

from collections.abc import Iterable

from collectors.rtp.filter_program import (
    ADD_INDEX,
    AND,
    EQUAL,
    ETHERNET_HEAD,
    LOAD_INDEXED_BYTE,
    LOAD_INDEXED_SHORT,
    LOAD_INDEXED_WORD,
    RETURN,
    SHIFT_RIGHT,
    TO_INDEX,
    UDP_HEAD,
    FilterLine,
    FilterLines,
    keep_from_index,
    keep_nothing,
)
from collectors.rtp.sip_connections import TLS_MAJOR, TLS_PORT, TLS_RECORDS

_PORT = 5060
# What begins a reply, and the requests that set a call up or change it.
_ABOUT_CALLS = (b"SIP/", b"INVI", b"ACK ", b"PRAC", b"UPDA")
# Other requests; and nothing, which pads a segment without data.
_OTHERS = (
    *(b"REGI", b"OPTI", b"MESS", b"SUBS", b"NOTI", b"PUBL", b"INFO", b"REFE"),
    *(b"BYE ", b"CANC", b"\0\0\0\0"),
)
# The card may put several segments together.
_MOST_MESSAGE_BYTES, _MOST_SEGMENT_BYTES = 4096, 16_384
_TLS_BYTES = 2


def sip_lines() -> FilterLines:
    """Goes on with the header of UDP 14 octets after the index."""
    at = ETHERNET_HEAD + UDP_HEAD
    return [
        FilterLine(LOAD_INDEXED_WORD, at),
        *_if_any(_ABOUT_CALLS, "sip"),
        FilterLine(RETURN, 0),
        "sip",
        *keep_from_index(at + _MOST_MESSAGE_BYTES),
    ]


def sip_segment_lines() -> FilterLines:
    """Goes on at the label `tcp`, with the header of TCP 14 octets after the index."""
    at = ETHERNET_HEAD
    tls = [kind << 8 | TLS_MAJOR for kind in TLS_RECORDS]
    ports: FilterLines = []
    for place in (at, at + 2):
        ports += [
            FilterLine(LOAD_INDEXED_SHORT, place),
            FilterLine(EQUAL, TLS_PORT, "tls"),
            FilterLine(EQUAL, _PORT, "sip port"),
        ]
    return [
        "tcp",
        *ports,
        *_advance_to_data(),
        FilterLine(LOAD_INDEXED_WORD, at),
        *_if_any(_ABOUT_CALLS, "sip segment"),
        FilterLine(RETURN, 0),
        "sip port",
        *_advance_to_data(),
        FilterLine(LOAD_INDEXED_WORD, at),
        *_if_any(_OTHERS, "drop"),
        "sip segment",
        *keep_from_index(at + _MOST_SEGMENT_BYTES),
        "tls",
        *_advance_to_data(),
        FilterLine(LOAD_INDEXED_SHORT, at),
        *(FilterLine(EQUAL, beginning, "tls record") for beginning in tls),
        FilterLine(RETURN, 0),
        "tls record",
        *keep_from_index(at + _TLS_BYTES),
        *keep_nothing(),
    ]


def _advance_to_data() -> FilterLines:
    """Moves the index so that the data begins 14 octets after it."""
    return [
        FilterLine(LOAD_INDEXED_BYTE, ETHERNET_HEAD + 12),
        FilterLine(AND, 0xF0),
        FilterLine(SHIFT_RIGHT, 2),
        FilterLine(ADD_INDEX, 0),
        FilterLine(TO_INDEX, 0),
    ]


def _if_any(beginnings: Iterable[bytes], label: str) -> FilterLines:
    return [FilterLine(EQUAL, int.from_bytes(word), label) for word in beginnings]
