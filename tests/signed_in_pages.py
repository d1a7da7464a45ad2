"""The pages of those who sign in, as HTML, for the tests in a real browser."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from signing_in import cheap_passwords, enter
from test_support_pages import HER, desk
from whole_site import ADMIN, MEASURED, WholeSite, fill_disk, whole_site

from dashboards.web.visitors import Role

CALLER = "The caller's last day"


def _sign_in(here: WholeSite) -> str:
    here.client.cookies.clear()
    return str(enter(here.client, ADMIN, "a wrong password").text)


def _sign_out(here: WholeSite) -> str:
    return here.html("/sign-out")


def _signed_out(here: WholeSite) -> str:
    return str(here.send("/sign-out").text)


def _kept(here: WholeSite) -> str:
    stale = {"form_token": "another", "who": "Ada", "why": "rung"}
    where = here.client.post(here.link(), data=stale).headers["location"]
    return here.html(where)


def _not_recorded(here: WholeSite) -> str:
    fill_disk(here.alerts)
    return str(here.send(here.link(), who="Ada", why="supplier rung").text)


def _check_sent(here: WholeSite) -> str:
    return str(here.send("/check/send", **MEASURED, code="AAAA AAAA").text)


def _support(here: WholeSite) -> str:
    return str(here.send("/support", code="AAAA AAAA").text)


# Page → its route, and how to come to it.
SIGNED_IN_PAGES: dict[str, tuple[str, Callable[[WholeSite], str]]] = {
    "Sign in": ("/sign-in", _sign_in),
    "Sign out": ("/sign-out", _sign_out),
    "Signed out": ("/signed-out", _signed_out),
    "Support code": ("/support", _support),
    "People": ("/admin", lambda here: here.html("/admin")),
    "Who did what": ("/admin/audit", lambda here: here.html("/admin/audit")),
    "Acknowledge": ("/act/{token}", lambda here: here.html(here.link())),
    "Silence": ("/act/{token}", lambda here: here.html(here.link("silence"))),
    "Not recorded": ("/act/{token}", _not_recorded),
    "Nothing was changed": ("/act/{token}", lambda here: here.html("/act/forged")),
    "Acknowledged": (
        "/act/done/{action}",
        lambda here: here.html("/act/done/acknowledge"),
    ),
    "A form that was kept": ("/form/{reference}", _kept),
    "The check was not sent": ("", _check_sent),
    CALLER: ("/support/{reference}", lambda here: ""),
}


def _caller(folder: Path) -> str:
    """With results of the laptop."""
    with desk(folder, Role.ADMIN) as here:
        where = here.send(here.codes.make(HER).code).headers["location"]
        return str(here.client.get(where).text)


@cache
def signed_in_page(name: str) -> str:
    with tempfile.TemporaryDirectory() as folder, cheap_passwords():
        if name == CALLER:
            return _caller(Path(folder))
        with whole_site(Path(folder)) as here:
            return SIGNED_IN_PAGES[name][1](here)
