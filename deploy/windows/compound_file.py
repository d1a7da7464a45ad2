"""Writes compound files (MS-CFB, version 3): the container of an MSI. The same streams
give the same bytes: there are no times in it."""

from __future__ import annotations

import struct
from collections.abc import Mapping

_SECTOR, _MINI, _CUTOFF = 512, 64, 4096
_FREE, _END, _FAT, _DIFAT, _NONE = (
    0xFFFFFFFF,
    0xFFFFFFFE,
    0xFFFFFFFD,
    0xFFFFFFFC,
    0xFFFFFFFF,
)
_PER_SECTOR = _SECTOR // 4
_IN_HEADER = 109
_RED, _BLACK = 0, 1
_STREAM, _ROOT = 2, 5


def write_compound_file(streams: Mapping[str, bytes], class_id: bytes) -> bytes:
    """`class_id`: the 16 octets of the root's class. Pure."""
    names = sorted(streams, key=_order)
    sectors: list[bytes] = []
    fat: list[int] = []

    def append(content: bytes) -> int:
        """Appends content as a chain of sectors and returns the first."""
        if not content:
            return _END
        first = len(sectors)
        count = -(-len(content) // _SECTOR)
        padded = content.ljust(count * _SECTOR, b"\0")
        sectors.extend(padded[n * _SECTOR : (n + 1) * _SECTOR] for n in range(count))
        fat.extend([*range(first + 1, first + count), _END])
        return first

    mini, mini_fat, places = bytearray(), list[int](), dict[str, int]()
    for name in names:
        content = streams[name]
        if len(content) >= _CUTOFF or not content:
            places[name] = append(content)
            continue
        first, count = len(mini) // _MINI, -(-len(content) // _MINI)
        mini += content.ljust(count * _MINI, b"\0")
        mini_fat += [*range(first + 1, first + count), _END]
        places[name] = first
    mini_first = append(bytes(mini))
    mini_fat_first = append(_words(mini_fat))
    directory = _directory(names, streams, places, class_id, mini_first, len(mini))
    directory_first = append(directory)
    fat_count = difat_count = 0
    while True:
        total = len(sectors) + fat_count + difat_count
        fat_next = -(-total // _PER_SECTOR)
        difat_next = -(-max(fat_next - _IN_HEADER, 0) // (_PER_SECTOR - 1))
        if (fat_next, difat_next) == (fat_count, difat_count):
            break
        fat_count, difat_count = fat_next, difat_next
    fat_first = len(sectors)
    difat_first = fat_first + fat_count
    fat += [_FAT] * fat_count + [_DIFAT] * difat_count
    fat_sectors = list(range(fat_first, fat_first + fat_count))
    header = struct.pack(
        "<8s16sHHHHH6xIIIIIIIII",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", 0x3E, 3, 0xFFFE, 9, 6,
        0, fat_count, directory_first, 0, _CUTOFF,
        mini_fat_first, -(-len(mini_fat) // _PER_SECTOR),
        difat_first if difat_count else _END, difat_count,
    )  # fmt: skip
    header += _words(fat_sectors[:_IN_HEADER], _IN_HEADER)
    body = b"".join(sectors) + _words(fat, fat_count * _PER_SECTOR)
    rest = fat_sectors[_IN_HEADER:]
    for n in range(difat_count):
        part = rest[n * (_PER_SECTOR - 1) : (n + 1) * (_PER_SECTOR - 1)]
        following = difat_first + n + 1 if n + 1 < difat_count else _END
        body += _words(part, _PER_SECTOR - 1) + struct.pack("<I", following)
    return header + body


def _words(values: list[int], count: int | None = None) -> bytes:
    """The values, filled up with free ones to `count`, or to whole sectors."""
    if count is None:
        count = -(-len(values) // _PER_SECTOR) * _PER_SECTOR
    values = values + [_FREE] * (count - len(values))
    return struct.pack(f"<{count}I", *values)


def _order(name: str) -> tuple[int, list[int]]:
    """Shorter names come first, then by their capital letters."""
    units = name.upper().encode("utf-16-le")
    return len(units), list(struct.unpack(f"<{len(units) // 2}H", units))


def _directory(
    names: list[str],
    streams: Mapping[str, bytes],
    places: Mapping[str, int],
    class_id: bytes,
    mini_first: int,
    mini_size: int,
) -> bytes:
    left, right, depth = {}, {}, {}

    def tree(low: int, high: int, level: int) -> int:
        """Entries `low` to `high` as a balanced tree; returns its root."""
        if low >= high:
            return _NONE
        middle = (low + high) // 2
        depth[middle] = level
        left[middle] = tree(low, middle, level + 1)
        right[middle] = tree(middle + 1, high, level + 1)
        # Entry 0 is the root of the file.
        return middle + 1

    top = tree(0, len(names), 0)
    deepest = max(depth.values(), default=0)
    entries = [
        _entry(
            "Root Entry", _ROOT, _BLACK, (_NONE, _NONE, top), class_id, mini_first,
            mini_size,
        )
    ]  # fmt: skip
    for n, name in enumerate(names):
        # Only the last level may be incomplete: red there keeps all paths alike.
        colour = _RED if depth[n] == deepest and deepest else _BLACK
        links = left[n], right[n], _NONE
        size = len(streams[name])
        entries.append(_entry(name, _STREAM, colour, links, b"", places[name], size))
    while len(entries) % 4:
        entries.append(
            struct.pack("<64xHBBIII16xI8x8xIQ", 0, 0, 0, _NONE, _NONE, _NONE, 0, 0, 0)
        )
    return b"".join(entries)


def _entry(
    name: str,
    kind: int,
    colour: int,
    links: tuple[int, int, int],
    class_id: bytes,
    first: int,
    size: int,
) -> bytes:
    text = (name + "\0").encode("utf-16-le")
    if len(text) > 64:
        raise ValueError(f"the name of a stream is too long: {name!r}")
    return struct.pack(
        "<64sHBBIII16sI8x8xIQ",
        text, len(text), kind, colour, *links, class_id, 0, first, size,
    )  # fmt: skip
