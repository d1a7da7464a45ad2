"""Counted nouns in what people read. Pure."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """Return `1 site` or `2 sites`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
