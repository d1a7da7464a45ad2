"""A list of names for people: not more than they read."""

from __future__ import annotations

from collections.abc import Sequence


def few_names(names: Sequence[str], most: int) -> str:
    """`a, b, c and 4 more`: the first `most` names, and how many are left out."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
