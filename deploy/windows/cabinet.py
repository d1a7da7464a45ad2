"""Writes cabinet files (MS-CAB) with MSZIP compression. The same contents give the same
bytes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import NamedTuple

_BLOCK = 32_768
_MSZIP = 1
_ARCHIVE = 0x20
# 1 January 2026, 00:00, as MS-DOS writes it; no file has a time of its own.
_DATE, _TIME = (2026 - 1980) << 9 | 1 << 5 | 1, 0


class CabinetFile(NamedTuple):
    """`name` is the key by which the installer finds it."""

    name: str
    content: bytes


def write_cabinet(files: Sequence[CabinetFile]) -> bytes:
    """One folder with the files in this order. Pure."""
    content = b"".join(file.content for file in files)
    blocks = []
    for at in range(0, len(content), _BLOCK):
        plain = content[at : at + _BLOCK]
        packed = _compress(plain, content[max(at - _BLOCK, 0) : at])
        head = struct.pack("<HH", len(packed), len(plain))
        sum_of_both = _checksum(head, _checksum(packed, 0))
        blocks.append(struct.pack("<I", sum_of_both) + head + packed)
    if len(blocks) > 0xFFFF:
        raise ValueError("a folder of a cabinet holds at most 2 GB")
    entries, offset = [], 0
    for file in files:
        entries.append(
            struct.pack("<IIHHHH", len(file.content), offset, 0, _DATE, _TIME, _ARCHIVE)
            + file.name.encode("ascii")
            + b"\0"
        )
        offset += len(file.content)
    listed, data = b"".join(entries), b"".join(blocks)
    first_entry = 36 + 8
    first_block = first_entry + len(listed)
    header = struct.pack(
        "<4sIIIIIBBHHHHH",
        b"MSCF", 0, first_block + len(data), 0, first_entry, 0,
        3, 1, 1, len(files), 0, 0, 0,
    )  # fmt: skip
    folder = struct.pack("<IHH", first_block, len(blocks), _MSZIP)
    return header + folder + listed + data


def _compress(plain: bytes, before: bytes) -> bytes:
    """One block: a deflate stream of its own that may refer to the block before."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zdict=before)
    packed = deflate.compress(plain) + deflate.flush()
    if len(packed) > len(plain):
        size = len(plain)
        packed = struct.pack("<BHH", 1, size, size ^ 0xFFFF) + plain
    return b"CK" + packed


def _checksum(data: bytes, seed: int) -> int:
    """All words of 32 bits, exclusive or; the octets left over in reverse order."""
    whole = len(data) // 4 * 4
    rest = data[whole:]
    words = int.from_bytes(data[:whole], "little")
    bits = 32
    while bits < whole * 8:
        bits *= 2
    while bits > 32:
        bits //= 2
        words = (words >> bits) ^ (words & ((1 << bits) - 1))
    return seed ^ words ^ int.from_bytes(rest, "big")
