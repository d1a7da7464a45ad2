"""Forms of the pages: only our own are accepted, and what was typed is not lost.

A form carries a token that is made of a secret in the browser's cookie. If the token is
not the present one (the session has ended, or the page was open in another browser),
or if it cannot be done now, what was typed is kept in memory for half an hour, and
shown to be sent again.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import msgspec
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request

from collectors.limited_body import read_limited
from dashboards.web.visitor_recognition import present_request
from dashboards.web.visitors import Right

FORM_TOKEN = "form_token"
# More than any field may have, so that what is too long is named and comes back.
_MOST_BODY_BYTES = 32_768
_MOST_FIELDS = 20
_KEPT_MS = 1_800_000
_MOST_KEPT, _MOST_KEPT_CHARACTERS = 500, 2_000_000
# They are typed again, and kept nowhere.
_NEVER_KEPT = frozenset({"password", FORM_TOKEN})


class FormStale(Exception):
    """The form is not of the present session. `fields` is what was typed."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("the form is not of this session")
        self.fields = dict(fields)


class KeptForm(msgspec.Struct, frozen=True):
    """What was typed for `path`, in the browser that has the secret `browser`.
    `right`: what it takes to send it; `why`: a sentence if it could not be done."""

    path: str
    right: Right
    fields: dict[str, str]
    browser: str
    until_ms: int
    why: str = ""

    @property
    def characters(self) -> int:
        return sum(len(name) + len(text) for name, text in self.fields.items())


class KeptForms:
    """Forms that were not done, until they are sent again. In memory."""

    def __init__(self) -> None:
        self._by_reference: dict[str, KeptForm] = {}
        self._characters = 0

    def keep(
        self,
        path: str,
        right: Right,
        fields: dict[str, str],
        browser: str,
        now_ms: int,
        why: str = "",
    ) -> tuple[str, KeptForm]:
        """Returns its reference, and the form without passwords."""
        for reference, form in list(self._by_reference.items()):
            full = (
                len(self._by_reference) >= _MOST_KEPT
                or self._characters > _MOST_KEPT_CHARACTERS
            )
            if not full and now_ms < form.until_ms:
                break  # they are in the order of their ends
            del self._by_reference[reference]
            self._characters -= form.characters
        shown = {name: text for name, text in fields.items() if name not in _NEVER_KEPT}
        reference = secrets.token_urlsafe(16)
        kept = KeptForm(path, right, shown, browser, now_ms + _KEPT_MS, why)
        self._by_reference[reference] = kept
        self._characters += kept.characters
        return reference, kept

    def find(self, reference: str, browser: str, now_ms: int) -> KeptForm | None:
        form = self._by_reference.get(reference)
        if form is None or now_ms >= form.until_ms or form.browser != browser:
            return None
        return form


async def read_form(request: Request) -> dict[str, str]:
    """The fields of one of our own forms. Raises `FormStale`, or `HTTPException` if it
    is none."""
    fields = await read_fields(request)
    request.state.form = fields
    if not present_request().is_own_form(fields.pop(FORM_TOKEN, "")):
        raise FormStale(fields)
    return fields


def form_that_was_read(request: Request) -> dict[str, str] | None:
    """What `read_form` found in this request; None if it has not read it."""
    return getattr(request.state, "form", None)


async def read_fields(request: Request) -> dict[str, str]:
    """The fields of a form. Raises `HTTPException` if it is none."""
    body = await read_limited(request.stream(), _MOST_BODY_BYTES)
    if body is None:
        raise HTTPException(400, "The form is too long.")
    try:
        fields = parse_qs(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except (UnicodeDecodeError, ValueError):
        text = "The form was not understood. Open the page again."
        raise HTTPException(400, text) from None
    return {name: texts[0] for name, texts in fields.items()}


def is_from_elsewhere(headers: Headers) -> bool:
    """Whether a browser says that another website sent the request. Pure."""
    site = headers.get("sec-fetch-site", "")
    if site:
        return site not in ("same-origin", "none")
    origin = headers.get("origin", "")
    # A page without a referrer has the origin `null`.
    if origin in ("", "null"):
        return False
    return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()


def safe_next(text: str) -> str:
    """The page to go on with, if it is one of ours; else the first. Pure."""
    plain = text.isascii() and text.isprintable() and len(text) <= 2_000
    if not plain or not text.startswith("/") or "\\" in text:
        return "/"
    parts = urlsplit(text)
    if text.startswith("//") or parts.scheme or parts.netloc:
        return "/"
    leads_back = parts.path.split("/")[1] in ("sign-in", "sign-out", "signed-out")
    return "/" if leads_back else text
