"""A real HTTP server whose answers are made by an application, and that fails on
demand, for tests of channels."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit


class Request(NamedTuple):
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


Application = Callable[[Request], tuple[int, Any]]


def accept(request: Request) -> tuple[int, Any]:
    return 200, None


class FaultyServer:
    """`with FaultyServer(app) as server:`. `fault` decides what happens to a request
    instead of `app`: a status, or `hang`, `close` or `drip`. `fault_at` limits it to
    requests that contain this, such as `POST /path`. `after` lets the application act
    before the fault."""

    def __init__(self, app: Application = accept) -> None:
        self.app = app
        self.fault: int | str = 0
        self.fault_at = ""
        self.fault_body: Any = {"error": "not now"}
        self.after = False
        self.headers: dict[str, str] = {}
        self.requests: list[Request] = []
        self._released = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                server._serve(self)

            def log_message(self, *_: Any) -> None:
                pass

        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            setattr(Handler, f"do_{method}", Handler._serve)

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """A client may leave at any time."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.scheme = "http"

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}"

    def use_tls(self, certificate: tuple[Path, Path]) -> None:
        key, cert = certificate
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.scheme = "https"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        size = int(handler.headers.get("Content-Length") or 0)
        request = Request(
            handler.command,
            parts.path,
            {name: values[0] for name, values in parse_qs(parts.query).items()},
            {name.lower(): value for name, value in handler.headers.items()},
            handler.rfile.read(size),
        )
        self.requests.append(request)
        at = f"{handler.command} {handler.path}"
        fault = self.fault if self.fault_at in at else 0
        if self.after or not fault:
            status, answer = self.app(request)
        if not fault:
            self._answer(handler, status, answer)
        elif isinstance(fault, int):
            self._answer(handler, fault, self.fault_body)
        elif fault == "hang":
            self._released.wait(60)
            handler.close_connection = True
        elif fault == "drip":
            handler.send_response(500)
            handler.send_header("Content-Length", "100000")
            handler.end_headers()
            while not self._released.wait(0.02):
                handler.wfile.write(b"x")
        else:
            handler.close_connection = True

    def _answer(
        self, handler: BaseHTTPRequestHandler, status: int, answer: Any
    ) -> None:
        body = b"" if answer is None else json.dumps(answer).encode()
        if isinstance(answer, str):
            body = answer.encode()
        handler.send_response(status)
        for name, value in self.headers.items():
            handler.send_header(name, value)
        if status != 204:
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if status != 204:
            handler.wfile.write(body)
