"""The text of a PDF, to search for its tags and its words."""

from __future__ import annotations

import contextlib
import re
import zlib


def unpacked_pdf(content: bytes) -> bytes:
    """Returns a PDF's bytes, followed by its streams decompressed."""
    parts = [content]
    for stream in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL):
        with contextlib.suppress(zlib.error):
            parts.append(zlib.decompress(stream[1]))
    return b"".join(parts)
