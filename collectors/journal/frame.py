"""A frame: the bytes that one commit writes to a segment of a log. Pure.

    marker 8 | version 1 | encoding 1 | zero 2 | length 4 | rows 4 | committed_ms 8 |
    crc 4 | payload (`length` bytes: zstd of a msgpack array of batches)

Little-endian. The CRC-32 covers everything but itself. Later versions keep this header.
The marker is random, different for each segment, and part of its file name. Senders of
data cannot know it, so they cannot send bytes that look like a frame, and a reader
finds the next frame after damage safely.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
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
# A process's readers read every frame, shortly after one another. Batches never change,
# so they share those of the last frames, unless these are large.
_SHARED_ROWS = 2_000
_shared: deque[tuple[bytes, list[Batch]]] = deque(maxlen=8)


class Damaged(ValueError):
    """A complete frame with content that was not written so; the text has details."""


class Newer(RuntimeError):
    """Written by a newer version, which has to read it. It must not be skipped."""


class Frame(msgspec.Struct, frozen=True):
    """The header of a frame. `end` is the offset after the frame in its segment."""

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
    """Makes the frame of batches that are already msgpack."""
    raw = b"".join((b"\xdd", len(pieces).to_bytes(4, "big"), *pieces))
    payload = zstandard.ZstdCompressor(level=1).compress(raw)
    head = _HEAD.pack(marker, VERSION, ZSTD, 0, len(payload), rows, committed_ms)
    return b"".join((head, _CRC.pack(zlib.crc32(payload, zlib.crc32(head))), payload))


def header(data: bytes, start: int, marker: bytes) -> Frame | Damage:
    """Reads the header at the beginning of `data`, which is at offset `start`.

    Returns "short" if there are too few bytes, "damaged" if it is not a header.
    """
    if len(data) < HEADER_BYTES:
        return "short" if marker.startswith(data[:MARKER_BYTES]) else "damaged"
    seen, version, encoding, zero, length, rows, when = _HEAD.unpack_from(data)
    if seen != marker or zero or length > MAX_PAYLOAD_BYTES:
        return "damaged"
    crc = _CRC.unpack_from(data, _HEAD.size)[0]
    return Frame(start, length, rows, when, version, encoding, crc)


def intact(frame: Frame, data: bytes) -> bool:
    """Whether the CRC of `data`, header and payload, is right."""
    payload = memoryview(data)[HEADER_BYTES : HEADER_BYTES + frame.length]
    head = zlib.crc32(memoryview(data)[: _HEAD.size])
    return len(payload) == frame.length and zlib.crc32(payload, head) == frame.crc


def unpack(frame: Frame, data: bytes) -> list[Batch]:
    """The batches of an intact frame.

    Raises `Newer` if a later version wrote it, `Damaged` if its payload is not batches.
    """
    if frame.version > VERSION or frame.encoding != ZSTD:
        raise Newer(
            f"a frame of version {frame.version}, encoding {frame.encoding}: this "
            f"Towpath reads versions up to {VERSION}; run the one that wrote it"
        )
    for known, batches in tuple(_shared):
        if known == data:
            return list(batches)
    payload = memoryview(data)[HEADER_BYTES : HEADER_BYTES + frame.length]
    try:
        raw = zstandard.ZstdDecompressor().decompress(payload)
        batches = _decoder.decode(raw)
    except (zstandard.ZstdError, msgspec.MsgspecError) as error:
        raise Damaged(str(error)) from None
    if frame.rows <= _SHARED_ROWS:
        _shared.append((data, batches))
    return list(batches)
