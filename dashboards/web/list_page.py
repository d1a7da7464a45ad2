"""A long list, one page of it at a time. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

_Entry = TypeVar("_Entry")


@dataclass(frozen=True)
class ListPage(Generic[_Entry]):
    """One page of a list: its entries, and how many there are on all pages."""

    entries: tuple[_Entry, ...]
    total: int
    page: int
    pages: int


def list_page(entries: Sequence[_Entry], page: int, per_page: int) -> ListPage[_Entry]:
    """Returns the page of that number, or the nearest that there is."""
    pages = max(math.ceil(len(entries) / per_page), 1)
    page = min(max(page, 1), pages)
    first = (page - 1) * per_page
    shown = tuple(entries[first : first + per_page])
    return ListPage(shown, len(entries), page, pages)


def page_number(text: str) -> int:
    """Returns the number of a page that an address names; 1 if it names none."""
    is_number = text.isascii() and text.isdecimal() and len(text) < 7
    return int(text) if is_number else 1
