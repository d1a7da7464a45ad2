"""What holds for every page: what it changes is in the audit log, and what it shows
and does has an operation of the API."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alert_files import ALERT, NOW_MS
from signing_in import PASSWORD, audited, enter, form_fields
from whole_site import ADMIN, HER, WholeSite, whole_site

from alerts.alert_access import list_silences
from alerts.api_tokens import ApiTokens, tokens_file
from dashboards.web.sign_in.sign_in_sessions import SignInSessions
from dashboards.web.visitors import Role, VisitorSource
from towpath.doc_pages import described_routes


def _act(here: WholeSite) -> Any:
    link = here.client.get(f"/alerts/acknowledge/{ALERT.key}").headers["location"]
    return here.send(link, why="rung")


def _end(here: WholeSite) -> Any:
    sessions = SignInSessions(here.sign_in, 3_600, 36_000, lambda: NOW_MS)
    sessions.begin("x", "Eve", [Role.STAFF], VisitorSource.PROVIDER)
    [eve] = [one for one in sessions.list() if one.name == "Eve"]
    return here.send("/admin/end", reference=eve.reference)


def _check(here: WholeSite) -> Any:
    fields = {"rtt_ms": "20", "jitter_ms": "2", "late_ratio": "0"}
    return here.send("/check/send", code=here.codes.make(HER).code, **fields)


# Each page that changes something: how it is done, and its action in the audit log.
CHANGES: dict[str, tuple[Callable[[WholeSite], Any], str]] = {
    "/sign-in": (lambda here: enter(here.client, ADMIN), "sign in"),
    "/sign-out": (lambda here: here.send("/sign-out"), "sign out"),
    "/act/{token}": (_act, "acknowledge alert"),
    "/admin/end": (_end, "end session"),
    "/support": (
        lambda here: here.send("/support", code=here.codes.make(HER).code),
        "open support code",
    ),
    "/check/send": (_check, "send check"),
}
_OLD_API = "/api/alerts/"
# The provider's server sends it, with a token that it has signed: it is no form, and
# tests/test_sign_in_renewal.py shows that it is in the audit log.
_NO_FORM = "/sign-in/provider-logout"


def test_whatever_a_page_changes_is_in_the_audit_log(tmp_path: Path) -> None:
    with whole_site(tmp_path, has_api=True) as here:
        changing = {p for p in here.routes("POST") if not p.startswith(_OLD_API)}
        assert changing == {*CHANGES, _NO_FORM}
        # The last one signs out.
        for path in sorted(CHANGES, key="/sign-out".__eq__):
            change, action = CHANGES[path]
            if path == "/sign-in":
                here.client.cookies.delete("towpath-session")
            before = len(audited(tmp_path))
            assert change(here).status_code in (200, 303), path
            [entry] = audited(tmp_path)[before:]
            assert (entry.who, entry.action) == (ADMIN, action)
            assert entry.outcome.startswith("done")


def test_no_page_changes_anything_for_another_website(tmp_path: Path) -> None:
    cross = {"Sec-Fetch-Site": "cross-site"}
    with whole_site(tmp_path, has_api=True) as here:
        link = here.client.get(f"/alerts/silence/{ALERT.key}").headers["location"]
        own = form_fields(here.client.get("/alerts").text)
        typed = {
            **{"code": here.codes.make(HER).code, "why": "x", "name": ADMIN},
            **{"password": PASSWORD, "everywhere": "yes"},
            **{"rtt_ms": "20", "jitter_ms": "2", "late_ratio": "0"},
        }
        before = audited(tmp_path)
        for path in CHANGES:
            address = link if "{" in path else path
            for fields, headers in (
                (typed, {}),
                (typed | {"form_token": "0" * 64}, {}),
                (typed | own, cross),
                (typed | own, {"Origin": "https://evil.example"}),
            ):
                answer = here.client.post(address, data=fields, headers=headers)
                if headers:
                    assert answer.status_code == 403, path
            assert here.client.get("/alerts").status_code == 200
        assert audited(tmp_path) == before
        assert list_silences(tmp_path / "alerts.sqlite", NOW_MS) == []


@pytest.mark.parametrize("action", ["acknowledge", "silence", "maintenance"])
def test_whatever_the_older_api_changes_is_in_the_audit_of_its_tokens(
    tmp_path: Path, action: str
) -> None:
    bodies = {
        "acknowledge": {"key": ALERT.key},
        "silence": {"site": "depot", "lasting": "1h", "why": "x"},
        "maintenance": {"site": "depot", "lasts": "1h", "why": "x"},
    }
    with whole_site(tmp_path, has_api=True) as here:
        tokens = ApiTokens(tokens_file(tmp_path / "alerts.sqlite"))
        secret = tokens.make("bot", "ada", NOW_MS + 60_000, NOW_MS)
        known = {p for p in here.routes() if p.startswith(_OLD_API)}
        assert known == {f"{_OLD_API}{one}" for one in (*bodies, "list", "unsilence")}
        here.client.post(
            f"{_OLD_API}{action}",
            json=bodies[action] | {"who": "Ada"},
            headers={"Authorization": f"Bearer {secret}"},
        )
        [entry] = tokens.audit()
        assert (entry.action, entry.outcome) == (action, "done")


# What each page shows and does: operations of the API, or why there is none.
OPERATIONS: dict[str, tuple[str, ...]] = {
    "/": ("get_status", "list_sites"),
    "/sites/{site}": ("get_site", "list_devices", "list_lines", "query_series"),
    "/rooms": ("list_rooms",),
    "/rooms/{room}": ("list_rooms", "query_series"),
    "/ports": ("query_series",),
    "/teams": ("list_teams", "list_groups"),
    "/search": ("list_sites", "list_devices", "list_ports", "list_neighbours"),
    "/devices/{device}": (
        *("get_device", "list_ports", "list_sensors", "list_neighbours"),
        "list_device_events",
    ),
    "/devices/{device}/port": ("list_ports", "query_series"),
    "/alerts": ("list_alerts", "get_alert", "list_silences"),
    "/alerts/{action}/{key:path}": ("acknowledge_alert", "add_silence"),
    "/act/{token}": ("acknowledge_alert", "add_silence"),
    "/reports": ("list_reports",),
    "/reports/{name}": ("get_report",),
    "/catalogue": ("list_measurements",),
    "/api/status.json": ("get_status", "list_sites", "list_alerts"),
    "/healthz": ("get_status",),
    "/intranet": ("get_notices",),
    "/intranet/part": ("get_notices",),
    "/intranet.json": ("get_notices",),
    "/intranet.rss": ("get_notices",),
    "/intranet.atom": ("get_notices",),
    "/fleet": ("get_fleet", "list_agents"),
    "/admin": ("list_users", "list_sessions"),
    "/admin/audit": ("list_access",),
    "/admin/end": ("end_session",),
}
WITHOUT = {
    "/support": "one laptop is shown to a person with its code, never to a program",
    "/support/{reference}": "as above",
    "/check": "it tests the browser that shows it",
    "/check/send": "as above",
    "/sign-in": "programs have tokens",
    "/sign-in/council": "as above",
    "/sign-in/answer": "as above",
    "/sign-out": "as above",
    _NO_FORM: "the provider's server uses it",
    "/signed-out": "as above",
    "/form/{reference}": "what a person typed",
    "/act/done/{action}": "it says that it was done",
    "/accessibility": "a text",
    "/static/{name}": "styles and scripts",
}


def test_what_every_page_shows_and_does_has_an_operation_of_the_api(
    tmp_path: Path,
) -> None:
    with whole_site(tmp_path, has_api=True) as here:
        pages = {path for path in here.routes() if not path.startswith(_OLD_API)}
    assert pages == OPERATIONS.keys() | WITHOUT.keys()
    assert not OPERATIONS.keys() & WITHOUT.keys()
    known = {route.name for route in described_routes()}
    assert {name for names in OPERATIONS.values() for name in names} <= known
