"""`ApiRoute`: one operation of the API. The server and the OpenAPI document both follow
from it, so they cannot disagree."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from typing import Any

import msgspec

from collectors.natural_order import natural_order
from dashboards.web.api.api_access import Caller
from dashboards.web.visitors import Right

# What a path may name: `{site}` is one part, percent-encoded.
_NAME = re.compile(r"\{(\w+)\}")


async def always() -> bool:
    return True


class NoParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An operation without parameters in its address."""


@dataclass(frozen=True)
class ApiCall:
    """One request, read and checked. `query` and `body` are of the route's types.
    `check_match` raises a problem (412) if `If-Match` names another version than this
    document's. `may_go_on` looks up again whether the caller may still do this.
    `noted`: what the operation found that it is about, for the audit."""

    caller: Caller
    path: Mapping[str, str]
    query: Any
    body: Any
    now_ms: int
    check_match: Callable[[object], None] = lambda document: None
    last_event_id: str = ""
    may_go_on: Callable[[], Awaitable[bool]] = always
    noted: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Made:
    """Something new, and its address below `/api/v1`. `repeated`: what a request that
    is sent again gets instead, if the document has a secret."""

    document: msgspec.Struct
    path: str
    repeated: msgspec.Struct | None = None


@dataclass(frozen=True)
class RawAnswer:
    """A body that is not JSON."""

    body: bytes
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StreamAnswer:
    """Bytes that are sent as they come."""

    chunks: AsyncGenerator[bytes, None]
    headers: Mapping[str, str]


Answer = (
    msgspec.Struct | Sequence[msgspec.Struct] | Made | RawAnswer | StreamAnswer | None
)
Work = Callable[[ApiCall], Awaitable[Answer]]


@dataclass(frozen=True)
class ApiRoute:
    """`answer`: the type of the document, or of one item if `order` makes it a list:
    the returned items are sorted by it and cut into pages. `right`: what the caller
    needs; None is for everybody. `problems`: statuses that this operation may have
    besides those of all. `about` names what a write is about, for the audit."""

    method: str
    path: str
    name: str
    summary: str
    right: Right | None
    work: Work
    answer: type | None
    query: type[msgspec.Struct] = NoParameters
    body: type[msgspec.Struct] | None = None
    status: int = 200
    order: Callable[[Any], tuple[Any, ...]] | None = None
    problems: tuple[int, ...] = ()
    media_type: str = "application/json"
    is_stream: bool = False
    about: Callable[[ApiCall], str] = lambda call: "/".join(call.path.values())

    @property
    def is_write(self) -> bool:
        return self.method not in ("GET", "HEAD")

    @property
    def names(self) -> list[str]:
        """The names in its path."""
        return _NAME.findall(self.path)


def by_id(item: Any) -> tuple[Any, ...]:
    """The order of a list whose items have ids."""
    return (natural_order(item.id) if isinstance(item.id, str) else item.id,)


def get_route(
    path: str,
    name: str,
    summary: str,
    right: Right,
    work: Work,
    answer: type | None,
    **more: Any,
) -> ApiRoute:
    """A route that shows what the store or a file has: it may not answer, and there may
    be nothing of that name."""
    problems = (404, 503) if "{" in path else (503,)
    return ApiRoute(
        *("GET", path, name, summary, right, work, answer), problems=problems, **more
    )


class RouteTable:
    """Finds the route of a request. A part of a path is decoded only after it was
    split off, so `%2F` is a character of a name."""

    def __init__(self, routes: Iterable[ApiRoute]) -> None:
        self.routes = tuple(routes)
        self._by_shape: dict[tuple[str, ...], dict[str, ApiRoute]] = {}
        for route in self.routes:
            shape = tuple(_NAME.sub("{}", route.path).split("/"))
            self._by_shape.setdefault(shape, {})[route.method] = route

    def find(self, raw_path: str) -> tuple[dict[str, ApiRoute], list[str]]:
        """Returns method → route of a path, and the values of its names, decoded; no
        routes if there is no such path. A part that is written out wins over a name."""
        parts = raw_path.split("/")
        shapes: list[tuple[str, ...]] = [()]
        for part in parts:
            choices = ("{}", part) if part and "{" not in part else (part,)
            shapes = [
                (*shape, choice)
                for shape in shapes
                for choice in choices
                if self._begins(*shape, choice)
            ]
        # The one with the fewest names.
        for shape in sorted(shapes, key=lambda shape: shape.count("{}")):
            if shape in self._by_shape:
                values = [p for p, s in zip(parts, shape, strict=True) if s == "{}"]
                return self._by_shape[shape], [_decoded(value) for value in values]
        return {}, []

    def _begins(self, *start: str) -> bool:
        return any(shape[: len(start)] == start for shape in self._by_shape)


def _decoded(part: str) -> str:
    """Raises `UnicodeDecodeError`."""
    return urllib.parse.unquote(part, errors="strict")
