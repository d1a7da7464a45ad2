"""Cuts a list into pages. Pure.

A cursor holds the place after an item, not a number of items: what is added or removed
between two pages neither doubles nor loses another item.
"""

from __future__ import annotations

import base64
import bisect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import msgspec

from dashboards.web.api.api_problem import ApiProblem

T = TypeVar("T")
_LONGEST_CURSOR = 1_000

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
    items: Sequence[T], order: Callable[[T], tuple[Any, ...]], paged: Paged
) -> tuple[list[T], str]:
    """Returns the items of a page, and the cursor of the next one; empty at the end.
    Raises `ApiProblem` for a cursor that is none of this list."""
    ordered = sorted(items, key=order)
    start = 0
    if paged.cursor:
        keys = [order(item) for item in ordered]
        after = _read(paged.cursor)
        try:
            start = bisect.bisect_right(keys, after)
        except TypeError:
            raise _refused() from None
    page = ordered[start : start + paged.limit]
    rest = len(ordered) > start + paged.limit
    return page, _written(order(page[-1])) if rest else ""


def _written(key: tuple[Any, ...]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def _read(cursor: str) -> tuple[Any, ...]:
    try:
        packed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return msgspec.json.decode(packed, type=tuple[str | int, ...])
    except (ValueError, msgspec.MsgspecError):
        raise _refused() from None


def _refused() -> ApiProblem:
    return ApiProblem(422, "cursor: expected `next` of a page of this list")
