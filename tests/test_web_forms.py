"""What was typed into any form of the pages is not lost if it cannot be done."""

from __future__ import annotations

import re
from pathlib import Path

import accessible
import pytest
from council_page import CSS, page_text
from signing_in import enter
from whole_site import (
    ADMIN,
    HER,
    MEASURED,
    WholeSite,
    fill_disk,
    typed_fields,
    whole_site,
)

from alerts.alert_access import open_alerts
from dashboards.web.kept_form_page import LABELS
from dashboards.web.page_forms import KeptForms
from dashboards.web.visitors import Right

TEMPLATES = Path(__file__).parents[1] / "dashboards" / "web" / "templates"
# What a person types, by the route that it is sent to.
TYPED: dict[str, dict[str, str]] = {
    "/act/{token}": {"who": "Ada", "why": "supplier rung, back at three"},
    "/sign-in": {"name": "Ada Lovelace", "password": "three random words"},
    "/support": {"code": "ACDE 3479"},
    "/check/send": MEASURED | {"code": "ACDE 3479"},
    # These have no fields.
    "/admin/end": {},
    "/sign-out": {},
}


def _path(here: WholeSite, route: str) -> str:
    return here.link() if route == "/act/{token}" else route


def test_every_form_is_tried_and_what_it_asks_for_has_a_label(tmp_path: Path) -> None:
    with whole_site(tmp_path) as here:
        # The other one is sent by the provider's server, with a token and no form.
        assert here.routes("POST") == {*TYPED, "/sign-in/provider-logout"}
    templates = "".join(path.read_text("utf-8") for path in TEMPLATES.glob("*.html"))
    forms = re.findall(r'<form [^>]*method="post".*?</form>', templates, re.S)
    asked = {
        name
        for form in [*forms, *re.findall(r"macro code_field.*?endmacro", templates)]
        for kind, name in re.findall(r'<((?:input|select) [^>]*?)name="(\w+)"', form)
        if 'type="hidden"' not in kind + form.split(f'name="{name}"')[0][-40:]
    }
    assert asked - {"password"} <= set(LABELS)


@pytest.mark.parametrize("route", [path for path, typed in TYPED.items() if typed])
def test_what_cannot_be_written_comes_back_filled_in_as_it_was_typed(
    tmp_path: Path, route: str
) -> None:
    with whole_site(tmp_path) as here:
        here.codes.make(HER)
        typed = TYPED[route] | {"code": here.codes.make(HER).code}
        typed = {name: typed[name] for name in TYPED[route]}
        if route == "/sign-in":
            here.client.cookies.clear()
            typed["name"] = ADMIN
            page = here.html("/sign-in")
            fill_disk(here.sign_in)
            answer = here.client.post(route, data=typed_fields(page) | typed)
        else:
            token = typed_fields(here.html("/sign-out"))
            for file in (here.alerts, here.codes.path):
                fill_disk(file)
            answer = here.client.post(_path(here, route), data=token | typed)
    assert answer.status_code == 503
    shown = typed_fields(answer.text)
    secret = typed.pop("password", "")
    assert {name: shown.get(name) for name in typed if name != "who"} == {
        name: text for name, text in typed.items() if name != "who"
    }
    assert not secret or secret not in answer.text
    assert "There is a problem" in page_text(answer.text)
    assert accessible.findings(answer.text, CSS) == []


def test_a_form_whose_file_is_unreadable_is_kept_to_be_sent_again(
    tmp_path: Path,
) -> None:
    with whole_site(tmp_path) as here:
        whole = here.alerts.read_bytes()
        here.alerts.write_bytes(b"not a database, but long enough to be one" * 20)
        link, typed = here.link(), TYPED["/act/{token}"]
        failed = here.send(link, **typed)
        assert failed.status_code == 503
        text = page_text(failed.text)
        assert "What you typed is still here" in text
        assert "could not be recorded" in text
        assert f"Reason {typed['why']}" in text
        assert accessible.findings(failed.text, CSS) == []
        here.alerts.write_bytes(whole)
        again = here.client.post(link, data=typed_fields(failed.text))
        assert again.status_code == 303
        assert open_alerts(here.alerts)[0].acknowledged_why == typed["why"]


def test_a_session_that_cannot_be_ended_can_be_ended_by_the_same_page(
    tmp_path: Path,
) -> None:
    with whole_site(tmp_path) as here:
        here.client.cookies.delete("towpath-session")
        enter(here.client, ADMIN)
        fields = typed_fields(here.html("/admin"))
        assert fields["reference"]
        fill_disk(here.sign_in)
        answer = here.client.post("/admin/end", data=fields)
        everywhere = here.client.post(
            "/sign-out", data={"everywhere": "yes", "form_token": fields["form_token"]}
        )
    assert "You are signed out" not in page_text(everywhere.text)
    assert typed_fields(everywhere.text)["everywhere"] == "yes"
    assert answer.status_code == everywhere.status_code == 503
    text = page_text(answer.text)
    assert "This was not done" in text
    assert "disk is full" in text
    # A reference means nothing to people.
    assert fields["reference"] not in text
    assert typed_fields(answer.text) == fields
    assert accessible.findings(answer.text, CSS) == []


def test_what_is_kept_is_bounded_by_its_length() -> None:
    kept = KeptForms()
    first, _ = kept.keep("/x", Right.SEE_PUBLIC, {"why": "y" * 10_000}, "b", 0)
    for _ in range(250):
        last, _ = kept.keep("/x", Right.SEE_PUBLIC, {"why": "y" * 10_000}, "b", 0)
    assert kept.find(first, "b", 0) is None
    assert kept.find(last, "b", 0) is not None
