"""Packets of an interface from a ring that the kernel fills (AF_PACKET, TPACKET_V3).

Only Linux has it. Opening needs CAP_NET_RAW; reading needs nothing.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from collectors.rtp.filter_program import packed
from collectors.rtp.packet_filter import rtp_filter

# linux/sockios.h: the flags of an interface, of which the lowest is that it is up.
_GET_FLAGS, _IS_UP = 0x8913, 1
# linux/if_packet.h
_SOL_PACKET = 263
_ADD_MEMBERSHIP, _RX_RING, _STATISTICS, _VERSION, _IGNORE_OUTGOING = 1, 5, 6, 10, 23
_TPACKET_V3, _PROMISCUOUS = 2, 1
_ATTACH_FILTER = 26
_ALL_PROTOCOLS = 3
BLOCKS, _BLOCK_BYTES, _FRAME_BYTES = 64, 1 << 18, 256
# A full block of headers takes some milliseconds.
BLOCKS_AT_ONCE = 4
# After this time the kernel hands over a block that is not full.
RETIRE_S = 0.25
_STATUS_AT, _READY = 8, 1
_BLOCK_HEAD = struct.Struct("=III")
_RING = struct.Struct("=IIIIIII")


class PacketCounts(NamedTuple):
    """Packets that passed the filter, and those dropped as the ring was full."""

    seen: int
    dropped: int


class RingBlock(NamedTuple):
    """A block that the kernel has handed over: its first packet, and how many."""

    first_at: int
    packets: int


class PacketRing:
    """`with PacketRing("eth1") as ring`. Poll `ring.fileno()`; then go through
    `ready_blocks()`, which gives each block back to the kernel after its turn.

    The memory is 256 KiB for each of `blocks`, however much arrives: in 16 MiB some
    100,000 headers wait, then packets are dropped and counted. Raises `OSError`.
    """

    def __init__(
        self, interface: str, blocks: int = BLOCKS, with_sip: bool = False
    ) -> None:
        self._interface, self._blocks = interface, blocks
        # Protocol 0: nothing arrives until the filter is attached.
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            self._open(packed(rtp_filter(with_sip)))
        except BaseException:
            self._socket.close()
            raise
        self._next = 0

    def _open(self, program: bytes) -> None:
        sock = self._socket
        sock.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V3)
        held = ctypes.create_string_buffer(program)
        filter_ = struct.pack("HL", len(program) // 8, ctypes.addressof(held))
        sock.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, filter_)
        frames = _BLOCK_BYTES * self._blocks // _FRAME_BYTES
        sizes = _BLOCK_BYTES, self._blocks, _FRAME_BYTES, frames
        ring = _RING.pack(*sizes, int(1000 * RETIRE_S), 0, 0)
        sock.setsockopt(_SOL_PACKET, _RX_RING, ring)
        sock.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
        self.memory = mmap.mmap(sock.fileno(), _BLOCK_BYTES * self._blocks)
        self._bind(socket.if_nametoindex(self._interface))

    def _bind(self, number: int) -> None:
        # The mirrored packets are not for this machine.
        self._socket.setsockopt(
            _SOL_PACKET,
            _ADD_MEMBERSHIP,
            struct.pack("=iHH8x", number, _PROMISCUOUS, 0),
        )
        self._socket.bind((self._interface, _ALL_PROTOCOLS))
        self._number = number

    def missing_interface(self) -> str:
        """Why nothing can be captured now, or "". An interface that was deleted and is
        there again is captured again: that needs no capability."""
        try:
            number = socket.if_nametoindex(self._interface)
            if number != self._number:
                self._bind(number)
            name = self._interface.encode()
            answer = fcntl.ioctl(self._socket, _GET_FLAGS, struct.pack("16s24x", name))
        except OSError:
            return "it is not there"
        is_up = struct.unpack_from("=H", answer, 16)[0] & _IS_UP
        return "" if is_up else "it is down"

    def __enter__(self) -> PacketRing:
        return self

    def __exit__(self, *_: object) -> None:
        self.memory.close()
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def ready_blocks(self, most: int = BLOCKS_AT_ONCE) -> Iterator[RingBlock]:
        """The blocks that are ready, at most so many. While there are others, polling
        says so."""
        for _ in range(most):
            at = self._next * _BLOCK_BYTES
            status, packets, offset = _BLOCK_HEAD.unpack_from(
                self.memory, at + _STATUS_AT
            )
            if not status & _READY:
                # When the interface goes down, the socket has an error until that is
                # read, and would be polled without a pause.
                self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                return
            yield RingBlock(at + offset, packets)
            struct.pack_into("=I", self.memory, at + _STATUS_AT, 0)
            self._next = (self._next + 1) % self._blocks

    def take_counts(self) -> PacketCounts:
        """The kernel's counts since the last call."""
        raw = self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 12)
        seen, dropped, _ = struct.unpack("=III", raw)
        # `seen` includes those dropped.
        return PacketCounts(seen, dropped)
