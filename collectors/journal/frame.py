"""A frame: what one commit writes to a segment of a log. Pure: bytes to bytes.

    marker 8 | version 1 | encoding 1 | zero 2 | length 4 | rows 4 | committed_ms 8 |
    crc 4 | payload (`length` bytes: zstd of a msgpack array of batches)

Little-endian. The CRC-32 is of everything but itself. A later version keeps the
header as it is. The marker is random, one for
each segment and part of its file name: nobody who sends data can write bytes that
look like a frame, so a reader that has met damage finds the next frame safely.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Literal

import msgspec
import zstandard

from collectors.batch import Batch

VERSION = 1
ZSTD = 1
MARKER_BYTES = 8
MAX_PAYLOAD_BYTES = 1 << 30
_HEAD = struct.Struct("<8sBBHIIQ")
_CRC = struct.Struct("<I")
HEADER_BYTES = _HEAD.size + _CRC.size

_decoder = msgspec.msgpack.Decoder(list[Batch])


class Damaged(ValueError):
    """Bytes that are whole but not what was written; the text says in what way."""


class Newer(RuntimeError):
    """Written by a newer version: it must be read by that one, not skipped."""


class Frame(msgspec.Struct, frozen=True):
    """A frame's header, read. `end` is the offset behind the frame in its segment."""

    start: int
    length: int
    rows: int
    committed_ms: int
    version: int
    encoding: int
    crc: int

    @property
    def end(self) -> int:
        return self.start + HEADER_BYTES + self.length


Damage = Literal["short", "damaged"]


def pack(marker: bytes, pieces: Sequence[bytes], rows: int, committed_ms: int) -> bytes:
    """The frame of batches that are msgpack already."""
    raw = b"".join((b"\xdd", len(pieces).to_bytes(4, "big"), *pieces))
    payload = zstandard.ZstdCompressor(level=1).compress(raw)
    head = _HEAD.pack(marker, VERSION, ZSTD, 0, len(payload), rows, committed_ms)
    return b"".join((head, _CRC.pack(zlib.crc32(payload, zlib.crc32(head))), payload))


def header(data: bytes, start: int, marker: bytes) -> Frame | Damage:
    """The header in the first bytes of `data`, which lie at offset `start`.

    "short" where there are too few bytes to say, "damaged" where it is not a header.
    """
    if len(data) < HEADER_BYTES:
        return "short" if marker.startswith(data[:MARKER_BYTES]) else "damaged"
    seen, version, encoding, zero, length, rows, when = _HEAD.unpack_from(data)
    if seen != marker or zero or length > MAX_PAYLOAD_BYTES:
        return "damaged"
    crc = _CRC.unpack_from(data, _HEAD.size)[0]
    return Frame(start, length, rows, when, version, encoding, crc)


def intact(frame: Frame, data: bytes) -> bool:
    """True where `data`, header and payload, has the CRC it was written with."""
    payload = memoryview(data)[HEADER_BYTES : HEADER_BYTES + frame.length]
    head = zlib.crc32(memoryview(data)[: _HEAD.size])
    return len(payload) == frame.length and zlib.crc32(payload, head) == frame.crc


def unpack(frame: Frame, data: bytes) -> list[Batch]:
    """The batches of an intact frame. `Newer` if a later version wrote it, `Damaged`
    if its payload is not batches."""
    if frame.version > VERSION or frame.encoding != ZSTD:
        raise Newer(
            f"a frame of version {frame.version}, encoding {frame.encoding}: this "
            f"Towpath reads versions up to {VERSION}; run the one that wrote it"
        )
    payload = memoryview(data)[HEADER_BYTES : HEADER_BYTES + frame.length]
    try:
        raw = zstandard.ZstdDecompressor().decompress(payload)
        return _decoder.decode(raw)
    except (zstandard.ZstdError, msgspec.MsgspecError) as error:
        raise Damaged(str(error)) from None
