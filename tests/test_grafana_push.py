"""Boards pushed into a running Grafana: a double of the few calls of its API."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from dashboards.grafana import BOARDS, GrafanaConfig, PushError, push


class _Grafana(http.server.BaseHTTPRequestHandler):
    """What a Grafana answers to the few calls a push makes, over real HTTP."""

    taken: list[tuple[str, Any]]
    folders: set[str]

    def do_GET(self) -> None:
        uid = self.path.rpartition("/")[2]
        known = uid in self.folders
        self._answer(200 if known else 404, {"uid": uid, "message": "not found"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != "Bearer right":
            self._answer(401, {"message": "Invalid API key"})
            return
        self.taken.append((self.path, body))
        if self.path == "/api/folders":
            self.folders.add(body["uid"])
            self._answer(200, body)
        else:
            self._answer(200, {"url": f"/d/{body['dashboard']['uid']}/x"})

    def _answer(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def grafana() -> Iterator[tuple[str, type[_Grafana]]]:
    handler = type("Handler", (_Grafana,), {"taken": [], "folders": {"towpath"}})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_push_puts_every_board_into_its_own_folder(
    grafana: tuple[str, type[_Grafana]],
) -> None:
    url, handler = grafana
    made = push(url, "right")
    assert len(made) == len(BOARDS)
    boards = [body for path, body in handler.taken if path == "/api/dashboards/db"]
    placed = {body["dashboard"]["uid"]: body["folderUid"] for body in boards}
    assert placed["towpath-laptop"] == "towpath-personal"
    assert placed["towpath-site"] == "towpath"
    assert [p for p, _ in handler.taken].count("/api/folders") == 1


def test_a_push_without_personal_data_makes_neither_its_board_nor_its_folder(
    grafana: tuple[str, type[_Grafana]],
) -> None:
    url, handler = grafana
    push(url, "right", GrafanaConfig(personal=False))
    assert "personal" not in json.dumps(
        [body.get("folderUid", body.get("uid")) for _, body in handler.taken]
    )


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "Unauthorized"),
        ("http://127.0.0.1:1", "cannot be reached"),
        ("x", "not an address"),
    ],
)
def test_a_push_that_fails_says_why_in_one_sentence(
    grafana: tuple[str, type[_Grafana]], url: str, said: str
) -> None:
    with pytest.raises(PushError, match=said):
        push(url or grafana[0], "wrong", timeout_s=2)
