"""The UDP socket of the trap receiver: emptied at once into memory, losses counted.

The kernel drops datagrams if the socket's buffer is full, and counts them only in
`/proc/self/net/udp`. The default buffer holds a few hundred traps.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

_log = structlog.get_logger()
Datagram = tuple[bytes, str, int, Any]
"""Octets, the sender's address and port, and where to send an answer."""

_MAX_DATAGRAM = 65_535
# At these limits reading pauses, so the kernel's buffer fills and counts its losses.
MAX_WAITING = 50_000
MAX_BYTES = 32 << 20
_AT_ONCE = 2_048
# Linux' SO_RCVBUFFORCE, which Python does not export; it needs CAP_NET_ADMIN.
_SO_RCVBUFFORCE = 33


class TrapSocket:
    """`open()` binds and receives; `on_arrival` is called when datagrams are
    waiting."""

    def __init__(
        self, host: str, port: int, receive_bytes: int, on_arrival: Callable[[], None]
    ) -> None:
        self._host, self._port, self._receive_bytes = host, port, receive_bytes
        self._on_arrival = on_arrival
        self._waiting: deque[Datagram] = deque()
        self._bytes = 0
        self._socket: socket.socket | None = None
        self._reading = False
        self._lost_before = 0
        self.received = 0

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    @property
    def has_more(self) -> bool:
        return bool(self._waiting)

    @property
    def port(self) -> int:
        """The port in use; 0 while closed."""
        return int(self._socket.getsockname()[1]) if self._socket is not None else 0

    def open(self) -> None:
        """Bind the socket. Raises `OSError` if the address is not available."""
        udp_socket = _bind(self._host, self._port)
        granted = _enlarge(udp_socket, self._receive_bytes)
        if granted < self._receive_bytes:
            _log.warning(
                "traps_buffer_small",
                bytes=granted,
                wanted=self._receive_bytes,
                hint=f"sysctl net.core.rmem_max={self._receive_bytes}",
            )
        self._socket = udp_socket
        self._resume()

    def close(self) -> None:
        if self._socket is None:
            return
        self._lost_before = self.lost
        self._pause()
        self._socket.close()
        self._socket = None

    def take_datagrams(self) -> list[Datagram]:
        """Remove and return some waiting datagrams, oldest first."""
        count = min(len(self._waiting), _AT_ONCE)
        datagrams = [self._waiting.popleft() for _ in range(count)]
        self._bytes -= sum(len(datagram[0]) for datagram in datagrams)
        if not self._reading and self._socket is not None:
            self._resume()
        return datagrams

    def receive(self) -> None:
        """Empty the socket's small buffer into memory."""
        if self._socket is None:
            return
        receive, waiting = self._socket.recvfrom, self._waiting
        room = MAX_WAITING - len(waiting)
        try:
            for _ in range(min(_AT_ONCE, room)):
                if self._bytes >= MAX_BYTES:
                    break
                data, sender = receive(_MAX_DATAGRAM)
                self.received += 1
                self._bytes += len(data)
                waiting.append((data, _unmap_address(sender[0]), sender[1], sender))
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            # Such as "connection refused" after a response that we sent.
            _log.debug("traps_socket_error", error=str(error))
        if len(waiting) >= MAX_WAITING or self._bytes >= MAX_BYTES:
            self._pause()
        if waiting:
            self._on_arrival()

    def send(self, data: bytes, to: Any) -> bool:
        """Send a datagram; return False if the system refuses it."""
        if self._socket is None:
            return False
        with contextlib.suppress(OSError):
            self._socket.sendto(data, to)
            return True
        return False

    @property
    def lost(self) -> int:
        """Return how many datagrams the kernel has dropped since the start, as far as
        Linux reports it."""
        if self._socket is None:
            return self._lost_before
        inode = str(_inode(self._socket))
        for table in ("/proc/self/net/udp", "/proc/self/net/udp6"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                for line in Path(table).read_text().splitlines()[1:]:
                    columns = line.split()
                    if columns[9] == inode:
                        return self._lost_before + int(columns[-1])
        return self._lost_before

    def _resume(self) -> None:
        assert self._socket is not None
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self.receive)
        self._reading = True

    def _pause(self) -> None:
        assert self._socket is not None
        if self._reading:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._reading = False


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if host == "::" and not socket.has_ipv6:
        host, family = "0.0.0.0", socket.AF_INET
    udp_socket = socket.socket(family, socket.SOCK_DGRAM)
    try:
        udp_socket.setblocking(False)
        if family == socket.AF_INET6 and host == "::":
            udp_socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            udp_socket.bind((host, port))
        except OSError as error:
            message = f"{host} port {port}: {error.strerror}"
            raise OSError(error.errno, message) from None
    except BaseException:
        udp_socket.close()
        raise
    return udp_socket


def _enlarge(udp_socket: socket.socket, wanted_bytes: int) -> int:
    """Enlarge the receive buffer; return the size that was granted, in bytes."""
    with contextlib.suppress(OSError):
        udp_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted_bytes)
    granted = udp_socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    if granted < wanted_bytes:
        with contextlib.suppress(OSError):
            udp_socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, wanted_bytes)
    # Linux doubles the requested size for its own bookkeeping.
    return udp_socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def _unmap_address(address: str) -> str:
    """Return an IPv4-mapped IPv6 address as IPv4, and others without their zone."""
    if address.startswith("::ffff:") and "." in address:
        return address[7:]
    return address.split("%", 1)[0]


def _inode(udp_socket: socket.socket) -> int:
    return os.fstat(udp_socket.fileno()).st_ino
