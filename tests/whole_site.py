"""The pages with all that can be set up, and a browser in which an administrator has
signed in."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import council
from alert_files import ALERT, EPISODE, NOW_MS, file_with
from api_council import api_sources
from council_fleet import agents, fleet_source
from signing_in import (
    BASE,
    add_user,
    cheap_passwords,
    enter,
    form_fields,
    sign_in_config,
)
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient
from store_doubles import MemoryStore

from alerts.action_link import ActionName, LinkConfig, LinkSigner
from collectors.secret import Secret
from collectors.support_codes import SupportCodes
from dashboards.web import StatusPage
from dashboards.web.action_pages import AlertActions
from dashboards.web.visitors import Role

# As long as names may be: it must not widen any page.
ADMIN = f"Grace {'W' * 74}"
HER = "k1-aaaaaaaaaaaaaaaa"
MEASURED = {"rtt_ms": "24", "jitter_ms": "3", "late_ratio": "0", "up_mbps": "8"}
OIDC = {"issuer": "http://127.0.0.1:1", "client_id": "towpath"}


class WholeSite:
    def __init__(self, folder: Path, has_api: bool) -> None:
        self.alerts = file_with(folder, ALERT)
        self.sign_in = folder / "sign-in.sqlite"
        (folder / "key").write_text("k" * 40)
        self.signer = LinkSigner(LinkConfig(key=Secret(file=folder / "key")), BASE)
        self.codes = SupportCodes(folder / "support-codes.sqlite", lambda: NOW_MS)
        page = StatusPage(
            sign_in_config(folder, local_users=True, oidc=OIDC, everybody="staff"),
            council.estate,
            self.alerts,
            MemoryStore(),
            now_ms=lambda: NOW_MS,
            actions=AlertActions(self.signer, self.alerts, lambda: NOW_MS),
            fleet=fleet_source(folder, agents(20, NOW_MS), NOW_MS, {"why": "x"}),
            api=api_sources(self.alerts) if has_api else None,
            support=self.codes,
        )
        assert isinstance(page.app, Starlette)
        self.app = page.app
        self.client: TestClient

    def routes(self, method: str = "") -> set[str]:
        """The paths that pages have for a method, or for any."""
        found = set()
        for route in self.app.routes:
            assert isinstance(route, Route)
            if not method or method in (route.methods or ()):
                found.add(route.path)
        return found

    def link(self, action: ActionName = "acknowledge") -> str:
        return self.signer.path(action, EPISODE, "duty", NOW_MS)

    def html(self, path: str) -> str:
        return str(self.client.get(path, follow_redirects=True).text)

    def send(self, path: str, **fields: str) -> Any:
        """Sends a form that has the token of one of our own."""
        token = form_fields(self.html("/sign-out"))["form_token"]
        return self.client.post(path, data={"form_token": token, **fields})


@contextmanager
def whole_site(folder: Path, has_api: bool = False) -> Iterator[WholeSite]:
    """`has_api`: with the routes of the API."""
    with cheap_passwords():
        here = WholeSite(folder, has_api)
        add_user(folder, ADMIN, Role.ADMIN)
        with TestClient(here.app, base_url=BASE, follow_redirects=False) as client:
            here.client = client
            enter(client, ADMIN)
            yield here


def fill_disk(path: Path) -> None:
    """Makes every insert into the tables of a file of SQLite fail, as a full disk
    does. Reading goes on."""
    with closing(sqlite3.connect(path)) as db:
        tables = db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' "
            "AND name NOT LIKE 'sqlite_%'"
        )
        for (table,) in tables.fetchall():
            for event in ("INSERT", "UPDATE", "DELETE"):
                db.execute(
                    f'CREATE TRIGGER "full {table} {event}" BEFORE {event} ON '
                    f"\"{table}\" BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
                )
        db.commit()


def typed_fields(html: str) -> dict[str, str]:
    """What the fields of a page's last form hold."""
    form = re.findall(r'<form [^>]*method="post".*?</form>', html, re.S)[-1]
    return dict(re.findall(r'<input[^>]* name="(\w+)"[^>]* value="([^"]*)"', form))
