"""What goes wrong with a push is one sentence, and the command's output."""

from __future__ import annotations

import http.server
import socket
from pathlib import Path

import pytest
from grafana_double import TOKEN, grafana, serving
from typer.testing import CliRunner

from collectors.ingest.certificate import make_certificates
from dashboards.grafana import BOARDS
from dashboards.grafana.grafana_connection import PushError
from dashboards.grafana.grafana_server import GrafanaServer
from dashboards.grafana.push import push
from towpath.cli import app

FIRST = next(board for board in BOARDS if not board.personal)


def run(*arguments: str, token: str = TOKEN) -> tuple[int, str]:
    result = CliRunner().invoke(
        app,
        ["dashboards", "push", *arguments],
        env={"TOWPATH_GRAFANA_TOKEN": token, "COLUMNS": "200"},
    )
    return result.exit_code, result.output


def answering(status: int, body: str, headers: dict[str, str]) -> type:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def push_error(url: str, token: str = TOKEN, ca_file: Path | None = None) -> str:
    with (
        pytest.raises(PushError) as raised,
        GrafanaServer(url, token, ca_file, timeout_s=3) as server,
    ):
        push(server)
    [sentence] = str(raised.value).splitlines()
    return sentence


@pytest.mark.parametrize(
    "url",
    ["", "x", "grafana.example", "ftp://grafana.example", "http://[", "http://a:b/"],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    assert "is not an address, expected https://grafana.example" in push_error(url)


def test_a_token_that_grafana_does_not_know_is_refused() -> None:
    with grafana() as state:
        assert push_error(state.url, "wrong") == (
            f"{state.url} does not accept the token (Invalid API key): expected the "
            "token of a service account that is enabled and has not expired"
        )
        assert "the token is empty" in push_error(state.url, " ")


def test_a_token_without_rights_is_refused_and_nothing_is_written() -> None:
    with grafana(role="Viewer") as state:
        sentence = push_error(state.url)
        assert sentence.startswith("the token may not create the folder 'Towpath'")
        assert "Permissions needed: folders:create" in sentence
        assert "expected a service account with the role Editor" in sentence
        assert state.writes == []


def test_a_grafana_that_is_not_there_is_named_with_the_reason() -> None:
    assert push_error("http://127.0.0.1:1") == (
        "http://127.0.0.1:1 cannot be reached: Connection refused"
    )
    assert push_error("http://grafana.invalid").startswith(
        "http://grafana.invalid cannot be reached: "
    )


def test_a_grafana_that_does_not_answer_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert push_error(url) == f"{url} did not answer within 3 s"


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (200, "<html>Sign in</html>", {"Content-Type": "text/html"}),
        (200, "{", {"Content-Type": "application/json"}),
        (200, "[]", {"Content-Type": "application/json"}),
        (404, "not here", {"Content-Type": "text/plain"}),
        (403, "<html>Forbidden</html>", {"Content-Type": "text/html"}),
    ],
)
def test_another_server_is_not_taken_for_grafana(
    status: int, body: str, headers: dict[str, str]
) -> None:
    with serving(answering(status, body, headers)) as url:
        assert "does not answer as Grafana does" in push_error(url)


def test_an_error_of_grafana_itself_is_passed_on() -> None:
    body, headers = (
        '{"message": "database is locked"}',
        {"Content-Type": "application/json"},
    )
    with serving(answering(500, body, headers)) as url:
        assert push_error(url).endswith(": database is locked")


def test_the_token_does_not_follow_a_redirect() -> None:
    with grafana() as state:
        headers = {"Location": state.url}
        with serving(answering(302, "", headers)) as url:
            assert "redirects to another address" in push_error(url)
        assert state.boards == {}


def test_a_certificate_of_the_councils_own_authority(tmp_path: Path) -> None:
    made = make_certificates(tmp_path / "ours", ["127.0.0.1"])
    other = make_certificates(tmp_path / "other", ["127.0.0.1"])
    with grafana((made.certificate, made.private_key)) as state:
        sentence = push_error(state.url)
        assert sentence.startswith(f"the certificate of {state.url} is not trusted (")
        assert "expected --ca-file (or grafana.ca_file)" in sentence
        assert "not trusted" in push_error(state.url, ca_file=other.authority)
        assert "does not exist" in push_error(state.url, ca_file=tmp_path / "none.pem")
        (tmp_path / "bad.pem").write_text("x")
        assert push_error(state.url, ca_file=tmp_path / "bad.pem")
        assert state.boards == {}
        code, output = run("--url", state.url, "--ca-file", str(made.authority))
        assert code == 0, output
        config = tmp_path / "towpath.toml"
        config.write_text(
            f'[grafana]\nca_file = "{made.authority}"\n'
            f'[web]\ngrafana_url = "{state.url}"\n'
        )
        code, output = run("-c", str(config))
        assert code == 0, output
        assert "unchanged" in output


def test_the_command_shows_what_it_did_board_by_board() -> None:
    with grafana() as state:
        code, output = run("--url", state.url, "--dry-run")
        assert code == 0, output
        assert f"would create  {FIRST.title}\n" in output
        assert "would create  folder 'Towpath'" in output
        code, output = run("--url", state.url)
        assert code == 0, output
        assert f"created       {FIRST.title}  {state.url}/d/{FIRST.uid}/x\n" in output
        assert f"unchanged     {FIRST.title}" in run("--url", state.url)[1]
        panels = state.content(FIRST.uid)["panels"][:-1]
        state.edit(FIRST.uid, author="alice", panels=panels)
        for arguments in (["--dry-run"], []):
            code, output = run("--url", state.url, *arguments)
            assert code == 1
            assert f"kept: edited  {FIRST.title}" in output
            assert "    - panel " in output
            assert "'alice' has changed the board" in output
        code, output = run("--url", state.url, "--overwrite")
        assert code == 0, output


def test_a_missing_address_or_token_is_a_usage_error() -> None:
    code, output = run()
    assert code == 2
    assert "--url is missing" in output
    code, output = run("--url", "http://127.0.0.1:1", token="")
    assert code == 2
    assert "TOWPATH_GRAFANA_TOKEN" in output


def test_the_command_warns_if_viewers_could_query_personal_data(tmp_path: Path) -> None:
    config = tmp_path / "towpath.toml"
    config.write_text("[grafana]\npersonal = true\npersonal_organisation = 1\n")
    with grafana() as state:
        state.sources["towpath-personal"] = {"type": "influxdb", "name": "x"}
        code, output = run("--url", state.url, "-c", str(config))
        assert code == 0, output
        assert "every Viewer there may query laptops' own results" in output
        assert len(state.folders["towpath-personal"].permissions) == 1
