"""`ApiProblem`: why a request is not done, as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import TypeVar

import msgspec

from dashboards.web.overview_cache import OverviewCache
from dashboards.web.page_views import Overview

T = TypeVar("T")
MEDIA_TYPE = "application/problem+json"
_AGAIN_AFTER_S = "10"


class Problem(msgspec.Struct, frozen=True):
    """Why a request was not done. `detail` is one sentence for people."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"


class ApiProblem(Exception):
    """The request is not done. The text is a sentence for its sender."""

    def __init__(
        self, status: int, why: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(why)
        self.status, self.headers = status, dict(headers or {})
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            self.headers.setdefault("Retry-After", _AGAIN_AFTER_S)

    def body(self) -> bytes:
        return msgspec.json.encode(
            Problem(HTTPStatus(self.status).phrase, self.status, str(self))
        )


def no_such(kind: str, name: str) -> ApiProblem:
    return ApiProblem(404, f"there is no {kind} {name[:100]!r}")


def known_rows(rows: list[T] | None) -> list[T]:
    """Raises `ApiProblem` if the store did not answer: nothing is not all well."""
    if rows is None:
        raise ApiProblem(
            503,
            "the store of measurements does not answer: try again, or ask for less",
        )
    return rows


async def complete(overviews: OverviewCache) -> Overview:
    """The state of the estate. Raises `ApiProblem` if it cannot be read."""
    view = await overviews.latest()
    if not view.is_complete:
        why = " ".join(view.blind.sentences) or "the state is not known"
        raise ApiProblem(503, why)
    return view
