"""Signing in with a real provider of OpenID Connect, and what is not let through."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import accessible
import httpx2
import pytest
import services
from council_page import CSS, page_text
from identity_servers import (
    CLIENT,
    SECRET,
    go_through,
    keycloak,
    keycloak_settings,
    small_provider,
)
from signing_in import BASE, audited, form_fields, signing_in
from starlette.testclient import TestClient

from probes.wire.clock import wall_ms

pytestmark = pytest.mark.service
ANSWER = f"{BASE}/sign-in/answer"


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[services.Server]:
    server = small_provider(tmp_path_factory.mktemp("provider"), ANSWER)
    with services.running(server):
        yield server


def settings(provider: services.Server, folder: Path, **more: Any) -> dict[str, Any]:
    (folder / "secret").write_text(SECRET)
    oidc = {
        "issuer": f"http://localhost:{provider.port}/",
        "client_id": CLIENT,
        "client_secret": {"file": folder / "secret"},
        **more,
    }
    return {"oidc": oidc, "everybody": "engineer"}


def led_to(client: TestClient, path: str = "/alerts?all=1") -> str:
    """Where a person is led who wants a page and is not signed in."""
    to_sign_in = client.get(path)
    assert to_sign_in.status_code == 303
    page = client.get(to_sign_in.headers["location"])
    assert accessible.findings(page.text, CSS) == []
    start = page.text.partition('class="start" href="')[2].partition('"')[0]
    return str(client.get(start).headers["location"])


def test_a_person_signs_in_sees_their_name_and_signs_out_everywhere(
    provider: services.Server, tmp_path: Path
) -> None:
    with signing_in(tmp_path, **settings(provider, tmp_path)) as client:
        url = led_to(client)
        asked = parse_qs(urlsplit(url).query)
        assert asked["code_challenge_method"] == ["S256"]
        assert {"state", "nonce", "code_challenge"} <= asked.keys()
        answer = client.get(go_through(url))
        assert answer.headers["location"] == "/alerts?all=1"
        page = client.get("/alerts?all=1")
        assert "Signed in as id-of-ada" in page_text(page.text).replace("council:", "")
        assert accessible.findings(page.text, CSS) == []
        out = client.post("/sign-out", data=form_fields(page.text))
        assert "signed out of Towpath" in page_text(out.text)
        assert accessible.findings(out.text, CSS) == []
        council = out.text.partition('<a href="http')[2].partition('"')[0]
        there = httpx2.get("http" + council.replace("&amp;", "&"))
        # It knows the token; this small server lets no client name a page to go to.
        assert "post_logout_redirect_uri" in there.text
        assert client.get("/alerts").status_code == 303
    told = [(entry.action, entry.outcome) for entry in audited(tmp_path)]
    assert told == [("sign in", "done: engineer"), ("sign out", "done")]


def refused(client: TestClient, folder: Path, url: str) -> str:
    """Brings an answer, and returns what the audit log has of it: one entry."""
    before = len(audited(folder))
    page = client.get(url)
    assert page.status_code == 403
    assert "You were not signed in" in page.text
    assert accessible.findings(page.text, CSS) == []
    assert (
        "set-cookie" not in page.headers or "session" not in page.headers["set-cookie"]
    )
    [entry] = audited(folder)[before:]
    assert client.get("/alerts").status_code == 303
    return entry.outcome


def test_an_answer_is_worth_nothing_twice_elsewhere_or_changed(
    provider: services.Server, tmp_path: Path
) -> None:
    with signing_in(tmp_path, **settings(provider, tmp_path)) as client:
        first, second = led_to(client), led_to(client)
        answer, other = go_through(first), go_through(second)
        browser = dict(client.cookies)
        client.cookies.clear()
        assert "another browser" in refused(client, tmp_path, answer)
        client.cookies.clear()
        for name, value in browser.items():
            client.cookies.set(name, value)
        # The code of one sign-in with the state of another: its verifier does not fit.
        mixed = parse_qs(urlsplit(other).query)["state"][0]
        code = parse_qs(urlsplit(answer).query)["code"][0]
        assert "refused" in refused(
            client, tmp_path, f"/sign-in/answer?state={mixed}&code={code}"
        )
        assert "not known" in refused(client, tmp_path, "/sign-in/answer?code=x")
        assert "not known" in refused(client, tmp_path, other)
        third = go_through(led_to(client))
        assert client.get(third).status_code == 303
        # The button Back leads to the answer again: the person is signed in.
        assert client.get(third).headers["location"] == "/"
        assert client.get("/alerts").status_code == 200
        client.cookies.delete("towpath-session")
        assert "not known, or used" in refused(client, tmp_path, third)


def test_a_provider_with_a_new_key_is_still_believed(tmp_path: Path) -> None:
    server = small_provider(tmp_path, ANSWER)
    now = [wall_ms()]
    with services.running(server):
        given = settings(server, tmp_path, leeway_s=300)
        with signing_in(tmp_path, lambda: now[0], **given) as client:
            assert client.get(go_through(led_to(client))).status_code == 303
            client.cookies.clear()
            server.stop()
            server.start()
            now[0] += 31_000
            assert client.get(go_through(led_to(client))).status_code == 303
            client.cookies.clear()
            waiting = go_through(led_to(client))
            server.stop()
            page = client.get(waiting)
            assert page.status_code == 503
            assert "does not answer" in page_text(page.text)


def test_a_wrong_secret_of_towpath_is_said_to_the_administrator_only(
    provider: services.Server, tmp_path: Path
) -> None:
    given = settings(provider, tmp_path)
    (tmp_path / "secret").write_text("wrong")
    with signing_in(tmp_path, **given) as client:
        page = client.get(go_through(led_to(client)))
    assert page.status_code == 503
    assert "invalid_client" not in page.text
    assert "invalid_client" in audited(tmp_path)[-1].outcome


def test_an_issuer_that_is_written_otherwise_is_named_in_the_audit_log(
    provider: services.Server, tmp_path: Path
) -> None:
    given = settings(provider, tmp_path)
    given["oidc"]["issuer"] = given["oidc"]["issuer"].rstrip("/")
    with signing_in(tmp_path, **given) as client:
        for path in ("/sign-in/council", "/sign-in/answer?state=x"):
            page = client.get(path)
            assert page.status_code in (403, 503)
            assert "You were not signed in" in page.text
            assert str(provider.port) not in page.text
    first, second = audited(tmp_path)
    assert f"names 'http://localhost:{provider.port}/'" in first.outcome
    assert "not known, or used" in second.outcome


@pytest.mark.soak
def test_keycloaks_roles_name_and_sign_out_work(tmp_path: Path) -> None:
    server = keycloak(tmp_path / "keycloak", ANSWER)
    try:
        server.start(wait_s=300)
        oidc = keycloak_settings(server, tmp_path)
        roles = {"Towpath.Engineer": "engineer"}
        with signing_in(tmp_path, oidc=oidc, roles=roles) as client:
            answer = go_through(led_to(client))
            # Keycloak names itself in its answers (RFC 9207): without it, none counts.
            assert "iss=" in answer
            nameless = re.sub(r"&iss=[^&]*", "", answer)
            assert "does not name its issuer" in refused(client, tmp_path, nameless)
            assert client.get(go_through(led_to(client))).status_code == 303
            page = client.get("/alerts")
            assert "Signed in as Ada Lovelace" in page_text(page.text)
            assert client.get("/reports").status_code == 200
            out = client.post("/sign-out", data=form_fields(page.text))
            council = unescape(out.text.partition('<a href="http')[2].partition('"')[0])
            there = httpx2.get("http" + council, timeout=60)
            assert there.headers["location"] == f"{BASE}/signed-out"
        assert audited(tmp_path)[-2].outcome == "done: engineer"
        # Without a role, the person is told so, and it is recorded by name.
        with signing_in(tmp_path, oidc=oidc, roles={"other": "admin"}) as client:
            page = client.get(go_through(led_to(client)))
            assert page.status_code == 403
            assert "You have no role in Towpath" in page_text(page.text)
        assert audited(tmp_path)[-1].who == "Ada Lovelace"
    finally:
        server.stop()
