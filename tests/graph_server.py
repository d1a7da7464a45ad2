"""A fake Microsoft Graph with its sign-in, over HTTPS on a real socket.

It pages lists and sessions, throttles, fails, lets tokens expire and permissions be
revoked, has records of several versions, links in the odd form of Microsoft's own
examples, and sends change notifications.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter, deque
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import jwt
from call_records import TENANT
from cryptography import x509
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from collectors.calls.calls_config import CallsConfig
from collectors.http import Certificate, Endpoint, HttpServer, ServerLimits
from collectors.ingest.certificate import make_certificates
from collectors.secret import Secret

CLIENT = "0f6a1d0e-1111-4c3e-8f00-2b6c1f3b7a55"
SECRET = "a secret of the application"
_FUNCTION = re.compile(r"(get\w+)\(fromDateTime=([^,]+),toDateTime=([^)]+)\)")
_FILTER = re.compile(r"startDateTime ge (\S+) and startDateTime lt (\S+)")


class GraphServer:
    """`records` by id; `faults`: answers for the next requests, instead of their own.
    `page`: records, and sessions, in one page. `expires_after`: a kind of request →
    after how many of them the token expires."""

    def __init__(self, folder: Path, page: int = 60) -> None:
        made = make_certificates(folder / "tls")
        self.authority, self._folder = made.authority, folder
        self.records: dict[str, dict[str, Any]] = {}
        self.page = page
        self.faults: deque[Response | None] = deque()
        self.always: dict[str, int] = {}
        self.secret, self.certificate = SECRET, b""
        self.has_permission = True
        self.requests: Counter[str] = Counter()
        self.prefers: set[str] = set()
        self.expires_after: dict[str, int] = {}
        # Rows of the logs of telephone calls, by the name of Graph's function.
        self.phone_rows: dict[str, list[dict[str, Any]]] = {}
        # Subscriptions by id, and where their notifications go: to a proxy in truth.
        self.subscriptions: dict[str, dict[str, Any]] = {}
        self.reach = ""
        self._token = 0
        root = "/v1.0/communications"
        app = Starlette(
            routes=[
                Route(
                    "/{tenant}/v2.0/.well-known/openid-configuration", self._discover
                ),
                Route("/{tenant}/oauth2/v2.0/token", self._sign_in, methods=["POST"]),
                Route(f"{root}/callRecords", self._list),
                Route(f"{root}/callRecords('{{id}}')/sessions", self._sessions),
                Route(f"{root}/callRecords/{{id}}", self._record_or_log),
                Route("/v1.0/subscriptions", self._subscribe, methods=["GET", "POST"]),
                Route(
                    "/v1.0/subscriptions/{id}",
                    self._subscribed,
                    methods=["PATCH", "DELETE"],
                ),
            ]
        )
        self.server = HttpServer(
            app,
            Endpoint("127.0.0.1", 0, "test.port"),
            ServerLimits(),
            certificate=Certificate(made.certificate, made.private_key),
        )

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server.port}"

    def config(self, **more: Any) -> CallsConfig:
        """The settings of a council that reads this server."""
        file = self._folder / "secret"
        file.write_text(SECRET)
        given: dict[str, Any] = {
            "enabled": True,
            "tenant": TENANT,
            "client_id": CLIENT,
            "secret": Secret(file=file),
            "graph_url": self.url,
            "sign_in_url": self.url,
            "ca_file": self.authority,
            **more,
        }
        if given.get("certificate"):
            del given["secret"]
        return CallsConfig(**given)

    def add(self, *records: dict[str, Any]) -> None:
        self.records |= {record["id"]: record for record in records}

    async def _discover(self, request: Request) -> Response:
        base = f"{self.url}/{request.path_params['tenant']}"
        return JSONResponse(
            {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
            }
        )

    async def _sign_in(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        self.requests["sign_in"] += 1
        if form.get("client_id") != CLIENT:
            return _refused("700016: Application was not found in the directory")
        assertion = form.get("client_assertion")
        if assertion and self.certificate:
            known = x509.load_pem_x509_certificate(self.certificate).public_key()
            jwt.decode(
                assertion,
                known,  # type: ignore[arg-type]
                ["RS256", "PS256"],
                audience=f"{self.url}/{TENANT}/oauth2/v2.0/token",
            )
        elif form.get("client_secret") != self.secret:
            return _refused("7000215: Invalid client secret provided")
        token = f"token-{self._token}"
        return JSONResponse(
            {"access_token": token, "token_type": "Bearer", "expires_in": 3599}
        )

    def _fault(self, request: Request, kind: str) -> Response | None:
        """What the request gets instead of its answer."""
        self.requests[kind] += 1
        self.prefers.add(request.headers.get("prefer", ""))
        if request.headers.get("authorization") != f"Bearer token-{self._token}":
            return _error(401, "InvalidAuthenticationToken")
        if not self.has_permission:
            return _error(403, "Forbidden")
        if status := self.always.get(request.path_params.get("id", "")):
            return _error(status, "UnknownError")
        if self.requests[kind] == self.expires_after.get(kind):
            self._token += 1
        return self.faults.popleft() if self.faults else None

    async def _list(self, request: Request) -> Response:
        if fault := self._fault(request, "list"):
            return fault
        query = request.query_params
        found = _FILTER.fullmatch(query["$filter"])
        assert found is not None, query["$filter"]
        begin, end = map(datetime.fromisoformat, found.groups())
        rows = [
            {name: record.get(name) for name in query["$select"].split(",")}
            for record in self.records.values()
            if begin <= datetime.fromisoformat(record["startDateTime"]) < end
        ]
        skip = int(query.get("$skiptoken", "0"))
        page: dict[str, Any] = {"value": rows[skip : skip + self.page]}
        if skip + self.page < len(rows):
            link = request.url.include_query_params(**{"$skiptoken": skip + self.page})
            page["@odata.nextLink"] = str(link)
        return JSONResponse(page)

    async def _record_or_log(self, request: Request) -> Response:
        found = _FUNCTION.fullmatch(request.path_params["id"])
        if found is None:
            return await self._record(request)
        if fault := self._fault(request, found[1]):
            return fault
        begin, end = map(datetime.fromisoformat, found.groups()[1:])
        rows = [
            row
            for row in self.phone_rows.get(found[1], [])
            if begin <= datetime.fromisoformat(row["startDateTime"]) <= end
        ]
        skip = int(request.query_params.get("$skip", "0"))
        page: dict[str, Any] = {"value": rows[skip : skip + self.page]}
        if skip + self.page < len(rows):
            link = request.url.include_query_params(**{"$skip": skip + self.page})
            page["@odata.nextLink"] = str(link)
        return JSONResponse(page)

    async def _record(self, request: Request) -> Response:
        if fault := self._fault(request, "record"):
            return fault
        id = request.path_params["id"]
        record = self.records.get(id)
        if record is None:
            return _error(404, "NotFound")
        if names := request.query_params.get("$select"):
            return JSONResponse({name: record.get(name) for name in names.split(",")})
        assert request.query_params["$expand"] == "sessions($expand=segments)"
        shown = {**record, "sessions": record["sessions"][: self.page]}
        if len(record["sessions"]) > self.page:
            shown["sessions@odata.nextLink"] = self._more(id, self.page)
        return JSONResponse(shown)

    async def _sessions(self, request: Request) -> Response:
        if fault := self._fault(request, "sessions"):
            return fault
        id, skip = request.path_params["id"], int(request.query_params["$skiptoken"])
        sessions = self.records[id]["sessions"]
        page: dict[str, Any] = {"value": sessions[skip : skip + self.page]}
        if skip + self.page < len(sessions):
            page["@odata.nextLink"] = self._more(id, skip + self.page)
        return JSONResponse(page)

    async def _subscribe(self, request: Request) -> Response:
        if fault := self._fault(request, "subscribe"):
            return fault
        if request.method == "GET":
            # Microsoft never shows it.
            rows = [{**s, "clientState": None} for s in self.subscriptions.values()]
            return JSONResponse({"value": rows})
        made = await request.json()
        assert made["resource"] == "communications/callRecords"
        assert "includeResourceData" not in made
        for kind in ("notificationUrl", "lifecycleNotificationUrl"):
            token = f"Validation: Testing {kind} & <b>"
            answer = await self.post(made[kind], {"validationToken": token})
            if answer.status_code != 200 or answer.text != token:
                return _error(400, "ValidationError")
            assert answer.headers["Content-Type"].startswith("text/plain")
        id = f"7f105c7d-2dc5-4530-97cd-{len(self.subscriptions):012d}"
        self.subscriptions[id] = {**made, "id": id}
        return JSONResponse(self.subscriptions[id], 201)

    async def _subscribed(self, request: Request) -> Response:
        if fault := self._fault(request, request.method):
            return fault
        id = request.path_params["id"]
        if id not in self.subscriptions:
            return _error(404, "ResourceNotFound")
        if request.method == "DELETE":
            del self.subscriptions[id]
            return Response(status_code=204)
        self.subscriptions[id] |= await request.json()
        return JSONResponse(self.subscriptions[id])

    async def post(
        self, url: str, query: dict[str, str], body: Any = None
    ) -> httpx2.Response:
        """Sends something to the address of a subscription."""
        async with httpx2.AsyncClient() as http:
            where = self.reach + urlsplit(url).path
            return await http.post(where, params=query, json=body)

    async def notify(self, **more: Any) -> int:
        """Sends a notification by each subscription; the last status."""
        status = 0
        for id, made in self.subscriptions.items():
            entry = {
                "subscriptionId": id,
                "clientState": made["clientState"],
                "changeType": "created",
                "tenantId": TENANT,
                **more,
            }
            answer = await self.post(made["notificationUrl"], {}, {"value": [entry]})
            status = answer.status_code
        return status

    def _more(self, id: str, skip: int) -> str:
        return (
            f"{self.url}/v1.0/$metadata#communications/callRecords('{id}')/sessions"
            f"?$expand=segments&$skiptoken={skip}"
        )


def _error(status: int, code: str) -> Response:
    # Microsoft's texts may name what was asked for.
    text = "of Winifred Ardingly"
    return JSONResponse({"error": {"code": code, "message": text}}, status)


def _refused(text: str) -> Response:
    return JSONResponse(
        {"error": "invalid_client", "error_description": f"AADSTS{text}. Winifred"}, 401
    )


def throttled(seconds: int | None = 1) -> Response:
    """429, as Graph throttles an application."""
    headers = {} if seconds is None else {"Retry-After": str(seconds)}
    return JSONResponse({"error": {"code": "TooManyRequests"}}, 429, headers)


def failed(status: int = 503) -> Response:
    return _error(status, "ServiceUnavailable")


@contextlib.asynccontextmanager
async def graph_server(folder: Path, page: int = 60) -> AsyncIterator[GraphServer]:
    """A server that runs."""
    served = GraphServer(folder, page)
    await served.server.start()
    try:
        yield served
    finally:
        await served.server.stop()
