"""`/query` and `/ping` as InfluxDB 1.8 has them, so that Grafana's InfluxDB data source
can read the embedded store. Read-only, and only with a token."""

from __future__ import annotations

import asyncio
import contextlib
import urllib.parse
from collections.abc import Mapping

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from collectors.limited_body import read_limited
from collectors.store.influx_queries import InfluxQueries, Overloaded
from collectors.store.influxql_tokens import InfluxqlError
from dashboards.web.gzip_coding import coded_response
from dashboards.web.influx_access import InfluxAccess

# Grafana only looks at the number; the build is who answers.
_HEADERS = {"X-Influxdb-Version": "1.8.10", "X-Influxdb-Build": "Towpath"}
_MAX_BODY = 262_144
PATHS = ("/query", "/ping")


class InfluxEndpoint:
    """Answers requests. `routes` are those of the application."""

    def __init__(self, queries: InfluxQueries, access: InfluxAccess) -> None:
        self._queries, self._access = queries, access
        self.routes = [
            Route("/query", self.query, methods=["GET", "POST"]),
            Route("/ping", self.ping, methods=["GET", "HEAD"]),
        ]

    async def ping(self, request: Request) -> Response:
        """204 with the version, without a token, as InfluxDB answers."""
        return Response(status_code=204, headers=_HEADERS)

    async def query(self, request: Request) -> Response:
        """The results of InfluxQL as JSON. An unknown parameter is ignored, `chunked`
        and `pretty` too: one document is a valid answer to both."""
        try:
            parameters = await _parameters(request)
        except ValueError as error:
            return _error(413, str(error))
        except ClientDisconnect:
            return Response(status_code=400)
        allowed = self._access.databases(
            request.headers.get("authorization", ""), parameters.get("p", "")
        )
        if allowed is None:
            return _refused(request, parameters)
        text = parameters.get("q", "")
        if not text.strip():
            return _error(400, 'missing required parameter "q"')
        policy = parameters.get("rp", "")
        if policy not in ("", "autogen", "default"):
            return _error(400, f"retention policy not found: {policy}")
        if parameters.get("params", "") not in ("", "{}"):
            return _error(400, "bound parameters (params) are not supported")
        answer = self._queries.answer(
            text, parameters.get("db", ""), parameters.get("epoch", ""), allowed
        )
        try:
            body = await _unless_disconnected(request, answer)
        except InfluxqlError as error:
            return _error(400, f"error parsing query: {error}")
        except Overloaded as error:
            return _error(503, str(error), {"Retry-After": "5"})
        if body is None:
            return Response(status_code=400)
        headers = {**_HEADERS, "Cache-Control": "no-store"}
        return await coded_response(request, body, "application/json", headers)


async def _parameters(request: Request) -> dict[str, str]:
    """Returns the parameters of the address and of a form. Raises `ValueError` if the
    body is too large."""
    body = await read_limited(request.stream(), _MAX_BODY)
    if body is None:
        raise ValueError(f"the body has more than {_MAX_BODY} bytes")
    pairs = dict(request.query_params)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind == "application/x-www-form-urlencoded":
        form = urllib.parse.parse_qsl(
            body.decode("utf-8", "replace"), keep_blank_values=True
        )
        pairs |= dict(form)
    elif body and kind == "application/vnd.influxql":
        pairs["q"] = body.decode("utf-8", "replace")
    return pairs


async def _unless_disconnected(request: Request, answer: object) -> bytes | None:
    """Returns the answer, or None if the sender leaves: then the query is stopped."""
    working = asyncio.ensure_future(answer)  # type: ignore[call-overload]
    leaving = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else None
    finally:
        for task in (working, leaving):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await asyncio.gather(working, leaving, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _refused(request: Request, parameters: Mapping[str, str]) -> Response:
    is_signed = "authorization" in request.headers or parameters.get("u")
    why = (
        "authorization failed"
        if is_signed
        else ("unable to parse authentication credentials")
    )
    return _error(401, why, {"WWW-Authenticate": 'Basic realm="Towpath"'})


def _error(
    status: int, text: str, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(
        msgspec.json.encode({"error": text}) + b"\n",
        status,
        {**_HEADERS, "X-Influxdb-Error": _header_text(text), **(headers or {})},
        "application/json",
    )


def _header_text(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:300]
