"""What people do after they have signed in: under their own name, and recorded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import accessible
import council
import pytest
from alert_files import ALERT, NOW_MS, file_with
from council_fleet import agents, fleet_source
from council_page import CSS, page_text
from signing_in import (
    BASE,
    add_user,
    audited,
    cheap_hashes,  # noqa: F401 - a fixture
    enter,
    form_fields,
    sign_in_config,
    signing_in,
)
from starlette.testclient import TestClient
from store_doubles import MemoryStore

from alerts.action_link import LinkConfig, LinkSigner
from alerts.alert_access import list_silences, open_alerts
from collectors.secret import Secret
from dashboards.web import StatusPage
from dashboards.web.action_pages import AlertActions
from dashboards.web.sign_in.role_claims import display_name
from dashboards.web.sign_in.sign_in_sessions import SignInSessions
from dashboards.web.visitors import Role, VisitorSource
from probes.wire.clock import wall_ms


@contextmanager
def pages(folder: Path, role: Role, peer: str = "192.0.2.7") -> Iterator[TestClient]:
    """A browser in which a user with that role has signed in."""
    path = file_with(folder, ALERT)
    (folder / "key").write_text("k" * 40)
    signer = LinkSigner(LinkConfig(key=Secret(file=folder / "key")), BASE)
    page = StatusPage(
        sign_in_config(folder, local_users=True),
        council.estate,
        path,
        MemoryStore(),
        now_ms=lambda: NOW_MS,
        actions=AlertActions(signer, path, lambda: NOW_MS),
        fleet=fleet_source(folder, agents(20, NOW_MS), NOW_MS, {"why": "x"}),
    )
    add_user(folder, "Grace Hopper", role)
    with TestClient(
        page.app, base_url=BASE, follow_redirects=False, client=(peer, 50000)
    ) as client:
        enter(client, "Grace Hopper")
        yield client


@pytest.mark.parametrize("action", ["acknowledge", "silence"])
def test_an_engineer_acts_under_the_name_that_was_signed_in(
    tmp_path: Path, action: str
) -> None:
    with pages(tmp_path, Role.ENGINEER) as client:
        shown = client.get("/alerts").text
        assert accessible.findings(shown, CSS) == []
        [start] = re.findall(rf'href="(/alerts/{action}/[^"]+)"', shown)
        link = client.get(start).headers["location"]
        form = client.get(link)
        assert accessible.findings(form.text, CSS) == []
        assert "under your name, Grace Hopper" in page_text(form.text)
        assert 'name="who"' not in form.text
        fields = form_fields(form.text) | {"who": "Somebody Else", "why": "rung"}
        assert client.post(link, data=fields).status_code == 303
    if action == "acknowledge":
        who = open_alerts(tmp_path / "alerts.sqlite")[0].acknowledged_by
    else:
        [silence] = list_silences(tmp_path / "alerts.sqlite", NOW_MS)
        who = silence.who
    assert who == "Grace Hopper"
    entry = audited(tmp_path)[-1]
    assert (entry.who, entry.action) == ("Grace Hopper", f"{action} alert")
    assert entry.id.startswith("local:grace hopper:")


def test_what_was_typed_when_the_session_ended_can_be_sent_under_the_same_name(
    tmp_path: Path,
) -> None:
    with pages(tmp_path, Role.ENGINEER) as client:
        shown = client.get("/alerts").text
        [start] = re.findall('href="(/alerts/acknowledge/[^"]+)"', shown)
        link = client.get(start).headers["location"]
        fields = form_fields(client.get(link).text) | {"why": "on my way"}
        client.cookies.delete("towpath-session")
        kept = client.post(link, data=fields).headers["location"]
        page = client.get(kept).text
        assert "because your session has ended" in page_text(page)
        assert f'<a href="/sign-in?next={kept}">Sign in</a>' in page
        enter(client, "Grace Hopper", next_path=kept)
        # What the page of the session that has ended carries is no proof any more.
        refused = client.post(link, data=fields).headers["location"]
        assert refused.startswith("/form/")
        assert open_alerts(tmp_path / "alerts.sqlite")[0].acknowledged_by == ""
        again = client.get(kept).text
        assert "Sign in" not in page_text(again)
        client.post(link, data=form_fields(again))
        [alert] = open_alerts(tmp_path / "alerts.sqlite")
        assert (alert.acknowledged_by, alert.acknowledged_why) == (
            "Grace Hopper",
            "on my way",
        )
        # Another browser sees nothing of it.
        client.cookies.delete("towpath-form")
        assert client.get(kept).status_code == 404


@pytest.mark.parametrize("role", [Role.STAFF, Role.SERVICE_DESK, Role.MANAGER])
def test_others_see_alerts_and_cannot_act(tmp_path: Path, role: Role) -> None:
    with pages(tmp_path, role) as client:
        assert "/alerts/acknowledge" not in client.get("/alerts").text
        answer = client.get(f"/alerts/acknowledge/{ALERT.key}")
        assert answer.status_code == 403
        assert open_alerts(tmp_path / "alerts.sqlite")[0].acknowledged_by == ""


@pytest.mark.parametrize(
    ("role", "sees"),
    [(Role.ENGINEER, True), (Role.ADMIN, True), (Role.STAFF, False)],
)
def test_fleet_is_for_engineers_and_administrators_from_anywhere(
    tmp_path: Path, role: Role, sees: bool
) -> None:
    with pages(tmp_path, role) as client:
        assert client.get("/fleet").status_code == (200 if sees else 403)
        assert ('href="/fleet"' in client.get("/").text) == sees
    # Without a session, Towpath's own machine is no exception any more.
    (tmp_path / "sign-in.sqlite").unlink()
    with pages(tmp_path, role, peer="127.0.0.1") as client:
        client.cookies.clear()
        assert client.get("/fleet").status_code == 303


def test_an_administrator_ends_a_session_and_reads_who_did_what(
    tmp_path: Path,
) -> None:
    with pages(tmp_path, Role.ADMIN) as client:
        own = dict(client.cookies)
        add_user(tmp_path, "Eve", Role.STAFF)
        client.cookies.clear()
        enter(client, "Eve")
        evil = dict(client.cookies)
        client.cookies.clear()
        for name, value in own.items():
            client.cookies.set(name, value)
        people = client.get("/admin")
        assert page_text(people.text).count("This is you") == 1
        ended = client.post("/admin/end", data=form_fields(people.text))
        assert ended.status_code == 303
        # A reference that is over, or none, changes nothing.
        client.post("/admin/end", data=form_fields(people.text) | {"reference": "x"})
        log = page_text(client.get("/admin/audit?who=grace").text)
        assert "end session Eve" in log
        assert "Eve local user" not in log
        for query in ("?before=9999", "?before=-1", "?before=x", "?who=%E2%80%AE"):
            assert client.get(f"/admin/audit{query}").status_code == 200
        client.cookies.clear()
        for name, value in evil.items():
            client.cookies.set(name, value)
        assert client.get("/").status_code == 303


def test_only_administrators_have_these_pages(tmp_path: Path) -> None:
    with pages(tmp_path, Role.ENGINEER) as client:
        assert client.get("/admin").status_code == 403
        assert client.get("/admin/audit").status_code == 403
        token = form_fields(client.get("/alerts").text)
        assert client.post("/admin/end", data=token).status_code == 403


def test_a_hostile_name_of_the_provider_is_shown_as_what_it_is(tmp_path: Path) -> None:
    name = display_name({"name": "Grace\u202e <b>reppoH</b>\n"}, ("name",))
    settings = {
        "oidc": {"issuer": "https://login.example", "client_id": "towpath"},
        "everybody": "admin",
    }
    sessions = SignInSessions(tmp_path / "sign-in.sqlite", 3_600, 36_000, wall_ms)
    provider = VisitorSource.PROVIDER
    secret = sessions.begin("council:1", name, [Role.ADMIN], provider)
    with signing_in(tmp_path, **settings) as client:
        client.cookies.set("towpath-session", secret)
        for path in ("/alerts", "/admin"):
            page = client.get(path).text
            assert "Grace\\u202e &lt;b&gt;reppoH&lt;/b&gt;" in page
            assert "\u202e" not in page
            assert accessible.findings(page, CSS) == []
