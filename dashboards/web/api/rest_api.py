"""`RestApi`: `/api/v1` as an ASGI application.

It finds the route of a request, asks who calls and whether they may, counts the
request, reads parameters and body, and writes the answer with its version. What the
operations do is in the `…_operations` modules.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from typing import Any

import msgspec
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from alerts.api_tokens import ApiTokens, AuditEntry
from collectors.ip_networks import network_of
from dashboards.web.api.api_access import (
    ApiAccess,
    Caller,
    bearer_secret,
    token_caller,
    visitor_caller,
)
from dashboards.web.api.api_exchange import (
    accepts,
    etag_of,
    is_match,
    read_body,
    read_query,
    receive_body,
)
from dashboards.web.api.api_paging import Paged, page_of
from dashboards.web.api.api_problem import MEDIA_TYPE, ApiProblem
from dashboards.web.api.api_route import (
    Answer,
    ApiCall,
    ApiRoute,
    Made,
    RawAnswer,
    RouteTable,
    StreamAnswer,
)
from dashboards.web.api.rate_limit import RequestRates
from dashboards.web.api.written_requests import WrittenAnswer, WrittenRequests
from dashboards.web.gzip_coding import coded_body, coding_headers
from dashboards.web.page_forms import is_from_elsewhere
from dashboards.web.sign_in.access_audit import AccessAudit
from dashboards.web.visitor_recognition import (
    client_address,
    present_request,
    present_visitor,
)
from dashboards.web.visitors import Right, Visitor
from dashboards.web.web_config import WebConfig
from probes.wire.clock import MonotonicClock, WallClock

BASE = "/api/v1"
_PRIVATE = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"}
_UNSTORED = {"Cache-Control": "no-store"}

_log = structlog.get_logger()


class RestApi:
    """`tokens` and `written` are its files; `acts` records what people who have signed
    in do here, as it does for the pages."""

    def __init__(
        self,
        routes: Iterable[ApiRoute],
        tokens: ApiTokens,
        written: WrittenRequests,
        config: WebConfig,
        now_ms: WallClock,
        acts: AccessAudit | None = None,
        monotonic_s: MonotonicClock = time.monotonic,
    ) -> None:
        self.table = RouteTable(routes)
        self._tokens, self._written, self._acts = tokens, written, acts
        self._access = ApiAccess(tokens)
        self._now_ms, self._monotonic_s = now_ms, monotonic_s
        self._proxies = config.proxies()
        self._has_sign_on = bool(config.sign_on_header)
        limits = config.api
        self._rates = RequestRates("caller", limits.requests_per_minute)
        self._strangers = RequestRates(
            "address", limits.requests_per_minute_without_token
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        headers: dict[str, str] = {}
        try:
            answer = await self._answer(request, headers)
        except ApiProblem as problem:
            kind = {**headers, **problem.headers, **_UNSTORED}
            answer = Response(problem.body(), problem.status, kind, MEDIA_TYPE)
        except ClientDisconnect:
            return
        if request.method == "HEAD":
            answer.body = b""
        await answer(scope, receive, send)

    async def _answer(self, request: Request, headers: dict[str, str]) -> Response:
        found, values = self._find(request)
        # Streams are limited by how many there are at a time: every page opens one.
        is_counted = not any(route.is_stream for route in found.values())
        caller = await self._caller(request, headers, is_counted)
        allowed = _methods(found)
        if request.method == "OPTIONS" and found:
            return Response(status_code=204, headers={**headers, "Allow": allowed})
        method = "GET" if request.method == "HEAD" else request.method
        route = found.get(method)
        if route is None:
            if not found:
                raise ApiProblem(404, "there is nothing at this address")
            raise ApiProblem(
                405, f"expected one of the methods {allowed}", {"Allow": allowed}
            )
        caller.need(route.right)
        kind = route.media_type
        if route.status != 204 and not accepts(_header(request, "accept"), kind):
            raise ApiProblem(406, f"the answer is {kind}, which Accept leaves out")
        if route.is_write and not caller.is_token:
            _need_own_page(request)
        query = read_query(request.scope["query_string"], route.query)
        raw = await receive_body(request) if route.body else b""
        call = ApiCall(
            caller,
            dict(zip(route.names, values, strict=True)),
            query,
            read_body(raw, route.body) if route.body else None,
            self._now_ms(),
            _match_check(request),
            request.headers.get("last-event-id", ""),
            lambda: self._may_go_on(request, route.right),
        )
        if route.is_stream and request.method == "HEAD":
            return Response(b"", 200, {**headers, **_UNSTORED}, route.media_type)
        if route.is_write:
            written = await self._write(request, route, call, raw)
            return Response(
                written.body, written.status, {**headers, **written.headers}
            )
        answer = await self._work(route, call)
        if isinstance(answer, StreamAnswer):
            return _Stream(
                answer.chunks, 200, {**headers, **answer.headers}, route.media_type
            )
        return await _shown(request, route, call, answer, headers)

    def _find(self, request: Request) -> tuple[dict[str, ApiRoute], list[str]]:
        raw = request.scope.get("raw_path") or request.url.path.encode()
        try:
            return self.table.find(raw.decode("ascii").partition(BASE)[2] or "/")
        except UnicodeDecodeError:
            raise ApiProblem(404, "the address is not UTF-8") from None

    async def _caller(
        self, request: Request, headers: dict[str, str], is_counted: bool
    ) -> Caller:
        """Who calls; adds the headers of the rate limit if the request counts."""
        now_ms, now_s = self._now_ms(), self._monotonic_s()
        # One host may use any address of its network.
        address = network_of(client_address(request.scope, self._proxies))
        try:
            secret = bearer_secret(request.headers.getlist("authorization"))
        except ApiProblem:
            self._strangers.take(f"address {address}", now_s)
            raise
        if secret is None:
            visitor = present_visitor()
            if self._has_sign_on and not visitor.is_signed_in:
                # The proxy decides who sees the pages. It lets programs pass to the
                # API, so the API asks for a token itself.
                visitor = Visitor()
            caller = visitor_caller(visitor, address)
            rates = self._rates if caller.name else self._strangers
            if is_counted:
                headers |= rates.take(caller.key, now_s)
            return caller
        # Tokens that are tried out use up the rate of their address; one that was good
        # before is not held up by them.
        if not self._access.is_familiar(secret):
            self._strangers.check(f"address {address}", now_s)
        try:
            caller = token_caller(await self._access.token(secret, now_ms))
        except ApiProblem as problem:
            if problem.status == 401:
                self._strangers.take(f"address {address}", now_s)
            raise
        if is_counted:
            headers |= self._rates.take(caller.key, now_s)
        return caller

    async def _may_go_on(self, request: Request, right: Right | None) -> bool:
        """Whether the caller of a stream still has the right to it."""
        try:
            secret = bearer_secret(request.headers.getlist("authorization"))
            if secret is None:
                rights = (await present_request().look_again()).rights
            else:
                token = await self._access.token(secret, self._now_ms())
                rights = token_caller(token).rights
        except ApiProblem:
            return False
        return right is None or right in rights

    async def _write(
        self, request: Request, route: ApiRoute, call: ApiCall, raw: bytes
    ) -> WrittenAnswer:
        """Does it once for each `Idempotency-Key`, and notes it in the audit."""
        key = request.headers.get("idempotency-key")
        caller = call.caller.key
        if key is not None:
            same = b"\n".join([route.name.encode(), str(call.path).encode(), raw])
            before: WrittenAnswer | None = await self._filed(
                lambda: self._written.begin(caller, key, same, call.now_ms)
            )
            if before is not None:
                return before
        outcome, kept = "not done", None
        try:
            done = await self._work(route, call)
            answer = kept = _written(route, done)
            if isinstance(done, Made) and done.repeated is not None:
                kept = _written(route, Made(done.repeated, done.path))
            outcome = "done"
        except ApiProblem as problem:
            outcome = str(problem)
            raise
        finally:
            if key is not None:
                await self._filed(lambda: self._written.end(caller, key, kept))
            await self._filed(lambda: self._note(route, call, outcome))
        return answer

    def _note(self, route: ApiRoute, call: ApiCall, outcome: str) -> None:
        who = getattr(call.body, "who", "") or ""
        why = getattr(call.body, "why", "") or ""
        about, caller = ", ".join(call.noted) or route.about(call), call.caller
        if self._acts is not None and not caller.is_token:
            self._acts.record(caller.name, caller.id, route.name, about, outcome)
            return
        entry = AuditEntry(
            call.now_ms, call.caller.name, route.name, about, who, why, outcome
        )
        self._tokens.record(entry)
        _log.info("api_used", **msgspec.structs.asdict(entry))

    async def _filed(self, work: Callable[[], Any]) -> Any:
        try:
            return await asyncio.to_thread(work)
        except (sqlite3.Error, OSError) as error:
            _log.warning("api_not_recorded", error=repr(error))
            raise ApiProblem(
                503, f"this could not be recorded ({error}): try again"
            ) from None

    async def _work(self, route: ApiRoute, call: ApiCall) -> Answer:
        try:
            return await route.work(call)
        except (ApiProblem, asyncio.CancelledError):
            raise
        except (sqlite3.Error, OSError) as error:
            _log.warning("api_not_answered", name=route.name, error=repr(error))
            raise ApiProblem(503, f"this cannot be read or written: {error}") from None
        except Exception:  # noqa: BLE001 - the answer is a problem too
            _log.exception("api_failed", name=route.name)
            raise ApiProblem(500, "Towpath has failed here; its log has why") from None


class _Stream(StreamingResponse):
    """Ends its source at once when the client has gone."""

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        status_code: int,
        headers: Mapping[str, str],
        media_type: str,
    ) -> None:
        super().__init__(chunks, status_code, headers, media_type)
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._chunks.aclose()


def _need_own_page(request: Request) -> None:
    """Raises `ApiProblem` unless a page of ours sent this: a browser sends a person's
    sign-in with a form of any website."""
    token = request.headers.get("x-form-token", "")
    if is_from_elsewhere(request.headers) or not present_request().is_own_form(token):
        raise ApiProblem(
            403, "expected a token of the API, or the header X-Form-Token of a page"
        )


async def _shown(
    request: Request,
    route: ApiRoute,
    call: ApiCall,
    answer: Answer,
    headers: Mapping[str, str],
) -> Response:
    """The answer to a GET, or 304 if the caller has this version."""
    kind, extra = route.media_type, dict(_PRIVATE)
    if isinstance(answer, RawAnswer):
        body, kind = answer.body, answer.media_type
        extra |= answer.headers
    elif route.order is not None:
        assert isinstance(answer, list | tuple)
        assert isinstance(call.query, Paged)
        items, cursor = page_of(answer, route.order, call.query, route.name, call.path)
        body = msgspec.json.encode({"items": items, "next": cursor or None})
        if cursor:
            address = request.url.include_query_params(cursor=cursor)
            extra["Link"] = f'<{address.path}?{address.query}>; rel="next"'
    else:
        body = msgspec.json.encode(answer)
    etag = extra["ETag"] = etag_of(body)
    coding = _header(request, "accept-encoding")
    shown = {**headers, **coding_headers(len(body), kind, extra, coding)}
    if is_match(_header(request, "if-none-match"), etag, weak=True):
        shown.pop("Content-Encoding", None)
        return Response(status_code=304, headers=shown)
    return Response(await coded_body(body, shown), 200, shown, kind)


def _written(route: ApiRoute, answer: Answer) -> WrittenAnswer:
    headers = dict(_UNSTORED)
    if answer is None:
        return WrittenAnswer(route.status, headers, b"")
    if isinstance(answer, Made):
        headers["Location"] = BASE + answer.path
        answer = answer.document
    body = msgspec.json.encode(answer)
    headers["Content-Type"] = "application/json"
    if route.method == "PUT":
        headers["ETag"] = etag_of(body)
    return WrittenAnswer(route.status, headers, body)


def _match_check(request: Request) -> Callable[[object], None]:
    header = _header(request, "if-match")
    is_sent = "if-match" in request.headers

    def check(document: object) -> None:
        if is_sent and not is_match(header, etag_of(msgspec.json.encode(document))):
            raise ApiProblem(412, "it has changed since you read it: read it again")

    return check


def _header(request: Request, name: str) -> str:
    """A header that is a list, which may come in several lines."""
    return ", ".join(request.headers.getlist(name))


def _methods(found: Mapping[str, ApiRoute]) -> str:
    names = {*found, "OPTIONS"} | ({"HEAD"} if "GET" in found else set())
    return ", ".join(sorted(names))
