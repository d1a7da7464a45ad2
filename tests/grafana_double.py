"""A double of Grafana's HTTP API over a real socket, or called directly."""

from __future__ import annotations

import contextlib
import copy
import http.server
import json
import ssl
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from json import dumps as to_json
from pathlib import Path
from typing import Any

import niquests
from grafana_client.api import GrafanaApi
from grafana_client.client import GrafanaClient
from grafana_state import Answer, GrafanaState, shared_source

from dashboards.grafana import BOARDS
from dashboards.grafana.board import Board
from dashboards.grafana.grafana_server import GrafanaServer
from dashboards.grafana.push import PushOptions, PushReport, push
from dashboards.grafana_config import GrafanaConfig

TOKEN = "glsa_right"
PLAIN = PushOptions()
# Three shared boards and the personal one: rendering all takes a second.
FEW = tuple(board for board in BOARDS if not board.personal)[:3] + tuple(
    board for board in BOARDS if board.personal
)


class _Handler(http.server.BaseHTTPRequestHandler):
    state: GrafanaState

    def do_GET(self) -> None:
        self._respond("GET")

    def do_POST(self) -> None:
        self._respond("POST")

    def do_DELETE(self) -> None:
        self._respond("DELETE")

    def _respond(self, method: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        address = urllib.parse.urlsplit(self.path)
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            reply: Answer = 401, {"message": "Invalid API key"}
        else:
            path = urllib.parse.unquote(address.path.removeprefix("/api/"))
            query = urllib.parse.parse_qs(address.query)
            reply = self.state.answer(method, path, query, body)
        status, answer = reply
        text = to_json(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextlib.contextmanager
def serving(
    handler: type[http.server.BaseHTTPRequestHandler],
    certificate: tuple[Path, Path] | None = None,
) -> Iterator[str]:
    """Serves on a free port, with TLS if there is a certificate and key; yields the
    address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"{scheme}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def grafana(
    certificate: tuple[Path, Path] | None = None, **settings: Any
) -> Iterator[GrafanaState]:
    """A Grafana with the shared data source, unless `sources` says otherwise."""
    settings.setdefault("sources", {"towpath-shared": shared_source()})
    state = GrafanaState(**settings)
    handler = type("Handler", (_Handler,), {"state": state})
    with serving(handler, certificate) as url:
        state.url = url
        yield state


class DirectClient(GrafanaClient):
    """grafana-client's client that asks the double without a socket: for tests of many
    requests, whose subject is not the transport."""

    def __init__(self, state: GrafanaState) -> None:
        super().__init__(TOKEN)
        self._state = state

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def request(url: str, json: Any = None, params: Any = None, **_: Any) -> Any:
            query = {
                name: value if isinstance(value, list) else [str(value)]
                for name, value in (params or {}).items()
            }
            # As over a socket, nobody shares objects.
            body = copy.deepcopy(json)
            path = url.removeprefix("/")
            status, answer = self._state.answer(method, path, query, body)
            response = niquests.Response()
            response.status_code = status
            response._content = to_json(answer).encode()
            return self._extract_from_response(response, False)

        return request


def direct_api(state: GrafanaState) -> GrafanaApi:
    """grafana-client's API over a `DirectClient`."""
    api = GrafanaApi(TOKEN)
    client = DirectClient(state)
    for element in (
        api.dashboard,
        api.dashboard_versions,
        api.datasource,
        api.folder,
        api.organization,
        api.search,
    ):
        element.client = client
    api.client = client
    return api


def pushed(
    state: GrafanaState,
    config: GrafanaConfig | None = None,
    options: PushOptions = PLAIN,
    boards: tuple[Board, ...] = FEW,
    **more: Any,
) -> PushReport:
    with GrafanaServer(state.url, TOKEN, timeout_s=10) as server:
        return push(server, config, options, boards, **more)


def outcomes(report: PushReport) -> set[str]:
    return {board.outcome for board in report.boards}
