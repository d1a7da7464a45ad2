"""A web server with one calendar, for tests of feeds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class CalendarServer:
    """Serves `body` with an ETag, or answers `status`. `endless`: a body without end.
    `requests`: what each request asked for, and how it was answered."""

    def __init__(self) -> None:
        self.body = b""
        self.status = 200
        self.headers: dict[str, str] = {}
        self.endless = False
        self.requests: list[tuple[dict[str, str], int]] = []
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                served.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/secret-path/c.ics"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        etag = f'"{hash(self.body)}"'
        status = self.status
        if status == 200 and request.headers.get("If-None-Match") == etag:
            status = 304
        self.requests.append((dict(request.headers), status))
        request.send_response(status)
        request.send_header("ETag", etag)
        for name, value in self.headers.items():
            request.send_header(name, value)
        if self.endless:
            request.end_headers()
            chunk = b"X-NOISE:" + b"x" * 65_000 + b"\r\n"
            try:
                while True:
                    request.wfile.write(chunk)
            except OSError:
                return
        body = self.body if status == 200 else b""
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


@pytest.fixture
def calendar_server() -> Iterator[CalendarServer]:
    served = CalendarServer()
    thread = threading.Thread(
        target=served.server.serve_forever, args=(0.02,), daemon=True
    )
    thread.start()
    yield served
    served.server.shutdown()
    served.server.server_close()
    thread.join()
