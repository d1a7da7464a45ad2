"""Cuts a list into pages. Pure.

A cursor holds the place after an item, not a number of items: what is added or removed
between two pages neither doubles nor loses another item. It also holds a digest of that
place and of the list with its filters, so that the cursor of another list, or one that
was changed, is refused. It gives no right, so there is no secret in it.
"""

from __future__ import annotations

import base64
import bisect
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, TypeVar

import msgspec

from dashboards.web.api.api_problem import ApiProblem

T = TypeVar("T")
# The longest order has four texts, of up to 255 characters each.
_LONGEST_CURSOR = 6_000
_DIGEST_BYTES = 9
# What a cursor does not depend on: the next page may be longer.
_OF_PAGE = ("limit", "cursor")

Limit = Annotated[int, msgspec.Meta(ge=1, le=1000, description="items on a page")]
Cursor = Annotated[
    str,
    msgspec.Meta(
        max_length=_LONGEST_CURSOR,
        pattern="^[A-Za-z0-9_-]*$",
        description="`next` of the page before",
    ),
]


class Paged(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The parameters of every list."""

    limit: Limit = 100
    cursor: Cursor = ""


def page_of(
    items: Sequence[T],
    order: Callable[[T], tuple[Any, ...]],
    paged: Paged,
    name: str,
    path: Mapping[str, str] = MappingProxyType({}),
) -> tuple[list[T], str]:
    """Returns the items of a page, and the cursor of the next one; empty at the end.
    `name` and `path` name the list. Raises `ApiProblem` for a cursor that is none of
    this list with these filters."""
    filters = {field: getattr(paged, field) for field in paged.__struct_fields__}
    for field in _OF_PAGE:
        filters.pop(field)
    of = msgspec.json.encode([name, dict(path), filters], order="sorted")
    ordered = sorted(items, key=order)
    keys = _unique([order(item) for item in ordered])
    start = bisect.bisect_right(keys, _read(paged.cursor, of)) if paged.cursor else 0
    end = start + paged.limit
    cursor = _written(keys[end - 1], of) if end < len(ordered) else ""
    return ordered[start:end], cursor


def _unique(keys: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """With a number among equals, so that a page may end between them."""
    seen: Counter[tuple[Any, ...]] = Counter()
    numbered = []
    for key in keys:
        numbered.append((*key, seen[key]))
        seen[key] += 1
    return numbered


def _written(key: tuple[Any, ...], of: bytes) -> str:
    place = msgspec.json.encode(key)
    packed = _digest(place, of) + place
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _read(cursor: str, of: bytes) -> tuple[Any, ...]:
    try:
        packed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError:
        raise _refused() from None
    digest, place = packed[:_DIGEST_BYTES], packed[_DIGEST_BYTES:]
    if digest != _digest(place, of):
        raise _refused()
    try:
        return msgspec.json.decode(place, type=tuple[str | int | float, ...])
    except (ValueError, msgspec.MsgspecError):
        raise _refused() from None


def _digest(place: bytes, of: bytes) -> bytes:
    key = hashlib.blake2b(of).digest()
    return hashlib.blake2b(place, digest_size=_DIGEST_BYTES, key=key).digest()


def _refused() -> ApiProblem:
    return ApiProblem(
        400, "cursor: expected `next` of a page of this list with the same filters"
    )
