"""The council's proxy as the way to sign in, settings that would be unsafe, and the
commands for users."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from signing_in import (
    PASSWORD,
    audited,
    cheap_hashes,  # noqa: F401 - a fixture
    signing_in,
)
from starlette.types import Scope
from test_check import Folder
from typer.testing import CliRunner

from collectors.ip_networks import parse_network
from dashboards.web import WebConfig
from dashboards.web.sign_in.local_users import LocalUsers
from dashboards.web.visitor_recognition import client_address
from dashboards.web.visitors import Role
from probes.wire.clock import wall_ms
from towpath.cli import app

OIDC = {"issuer": "https://login.example/v2.0", "client_id": "towpath"}
BASE = {"base_url": "https://towpath.example", "roles": {"a": "staff"}}
HEADERS = {
    "sign_on_header": "X-Remote-User",
    "sign_on_roles_header": "X-Remote-Groups",
    "trusted_proxies": ["10.0.0.0/8"],
}
GRACE = {"x-remote-user": "Grace Hopper", "x-remote-groups": "other, NetOps"}


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"sign_on_header": "X-User", "host": "0.0.0.0"}, "trusted_proxies"),
        ({"sign_on_roles_header": "X-Groups"}, "needs sign_on_header"),
        ({"trusted_proxies": ["the proxy"]}, "expected an address or network"),
        ({"sign_in": {"local_users": True}, "host": "0.0.0.0"}, "expected https"),
        ({"sign_in": {"oidc": OIDC, "roles": {"a": "staff"}}}, "base_url is missing"),
        ({"sign_in": {**BASE, "oidc": OIDC, "roles": {}}}, "roles is missing"),
        (
            {"sign_in": {**BASE, "oidc": OIDC | {"issuer": "http://login.example"}}},
            "expected https",
        ),
        (
            {"sign_in": {**BASE, "oidc": OIDC | {"issuer": "https://x/{tenantid}/v2"}}},
            "names no directory",
        ),
        (
            {"sign_in": {**BASE, "oidc": OIDC | {"algorithms": ["HS256"]}}},
            "algorithms",
        ),
        ({"sign_in": {**BASE, "oidc": OIDC | {"algorithms": ["none"]}}}, "algorithms"),
        ({"sign_in": {**BASE, "oidc": OIDC | {"scopes": ["email"]}}}, "openid"),
        (
            {"sign_in": {**BASE, "oidc": OIDC | {"client_secret": "x"}}},
            "never the secret itself",
        ),
        ({"sign_in": {"base_url": "https://towpath.example/x"}}, "expected no path"),
        ({"sign_in": {"base_url": "http://towpath.example"}}, "expected https"),
        ({"sign_in": {"public": ["see-devices"]}}, "cannot be public"),
        ({"sign_in": {"roles": {"a": "public"}}}, "no role of a person"),
        ({"sign_in": {"everybody": "public"}}, "no role of a person"),
    ],
)
def test_settings_that_let_others_in_are_refused(
    settings: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValidationError, match=why):
        WebConfig.model_validate(settings)


def test_the_council_decides_what_is_public_and_it_is_the_least(tmp_path: Path) -> None:
    with signing_in(tmp_path, local_users=True) as client:
        assert client.get("/").status_code == 303
    with signing_in(tmp_path, local_users=True, public=["see-status"]) as client:
        assert client.get("/").status_code == 200
        assert client.get("/devices/hall-sw1").status_code == 303
        assert client.get("/reports").status_code == 303


@pytest.mark.parametrize(
    ("peer", "headers", "sees"),
    [
        ("10.1.2.3", GRACE, True),
        ("192.0.2.7", GRACE, False),
        ("10.1.2.3", {"x-remote-user": "Grace Hopper"}, False),
        ("10.1.2.3", GRACE | {"x-remote-groups": "other"}, False),
        ("10.1.2.3", {"x-remote-groups": "NetOps"}, False),
        ("10.1.2.3", GRACE | {"x-remote-user": " "}, False),
        ("unix", GRACE, False),
    ],
)
def test_roles_come_from_the_proxy_and_from_nobody_else(
    tmp_path: Path, peer: str, headers: dict[str, str], sees: bool
) -> None:
    roles = {"netops": "engineer"}
    with signing_in(tmp_path, settings=HEADERS, peer=peer, roles=roles) as client:
        page = client.get("/reports", headers=headers)
        assert page.status_code == (200 if sees else 403)
        assert ("Signed in as" in page.text) == (
            peer == "10.1.2.3" and headers.get("x-remote-user", " ") != " "
        )
        assert "/sign-out" not in page.text


def test_a_header_that_came_twice_is_not_believed(tmp_path: Path) -> None:
    roles = {"netops": "engineer"}
    twice = [("x-remote-user", "Eve"), *GRACE.items()]
    with signing_in(tmp_path, settings=HEADERS, peer="10.1.2.3", roles=roles) as client:
        assert client.get("/reports", headers=twice).status_code == 403


def _scope(peer: str, *forwarded: str) -> Scope:
    lines = [text.encode("latin-1", "replace") for text in forwarded]
    headers = [(b"x-forwarded-for", line) for line in lines]
    return {"type": "http", "client": (peer, 1), "headers": headers}


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.7", "203.0.113.9", "192.0.2.7"),
        ("10.1.2.3", "203.0.113.9", "203.0.113.9"),
        ("10.1.2.3", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("10.1.2.3", "203.0.113.9, 10.9.9.9", "203.0.113.9"),
        ("10.1.2.3", "203.0.113.9, unknown", "10.1.2.3"),
        ("10.1.2.3", "", "10.1.2.3"),
        ("10.1.2.3", "198.51.100.1, 203.0.113.9:50123", "203.0.113.9"),
        ("10.1.2.3", "198.51.100.1, [2001:db8::9]:50123", "2001:db8::9"),
        ("10.1.2.3", "198.51.100.1, 2001:db8::9", "2001:db8::9"),
        ("10.1.2.3", "198.51.100.1, [2001:db8::9", "10.1.2.3"),
    ],
)
def test_wrong_passwords_count_for_the_browser_and_not_for_the_proxy(
    peer: str, forwarded: str, address: str
) -> None:
    network = parse_network("10.0.0.0/8")
    assert network is not None
    assert client_address(_scope(peer, forwarded), (network,)) == address


def test_a_line_that_the_browser_sent_does_not_hide_that_of_the_proxy() -> None:
    network = parse_network("10.0.0.0/8")
    assert network is not None
    lines = _scope("10.1.2.3", "198.51.100.1", "203.0.113.9")
    assert client_address(lines, (network,)) == "203.0.113.9"


@given(st.text(max_size=60))
def test_no_header_makes_an_address_of_the_councils_own_proxy_count(text: str) -> None:
    network = parse_network("10.0.0.0/8")
    assert network is not None
    assert client_address(_scope("192.0.2.7", text), (network,)) == "192.0.2.7"


@pytest.fixture
def settings(tmp_path: Path) -> str:
    path = tmp_path / "towpath.toml"
    path.write_text(
        f'state = "{tmp_path}"\nestate = "x.toml"\n[web.sign_in]\nlocal_users = true\n'
    )
    return str(path)


def towpath(settings: str, *words: str, typed: str = "") -> tuple[int, str]:
    ended = CliRunner().invoke(app, ["users", *words, "-c", settings], input=typed)
    return ended.exit_code, " ".join(ended.output.split())


def test_users_are_added_listed_changed_and_removed(
    settings: str, tmp_path: Path
) -> None:
    code, said = towpath(settings, "add", "Ada", "admin", "staff", typed=PASSWORD)
    assert (code, said) == (0, "Ada can sign in: staff, admin")
    assert towpath(settings, "list")[1] == "Ada staff, admin"
    users = LocalUsers(tmp_path / "sign-in.sqlite", wall_ms)
    assert users.check("ada", PASSWORD) is not None
    assert towpath(settings, "roles", "ada", "service-desk")[0] == 0
    found = users.find("Ada")
    assert found is not None
    assert found.roles == (Role.SERVICE_DESK,)
    with signing_in(tmp_path, local_users=True) as client:
        from signing_in import enter

        enter(client, "Ada")
        assert client.get("/alerts").status_code == 200
        new = "four random words here"
        code, said = towpath(settings, "set-password", "Ada", typed=f"{new}\n")
        assert (code, said) == (0, "Ada has another password; 1 session ended")
        assert client.get("/alerts").status_code == 303
        assert enter(client, "Ada").status_code == 403
        assert enter(client, "Ada", new).status_code == 303
        assert towpath(settings, "remove", "Ada")[0] == 0
        assert client.get("/alerts").status_code == 303
    done = [entry.action for entry in audited(tmp_path) if entry.id == "command line"]
    assert done == ["add user", "change roles", "set password", "remove user"]
    assert PASSWORD.encode() not in (tmp_path / "sign-in.sqlite").read_bytes()


@pytest.mark.parametrize(
    ("words", "typed", "code", "why"),
    [
        (("add", "Ada", "enginer"), PASSWORD, 2, "'enginer' is no role"),
        (("add", "Ada", "public"), PASSWORD, 2, "'public' is no role"),
        (("add", "Ada", "staff"), "short", 2, "12 characters or more"),
        (("add", "Ada", "staff"), "", 2, "12 characters or more"),
        (("remove", "Ada"), "", 1, "no user is called 'Ada'"),
        (("roles", "Ada", "staff"), "", 1, "no user is called 'Ada'"),
        (("set-password", "Ada"), PASSWORD, 1, "no user is called 'Ada'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    settings: str, words: tuple[str, ...], typed: str, code: int, why: str
) -> None:
    ended, said = towpath(settings, *words, typed=typed)
    assert ended == code
    assert why in said


def test_a_password_is_never_an_argument() -> None:
    for command in ("add", "set-password"):
        shown = CliRunner().invoke(app, ["users", command, "--help"]).output
        assert "--password" not in shown


def test_what_would_keep_people_out_is_warned_of(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert folder.found() == ([], [])
    folder.change(
        "[web]",
        """[web.sign_in]
base_url = "https://towpath.example"
roles = { NetOps = "engineer" }
[web.sign_in.oidc]
issuer = "https://login.microsoftonline.com/4711/v2.0"
client_id = "towpath"
client_secret = { file = "not-there" }
[web]""",
    )
    wrong, misleading = folder.found()
    assert wrong == []
    assert [finding.partition(":")[0] for finding in misleading] == [
        "web.sign_in.oidc.client_secret",
        'web.sign_in.oidc.scopes has no "offline_access"',
        "web.sign_in.roles",
    ]
    folder.write("not-there", "a secret")
    folder.change('"engineer" }', '"engineer", IT = "admin" }')
    more = 'scopes = ["openid", "offline_access"]'
    folder.change('client_id = "towpath"', f'client_id = "towpath"\n{more}')
    assert folder.found() == ([], [])
