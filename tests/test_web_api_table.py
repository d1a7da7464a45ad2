"""What holds for every route of the API: its scope, its versions, and its audit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from api_council import ALL, DAY_MS, CouncilApi, api_sources
from signing_in import cheap_hashes  # noqa: F401 - a fixture
from starlette.testclient import TestClient
from test_web_api import problem
from test_web_api_writes import SILENCE, enrol

from alerts.alert_access import add_silence
from alerts.maintenance_commands import maintenance_add
from alerts.silence import silence_of
from dashboards.web.api.api_route import ApiRoute
from dashboards.web.sign_in.local_users import LocalUsers
from dashboards.web.sign_in.sign_in_sessions import SignInSessions
from dashboards.web.visitors import Right, Role, VisitorSource
from towpath.doc_pages import described_routes

ROUTES = described_routes()
WRITES = [route for route in ROUTES if route.is_write]
SERIES = "?measurement=experience&pick=agents.max"


class FullApi:
    """An API in which every address has something."""

    def __init__(self, folder: Path) -> None:
        self.api, self._folder = CouncilApi(folder), folder
        api, file = self.api, folder / "sign-in.sqlite"
        LocalUsers(file, lambda: api.now_ms).add(
            "Ada", [Role.ADMIN], "three random words"
        )
        self._sessions = SignInSessions(file, 3_600, 36_000, lambda: api.now_ms)
        self._settings = {
            "sign_in": {"local_users": True, "file": file},
            "reports": folder / "reports",
            "api": {"requests_per_minute_without_token": 1_000},
        }
        (folder / "reports").mkdir()
        (folder / "reports" / "2026-10.html").write_text("<p>a report</p>")
        end_ms = api.now_ms + DAY_MS
        silence = silence_of({"site": "depot"}, api.now_ms, end_ms, "works", "Ada")
        self._silence = add_silence(api.path, silence).id
        sources = api_sources(api.path)
        maintenance_add(
            api.path,
            {
                **{"site": "depot", "why": "patches", "who": "Ada"},
                **{"start": "2026-11-20 22:00", "lasts": "1h", "rrule": "FREQ=WEEKLY"},
            },
            "Europe/London",
            api.now_ms,
            sources.known(),
            lambda text: None,
            {},
        )
        self._agent = enrol(api)

    @contextmanager
    def client(self, secret: str | None = None) -> Iterator[TestClient]:
        with self.api.client(secret, **self._settings) as client:
            yield client

    def address(self, client: TestClient, route: ApiRoute) -> str:
        """An address of this route that is there."""
        every = {"Authorization": f"Bearer {self.api.secret}"}

        def first(path: str, field: str = "id") -> str:
            return str(client.get(path, headers=every).json()["items"][0][field])

        if route.name == "query_series":
            return route.path + SERIES
        found = {
            "site": lambda: "depot",
            "device": lambda: "dep-sw1",
            "line": lambda: first("/lines"),
            "alert": lambda: first("/alerts"),
            "silence": lambda: str(self._silence),
            "window": lambda: first("/maintenance-windows"),
            "report": lambda: "2026-10.html",
            "agent": lambda: self._agent,
            "token": lambda: first("/enrolment-tokens"),
            "session": self._session,
        }
        return route.path.format(**{one: found[one]() for one in route.names})

    def _session(self) -> str:
        if not self._sessions.list():
            self._sessions.begin("x", "Eve", [Role.STAFF], VisitorSource.PROVIDER)
        return self._sessions.list()[0].reference


@pytest.fixture
def full(tmp_path: Path) -> FullApi:
    return FullApi(tmp_path)


def send(client: TestClient, route: ApiRoute, address: str, **more: Any) -> Any:
    # The body of a stream has no end.
    method = "HEAD" if route.is_stream else route.method
    return client.request(method, address, **more)


def test_every_route_needs_its_scope_and_a_token_that_is_good(full: FullApi) -> None:
    api = full.api
    old = api.token("old", *ALL)
    api.tokens.revoke("old", "ada", api.now_ms)
    only = {right: api.token(f"only {right}", right.value) for right in Right}
    others = {
        right: api.token(f"not {right}", *(one for one in ALL if one != right.value))
        for right in Right
    }
    api.now_ms += 1
    with full.client("") as client:
        for route in ROUTES:
            address = full.address(client, route)

            def status(secret: str, route: ApiRoute = route, at: str = address) -> int:
                headers = {"Authorization": f"Bearer {secret}"} if secret else {}
                return int(send(client, route, at, headers=headers).status_code)

            assert status(old) == 401, route.name
            if route.right is None:
                assert status("") == 200
                continue
            assert status("") == 401, route.name
            assert status(others[route.right]) == 403, route.name
            assert status(only[route.right]) not in (401, 403, 500), route.name
        expired = only[Right.SEE_STATUS]
        api.now_ms += DAY_MS
        for route in ROUTES:
            answer = send(
                *(client, route, route.path.replace("{", "").replace("}", "")),
                headers={"Authorization": f"Bearer {expired}"},
            )
            assert answer.status_code == 401, route.name


def test_every_document_has_a_version_that_is_not_sent_again(full: FullApi) -> None:
    with full.client() as client:
        for route in ROUTES:
            if route.is_write or route.is_stream:
                continue
            address = full.address(client, route)
            answer = client.get(address)
            assert answer.status_code == 200, (route.name, answer.text)
            etag = answer.headers["etag"]
            # A list may come in several lines.
            known = [("If-None-Match", '"x", W/"y"'), ("If-None-Match", f"W/{etag}")]
            again = client.get(address, headers=known)
            assert (again.status_code, again.content) == (304, b""), route.name
            head = client.head(address)
            assert (head.headers["etag"], head.content) == (etag, b"")
            length = answer.headers["content-length"]
            assert head.headers["content-length"] == length, route.name
            options = client.options(address)
            assert route.method in options.headers["allow"].split(", ")


BODIES: dict[str, dict[str, Any]] = {
    "acknowledge_alert": {"who": "Ada"},
    "add_silence": SILENCE,
    "plan_maintenance": {"site": "depot", "why": "works", "lasts": "1h"},
    "place_agent": {"team": "", "ring": ""},
    "revoke_agent": {"why": "lost"},
    "make_enrolment_token": {"site": "depot"},
}


def test_whatever_changes_something_is_in_the_audit(full: FullApi) -> None:
    with full.client() as client:
        for route in sorted(WRITES, key=_ends_something):
            if "token" in route.names:
                client.post("/enrolment-tokens", json={"site": "depot"})
            address = full.address(client, route)
            before = len(full.api.tokens.audit())
            body = {"json": BODIES[route.name]} if route.body else {}
            answer = client.request(route.method, address, **body)
            assert answer.status_code == route.status, (route.name, answer.text)
            [entry] = full.api.tokens.audit()[: len(full.api.tokens.audit()) - before]
            assert (entry.token, entry.action, entry.outcome) == (
                *("inventory", route.name, "done"),
            )
            assert entry.about == ("Eve" if "session" in route.names else entry.about)
            assert entry.about


def _ends_something(route: ApiRoute) -> bool:
    return route.method == "DELETE"


def test_a_program_is_told_what_is_at_an_address_and_what_it_may_have_meant(
    full: FullApi,
) -> None:
    with full.client() as client:
        for address, said in (
            ("/sites?stat=down", "`stat` is not known here; did you mean 'state'?"),
            ("/sites?state=dwn", "'dwn' is none of degraded, down, "),
            ("/sites?state=dwn", "did you mean 'down'?"),
            ("/agents?state=revokd", "did you mean 'revoked'?"),
            ("/series?mesurement=x&pick=y", "did you mean 'measurement'?"),
            ("/sites?state=null", "state: leave it out instead of null"),
            ("/alerts?since=NULL", "since: leave it out instead of null"),
            ("/alerts?since=2026-W47-3", "such as 2026-11-20T09:00"),
            ("/alerts?since=2026-11-18T24:00:00Z", "expected a time with its offset"),
        ):
            status, detail = problem(client.get(address))
            assert (status, said in detail) == (400, True), detail
        body = {**SILENCE, "lasting": 60}
        status, detail = problem(client.post("/silences", json=body))
        assert (status, detail) == (
            *(422, "`lasting` is not known here; did you mean 'lasting_s'?"),
        )


ACCEPTED = (
    "",
    "*/*",
    "text/html, application/xml;q=0.9, */*;q=0.8",
    "application/json;q=0.001",
    "application/*",
    "nonsense;;q=",
)
NOT_ACCEPTED = (
    "text/html",
    "application/json;q=0",
    "application/json;q=0, */*;q=1",
    "text/*, application/xml",
)


def test_an_answer_is_of_a_kind_that_the_program_accepts(full: FullApi) -> None:
    with full.client() as client:
        for accept in ACCEPTED + NOT_ACCEPTED:
            headers = {"Accept": accept}
            answer = client.get("/sites", headers=headers)
            file = client.get("/reports/2026-10.html", headers=headers)
            assert file.status_code == 200
            if accept in ACCEPTED:
                assert answer.status_code == 200, accept
                continue
            assert problem(answer) == (
                *(406, "the answer is application/json, which Accept leaves out"),
            )
            # Nothing is done whose answer is not wanted.
            refused = client.post("/silences", json=SILENCE, headers=headers)
            assert problem(refused)[0] == 406
    assert len(full.api.tokens.audit()) == 0
