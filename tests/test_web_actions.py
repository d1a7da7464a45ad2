"""The pages behind the links of messages: nothing happens before the button."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import accessible
import council
import pytest
from alert_files import ALERT, EPISODE, NOW_MS, file_with
from council_page import CSS, page_text
from starlette.testclient import TestClient
from store_doubles import MemoryStore

from alerts.action_link import ActionName, LinkConfig, LinkSigner
from alerts.alert_access import list_silences, open_alerts
from collectors.secret import Secret
from dashboards.web import StatusPage, WebConfig
from dashboards.web.action_pages import AlertActions
from dashboards.web.sign_in.sign_in_sessions import form_token

BASE = "https://towpath.example"


class Council:
    """The status page on a file with one alert, and its links. `now_ms` may be set."""

    def __init__(self, folder: Path) -> None:
        self.path = file_with(folder, ALERT)
        (folder / "key").write_text("k" * 40)
        config = LinkConfig(key=Secret(file=folder / "key"))
        self.signer = LinkSigner(config, BASE)
        self.now_ms = NOW_MS

    @contextmanager
    def client(self, sign_on_header: str = "") -> Iterator[TestClient]:
        actions = AlertActions(self.signer, self.path, lambda: self.now_ms)
        page = StatusPage(
            WebConfig(hosts=("towpath.example",), sign_on_header=sign_on_header),
            council.estate,
            self.path,
            MemoryStore(),
            now_ms=lambda: self.now_ms,
            actions=actions,
        )
        with TestClient(page.app, base_url=BASE, follow_redirects=False) as client:
            client.cookies.set("towpath-form", BROWSER)
            yield client

    def link(self, action: ActionName = "acknowledge") -> str:
        return self.signer.url(action, EPISODE, "duty", NOW_MS).removeprefix(BASE)


@pytest.fixture
def here(tmp_path: Path) -> Council:
    return Council(tmp_path)


BROWSER = "the secret of this browser"
OWN = {"form_token": form_token(BROWSER)}
FORM = {"who": "Ada Lovelace", "why": "supplier rung", **OWN}


def test_a_scanner_that_fetches_the_link_changes_nothing(here: Council) -> None:
    with here.client() as client:
        for _ in range(3):
            assert client.get(here.link()).status_code == 200
            assert client.head(here.link()).status_code == 200
            assert client.options(here.link()).status_code == 405
            assert client.put(here.link()).status_code == 405
        assert client.get(here.link() + "?who=x&why=y").status_code == 200
        assert open_alerts(here.path)[0].acknowledged_by == ""
        assert client.post(here.link(), data=FORM).status_code == 303


def test_the_button_records_who_and_why_and_every_page_shows_it(here: Council) -> None:
    with here.client() as client:
        answer = client.post(here.link(), data=FORM)
        assert answer.headers["location"] == "/act/done/acknowledge"
        assert "Acknowledged" in page_text(client.get("/act/done/acknowledge").text)
        alerts = page_text(client.get("/alerts").text)
        cause = client.get("/api/status.json").json()["causes"][0]
    assert "by Ada Lovelace on" in alerts
    assert "supplier rung" in alerts
    assert cause["acknowledged_by"] == "Ada Lovelace"
    assert cause["acknowledged_why"] == "supplier rung"


def test_a_link_that_was_used_says_who_handles_it(here: Council) -> None:
    with here.client() as client:
        client.post(here.link(), data=FORM)
        for answer in (
            client.get(here.link()),
            client.post(here.link(), data={"who": "Bob", **OWN}),
        ):
            assert answer.status_code == 409
            text = page_text(answer.text)
            assert "Ada Lovelace has acknowledged this already." in text
            assert "supplier rung" in text
    assert open_alerts(here.path)[0].acknowledged_by == "Ada Lovelace"


def test_forged_and_expired_links_are_one_sentence_and_change_nothing(
    here: Council,
) -> None:
    with here.client() as client:
        for path in (
            "/act/x",
            here.link()[:-2],
            here.link().replace("/act/", "/act/A"),
        ):
            answer = client.post(path, data=FORM)
            assert answer.status_code == 403
            assert "not one that Towpath made" in answer.text
        here.now_ms += 86_400_000
        answer = client.post(here.link(), data=FORM)
        assert (answer.status_code, "has expired" in answer.text) == (410, True)
    assert open_alerts(here.path)[0].acknowledged_by == ""


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"who": "  "}, "Enter your name"),
        ({"who": "x" * 81}, "Your name must be 80 characters or fewer"),
        ({"who": "Ada", "why": "x" * 301}, "The reason must be 300 characters or"),
    ],
)
def test_a_form_that_is_not_complete_keeps_what_was_typed(
    here: Council, fields: dict[str, str], said: str
) -> None:
    with here.client() as client:
        answer = client.post(here.link(), data={"why": "typed", **fields, **OWN})
        assert answer.status_code == 400
        assert said in page_text(answer.text)
        assert accessible.findings(answer.text, CSS) == []
        assert f'value="{fields.get("why", "typed")}"' in answer.text
        # The link still works.
        assert client.post(here.link(), data=FORM).status_code == 303


@pytest.mark.parametrize("body", [b"who=" + b"x" * 33_000, b"\xff\xfe", b"a=1&" * 20])
def test_what_is_no_form_is_refused(here: Council, body: bytes) -> None:
    with here.client() as client:
        answer = client.post(here.link(), content=body)
    assert answer.status_code == 400
    assert open_alerts(here.path)[0].acknowledged_by == ""


def test_a_silence_is_of_what_was_chosen_and_not_more(here: Council) -> None:
    link = here.link("silence")
    with here.client() as client:
        assert "device core-1" in page_text(client.get(link).text)
        form = {**FORM, "hours": "4", "scope": "device"}
        answer = client.post(link, data=form)
        assert answer.headers["location"] == "/act/done/silence"
        again = client.post(link, data=form)
    assert (again.status_code, "used already" in again.text) == (410, True)
    [silence] = list_silences(here.path, NOW_MS)
    assert silence.scope == {"device": "core-1"}
    assert silence.until_ms - silence.from_ms == 4 * 3_600_000
    assert (silence.who, silence.why, silence.planned) == (
        "Ada Lovelace",
        "supplier rung",
        0,
    )


def test_a_scope_that_was_not_offered_is_the_narrowest(here: Council) -> None:
    with here.client() as client:
        form = {**FORM, "hours": "99999", "scope": "everything"}
        client.post(here.link("silence"), data=form)
    [silence] = list_silences(here.path, NOW_MS)
    assert silence.scope == {"rule": ALERT.rule, "device": "core-1"}
    assert silence.until_ms - silence.from_ms == 2 * 3_600_000


@pytest.mark.parametrize("path", ["acknowledge", "silence", "done", "refused"])
def test_the_pages_have_no_script_and_pass_the_accessibility_checks(
    here: Council, path: str
) -> None:
    with here.client() as client:
        address = {"done": "/act/done/silence", "refused": "/act/forged"}.get(path)
        answer = client.get(address or here.link(path))  # type: ignore[arg-type]
    assert accessible.findings(answer.text, CSS) == []
    assert "<script" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "form-action 'self'" in answer.headers["content-security-policy"]


def test_names_are_escaped(here: Council) -> None:
    evil = "<script>alert(1)</script>"
    with here.client() as client:
        client.post(here.link(), data={"who": evil, "why": evil, **OWN})
        for path in (here.link(), "/alerts"):
            assert "<script>alert" not in client.get(path).text


def test_a_file_that_cannot_be_written_is_one_sentence(here: Council) -> None:
    here.path.write_bytes(b"not a database, but long enough to be read as one" * 20)
    with here.client() as client:
        answer = client.post(here.link(), data=FORM)
    assert answer.status_code == 503
    assert "could not be recorded" in answer.text


def test_without_links_there_is_no_such_page(tmp_path: Path) -> None:
    page = StatusPage(
        WebConfig(), council.estate, file_with(tmp_path, ALERT), MemoryStore()
    )
    with TestClient(page.app, base_url="http://localhost") as client:
        assert client.get("/act/x").status_code == 404


def test_a_form_of_another_browser_is_kept_to_be_sent_again(here: Council) -> None:
    typed = {"who": "Ada", "why": "typed", "form_token": form_token("another")}
    with here.client() as client:
        kept = client.post(here.link(), data=typed)
        assert open_alerts(here.path)[0].acknowledged_by == ""
        page = client.get(kept.headers["location"])
        assert "typed" in page_text(page.text)
        assert accessible.findings(page.text, CSS) == []
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.text))
        assert client.post(here.link(), data=fields).status_code == 303
        assert open_alerts(here.path)[0].acknowledged_by == "Ada"
        client.cookies.clear()
        assert client.get(kept.headers["location"]).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://elsewhere.example"},
    ],
)
def test_a_form_that_another_website_sends_does_nothing(
    here: Council, headers: dict[str, str]
) -> None:
    with here.client() as client:
        assert client.post(here.link(), data=FORM, headers=headers).status_code == 403
    assert open_alerts(here.path)[0].acknowledged_by == ""


SIGNED_ON = {"X-Remote-User": "Grace Hopper"}


def test_who_has_signed_on_acknowledges_and_silences_on_the_page(here: Council) -> None:
    with here.client("X-Remote-User") as client:
        shown = client.get("/alerts", headers=SIGNED_ON).text
        assert accessible.findings(shown, CSS) == []
        [start] = re.findall(r'href="(/alerts/acknowledge/[^"]+)"', shown)
        began = client.get(start, headers=SIGNED_ON)
        assert began.status_code == 303
        assert open_alerts(here.path)[0].acknowledged_by == ""
        form = client.get(began.headers["location"], headers=SIGNED_ON).text
        assert 'value="Grace Hopper"' in form
        done = client.post(
            began.headers["location"],
            data={"who": "Grace Hopper", **OWN},
            headers=SIGNED_ON,
        )
        assert done.status_code == 303
        after = client.get("/alerts", headers=SIGNED_ON).text
        assert "by Grace Hopper on" in page_text(after)
        assert "/alerts/acknowledge/" not in after
        [start] = re.findall(r'href="(/alerts/silence/[^"]+)"', after)
        began = client.get(start, headers=SIGNED_ON)
        client.post(began.headers["location"], data=FORM, headers=SIGNED_ON)
    [silence] = list_silences(here.path, NOW_MS)
    assert silence.who == "Ada Lovelace"


def test_nobody_else_has_buttons_or_can_do_what_they_do(here: Council) -> None:
    path = f"/alerts/acknowledge/{ALERT.key}"
    with here.client("X-Remote-User") as client:
        assert "/alerts/acknowledge" not in client.get("/alerts").text
        for headers in ({}, {"X-Remote-User": " "}, {"X-Other": "Grace"}):
            answer = client.get(path, headers=headers)
            assert answer.status_code == 403
            assert "signed on" in page_text(answer.text)
        assert client.get("/alerts/delete/x", headers=SIGNED_ON).status_code == 404
        gone = client.get("/alerts/acknowledge/x/y=z", headers=SIGNED_ON)
        assert gone.status_code == 410
        assert client.post(path, headers=SIGNED_ON).status_code == 405
    with here.client() as client:
        # Without the setting, a header means nothing.
        assert (
            "/alerts/acknowledge" not in client.get("/alerts", headers=SIGNED_ON).text
        )
        assert client.get(path, headers=SIGNED_ON).status_code == 403
