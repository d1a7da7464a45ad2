"""Who may see and do what: one table, of which what is public is the least."""

from __future__ import annotations

import pytest
from council_page import page_client
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dashboards.web import page_routes
from dashboards.web.visitors import (
    ROLE_RIGHTS,
    WITHOUT_SIGN_IN,
    Right,
    Role,
    Visitor,
    VisitorSource,
    signed_in,
)

EVERY_ROLE = st.sets(st.sampled_from(Role))


def test_what_is_public_is_the_least_of_all_roles() -> None:
    assert ROLE_RIGHTS.keys() == set(Role)
    public = ROLE_RIGHTS[Role.PUBLIC]
    assert public == {Right.SEE_PUBLIC}
    assert all(public <= rights for rights in ROLE_RIGHTS.values())
    assert Visitor().rights == public


def test_only_admins_administer_and_only_who_needs_it_opens_a_laptop() -> None:
    having = {
        right: {role for role, rights in ROLE_RIGHTS.items() if right in rights}
        for right in Right
    }
    assert having[Right.ADMINISTER] == {Role.ADMIN}
    desk = {Role.SERVICE_DESK, Role.ENGINEER, Role.ADMIN}
    assert having[Right.OPEN_SUPPORT_CODE] == desk
    assert having[Right.SEE_FLEET] == {Role.ENGINEER, Role.ADMIN}


@given(roles=EVERY_ROLE, more=EVERY_ROLE)
def test_another_role_takes_nothing_away(roles: set[Role], more: set[Role]) -> None:
    few = signed_in("Ada", "1", roles, VisitorSource.PROVIDER)
    many = signed_in("Ada", "1", roles | more, VisitorSource.PROVIDER)
    assert few.rights <= many.rights
    assert few.may(Right.SEE_PUBLIC)


def test_without_sign_in_nobody_acts_administers_or_opens_a_laptop() -> None:
    assert not WITHOUT_SIGN_IN & {
        Right.ACT_ON_ALERTS,
        Right.ADMINISTER,
        Right.OPEN_SUPPORT_CODE,
        Right.SEE_FLEET,
    }


def _addresses(client: TestClient) -> list[str]:
    examples = {"{site}": "town-hall", "{name}": "look.css"}
    assert isinstance(client.app, Starlette)
    paths = [getattr(route, "path", "") for route in client.app.routes]
    for part, example in examples.items():
        paths = [path.replace(part, example) for path in paths]
    return paths


@pytest.mark.parametrize("rights", [frozenset(), ROLE_RIGHTS[Role.PUBLIC]])
def test_no_page_is_shown_to_who_has_not_its_right(
    monkeypatch: pytest.MonkeyPatch, rights: frozenset[Right]
) -> None:
    monkeypatch.setattr(page_routes, "present_visitor", lambda: Visitor(rights=rights))
    with page_client() as client:
        shown = {path for path in _addresses(client) if client.get(path).is_success}
    public = {"/accessibility", "/healthz", "/static/look.css"}
    assert shown == (public if rights else set())
