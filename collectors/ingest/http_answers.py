"""What ingest answers over HTTP: JSON, and one sentence (`{"why"}`) for each error."""

from __future__ import annotations

import math
import random

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

encode = msgspec.json.Encoder().encode


class HttpRefused(Exception):
    """The request is refused with this status and sentence."""

    def __init__(self, status: int, why: str, **headers: str) -> None:
        super().__init__(why)
        self.status = status
        self.headers = {name.replace("_", "-"): text for name, text in headers.items()}


def retry_later(
    status: int, why: object, seconds: float, *, close: bool = False
) -> HttpRefused:
    """A refusal with Retry-After."""
    # Spread out, so that refused clients do not all come back together.
    wait_s = math.ceil(seconds * random.uniform(1, 2))
    headers = {"Retry-After": str(wait_s)} | ({"Connection": "close"} if close else {})
    return HttpRefused(status, str(why), **headers)


def json_answer(
    value: object, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    return Response(encode(value), status, headers, "application/json")


def refusal_answer(refused: HttpRefused) -> Response:
    return json_answer({"why": str(refused)}, refused.status, refused.headers)


async def http_error(request: Request, error: Exception) -> Response:
    """The answer to a path or method that there is not."""
    assert isinstance(error, HTTPException)
    return json_answer({"why": error.detail}, error.status_code)


def address_of(request: Request) -> str:
    """The client's address; empty if there is none."""
    return "" if request.client is None else request.client.host
