"""A session of the council's provider follows what the provider says of its person, and
ends when it says so."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from council_page import page_text
from scripted_provider import CLIENT, EVENT, ScriptedProvider, scripted_provider
from signing_in import audited, sign_in_config, signing_in

from dashboards.web.sign_in.sealed_token import sealed, unsealed
from dashboards.web.sign_in.sign_in_sessions import SignInSessions
from probes.wire.clock import wall_ms

LOGOUT = "/sign-in/provider-logout"
ENTRA = {"sub": "s1", "oid": "o1", "name": "Ada Lovelace", "roles": ["Engineer"]}
KEYCLOAK = {
    "sub": "k1",
    "sid": "session-1",
    "preferred_username": "ada",
    "realm_access": {"roles": ["Engineer"]},
}
ROLES = {"Engineer": "engineer", "Admin": "admin", "Staff": "staff"}
MINUTE_MS = 60_000


class Here:
    """Ada's browser at the pages, the clock, and the provider."""

    def __init__(
        self, folder: Path, provider: ScriptedProvider, now: list[int], client: Any
    ) -> None:
        self.folder, self.provider = folder, provider
        self.now, self.client = now, client

    def sign_in(self) -> None:
        start = self.client.get("/sign-in/council?next=/reports")
        back = self.provider.answer_to(start.headers["location"])
        answer = self.client.get(back)
        assert answer.headers["location"] == "/reports", page_text(answer.text)

    def later(self, minutes: float = 6) -> int:
        """The status of the page of reports after so many minutes."""
        self.now[0] += int(minutes * MINUTE_MS)
        return int(self.client.get("/reports").status_code)

    @property
    def renewals(self) -> int:
        return sum(a["grant_type"] == "refresh_token" for a in self.provider.asked)

    def audit(self) -> list[tuple[str, str, str]]:
        return [(e.who, e.action, e.outcome) for e in audited(self.folder)][1:]

    def logout(self, token: str) -> Any:
        return self.client.post(LOGOUT, data={"logout_token": token})


@contextmanager
def signed_in_here(
    folder: Path, claims: dict[str, Any] = ENTRA, **oidc: Any
) -> Iterator[Here]:
    now = [wall_ms()]
    with scripted_provider(dict(claims)) as provider:
        # Each token is of now, also when the test's clock goes on.
        settings = {
            "issuer": provider.issuer,
            "client_id": CLIENT,
            "leeway_s": 300,
            **oidc,
        }
        provider.now_ms = lambda: now[0]
        with signing_in(
            folder, lambda: now[0], oidc=settings, roles=ROLES, idle_s=36_000
        ) as client:
            here = Here(folder, provider, now, client)
            here.sign_in()
            yield here


def test_a_person_who_was_removed_is_out_within_minutes(tmp_path: Path) -> None:
    with signed_in_here(tmp_path) as here:
        assert here.later(4) == 200
        assert here.renewals == 0
        here.provider.answers = [(400, {"error": "invalid_grant"})]
        assert here.later(1) == 303
        assert here.later(1) == 303
        assert here.renewals == 1
        [entry] = here.audit()
        assert entry == (
            *("Ada Lovelace", "sign out", "done: not confirmed: invalid_grant"),
        )


def test_other_roles_and_another_name_count_from_the_next_renewal_on(
    tmp_path: Path,
) -> None:
    with signed_in_here(tmp_path) as here:
        here.provider.claims |= {"roles": ["Staff"], "name": "Ada King"}
        assert here.later() == 403
        assert "Signed in as Ada King" in page_text(here.client.get("/").text)
        here.provider.claims["roles"] = ["Engineer"]
        assert here.later() == 200
        # Each refresh token was used once, and the last one is the one that counts.
        assert here.renewals == 2
        here.provider.claims["roles"] = ["Nothing here"]
        assert here.later() == 303
        assert [(action, outcome) for _, action, outcome in here.audit()] == [
            ("change roles", "engineer -> staff"),
            ("change roles", "staff -> engineer"),
            (
                "sign out",
                "done: not confirmed: none of the roles and groups in the token has a "
                "role here",
            ),
        ]


def test_a_provider_that_is_away_signs_nobody_out_for_an_hour(tmp_path: Path) -> None:
    with signed_in_here(tmp_path) as here:
        assert here.later() == 200
        here.provider.is_away = True
        for _ in range(9):
            assert here.later() == 200
        here.provider.is_away = False
        assert here.later(5) == 200
        # Confirmed again: another hour without the provider is no problem.
        here.provider.is_away = True
        assert [here.later(20) for _ in range(3)] == [200, 200, 303]


NOTHING_SAID: list[tuple[int, dict[str, Any]]] = [
    (500, {}),
    (401, {"error": "invalid_client"}),
    (200, {"access_token": "no ID token"}),
    (200, {"id_token": "a.b.c"}),
    (200, {"id_token": 7}),
    (429, {"error": "temporarily_unavailable"}),
]


def test_what_says_nothing_of_the_person_signs_nobody_out(tmp_path: Path) -> None:
    with signed_in_here(tmp_path) as here:
        here.now[0] += 6 * MINUTE_MS
        for count, answer in enumerate(NOTHING_SAID, 1):
            here.provider.answers = [answer]
            # Half a minute later somebody asks, and on the next page nobody.
            assert here.later(0.5) == 200, answer
            assert here.later(0) == 200
            assert here.renewals == count
        assert here.audit() == []


def test_a_token_of_another_person_or_sign_in_confirms_nothing(tmp_path: Path) -> None:
    with signed_in_here(tmp_path) as here:
        for wrong in (
            {"sub": "s2"},
            {"nonce": "of another sign-in"},
            {"iss": "https://evil.example"},
        ):
            here.provider.claims = {**ENTRA, "roles": ["Admin"], **wrong}
            assert here.later() == 200
            assert here.client.get("/admin").status_code == 403
            here.provider.claims = ENTRA
            here.client.cookies.clear()
            here.sign_in()
        assert here.renewals == 3


def test_a_provider_that_gives_no_new_id_token_confirms_nothing_and_ends_nothing(
    tmp_path: Path,
) -> None:
    with signed_in_here(tmp_path) as here:
        here.provider.leaves_out = "id_token"
        assert [here.later(20) for _ in range(3)] == [200, 200, 303]
        assert here.renewals == 2
        assert here.audit() == []


def test_a_new_refresh_token_is_kept_though_the_keys_cannot_be_fetched(
    tmp_path: Path,
) -> None:
    with signed_in_here(tmp_path) as here:
        here.provider.has_keys = False
        # What was published is good for a day; with a new key it is not.
        here.provider.key_id = "two"
        assert here.later() == 200
        here.provider.has_keys = True
        here.provider.claims = {**ENTRA, "roles": ["Staff"]}
        assert here.later() == 403
        assert here.renewals == 2


def test_without_a_refresh_token_a_person_signs_in_again_after_an_hour(
    tmp_path: Path,
) -> None:
    with signed_in_here(tmp_path) as here:
        here.provider.leaves_out = "refresh_token"
        here.client.cookies.clear()
        here.sign_in()
        assert here.later(59) == 200
        assert here.later(2) == 303
        assert here.renewals == 0


def test_many_pages_at_once_use_a_refresh_token_once(tmp_path: Path) -> None:
    with signed_in_here(tmp_path) as here:
        here.now[0] += 6 * MINUTE_MS
        for path in ("/", "/reports", "/alerts", "/static/look.css"):
            assert here.client.get(path).status_code == 200
        assert here.renewals == 1


def test_the_file_has_no_refresh_token_that_can_be_read(tmp_path: Path) -> None:
    with signed_in_here(tmp_path) as here:
        here.later()
        token = here.provider._good
        with closing(sqlite3.connect(tmp_path / "sign-in.sqlite")) as db:
            [(box,)] = db.execute("SELECT refresh_token FROM confirmation").fetchall()
        assert token.encode() not in box
        assert unsealed(box, "another secret") == ""
        assert unsealed(box, here.client.cookies["towpath-session"]) == token
        assert unsealed(sealed("", "x"), "x") == ""
        # It goes with its session.
        here.client.get("/sign-out")
        sessions = SignInSessions(
            tmp_path / "sign-in.sqlite", 36_000, 36_000, lambda: here.now[0]
        )
        sessions.end_listed(sessions.list()[0].reference)
        with closing(sqlite3.connect(tmp_path / "sign-in.sqlite")) as db:
            assert db.execute("SELECT * FROM confirmation").fetchall() == []


WHO_IS_SIGNED_OUT: list[tuple[dict[str, Any], bool]] = [
    ({"sid": "session-1"}, True),
    ({"sub": "k1", "sid": "session-1"}, True),
    ({"sub": "k1"}, True),
    ({"sub": "k1", "sid": "session-2"}, False),
    ({"sub": "k2"}, False),
    ({"sid": "session-2"}, False),
]


def test_the_provider_signs_out_whom_it_names(tmp_path: Path) -> None:
    with signed_in_here(tmp_path, KEYCLOAK) as here:
        for who, ends in WHO_IS_SIGNED_OUT:
            before = len(here.audit())
            token = here.provider.logout_token(**who)
            answer = here.logout(token)
            assert (answer.status_code, answer.content) == (200, b""), who
            assert answer.headers["cache-control"] == "no-store"
            assert here.later(0) == (303 if ends else 200), who
            done = [("ada", "sign out", "done: by the provider")]
            assert here.audit()[before:] == (done if ends else [])
            # It counts once: it does not end what the person begins after it.
            here.client.cookies.clear()
            here.sign_in()
            assert here.logout(token).json() == {"error": "invalid_request"}
            assert here.later(0) == 200


def test_a_session_that_the_provider_did_not_name_ends_with_its_person(
    tmp_path: Path,
) -> None:
    with signed_in_here(tmp_path, ENTRA) as here:
        token = here.provider.logout_token(sub="s1", sid="a session of the provider")
        assert here.logout(token).status_code == 200
        assert here.later(0) == 303


FORGED_LOGOUTS: list[dict[str, Any]] = [
    {"sub": None},
    {"jti": None},
    {"jti": ""},
    {"events": None},
    {"events": {}},
    {"events": [EVENT]},
    {"events": {EVENT: None}},
    {"nonce": "n"},
    {"aud": "another client"},
    {"iss": "https://evil.example"},
    {"exp": 1},
    {"iat": 1, "exp": 4_000_000_000},
    {"iat": 4_000_000_000, "exp": 4_000_000_001},
    {"exp": None},
    {"sub": ["k1"]},
    {"sid": 7},
]


def test_a_logout_that_is_not_the_providers_own_signs_nobody_out(
    tmp_path: Path,
) -> None:
    with signed_in_here(tmp_path, KEYCLOAK) as here:
        for wrong in FORGED_LOGOUTS:
            answer = here.logout(here.provider.logout_token(**{"sub": "k1", **wrong}))
            assert answer.status_code == 400, wrong
            assert answer.json() == {"error": "invalid_request"}
        assert here.later(0) == 200


def test_neither_an_id_token_nor_a_text_is_a_logout(tmp_path: Path) -> None:
    with signed_in_here(tmp_path, KEYCLOAK) as here:
        known = here.provider.token(KEYCLOAK)
        for text in ("", "x", "a.b.c", known, known + "x", "e" * 30_000):
            assert here.logout(text).status_code == 400
        assert here.client.post(LOGOUT).status_code == 400
        assert here.client.get(LOGOUT).status_code == 405
        assert here.later(0) == 200


def test_a_logout_token_is_no_id_token(tmp_path: Path) -> None:
    with signed_in_here(tmp_path, KEYCLOAK) as here:
        start = here.client.get("/sign-in/council").headers["location"]
        back = here.provider.answer_to(start)
        token = here.provider.logout_token(**KEYCLOAK)
        here.provider.answers = [(200, {"id_token": token})]
        here.client.cookies.delete("towpath-session")
        assert here.client.get(back).status_code == 403


def test_sessions_of_an_earlier_file_go_on(tmp_path: Path) -> None:
    with signed_in_here(tmp_path) as here:
        with closing(sqlite3.connect(tmp_path / "sign-in.sqlite")) as db:
            db.executescript("DROP TABLE confirmation; DROP TABLE logout;")
        assert here.later(0) == 200
        assert here.later(61) == 303


def test_settings_that_would_end_every_session_are_refused(tmp_path: Path) -> None:
    oidc = {"issuer": "https://login.example", "client_id": "x"}
    more = {"oidc": {**oidc, "renew_s": 600, "longest_unconfirmed_s": 300}}
    with pytest.raises(ValueError, match="longest_unconfirmed_s: expected renew_s"):
        sign_in_config(tmp_path, everybody="staff", **more)
