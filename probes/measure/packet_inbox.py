"""Packets that arrive on a UDP socket, each with the exact time of its arrival.

On Linux the kernel stamps arrivals, so they may be read late; elsewhere a thread waits
for them.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
import time
from collections import deque
from typing import Protocol

_TIMESTAMPNS_NEW = 64  # SO_TIMESTAMPNS_NEW: two 64-bit numbers on every architecture
_TIMESPEC = struct.Struct("@qq")
_PLAUSIBLE_NS = 2_000_000_000


class PacketInbox(Protocol):
    """Arrived packets with the time of their arrival."""

    def drain(self) -> list[tuple[int, bytes]]: ...
    def close(self) -> None: ...


class KernelStampedInbox:
    """Arrivals with the kernel's time stamps, so they may be read late."""

    def __init__(self, channel: socket.socket) -> None:
        channel.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS_NEW, 1)
        self._channel = channel

    def drain(self) -> list[tuple[int, bytes]]:
        """Returns what has arrived as (time on `perf_counter_ns`, packet). Raises
        `OSError` if the network reported an error."""
        if sys.platform == "win32":
            raise NotImplementedError("only the Linux kernel stamps arrivals")
        packets: list[tuple[int, bytes]] = []
        # The kernel uses the wall clock, which may be stepped, so the offset to the
        # monotonic clock is taken again each time.
        ahead_ns = time.time_ns() - time.perf_counter_ns()
        while True:
            try:
                packet, ancillary, _flags, _from = self._channel.recvmsg(2048, 64)
            except BlockingIOError:
                return packets
            arrived_ns = now_ns = time.perf_counter_ns()
            for level, kind, value in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, _TIMESTAMPNS_NEW):
                    seconds, rest = _TIMESPEC.unpack_from(value)
                    stamped_ns = seconds * 1_000_000_000 + rest - ahead_ns
                    # If the wall clock was stepped since, the stamp is implausible.
                    if now_ns - _PLAUSIBLE_NS < stamped_ns < arrived_ns:
                        arrived_ns = stamped_ns
            packets.append((arrived_ns, packet))

    def close(self) -> None:
        pass


class ThreadStampedInbox:
    """Arrivals stamped by a thread that does nothing else."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._channel.settimeout(0.2)
        self._packets: deque[tuple[int, bytes]] = deque()
        self._error: OSError | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._wait, name="stream-inbox")
        self._thread.start()

    def _wait(self) -> None:
        while not self._closed.is_set():
            try:
                packet = self._channel.recv(2048)
                self._packets.append((time.perf_counter_ns(), packet))
            except TimeoutError:
                continue
            except OSError as error:
                self._error = error
                self._closed.wait(0.01)

    def drain(self) -> list[tuple[int, bytes]]:
        error, self._error = self._error, None
        if error is not None and not self._packets:
            raise error
        return [self._packets.popleft() for _ in range(len(self._packets))]

    def close(self) -> None:
        self._closed.set()
        self._thread.join()


def open_inbox(channel: socket.socket, kernel_times: bool) -> PacketInbox:
    """The best inbox of this system for a connected UDP socket."""
    if kernel_times and sys.platform == "linux":
        with contextlib.suppress(OSError):
            return KernelStampedInbox(channel)
    return ThreadStampedInbox(channel)
