"""Reads captures (pcap and pcapng, also gzip) frame by frame, in bounded memory."""

from __future__ import annotations

import gzip
import io
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO, NamedTuple

# The names of link types: https://www.tcpdump.org/linktypes.html
NULL, ETHERNET, RAW, LOOP, COOKED, COOKED_2 = 0, 1, 101, 108, 113, 276
# Raw IP by other numbers: of old systems, and of one version.
RAW_TOO = 12, 14, 228, 229
_BUFFER_BYTES = 1 << 20
_STANDARD_INPUT = Path("-")
# The largest frame that libpcap writes is 256 KiB. More is damage, not a frame.
_MOST_FRAME_BYTES = 1 << 18
_MOST_BLOCK_BYTES = 1 << 24
_MOST_INTERFACES = 4096
# In the year 2116; pcapng has 64 bits of any unit, so damage can go far beyond.
_END_NS = 1 << 62
_SECTION = 0x0A0D0D0A
_MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}


class NotACapture(ValueError):
    """The file is neither pcap nor pcapng."""


class CapturedFrame(NamedTuple):
    """One frame: its time since 1970, the type of its link, and what was kept of it."""

    at_ns: int
    link: int
    data: bytes


class CaptureFile:
    """`for frame in CaptureFile(path)`; the path `-` is the standard input. A file that
    was cut in the middle, or is damaged from some point on, ends there: `ended_early`
    then says so in a sentence. `untimed` frames had an impossible time, and are left
    out."""

    def __init__(self, path: Path) -> None:
        self.name = "standard input" if path == _STANDARD_INPUT else str(path)
        self.ended_early = ""
        self.untimed = 0
        self._path = path

    def _open(self) -> AbstractContextManager[io.BufferedReader]:
        if self._path == _STANDARD_INPUT:
            raw: io.RawIOBase = sys.stdin.buffer  # type: ignore[assignment]
            return nullcontext(io.BufferedReader(raw, _BUFFER_BYTES))
        return io.BufferedReader(io.FileIO(self._path), _BUFFER_BYTES)

    def __iter__(self) -> Iterator[CapturedFrame]:
        with self._open() as file:
            stream: BinaryIO = file
            # A pipe cannot be wound back.
            if file.peek(2)[:2] == b"\x1f\x8b":
                stream = gzip.GzipFile(fileobj=file)  # type: ignore[assignment]
            try:
                yield from self._frames(stream)
            except (EOFError, zlib.error, gzip.BadGzipFile):
                self.ended_early = "the file ends in the middle of compressed data"

    def _frames(self, file: BinaryIO) -> Iterator[CapturedFrame]:
        magic = file.read(4)
        if magic in _MAGIC:
            yield from self._pcap(file, *_MAGIC[magic])
        elif magic == _SECTION.to_bytes(4, "big"):
            yield from self._pcapng(file)
        else:
            raise NotACapture(f"{self.name} is not a capture (pcap or pcapng)")

    def _pcap(
        self, file: BinaryIO, order: str, tick_ns: int
    ) -> Iterator[CapturedFrame]:
        head = file.read(20)
        if len(head) < 20:
            self._cut()
            return
        # The upper bits tell of a checksum at the end of frames.
        link = struct.unpack_from(f"{order}I", head, 16)[0] & 0xFFFF
        record = struct.Struct(f"{order}IIII")
        read, unpack = file.read, record.unpack
        while len(head := read(16)) == 16:
            seconds, ticks, kept, _ = unpack(head)
            if kept > _MOST_FRAME_BYTES:
                self.ended_early = "the file is damaged: a frame has an unlikely length"
                return
            data = read(kept)
            if len(data) < kept:
                break
            yield CapturedFrame(seconds * 1_000_000_000 + ticks * tick_ns, link, data)
        else:
            if not head:
                return
        self._cut()

    def _cut(self) -> None:
        self.ended_early = "the file ends in the middle of a frame"

    def _pcapng(self, file: BinaryIO) -> Iterator[CapturedFrame]:
        order, interfaces = "<", list[_Interface]()
        start = _SECTION.to_bytes(4, "big")
        while True:
            head = start + file.read(8 - len(start))
            start = b""
            if not head:
                return
            if len(head) < 8:
                break
            kind, length = struct.unpack(f"{order}II", head)
            body = b""
            if kind == _SECTION:
                body = file.read(4)
                order = "<" if body == b"\x4d\x3c\x2b\x1a" else ">"
                (length,) = struct.unpack(f"{order}I", head[4:])
                interfaces = []
            if not 12 <= length <= _MOST_BLOCK_BYTES or length % 4:
                self.ended_early = "the file is damaged: a block has an unlikely length"
                return
            wanted = length - 8 - len(body)
            rest = file.read(wanted)
            if len(rest) < wanted:
                break
            body = (body + rest)[:-4]
            if kind == 1 and len(interfaces) < _MOST_INTERFACES:
                interface = _interface(body, order)
                if interface is not None:
                    interfaces.append(interface)
            elif (frame := _block_frame(kind, body, order, interfaces)) is not None:
                if 0 <= frame.at_ns < _END_NS:
                    yield frame
                else:
                    self.untimed += 1
        self._cut()


class _Interface(NamedTuple):
    link: int
    kept_bytes: int
    ticks_per_s: int
    offset_ns: int


def _interface(body: bytes, order: str) -> _Interface | None:
    """Reads an interface description block."""
    if len(body) < 8:
        return None
    link, _, kept = struct.unpack_from(f"{order}HHI", body)
    ticks_per_s, offset_s = 1_000_000, 0
    at = 8
    while at + 4 <= len(body):
        code, length = struct.unpack_from(f"{order}HH", body, at)
        value = body[at + 4 : at + 4 + length]
        if code == 9 and len(value) == 1:
            exponent = value[0] & 127
            ticks_per_s = 2**exponent if value[0] & 128 else 10 ** min(exponent, 30)
        elif code == 14 and len(value) == 8:
            (offset_s,) = struct.unpack(f"{order}q", value)
        at += 4 + (length + 3) // 4 * 4
    return _Interface(link, kept, ticks_per_s, offset_s * 1_000_000_000)


def _block_frame(
    kind: int, body: bytes, order: str, interfaces: list[_Interface]
) -> CapturedFrame | None:
    """The frame of an enhanced (6), old (2) or simple (3) packet block."""
    if kind == 3 and len(body) >= 4 and interfaces:
        # It has no time.
        (length,) = struct.unpack_from(f"{order}I", body)
        kept = min(length, interfaces[0].kept_bytes or length)
        return CapturedFrame(0, interfaces[0].link, body[4 : 4 + kept])
    if kind not in (2, 6) or len(body) < 20:
        return None
    which, high, low, kept = struct.unpack_from(f"{order}IIII", body)
    if kind == 2:
        (which,) = struct.unpack_from(f"{order}H", body)
    if which >= len(interfaces):
        return None
    interface = interfaces[which]
    at_ns = (high << 32 | low) * 1_000_000_000 // interface.ticks_per_s
    return CapturedFrame(
        at_ns + interface.offset_ns, interface.link, body[20 : 20 + kept]
    )
