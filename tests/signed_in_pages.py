"""The pages of those who sign in, as HTML, for the tests in a real browser."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from argon2 import PasswordHasher
from signing_in import enter
from test_support_pages import HER, Desk, desk

from dashboards.web.sign_in import local_users
from dashboards.web.visitors import Role

SIGN_IN, CALLER, PEOPLE = "Sign in", "The caller's last day", "People"
AUDIT = "Who did what"
SIGNED_IN_PAGES = (SIGN_IN, CALLER, PEOPLE, AUDIT)


@contextmanager
def _admin() -> Iterator[Desk]:
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(local_users, "_hasher", return_value=cheap),
        desk(Path(folder), Role.ADMIN) as here,
    ):
        yield here


def signed_in_page(name: str) -> str:
    with _admin() as here:
        if name == PEOPLE:
            return str(here.client.get("/admin").text)
        if name == AUDIT:
            return str(here.client.get("/admin/audit").text)
        if name == CALLER:
            where = here.send(here.codes.make(HER).code).headers["location"]
            return str(here.client.get(where).text)
        here.client.cookies.clear()
        return str(enter(here.client, "Grace Hopper", "a wrong password").text)
