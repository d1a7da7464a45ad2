"""The API of alerts: only with a token, only by POST, and everything is recorded."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import council
import pytest
from alert_files import ALERT, NOW_MS, file_with
from api_council import api_sources
from council_page import page_text
from starlette.testclient import TestClient
from store_doubles import MemoryStore
from typer.testing import CliRunner

from alerts.alert_access import list_silences, open_alerts
from alerts.api_tokens import ApiTokens, tokens_file
from alerts.rule_files import load_rules
from alerts.token_commands import list_tokens, make_token, withdraw_token
from collectors.server_measurements import CATALOGUE
from dashboards.web import StatusPage, WebConfig
from towpath.cli import app

DAY_MS = 86_400_000
RULES = load_rules(CATALOGUE)


class Api:
    def __init__(self, folder: Path) -> None:
        self.path = file_with(folder, ALERT)
        self.now_ms = NOW_MS
        self.tokens = ApiTokens(tokens_file(self.path))
        self.secret = self.tokens.make("chat-bot", "ada", NOW_MS + DAY_MS, NOW_MS)

    @contextmanager
    def client(self) -> Iterator[TestClient]:
        page = StatusPage(
            WebConfig(hosts=("towpath.example",)),
            council.estate,
            self.path,
            MemoryStore(),
            now_ms=lambda: self.now_ms,
            api=api_sources(self.path),
        )
        with TestClient(page.app, base_url="https://towpath.example") as client:
            yield client

    def post(self, action: str, body: Any = None, secret: str | None = None) -> Any:
        """(status, JSON)."""
        token = self.secret if secret is None else secret
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with self.client() as client:
            answer = client.post(
                f"/api/alerts/{action}", json=body or {}, headers=headers
            )
        return answer.status_code, answer.json()


@pytest.fixture
def api(tmp_path: Path) -> Api:
    return Api(tmp_path)


ACK = {"key": ALERT.key, "who": "Ada Lovelace", "why": "supplier rung"}


def test_who_acknowledges_and_why_is_shown_on_every_page(api: Api) -> None:
    status, answer = api.post("acknowledge", ACK)
    assert status == 200
    assert answer["alert"]["acknowledged_by"] == "Ada Lovelace (API: chat-bot)"
    with api.client() as client:
        shown = page_text(client.get("/alerts").text)
    assert "Ada Lovelace (API: chat-bot)" in shown
    assert "supplier rung" in shown
    # The first one counts, and the second hears who it was.
    status, answer = api.post("acknowledge", {**ACK, "who": "Bob"})
    assert (status, answer["error"]) == (
        409,
        "Ada Lovelace (API: chat-bot) has acknowledged this already",
    )


def test_a_silence_names_what_it_covers_and_can_be_ended(api: Api) -> None:
    wanted = {"lasting": "2h", "who": "Ada", "why": "works", "site": "library"}
    status, answer = api.post("silence", wanted)
    assert status == 200
    [silence] = list_silences(api.path, NOW_MS)
    assert (silence.site, silence.who, silence.why) == (
        *("library", "Ada (API: chat-bot)", "works"),
    )
    assert silence.until_ms == NOW_MS + 7_200_000
    _, listed = api.post("list")
    assert [one["id"] for one in listed["silences"]] == [answer["silence"]["id"]]
    assert [one["key"] for one in listed["alerts"]] == [ALERT.key]
    status, _ = api.post("unsilence", {"id": silence.id, "who": "Ada"})
    assert status == 200
    assert not [s for s in list_silences(api.path, NOW_MS) if s.is_active(NOW_MS)]
    assert api.post("unsilence", {"id": silence.id, "who": "Ada"}) == (
        404,
        {"error": f"there is no silence {silence.id} in force or planned"},
    )


def test_without_a_valid_token_nothing_happens(api: Api) -> None:
    other = "towpath-alerts-" + "x" * 43
    for secret, why in (
        ("", "expected the header Authorization: Bearer"),
        (other, "this token is not known"),
    ):
        status, answer = api.post("acknowledge", ACK, secret)
        assert status == 401
        assert why in answer["error"]
    api.now_ms = NOW_MS + DAY_MS
    assert api.post("list") == (401, {"error": "the token 'chat-bot' has expired"})
    api.now_ms = NOW_MS
    assert api.tokens.revoke("chat-bot", "ada", NOW_MS)
    assert api.post("acknowledge", ACK) == (
        401,
        {"error": "the token 'chat-bot' was revoked"},
    )
    assert open_alerts(api.path)[0].acknowledged_by == ""


def test_only_a_post_acts(api: Api) -> None:
    headers = {"Authorization": f"Bearer {api.secret}"}
    with api.client() as client:
        for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH"):
            for action in ("list", "acknowledge", "silence", "unsilence"):
                answer = client.request(
                    method, f"/api/alerts/{action}", headers=headers, params=ACK
                )
                assert answer.status_code == 405
    assert open_alerts(api.path)[0].acknowledged_by == ""


@pytest.mark.parametrize(
    ("action", "body", "said"),
    [
        ("acknowledge", {"key": ALERT.key}, "who: is missing"),
        ("acknowledge", {**ACK, "who": ""}, "who: "),
        ("acknowledge", {**ACK, "who": "Ada\nBob"}, "who: "),
        ("acknowledge", {**ACK, "wy": "x"}, "wy: "),
        ("acknowledge", {**ACK, "key": ALERT.key + "x"}, "did you mean"),
        ("silence", {"lasting": "2h", "who": "A", "why": "w"}, "silencing everything"),
        (
            "silence",
            {"lasting": "2h", "who": "A", "site": "library"},
            "why: is missing",
        ),
        (
            "silence",
            {"lasting": "soon", "who": "A", "why": "w", "site": "library"},
            "lasting: 'soon' is not a length of time",
        ),
        (
            "silence",
            {"lasting": "900d", "who": "A", "why": "w", "site": "library"},
            "lasting: expected more than nothing, at most 31d",
        ),
        (
            "silence",
            {"lasting": "2h", "who": "A", "why": "w", "site": "librarry"},
            "did you mean 'library'?",
        ),
        ("unsilence", {"id": "1", "who": "A"}, "id: "),
    ],
)
def test_what_is_wrong_is_one_sentence(
    api: Api, action: str, body: Any, said: str
) -> None:
    status, answer = api.post(action, body)
    assert status in (400, 404)
    assert said in answer["error"]
    assert "\n" not in answer["error"]
    assert open_alerts(api.path)[0].acknowledged_by == ""
    assert list_silences(api.path, NOW_MS) == []


def test_a_body_that_is_no_json_or_too_large_is_refused(api: Api) -> None:
    headers = {"Authorization": f"Bearer {api.secret}"}
    with api.client() as client:
        for content, status in ((b"{", 400), (b"[]", 400), (b" " * 9_000, 413)):
            answer = client.post("/api/alerts/list", content=content, headers=headers)
            assert answer.status_code == status
            assert answer.json()["error"]


def test_what_was_done_and_refused_is_in_the_audit(api: Api) -> None:
    api.post("list")
    api.post("acknowledge", ACK)
    api.post("unsilence", {"id": 7, "who": "Bob"})
    assert [
        (e.token, e.action, e.about, e.who, e.outcome) for e in api.tokens.audit()
    ] == [
        (
            *("chat-bot", "unsilence", "silence 7", "Bob"),
            "there is no silence 7 in force or planned",
        ),
        ("chat-bot", "acknowledge", ALERT.key, "Ada Lovelace", "done"),
    ]
    assert api.tokens.forget_entries(NOW_MS) == 0
    assert api.tokens.forget_entries(NOW_MS + 1) == 2
    assert api.tokens.audit() == []


def test_the_secret_is_kept_nowhere(api: Api) -> None:
    assert api.secret.encode() not in api.tokens.path.read_bytes()
    assert api.secret[20:].encode() not in api.tokens.path.read_bytes()


def test_a_file_that_cannot_be_written_is_an_answer(api: Api) -> None:
    with sqlite3.connect(api.tokens.path) as db:
        db.execute("DROP TABLE token")
        db.execute("CREATE VIEW token AS SELECT 1")
    status, answer = api.post("acknowledge", ACK)
    assert status == 503
    assert "could not be recorded" in answer["error"]


def test_tokens_are_made_listed_and_withdrawn_by_commands(tmp_path: Path) -> None:
    tokens = ApiTokens(tmp_path / "api-tokens.sqlite")
    said: list[str] = []
    assert make_token(tokens, "bot", "30d", "ada", NOW_MS, said.append) == 0
    assert tokens.check(said[0], NOW_MS).name == "bot"
    assert make_token(tokens, "bot", "30d", "ada", NOW_MS, said.append) == 2
    assert make_token(tokens, "", "30d", "ada", NOW_MS, said.append) == 2
    assert make_token(tokens, "x", "never", "ada", NOW_MS, said.append) == 2
    assert list_tokens(tokens, False, NOW_MS, "Europe/London", said.append) == 0
    assert "bot  valid until" in said[-1]
    assert withdraw_token(tokens, "bto", "ada", NOW_MS, said.append) == 2
    assert "did you mean 'bot'?" in said[-1]
    assert withdraw_token(tokens, "bot", "ada", NOW_MS, said.append) == 0
    assert list_tokens(tokens, False, NOW_MS, "Europe/London", said.append) == 0
    assert "withdrawn" in said[-1]
    assert "by ada" in said[-1]


def test_the_command_prints_the_token_alone(tmp_path: Path) -> None:
    settings = tmp_path / "towpath.toml"
    settings.write_text(f'state = "{tmp_path}/state"\nestate = "estate.toml"\n')
    (tmp_path / "estate.toml").write_text('[[sites]]\nid = "hall"\nname = "Hall"\n')
    command = ["alerts", "token", "bot", "-c", str(settings)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    [secret] = done.output.split()
    [file] = tmp_path.rglob("api-tokens.sqlite")
    assert ApiTokens(file).check(secret, NOW_MS).name == "bot"
    assert file.stat().st_mode & 0o077 == 0


def test_maintenance_is_planned_for_later_and_ended(api: Api) -> None:
    wanted = {"site": "library", "who": "Ada", "why": "new switch", "lasts": "2h"}
    later = (datetime.fromtimestamp(NOW_MS / 1000, UTC) + timedelta(days=3)).date()
    status, answer = api.post("maintenance", {**wanted, "start": f"{later} 22:00"})
    assert (status, len(answer["planned"])) == (200, 1)
    [planned] = list_silences(api.path, NOW_MS)
    assert (planned.site, planned.why) == ("library", "new switch")
    assert planned.who == "Ada (API: chat-bot)"
    assert planned.until_ms - planned.from_ms == 7_200_000
    assert planned.from_ms > NOW_MS + 2 * DAY_MS
    status, _ = api.post("unsilence", {"id": planned.id, "who": "Ada"})
    assert status == 200
    weekly = {**wanted, "rrule": "FREQ=WEEKLY;BYDAY=SU"}
    status, answer = api.post("maintenance", weekly)
    assert status == 200
    assert "recurs" in answer["planned"][0]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"lasts": ""}, "expected either lasts or end"),
        ({"lasts": "1000d"}, "lasts: expected a length above 0"),
        ({"start": "soon"}, "start: "),
        ({"end": "2020-01-01 10:00", "lasts": ""}, "is not after start"),
        ({"site": "libary"}, "did you mean 'library'"),
        ({"site": ""}, "expected a site, a device"),
        ({"rrule": "FREQ=SOMETIMES"}, ""),
        ({"why": ""}, "why: "),
    ],
)
def test_maintenance_that_cannot_be_is_one_sentence(
    api: Api, changes: dict[str, str], says: str
) -> None:
    wanted = {"site": "library", "who": "Ada", "why": "new switch", "lasts": "2h"}
    status, answer = api.post("maintenance", {**wanted, **changes})
    assert status == 400
    assert "\n" not in answer["error"]
    assert "--" not in answer["error"]
    assert says in answer["error"]
    assert not list_silences(api.path, NOW_MS)
