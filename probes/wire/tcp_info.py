"""What Linux reports about a TCP connection: `TCP_INFO` of tcp(7)."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from typing import NamedTuple, Protocol

_TCP_INFO = 11
_NOT_SENT_LOWAT = {"linux": 25, "darwin": 0x201}.get(sys.platform)
# struct tcp_info of linux/tcp.h, from `tcpi_rtt`: 8 octets and 15 u32 come before.
_RTT = struct.Struct("=68xII")
_BYTES = struct.Struct("=120xQQ")
_MIN_RTT = struct.Struct("=148xI")
_TIMES = struct.Struct("=168xQQQ")
_SENT = struct.Struct("=200xQQ")
_AGAIN = struct.Struct("=100xI")
_SEGMENTS = struct.Struct("=152xII")
_ODD = struct.Struct("=216xI4xI")


class TcpInfo(NamedTuple):
    """Times in microseconds and sizes in octets, since the connection was made. 0 if
    the kernel is too old to report a value."""

    rtt_us: int
    rtt_var_us: int
    min_rtt_us: int
    bytes_acked: int
    bytes_received: int
    bytes_sent: int
    bytes_retransmitted: int
    busy_us: int
    rwnd_limited_us: int
    sndbuf_limited_us: int
    # In segments: with data in both directions, sent again, of which not needed, and
    # received before an earlier one.
    data_segments_in: int = 0
    data_segments_out: int = 0
    sent_again: int = 0
    sent_twice: int = 0
    out_of_order: int = 0


class _Socket(Protocol):
    def setsockopt(self, level: int, option: int, value: int, /) -> None: ...
    def getsockopt(self, level: int, option: int, length: int, /) -> bytes: ...


def tcp_info(connection: _Socket) -> TcpInfo | None:
    """Returns the state of a connected TCP socket; None if the system does not report
    it."""
    if sys.platform != "linux":
        return None
    try:
        raw = connection.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 256)
    except (OSError, ValueError):
        # Closed in the meantime: no such descriptor, or a negative one.
        return None
    return read_tcp_info(raw)


def keep_little_waiting(connection: _Socket | None, octets: int) -> None:
    """Limits to `octets` what the kernel accepts and cannot send yet: such data is not
    on its way, and can no longer be held back."""
    if _NOT_SENT_LOWAT is not None and connection is not None:
        with contextlib.suppress(OSError, ValueError):
            connection.setsockopt(socket.IPPROTO_TCP, _NOT_SENT_LOWAT, octets)


def read_tcp_info(raw: bytes) -> TcpInfo:
    """Returns the kernel's structure, however long its version of it is."""
    raw = raw.ljust(228, b"\0")
    rtt, rtt_var = _RTT.unpack_from(raw)
    acked, received = _BYTES.unpack_from(raw)
    busy, rwnd_limited, sndbuf_limited = _TIMES.unpack_from(raw)
    sent, retransmitted = _SENT.unpack_from(raw)
    (min_rtt,), (sent_again,) = _MIN_RTT.unpack_from(raw), _AGAIN.unpack_from(raw)
    segments_in, segments_out = _SEGMENTS.unpack_from(raw)
    sent_twice, out_of_order = _ODD.unpack_from(raw)
    return TcpInfo(
        rtt_us=rtt,
        rtt_var_us=rtt_var,
        # All ones: not measured yet.
        min_rtt_us=0 if min_rtt == 0xFFFF_FFFF else min_rtt,
        bytes_acked=acked,
        bytes_received=received,
        bytes_sent=sent,
        bytes_retransmitted=retransmitted,
        busy_us=busy,
        rwnd_limited_us=rwnd_limited,
        sndbuf_limited_us=sndbuf_limited,
        data_segments_in=segments_in,
        data_segments_out=segments_out,
        sent_again=sent_again,
        sent_twice=sent_twice,
        out_of_order=out_of_order,
    )
