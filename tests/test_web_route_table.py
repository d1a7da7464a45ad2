"""What holds for every page: what it changes is in the audit log, and what it shows
and does has an operation of the API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import council
import pytest
from alert_files import ALERT, NOW_MS, file_with
from api_council import api_sources
from council_fleet import agents, fleet_source
from signing_in import (
    BASE,
    PASSWORD,
    add_user,
    audited,
    cheap_hashes,  # noqa: F401 - a fixture
    enter,
    form_fields,
    sign_in_config,
)
from starlette.applications import Starlette
from starlette.testclient import TestClient
from store_doubles import MemoryStore

from alerts.action_link import LinkConfig, LinkSigner
from alerts.alert_access import list_silences
from alerts.api_tokens import ApiTokens, tokens_file
from collectors.secret import Secret
from collectors.support_codes import SupportCodes
from dashboards.web import StatusPage
from dashboards.web.action_pages import AlertActions
from dashboards.web.sign_in.sign_in_sessions import SignInSessions
from dashboards.web.visitors import Role, VisitorSource
from towpath.doc_pages import described_routes

HER = "k1-aaaaaaaaaaaaaaaa"


class Everything:
    """The pages with all that settings can add, and an administrator's browser."""

    def __init__(self, folder: Path, client: TestClient, codes: SupportCodes) -> None:
        self.folder, self.client, self.codes = folder, client, codes

    def methods(self) -> dict[str, set[str]]:
        """Path → the methods of its route."""
        assert isinstance(self.client.app, Starlette)
        return {r.path: set(r.methods) for r in self.client.app.routes}  # type: ignore[attr-defined]


@contextmanager
def everything(folder: Path) -> Iterator[Everything]:
    path = file_with(folder, ALERT)
    (folder / "key").write_text("k" * 40)
    signer = LinkSigner(LinkConfig(key=Secret(file=folder / "key")), BASE)
    codes = SupportCodes(folder / "support-codes.sqlite", lambda: NOW_MS)
    oidc = {"issuer": "http://127.0.0.1:1", "client_id": "towpath"}
    page = StatusPage(
        sign_in_config(folder, local_users=True, oidc=oidc, everybody="staff"),
        council.estate,
        path,
        MemoryStore(),
        now_ms=lambda: NOW_MS,
        actions=AlertActions(signer, path, lambda: NOW_MS),
        fleet=fleet_source(folder, agents(20, NOW_MS), NOW_MS, {"why": "x"}),
        api=api_sources(path),
        support=codes,
    )
    add_user(folder, "Ada", Role.ADMIN)
    with TestClient(page.app, base_url=BASE, follow_redirects=False) as client:
        enter(client, "Ada")
        yield Everything(folder, client, codes)


def _send(here: Everything, path: str, **fields: str) -> Any:
    own = form_fields(here.client.get("/alerts").text)
    return here.client.post(path, data={**own, **fields})


def _act(here: Everything) -> Any:
    link = here.client.get(f"/alerts/acknowledge/{ALERT.key}").headers["location"]
    return _send(here, link, why="rung")


def _end(here: Everything) -> Any:
    sessions = SignInSessions(
        here.folder / "sign-in.sqlite", 3_600, 36_000, lambda: NOW_MS
    )
    sessions.begin("x", "Eve", [Role.STAFF], VisitorSource.PROVIDER)
    [eve] = [one for one in sessions.list() if one.name == "Eve"]
    return _send(here, "/admin/end", reference=eve.reference)


def _check(here: Everything) -> Any:
    fields = {"rtt_ms": "20", "jitter_ms": "2", "late_ratio": "0"}
    return _send(here, "/check/send", code=here.codes.make(HER).code, **fields)


# Each page that changes something: how it is done, and its action in the audit log.
CHANGES: dict[str, tuple[Callable[[Everything], Any], str]] = {
    "/sign-in": (lambda here: enter(here.client, "Ada"), "sign in"),
    "/sign-out": (lambda here: _send(here, "/sign-out"), "sign out"),
    "/act/{token}": (_act, "acknowledge alert"),
    "/admin/end": (_end, "end session"),
    "/support": (
        lambda here: _send(here, "/support", code=here.codes.make(HER).code),
        "open support code",
    ),
    "/check/send": (_check, "send check"),
}
_OLD_API = "/api/alerts/"


def test_whatever_a_page_changes_is_in_the_audit_log(tmp_path: Path) -> None:
    with everything(tmp_path) as here:
        changing = {
            path for path, methods in here.methods().items() if "POST" in methods
        }
        assert {p for p in changing if not p.startswith(_OLD_API)} == set(CHANGES)
        # The last one signs out.
        for path in sorted(CHANGES, key="/sign-out".__eq__):
            change, action = CHANGES[path]
            if path == "/sign-in":
                here.client.cookies.delete("towpath-session")
            before = len(audited(tmp_path))
            assert change(here).status_code in (200, 303), path
            [entry] = audited(tmp_path)[before:]
            assert (entry.who, entry.action) == ("Ada", action)
            assert entry.outcome.startswith("done")


def test_no_page_changes_anything_for_another_website(tmp_path: Path) -> None:
    cross = {"Sec-Fetch-Site": "cross-site"}
    with everything(tmp_path) as here:
        link = here.client.get(f"/alerts/silence/{ALERT.key}").headers["location"]
        own = form_fields(here.client.get("/alerts").text)
        typed = {
            **{"code": here.codes.make(HER).code, "why": "x", "name": "Ada"},
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
    with everything(tmp_path) as here:
        tokens = ApiTokens(tokens_file(tmp_path / "alerts.sqlite"))
        secret = tokens.make("bot", "ada", NOW_MS + 60_000, NOW_MS)
        known = {p for p in here.methods() if p.startswith(_OLD_API)}
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
    "/teams": ("list_teams", "list_groups"),
    "/search": ("list_sites", "list_devices", "list_ports"),
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
    "/signed-out": "as above",
    "/form/{reference}": "what a person typed",
    "/act/done/{action}": "it says that it was done",
    "/accessibility": "a text",
    "/static/{name}": "styles and scripts",
}


def test_what_every_page_shows_and_does_has_an_operation_of_the_api(
    tmp_path: Path,
) -> None:
    with everything(tmp_path) as here:
        pages = {path for path in here.methods() if not path.startswith(_OLD_API)}
    assert pages == OPERATIONS.keys() | WITHOUT.keys()
    assert not OPERATIONS.keys() & WITHOUT.keys()
    known = {route.name for route in described_routes()}
    assert {name for names in OPERATIONS.values() for name in names} <= known
