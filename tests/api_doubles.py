"""Test doubles of NetBox's and LibreNMS' published APIs, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

# (status, body): bytes are sent unchanged, anything else as JSON.
Answer = tuple[int, Any]
Answerer = Callable[[str, Mapping[str, list[str]]], Answer | None]


class ApiDouble:
    """`with ApiDouble(answer, header) as api:` at `api.url`.

    `answer` returns status and body for (path, query), or None for 404. A request
    without the right `header` (name, value) gets 401 with the body `denied`. The first
    `busy` answers are 503; `break_off` answers end half way. `requests`: all paths.
    """

    def __init__(
        self,
        answer: Answerer,
        header: tuple[str, str],
        denied: Any,
        missing: Any = None,
        break_off: int = 0,
        busy: int = 0,
    ) -> None:
        self.requests: list[str] = []
        self.answer = answer
        self.break_off, self.busy = break_off, busy
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                double.requests.append(self.path)
                parts = urlsplit(self.path)
                result: Answer | None
                if self.headers.get(header[0]) != header[1]:
                    result = (401, denied)
                elif double.busy > 0:
                    double.busy -= 1
                    result = (503, {"message": "try later"})
                else:
                    result = answer(parts.path, parse_qs(parts.query))
                status, body = result or (404, missing)
                raw = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                if double.break_off > 0:
                    double.break_off -= 1
                    self.wfile.write(raw[: len(raw) // 2])
                    self.close_connection = True
                else:
                    self.wfile.write(raw)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Close a server that was never entered."""
        self._server.server_close()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def netbox(
    lists: Mapping[str, list[Any]], token: str = "secret", a_page: int = 2, **more: Any
) -> ApiDouble:
    """Serve `lists` by path (`/api/dcim/sites/`) in pages of `a_page`. The `next` links
    give an internal host name, as a NetBox behind a proxy does."""

    def answer(path: str, query: Mapping[str, list[str]]) -> Answer | None:
        if path not in lists:
            return None
        rows = lists[path]
        offset = int(query.get("offset", ["0"])[0])
        following = offset + a_page
        more = following < len(rows)
        host = "http://netbox.inside.example"
        body = {
            "count": len(rows),
            "next": f"{host}{path}?limit={a_page}&offset={following}" if more else None,
            "previous": None,
            "results": rows[offset:following],
        }
        return 200, body

    kind = "Bearer" if token.startswith("nbt_") else "Token"
    return ApiDouble(
        answer,
        ("Authorization", f"{kind} {token}"),
        {"detail": "Invalid token"},
        {"detail": "Not found."},
        **more,
    )


def librenms(
    answers: Mapping[str, Any], token: str = "secret", **more: Any
) -> ApiDouble:
    """Serve `answers` by path below `/api/v0`, without the `status` of the body."""

    def answer(path: str, query: Mapping[str, list[str]]) -> Answer | None:
        body = answers.get(path.removeprefix("/api/v0"))
        if body is None:
            return None
        return (200, {"status": "ok", **body}) if isinstance(body, dict) else body

    return ApiDouble(
        answer,
        ("X-Auth-Token", token),
        {"status": "error", "message": "API Token is missing or invalid"},
        {"status": "error", "message": "This API route doesn't exist."},
        **more,
    )
