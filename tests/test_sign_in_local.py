"""Local users: passwords, limits, sessions, and forms whose session has ended."""

from __future__ import annotations

import asyncio
import re
import stat
from pathlib import Path

import accessible
import pytest
from council_page import CSS, page_text
from signing_in import (
    PASSWORD,
    add_user,
    audited,
    cheap_hashes,  # noqa: F401 - a fixture
    enter,
    form_fields,
    signing_in,
)

from dashboards.web.sign_in import local_users, password_sign_in
from dashboards.web.sign_in.local_users import LocalUsers, UserProblem
from dashboards.web.sign_in.password_sign_in import PasswordRefused, PasswordSignIn
from dashboards.web.sign_in.refused_entries import RefusedEntries
from dashboards.web.sign_in.sign_in_sessions import form_token
from dashboards.web.sign_in.try_limits import TryLimits
from dashboards.web.visitors import Role

REVERSED = "\u202eadA"
HOUR_MS = 3_600_000
NOW_MS = 1_795_000_000_000


def test_the_sign_in_page_has_no_link_to_itself(tmp_path: Path) -> None:
    with signing_in(tmp_path, local_users=True) as client:
        assert 'href="/sign-in"' not in client.get("/sign-in").text
        assert 'href="/sign-in"' in client.get("/accessibility").text


def test_who_signs_in_sees_what_the_role_may_and_their_name(tmp_path: Path) -> None:
    add_user(tmp_path, "Grace Hopper", Role.STAFF)
    with signing_in(tmp_path, local_users=True) as client:
        assert client.get("/").headers["location"] == "/sign-in?next=%2F"
        assert client.get("/api/status.json").status_code == 401
        assert client.get("/healthz").json().keys() == {"ok"}
        answer = enter(client, " grace  HOPPER ", next_path="/alerts?all=1")
        assert answer.headers["location"] == "/alerts?all=1"
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly; SameSite=Lax" in cookie
        assert "newest_poll_age_ms" in client.get("/healthz").json()
        page = client.get("/alerts")
        assert "Signed in as Grace Hopper" in page_text(page.text)
        assert 'href="/reports"' not in page.text
        refused = client.get("/reports")
        assert refused.status_code == 403
        assert "none of your roles" in page_text(refused.text)
        assert accessible.findings(refused.text, CSS) == []
        out = client.post("/sign-out", data=form_fields(page.text))
        assert out.status_code == 200
        assert client.get("/alerts").status_code == 303
    told = [(entry.who, entry.action, entry.outcome) for entry in audited(tmp_path)]
    assert told == [
        ("Grace Hopper", "sign in", "done: staff"),
        ("Grace Hopper", "sign out", "done"),
    ]
    mode = stat.S_IMODE((tmp_path / "sign-in.sqlite").stat().st_mode)
    assert mode == 0o600


def test_over_https_the_cookies_belong_to_this_name_alone(tmp_path: Path) -> None:
    add_user(tmp_path, "Ada", Role.ADMIN)
    base = "https://towpath.example"
    with signing_in(tmp_path, local_users=True, base=base) as client:
        page = client.get("/sign-in")
        assert page.headers["set-cookie"].startswith("__Host-towpath-form=")
        assert page.headers["strict-transport-security"] == "max-age=31536000"
        cookie = enter(client, "Ada").headers["set-cookie"]
    assert cookie.startswith("__Host-towpath-session=")
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax; Secure")


def test_a_session_has_a_new_secret_at_each_sign_in(tmp_path: Path) -> None:
    add_user(tmp_path, "Ada", Role.ADMIN)
    with signing_in(tmp_path, local_users=True) as client:
        page = client.get("/sign-in")
        fields = form_fields(page.text) | {"name": "Ada", "password": PASSWORD}
        browser = client.cookies["towpath-form"]
        secrets = ["chosen-by-another"]
        for _ in range(2):
            cookies = f"towpath-form={browser}; towpath-session={secrets[-1]}"
            answer = client.post("/sign-in", data=fields, headers={"cookie": cookies})
            secrets += re.findall(r"towpath-session=([^;]+)", str(answer.headers))
            if len(secrets) == 2:
                session = form_token(secrets[1])
                fields["form_token"] = session
        assert len(set(secrets)) == 3
        seen = [
            client.get("/alerts", headers={"cookie": f"towpath-session={s}"})
            for s in secrets
        ]
        # The one before is over, as the browser has another.
        assert [page.status_code for page in seen] == [303, 303, 200]


@pytest.mark.parametrize(
    ("name", "password", "said"),
    [
        ("Ada", "wrong password", "Enter the name and password of a user"),
        ("Nobody", PASSWORD, "Enter the name and password of a user"),
        ("", PASSWORD, "Enter your name"),
        ("Ada", "", "Enter your password"),
        ("Ada", "x" * 5_000, "Enter the name and password of a user"),
        (REVERSED, "wrong password", "Enter the name and password of a user"),
        ("<b>Ada</b>", "wrong password", "Enter the name and password of a user"),
    ],
)
def test_what_is_wrong_is_said_and_the_name_is_kept(
    tmp_path: Path, name: str, password: str, said: str
) -> None:
    add_user(tmp_path, "Ada", Role.ADMIN)
    with signing_in(tmp_path, local_users=True) as client:
        page = enter(client, name, password)
        assert page.status_code in (400, 403)
        assert said in page_text(page.text)
        assert accessible.findings(page.text, CSS) == []
        assert "\u202e" not in page.text
        assert "<b>Ada" not in page.text
        if password:
            assert password not in page.text
        assert client.get("/alerts").status_code == 303
    # A name that nobody has may be a password.
    assert {entry.who for entry in audited(tmp_path)} <= {"Ada", "not known"}


def test_the_form_helps_password_managers_and_lets_people_paste(tmp_path: Path) -> None:
    with signing_in(tmp_path, local_users=True) as client:
        html = client.get("/sign-in").text
    assert 'autocomplete="username"' in html
    assert 'autocomplete="current-password"' in html
    assert "onpaste" not in html
    assert "<script" not in html


def test_a_name_that_nobody_has_takes_the_same_work(tmp_path: Path) -> None:
    users = add_user(tmp_path, "Ada", Role.ADMIN)
    hasher = local_users._hasher()
    verified = []

    class Counting:
        def verify(self, kept: str, password: str) -> bool:
            verified.append(kept)
            return bool(hasher.verify(kept, password))

        def check_needs_rehash(self, kept: str) -> bool:
            return False

    local_users.nobodys_hash()
    pytest.MonkeyPatch().setattr(local_users, "_hasher", Counting)
    try:
        assert users.check("Ada", "wrong password") is None
        assert users.check("Nobody", "wrong password") is None
    finally:
        pytest.MonkeyPatch().undo()
        local_users._hasher = lambda: hasher
    assert len(verified) == 2
    parameters = [kept.rpartition("$")[0].rpartition("$")[0] for kept in verified]
    assert parameters[0] == parameters[1]


def test_the_real_hashes_are_argon2id_with_the_work_of_rfc_9106() -> None:
    from argon2 import PasswordHasher, extract_parameters

    made = extract_parameters(PasswordHasher().hash("x"))
    assert made.type.name == "ID"
    assert made.memory_cost >= 65_536
    assert made.time_cost >= 3


def test_too_many_wrong_passwords_are_slowed_down_and_nobody_is_locked_out() -> None:
    limits = TryLimits()
    for number in range(10):
        assert limits.wait_s("ada", f"10.0.0.{number}", 0) == 0
        limits.note_wrong("ada", f"10.0.0.{number}", 0)
    assert 0 < limits.wait_s("ada", "10.0.9.9", 0) <= 30
    assert limits.wait_s("grace", "10.0.9.9", 0) == 0
    assert limits.wait_s("ada", "10.0.9.9", 30) == 0
    # One address that tries many names.
    for number in range(60):
        limits.note_wrong(f"name{number}", "192.0.2.1", 0)
    assert 0 < limits.wait_s("grace", "192.0.2.1", 0) <= 3
    assert limits.wait_s("grace", "192.0.2.2", 0) == 0


def test_a_wait_is_said_in_seconds(tmp_path: Path) -> None:
    add_user(tmp_path, "Ada", Role.ADMIN)
    with signing_in(tmp_path, local_users=True) as client:
        for _ in range(10):
            assert enter(client, "Ada", "wrong password").status_code == 403
        page = enter(client, "Ada")
    assert page.status_code == 429
    assert 0 < int(page.headers["retry-after"]) <= 30
    assert re.search(r"Try again in \d+ seconds", page_text(page.text))
    assert audited(tmp_path)[-1].outcome == "refused: too many wrong passwords"


async def test_a_flood_of_sign_ins_waits_in_a_short_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passwords = PasswordSignIn(LocalUsers(tmp_path / "sign-in.sqlite", lambda: 1))
    monkeypatch.setattr(password_sign_in, "_MOST_WAITING", 3)
    tries = [passwords.check(f"n{n}", "x" * 12, f"10.0.{n}.1") for n in range(50)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(result, PasswordRefused) for result in results) == 3


def test_a_removed_user_and_other_roles_count_at_once(tmp_path: Path) -> None:
    users = add_user(tmp_path, "Ada", Role.ADMIN)
    with signing_in(tmp_path, local_users=True) as client:
        enter(client, "Ada")
        assert client.get("/reports").status_code == 200
        users.set_roles("ada", [Role.STAFF])
        assert client.get("/reports").status_code == 403
        users.remove("Ada")
        assert client.get("/").status_code == 303
        # Another person of the same name is not signed in by the old session.
        later = LocalUsers(users.path, lambda: 2)
        later.add("Ada", [Role.ADMIN], PASSWORD)
        assert client.get("/").status_code == 303


def test_a_session_ends_by_itself_and_a_page_that_renews_itself_keeps_none(
    tmp_path: Path,
) -> None:
    add_user(tmp_path, "Ada", Role.ADMIN)
    now = [NOW_MS]
    renewing = {"sec-fetch-dest": "empty"}
    with signing_in(
        tmp_path, lambda: now[0], local_users=True, idle_s=3_600, longest_s=10_800
    ) as client:
        enter(client, "Ada")
        for _ in range(3):
            now[0] += HOUR_MS - 1
            assert client.get("/alerts").status_code == 200
        now[0] += 3
        assert client.get("/alerts").status_code == 303  # three hours in all
        enter(client, "Ada")
        for _ in range(3):
            now[0] += HOUR_MS // 3
            seen = client.get("/alerts", headers=renewing).status_code
        assert seen == 401
        assert client.get("/alerts").status_code == 303


def test_what_was_typed_while_the_session_ended_is_sent_after_the_next_sign_in(
    tmp_path: Path,
) -> None:
    add_user(tmp_path, "Ada", Role.ADMIN)
    now = [NOW_MS]
    with signing_in(tmp_path, lambda: now[0], local_users=True) as client:
        enter(client, "Ada")
        fields = form_fields(client.get("/admin").text)
        now[0] += 2 * HOUR_MS
        typed = fields | {"why": "typed with care", "password": "never kept"}
        kept = client.post("/admin/end", data=typed)
        page = client.get(kept.headers["location"])
        text = page_text(page.text)
        assert "your session has ended" in text
        assert "typed with care" in text
        assert "never kept" not in page.text
        assert accessible.findings(page.text, CSS) == []
        back = enter(client, "Ada", next_path=kept.headers["location"])
        again = client.get(back.headers["location"])
        assert "Send it now" in again.text
        sent = client.post("/admin/end", data=form_fields(again.text))
        assert sent.status_code == 303


def test_nobody_else_sends_a_form_in_the_name_of_who_is_signed_in(
    tmp_path: Path,
) -> None:
    add_user(tmp_path, "Ada", Role.ADMIN)
    with signing_in(tmp_path, local_users=True) as client:
        enter(client, "Ada")
        for data in ({}, {"form_token": "x"}, {"form_token": "\u202e"}):
            asked = client.post("/sign-out", data=data)
            assert "Do you want to sign out?" in page_text(asked.text)
            assert accessible.findings(asked.text, CSS) == []
        assert client.get("/alerts").status_code == 200
        elsewhere = {"origin": "https://evil.example"}
        fields = form_fields(client.get("/alerts").text)
        answer = client.post("/sign-out", data=fields, headers=elsewhere)
        assert answer.status_code == 403
        assert client.get("/alerts").status_code == 200


def test_a_person_signs_out_everywhere(tmp_path: Path) -> None:
    users = add_user(tmp_path, "Ada", Role.ADMIN)
    users.add("Eve", [Role.STAFF], PASSWORD)
    with signing_in(tmp_path, local_users=True) as client:

        def browser(name: str) -> str:
            client.cookies.clear()
            enter(client, name)
            return str(client.cookies["towpath-session"])

        eve, phone, desk = browser("Eve"), browser("Ada"), browser("Ada")
        page = client.get("/sign-out")
        assert "signed in with 1 other browser too" in page_text(page.text)
        assert accessible.findings(page.text, CSS) == []
        client.post("/sign-out", data=form_fields(page.text) | {"everywhere": "yes"})
        seen = []
        for secret in (desk, phone, eve):
            client.cookies.clear()
            client.cookies.set("towpath-session", secret)
            seen.append(client.get("/alerts").status_code)
    assert seen == [303, 303, 200]
    last = audited(tmp_path)[-1]
    assert (last.who, last.action, last.about) == ("Ada", "sign out", "everywhere")


def test_a_session_ends_if_nobody_may_sign_in_like_that_any_more(
    tmp_path: Path,
) -> None:
    add_user(tmp_path, "Ada", Role.ADMIN)
    with signing_in(tmp_path, local_users=True) as client:
        enter(client, "Ada")
        session = client.cookies["towpath-session"]
    oidc = {"issuer": "http://127.0.0.1:1", "client_id": "towpath"}
    with signing_in(tmp_path, oidc=oidc, everybody="staff") as client:
        client.cookies.set("towpath-session", session)
        assert client.get("/alerts").status_code == 303


def test_a_flood_of_refusals_does_not_fill_the_audit_log(tmp_path: Path) -> None:
    entries = RefusedEntries()
    kept = [entries.admit(f"2001:db8::{n:x}", 0.0) for n in range(1_000)]
    assert kept == [""] * 60 + [None] * 940
    # Others are still recorded, and the next one says how many were not.
    assert entries.admit("192.0.2.7", 0.0) == " (940 more before it were left out)"
    assert entries.admit("192.0.2.7", 0.0) == ""
    many = [entries.admit(f"10.0.{n >> 8}.{n & 255}", 1.0) for n in range(2_000)]
    assert 500 < len([one for one in many if one is not None]) <= 600
    add_user(tmp_path, "Ada", Role.STAFF)
    with signing_in(tmp_path, local_users=True) as client:
        fields = form_fields(client.get("/sign-in").text)
        for _ in range(70):
            client.post("/sign-in", data=fields | {"name": "Ada", "password": "x"})
    assert len(audited(tmp_path)) == 60


@pytest.mark.parametrize(
    ("name", "password", "why"),
    [
        ("Ada", "short", "12 characters or more"),
        ("Ada", "x" * 300, "256 characters or fewer"),
        ("Ada", "aaaaaaaaaaaaaaa", "four different"),
        ("Ada", "my name is ada", "must not contain the name"),
        ("ADA", PASSWORD, "already"),
        ("", PASSWORD, "is no name"),
        (REVERSED, PASSWORD, "is no name"),
        ("x" * 81, PASSWORD, "is no name"),
    ],
)
def test_a_user_that_cannot_be_is_one_sentence(
    tmp_path: Path, name: str, password: str, why: str
) -> None:
    users = LocalUsers(tmp_path / "sign-in.sqlite", lambda: 1)
    if why == "already":
        users.add("Ada", [Role.STAFF], PASSWORD)
    with pytest.raises(UserProblem, match=why):
        users.add(name, [Role.STAFF], password)


def test_the_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    add_user(tmp_path, "Ada", Role.ADMIN)
    with signing_in(tmp_path, local_users=True) as client:
        page = client.get("/sign-in")
        (tmp_path / "sign-in.sqlite").write_bytes(b"no database" * 200)
        fields = form_fields(page.text) | {"name": "Ada", "password": PASSWORD}
        answer = client.post("/sign-in", data=fields)
    assert answer.status_code == 503
    assert "could not be recorded" in page_text(answer.text)
