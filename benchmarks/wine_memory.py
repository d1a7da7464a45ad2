"""How much of a process under Wine are whole copies of libraries: Wine reads each
into memory of its own. Windows maps them, shares them between programs, and reads only
the pages that are used."""

from __future__ import annotations

import re
import struct
from pathlib import Path

_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+\s*(.*)")


def copied_bytes(pid: int) -> int:
    """The resident bytes of these copies: the anonymous memory behind the first page of
    each library, no more than its image has."""
    copied, left, end = 0, 0, 0
    for line in Path(f"/proc/{pid}/smaps").read_text("utf-8").splitlines():
        mapping = _MAPPING.match(line)
        if mapping:
            begins, ends = int(mapping[1], 16), int(mapping[2], 16)
            path = Path(mapping[3])
            if path.suffix in {".dll", ".pyd", ".exe"}:
                if begins != end or not left:
                    left = _image_bytes(path)
                inside = False
            else:
                inside = not mapping[3] and begins == end and left > 0
                left = left if inside else 0
            end = ends
        elif line.startswith("Rss:"):
            bytes_here = min(int(line.split()[1]) * 1024, left)
            left = max(left - (ends - begins), 0)
            copied += bytes_here if inside else 0
    return copied


def _image_bytes(library: Path) -> int:
    """SizeOfImage of its header."""
    head = library.read_bytes()[:4096]
    (at,) = struct.unpack_from("<I", head, 0x3C)
    (size,) = struct.unpack_from("<I", head, at + 24 + 56)
    return int(size)
