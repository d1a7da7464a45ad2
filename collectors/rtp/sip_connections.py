"""Takes SIP messages out of TCP connections (RFC 3261 section 18.3), in bounded memory.

Only connections in which a message begins are followed. Segments that come again are
ignored; if one is missing, the message is given up and the next one is looked for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from collectors.rtp.frame_decoder import Datagram
from collectors.rtp.sip_messages import begins_sip

_MOST_CONNECTIONS, _MOST_MESSAGE_BYTES = 1_000, 65_536
# A message goes on within that time, or is given up.
_LONGEST_WAIT_NS = 10_000_000_000
TLS_PORT, TLS_RECORDS, TLS_MAJOR = 5061, range(20, 24), 3
_LENGTH = re.compile(rb"\n(?:content-length|l)[ \t]*:[ \t]*(\d{1,5})[ \t]*\r?\n", re.I)
_END = re.compile(rb"\r?\n\r?\n")


class _Connection(NamedTuple):
    """What waits for the rest of its message, and the sequence number of that."""

    waiting: bytes
    expected: int
    at_ns: int


class SipConnections:
    """`take` each segment. It adds to `counts` `sip_gaps` (messages given up) and
    `sip_tls` (records of TLS on port 5061, which are encrypted). `sees_all`: whether
    no segment was left out on purpose, so that each gap is a message."""

    def __init__(self, counts: Counter[str], sees_all: bool = True) -> None:
        self._counts, self._sees_all = counts, sees_all
        self._open: dict[tuple[bytes, int, bytes, int], _Connection] = {}

    def take(self, at_ns: int, segment: Datagram) -> Iterator[bytes]:
        """The messages that are whole with this segment."""
        data, sequence = segment.payload, segment.tcp_sequence
        if not data or sequence is None:
            return
        ports = segment.source_port, segment.target_port
        if TLS_PORT in ports and _is_tls(data):
            self._counts["sip_tls"] += 1
            return
        key = (segment.source, ports[0], segment.target, ports[1])
        known = self._open.pop(key, None)
        if known is not None:
            behind = known.expected - sequence & 0xFFFFFFFF
            if behind >= 1 << 31 or len(data) < segment.size:
                # What is between is missing, or was cut when it was captured.
                self._counts["sip_gaps"] += self._sees_all or bool(known.waiting)
                known = None
            elif behind:
                # It came before, perhaps but for its end.
                data, sequence = data[behind:], known.expected
        if known is None and not begins_sip(data):
            return
        expected = sequence + len(data) & 0xFFFFFFFF
        waiting = (known.waiting if known else b"") + data
        while True:
            # Empty lines keep a connection open (RFC 5626).
            waiting = waiting.lstrip(b"\r\n")
            end = _message_end(waiting)
            if end is None:
                break
            yield waiting[:end]
            waiting = waiting[end:]
        if len(waiting) <= _MOST_MESSAGE_BYTES:
            self._open[key] = _Connection(waiting, expected, at_ns)
            if len(self._open) > _MOST_CONNECTIONS:
                del self._open[next(iter(self._open))]

    def drop_unfinished(self, now_ns: int) -> None:
        """Gives up messages that did not go on: they may have names."""
        for key, one in list(self._open.items()):
            if one.waiting and now_ns - one.at_ns > _LONGEST_WAIT_NS:
                self._counts["sip_gaps"] += 1
                del self._open[key]


def _is_tls(data: bytes) -> bool:
    return len(data) > 1 and data[0] in TLS_RECORDS and data[1] == TLS_MAJOR


def _message_end(data: bytes) -> int | None:
    """Where the first message ends; None if it is not whole."""
    head = _END.search(data)
    if head is None:
        return None
    length = _LENGTH.search(data[: head.end()])
    end = head.end() + (int(length[1]) if length else 0)
    return end if end <= len(data) else None
