"""Windows: `IcmpSendEcho2` and `Icmp6SendEcho2` of iphlpapi.dll, which need no
privileges.

Written from the documentation and not run on real Windows yet. Each probe waits in its
own thread, because the call blocks until it is answered.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from probes.tracing import Echo, address_text

# Status codes of ipexport.h: IP_SUCCESS, IP_TTL_EXPIRED_TRANSIT, and the unreachables,
# which also come from a hop.
SUCCESS, EXPIRED = 0, 11013
UNREACHABLE = range(11002, 11006)
_PAYLOAD = b"towpath" * 5
_REPLY_BYTES = 1024
# INVALID_HANDLE_VALUE (handleapi.h).
_INVALID_HANDLE = ctypes.c_void_p(-1).value
_AT_ONCE = 32
# ICMPV6_ECHO_REPLY: a packed IPV6_ADDRESS_EX of 26 octets, then aligned u32s.
_IPV6_ADDRESS_AT, _IPV6_STATUS_AT = 6, 28


class Options(ctypes.Structure):
    """IP_OPTION_INFORMATION."""

    _fields_ = (
        ("ttl", ctypes.c_uint8),
        ("tos", ctypes.c_uint8),
        ("flags", ctypes.c_uint8),
        ("size", ctypes.c_uint8),
        ("data", ctypes.c_void_p),
    )


def read_reply(family: int, reply: bytes) -> tuple[int, str]:
    """The status and address in an ICMP_ECHO_REPLY or ICMPV6_ECHO_REPLY. Pure."""
    if family == socket.AF_INET:
        if len(reply) < 8:
            return -1, ""
        packed, (status,) = reply[:4], struct.unpack_from("<I", reply, 4)
    else:
        if len(reply) < _IPV6_STATUS_AT + 4:
            return -1, ""
        packed = reply[_IPV6_ADDRESS_AT : _IPV6_ADDRESS_AT + 16]
        (status,) = struct.unpack_from("<I", reply, _IPV6_STATUS_AT)
    return status, address_text(family, packed)


def echo_from_status(
    ttl: int, status: int, address: str, destination: str, rtt_ms: float
) -> Echo:
    """Turns a status code into an `Echo`. Pure."""
    if status == SUCCESS:
        return Echo(ttl, address, rtt_ms, True)
    if status == EXPIRED or status in UNREACHABLE:
        return Echo(ttl, address, rtt_ms, address == destination)
    return Echo(ttl)


if sys.platform == "win32":
    from probes.platforms.system_library import system_library

    class WindowsIcmpTracer:
        """Sends echo requests through the system's API."""

        method = "icmp"
        cost_bytes = 63 + 100

        def __init__(self, family: int, address: str) -> None:
            self._family, self._address = family, address

        def trace(
            self,
            ttls: Sequence[int],
            every_s: float,
            wait_s: float,
            stop: threading.Event,
        ) -> list[Echo]:
            probes: list[Future[Echo]] = []
            with ThreadPoolExecutor(_AT_ONCE, "trace") as pool:
                for ttl in ttls:
                    if stop.is_set():
                        break
                    probes.append(pool.submit(self._probe, ttl, wait_s))
                    stop.wait(every_s)
            echoes = [probe.result() for probe in probes]
            return echoes + [Echo(ttl) for ttl in ttls[len(echoes) :]]

        def _probe(self, ttl: int, wait_s: float) -> Echo:
            api = system_library("iphlpapi.dll")
            ipv4 = self._family == socket.AF_INET
            api.IcmpCreateFile.restype = ctypes.c_void_p
            api.Icmp6CreateFile.restype = ctypes.c_void_p
            handle = ctypes.c_void_p(
                api.IcmpCreateFile() if ipv4 else api.Icmp6CreateFile()
            )
            if handle.value in (None, _INVALID_HANDLE):
                raise OSError("Windows opens no socket for echo requests")
            options = Options(ttl, 0, 0, 0, None)
            buffer = ctypes.create_string_buffer(_REPLY_BYTES)
            packed = socket.inet_pton(self._family, self._address)
            wait_ms = max(1, round(wait_s * 1000))
            rest = (
                _PAYLOAD,
                ctypes.c_uint16(len(_PAYLOAD)),
                ctypes.byref(options),
                buffer,
                ctypes.c_uint32(_REPLY_BYTES),
                ctypes.c_uint32(wait_ms),
            )
            started_ns = time.perf_counter_ns()
            try:
                if ipv4:
                    to = ctypes.c_uint32(struct.unpack("<I", packed)[0])
                    count = api.IcmpSendEcho2(handle, None, None, None, to, *rest)
                else:
                    source, to6 = _ipv6(bytes(16)), _ipv6(packed)
                    count = api.Icmp6SendEcho2(
                        handle, None, None, None, source, to6, *rest
                    )
            finally:
                rtt_ms = (time.perf_counter_ns() - started_ns) / 1e6
                api.IcmpCloseHandle(handle)
            if not count:
                return Echo(ttl)
            status, address = read_reply(self._family, buffer.raw)
            return echo_from_status(ttl, status, address, self._address, rtt_ms)

    def _ipv6(packed: bytes) -> bytes:
        """SOCKADDR_IN6."""
        return struct.pack("<HHI16sI", socket.AF_INET6, 0, 0, packed, 0)
