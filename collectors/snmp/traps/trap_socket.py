"""The UDP socket: drained at once into memory, its losses counted.

The kernel drops what finds the socket's buffer full and says so only in
`/proc/self/net/udp`; by default that buffer holds a few hundred traps.
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

_LARGEST = 65_535
# Beyond these the socket is left alone: the kernel's own buffer fills, and counts.
MOST_WAITING = 50_000
MOST_BYTES = 32 << 20
_AT_ONCE = 2_048
# Linux' SO_RCVBUFFORCE, which Python does not name; needs CAP_NET_ADMIN.
_SO_RCVBUFFORCE = 33


class Inbox:
    """`open()` binds and reads; `arrived` is called when there is something to take."""

    def __init__(
        self, host: str, port: int, receive_bytes: int, arrived: Callable[[], None]
    ) -> None:
        self._host, self._port, self._receive_bytes = host, port, receive_bytes
        self._arrived = arrived
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
        """`OSError` where the address cannot be had."""
        found = _bound(self._host, self._port)
        granted = _enlarge(found, self._receive_bytes)
        if granted < self._receive_bytes:
            _log.warning(
                "traps_buffer_small",
                bytes=granted,
                wanted=self._receive_bytes,
                hint=f"sysctl net.core.rmem_max={self._receive_bytes}",
            )
        self._socket = found
        self._resume()

    def close(self) -> None:
        if self._socket is None:
            return
        self._lost_before = self.lost
        self._pause()
        self._socket.close()
        self._socket = None

    def take(self) -> list[Datagram]:
        """Some of what has arrived, oldest first."""
        count = min(len(self._waiting), _AT_ONCE)
        taken = [self._waiting.popleft() for _ in range(count)]
        self._bytes -= sum(len(datagram[0]) for datagram in taken)
        if not self._reading and self._socket is not None:
            self._resume()
        return taken

    def read(self) -> None:
        """Empties the socket's buffer, which is small, into memory, which is not."""
        if self._socket is None:
            return
        receive, waiting = self._socket.recvfrom, self._waiting
        room = MOST_WAITING - len(waiting)
        try:
            for _ in range(min(_AT_ONCE, room)):
                if self._bytes >= MOST_BYTES:
                    break
                data, sender = receive(_LARGEST)
                self.received += 1
                self._bytes += len(data)
                waiting.append((data, _plain(sender[0]), sender[1], sender))
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            # Such as "connection refused" for an answer that was sent.
            _log.debug("traps_socket_says", says=str(error))
        if len(waiting) >= MOST_WAITING or self._bytes >= MOST_BYTES:
            self._pause()
        if waiting:
            self._arrived()

    def send(self, data: bytes, to: Any) -> bool:
        """False where the system did not take it."""
        if self._socket is None:
            return False
        with contextlib.suppress(OSError):
            self._socket.sendto(data, to)
            return True
        return False

    @property
    def lost(self) -> int:
        """Datagrams the kernel dropped since the start, where it tells."""
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
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self.read)
        self._reading = True

    def _pause(self) -> None:
        assert self._socket is not None
        if self._reading:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._reading = False


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if host == "::" and not socket.has_ipv6:
        host, family = "0.0.0.0", socket.AF_INET
    found = socket.socket(family, socket.SOCK_DGRAM)
    try:
        found.setblocking(False)
        if family == socket.AF_INET6 and host == "::":
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            found.bind((host, port))
        except OSError as error:
            says = f"{host} port {port}: {error.strerror}"
            raise OSError(error.errno, says) from None
    except BaseException:
        found.close()
        raise
    return found


def _enlarge(found: socket.socket, wanted: int) -> int:
    """The bytes of buffer that were granted."""
    with contextlib.suppress(OSError):
        found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
    granted = found.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    if granted < wanted:
        with contextlib.suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, wanted)
    # Linux doubles what is asked for, for its own book-keeping.
    return found.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def _plain(address: str) -> str:
    """An IPv4 address that came through an IPv6 socket as what it is."""
    if address.startswith("::ffff:") and "." in address:
        return address[7:]
    return address.split("%", 1)[0]


def _inode(found: socket.socket) -> int:
    return os.fstat(found.fileno()).st_ino
