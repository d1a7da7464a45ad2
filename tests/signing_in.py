"""The status page of the made-up council with sign-in, and a browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import council
import pytest
from argon2 import PasswordHasher
from council_page import STORE
from starlette.testclient import TestClient
from store_doubles import AlertList

from dashboards.web import StatusPage, WebConfig
from dashboards.web.sign_in import local_users
from dashboards.web.sign_in.access_audit import AccessAudit, AccessEntry
from dashboards.web.sign_in.local_users import LocalUsers
from dashboards.web.visitors import Role
from probes.wire.clock import wall_ms

BASE = "http://localhost:8765"
PASSWORD = "three random words"


@contextmanager
def cheap_passwords() -> Iterator[None]:
    """Argon2id with the least work, for tests about everything else."""
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    local_users.nobodys_hash.cache_clear()
    with mock.patch.object(local_users, "_hasher", return_value=cheap):
        yield


@pytest.fixture(autouse=True)
def cheap_hashes() -> Iterator[None]:
    with cheap_passwords():
        yield


def sign_in_config(
    folder: Path,
    settings: dict[str, Any] | None = None,
    base: str = BASE,
    **sign_in: Any,
) -> WebConfig:
    """`settings` of `web`, and `sign_in` of `web.sign_in`."""
    file = folder / "sign-in.sqlite"
    return WebConfig.model_validate(
        {
            "sign_in": {"base_url": base, "file": file, **sign_in},
            "timezone": "Europe/London",
            **(settings or {}),
        }
    )


@contextmanager
def signing_in(
    folder: Path,
    now_ms: Callable[[], int] = wall_ms,
    settings: dict[str, Any] | None = None,
    peer: str = "127.0.0.1",
    base: str = BASE,
    **sign_in: Any,
) -> Iterator[TestClient]:
    """A browser at the pages. `sign_in` are settings of `web.sign_in`."""
    page = StatusPage(
        sign_in_config(folder, settings, base, **sign_in),
        council.estate,
        AlertList(council.alerts(now_ms())),
        STORE,
        now_ms=now_ms,
    )
    with TestClient(
        page.app, base_url=base, follow_redirects=False, client=(peer, 50000)
    ) as client:
        yield client


def add_user(folder: Path, name: str, *roles: Role, now_ms: int = 1) -> LocalUsers:
    users = LocalUsers(folder / "sign-in.sqlite", lambda: now_ms)
    users.add(name, roles, PASSWORD)
    return users


def enter(client: TestClient, name: str, password: str = PASSWORD, next_path="/"):  # type: ignore[no-untyped-def]
    """Fills in the form, as it was shown, and sends it."""
    page = client.get("/sign-in", params={"next": next_path})
    fields = form_fields(page.text) | {"name": name, "password": password}
    return client.post("/sign-in", data=fields)


def form_fields(html: str) -> dict[str, str]:
    """The hidden fields of a page's last form."""
    form = re.findall(r"<form.*?</form>", html, re.S)[-1]
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))


def audited(folder: Path) -> list[AccessEntry]:
    """What the audit log has, the oldest first."""
    audit = AccessAudit(folder / "sign-in.sqlite", wall_ms)
    return list(audit.entries(100)[0])[::-1]
