"""Text files that people write with any editor: UTF-8, with or without a byte order
mark, or UTF-16 with one (PowerShell's `>`, older Notepads)."""

from __future__ import annotations

import codecs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def text_encoding(content: bytes) -> str:
    """Returns the encoding of a text file, by its byte order mark. Pure."""
    return next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")


def decode_text(content: bytes) -> str:
    """Returns the text of a file, its line ends as they are. Pure. Raises `ValueError`
    with what to do."""
    try:
        return content.decode(text_encoding(content))
    except UnicodeDecodeError as error:
        raise ValueError(
            f"it is not UTF-8 (at byte {error.start}): save it as UTF-8"
        ) from None
