"""Boards pushed into a running Grafana: a double of the few calls of its API.

It answers as Grafana's HTTP API is documented to; no real one takes part.
"""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from dashboards.grafana import BOARDS, GrafanaConfig
from dashboards.grafana.push import PushError, push
from towpath.cli import app

SHARED = {board.uid for board in BOARDS if not board.personal}
PERSONAL = GrafanaConfig(personal=True)
# What Grafana gives a folder that is made, beside its maker.
ROLES = [{"role": "Viewer", "permission": 1}, {"role": "Editor", "permission": 2}]
MAKER = {"userId": 12, "permission": 4}


class _Grafana(http.server.BaseHTTPRequestHandler):
    """One organisation; folders with permissions; boards by their folder."""

    organisation: int
    inherited: list[dict[str, Any]]
    permissions: dict[str, list[dict[str, Any]]]
    boards: dict[str, str]

    def do_GET(self) -> None:
        match self._parts():
            case ["org"]:
                self._answer(200, {"id": self.organisation, "name": "Council"})
            case ["folders", uid] if uid in self.permissions:
                self._answer(200, {"uid": uid})
            case ["folders", uid, "permissions"] if uid in self.permissions:
                parents = [
                    {**permission, "inherited": True} for permission in self.inherited
                ]
                self._answer(200, [*self.permissions[uid], *parents])
            case _:
                self._answer(404, {"message": "not found"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != "Bearer right":
            self._answer(401, {"message": "Invalid API key"})
            return
        match self._parts():
            case ["folders"]:
                self.permissions[body["uid"]] = [*ROLES, MAKER]
                self._answer(200, body)
            case ["folders", uid, "permissions"]:
                self.permissions[uid] = body["items"]
                self._answer(200, {"message": "Folder permissions updated"})
            case ["dashboards", "db"]:
                uid = body["dashboard"]["uid"]
                self.boards[uid] = body["folderUid"]
                self._answer(200, {"url": f"/d/{uid}/x"})
            case _:
                self._answer(404, {"message": "not found"})

    def _parts(self) -> list[str]:
        return self.path.removeprefix("/api/").split("/")

    def _answer(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


Double = tuple[str, type[_Grafana]]


@pytest.fixture
def grafana() -> Iterator[Double]:
    state = {"organisation": 2, "inherited": [], "permissions": {}, "boards": {}}
    handler = type("Handler", (_Grafana,), state)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_push_puts_the_shared_boards_into_their_folder_and_nothing_personal(
    grafana: Double,
) -> None:
    url, handler = grafana
    made = push(url, "right")
    assert len(made) == len(SHARED)
    assert handler.boards == dict.fromkeys(SHARED, "towpath")
    assert list(handler.permissions) == ["towpath"]
    push(url, "right")
    assert list(handler.permissions) == ["towpath"]


def test_the_personal_board_alone_goes_to_its_own_organisation_in_a_closed_folder(
    grafana: Double,
) -> None:
    url, handler = grafana
    assert push(url, "right", PERSONAL) == [f"{url}/d/towpath-laptop/x"]
    assert handler.boards == {"towpath-laptop": "towpath-personal"}
    assert handler.permissions == {"towpath-personal": [MAKER]}
    # Whom people let in afterwards stays in.
    handler.permissions["towpath-personal"].append({"teamId": 3, "permission": 1})
    push(url, "right", PERSONAL)
    assert len(handler.permissions["towpath-personal"]) == 2


def test_the_organisation_of_the_shared_boards_gets_no_personal_one(
    grafana: Double,
) -> None:
    url, handler = grafana
    handler.organisation = 1
    push(url, "right", PERSONAL)
    assert set(handler.boards) == SHARED


@pytest.mark.parametrize("roles", [["Viewer"], ["Editor"], ["Editor", "Viewer"]])
def test_an_open_folder_that_was_there_gets_no_personal_board(
    grafana: Double, roles: list[str]
) -> None:
    url, handler = grafana
    found = [{"role": role, "permission": 1} for role in roles]
    handler.permissions["towpath-personal"] = list(found)
    with pytest.raises(PushError, match=f"is open to every {' and '.join(roles)}, so"):
        push(url, "right", PERSONAL)
    assert handler.boards == {}
    # What people have set is theirs to change.
    assert handler.permissions["towpath-personal"] == found


def test_a_folder_that_stays_open_by_its_parent_gets_no_personal_board(
    grafana: Double,
) -> None:
    url, handler = grafana
    handler.inherited = ROLES
    with pytest.raises(PushError, match="is open to every Editor and Viewer"):
        push(url, "right", PERSONAL)
    assert handler.boards == {}


def test_a_token_of_a_third_organisation_is_refused(grafana: Double) -> None:
    url, handler = grafana
    handler.organisation = 5
    with pytest.raises(
        PushError, match=r"is of organisation 5 \(Council\), expected 1"
    ):
        push(url, "right", PERSONAL)
    assert handler.permissions == {}


def test_the_command_warns_if_viewers_could_query_personal_data(
    grafana: Double, tmp_path: Any
) -> None:
    url, handler = grafana
    config = tmp_path / "towpath.toml"
    config.write_text("[grafana]\npersonal = true\npersonal_organisation = 1\n")
    handler.organisation = 1
    command = [
        "dashboards",
        "push",
        "--url",
        url,
        "--token",
        "right",
        "-c",
        str(config),
    ]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "every Viewer there may query laptops' own results" in done.output
    assert handler.permissions["towpath-personal"] == [MAKER]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "Unauthorized"),
        ("http://127.0.0.1:1", "cannot be reached"),
        ("x", "not an address"),
    ],
)
def test_a_failed_push_gives_its_reason_in_one_sentence(
    grafana: Double, url: str, said: str
) -> None:
    with pytest.raises(PushError, match=said):
        push(url or grafana[0], "wrong", timeout_s=2)
