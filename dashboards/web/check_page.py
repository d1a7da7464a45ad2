"""`/check`: tests in any browser whether a call would work from here, against one of
the council's reflectors. Nothing is stored, unless a support code is entered."""

from __future__ import annotations

import asyncio
import math
import secrets
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from collectors.reflector import call_echo
from collectors.reflector.reflector_access import (
    SecretRefused,
    make_token,
    read_secret,
)
from collectors.support_codes import BrowserCheck, CodeRefused, SupportCodes
from dashboards import call_quality
from dashboards.web.browser_checks import (
    FIELDS,
    JUDGED,
    VIDEO_MBPS,
    CheckUnreadable,
    read_check,
)
from dashboards.web.page_forms import read_form
from dashboards.web.page_routes import PageRoute
from dashboards.web.page_views import Views
from dashboards.web.security_headers import PAGE
from dashboards.web.sign_in.access_audit import AccessAudit
from dashboards.web.sign_in.try_limits import TryLimits
from dashboards.web.visitor_recognition import present_visitor
from dashboards.web.visitors import Right
from probes.wire import ndt7
from probes.wire.support_code import LONGEST_TYPED, code_expected, typed_code

_log = structlog.get_logger()
# A voice call sends 50 messages a second.
CALL_MESSAGES = 500
# What the speed tests may use, each: enough to tell 4 Mbit/s from 40.
SPEED_BYTES, SPEED_SECONDS = 12_500_000, 8
SEND = "send check"
# All who are not signed in share a limit, and all people together have one.
_NOT_SIGNED_IN, _EVERYBODY = "not signed in", "all who send checks"


class CheckPage:
    """`show` renders a template with values, and returns the answer. `secret_file`: the
    reflectors' secret, from which each load of the page gets a token for its tests.
    `codes`: with them a result can be sent to the service desk, which `audit` records.
    """

    def __init__(
        self,
        views: Views,
        show: Callable[..., Response],
        audit: AccessAudit,
        secret_file: Path | None = None,
        codes: SupportCodes | None = None,
    ) -> None:
        self._views, self._show, self._codes = views, show, codes
        self._audit = audit
        self._limits = TryLimits()
        self._secret = b""
        if secret_file is not None:
            try:
                self._secret = read_secret(secret_file)
            except SecretRefused as error:
                # Reflectors that ask for no token still answer.
                _log.warning("check_page_without_tokens", error=str(error))

    @property
    def routes(self) -> list[PageRoute]:
        right = Right.SEE_SUMMARY
        found = [PageRoute("/check", self.page, right)]
        if self._codes is not None:
            found.append(PageRoute("/check/send", self.send, right, ("POST",)))
        return found

    async def page(self, request: Request) -> Response:
        reflectors = self._views.estate().reflectors
        address = next((r.ndt7_url for r in reflectors if r.ndt7_url), "")
        limits = {
            name: (
                call_quality.BY_FIELD[field].good,
                call_quality.BY_FIELD[field].poor,
            )
            for name, field in JUDGED.items()
        }
        answer = self._show(
            "check.html",
            here="check",
            test=self._test(address) if address else None,
            limits=limits,
            video_mbps=VIDEO_MBPS,
            speed_seconds=SPEED_SECONDS,
            speed_bytes=SPEED_BYTES,
            messages=CALL_MESSAGES,
            fields=FIELDS if self._codes is not None else (),
        )
        if address:
            answer.headers["content-security-policy"] = policy_with(address)
        return answer

    async def send(self, request: Request) -> Response:
        """Keeps a result for the person who opens the code that was entered with it."""
        assert self._codes is not None
        fields = await read_form(request)
        try:
            check = read_check(fields)
        except CheckUnreadable:
            raise HTTPException(
                400, "This is not the result of a check. Open the page again."
            ) from None
        typed = " ".join(fields.get("code", "").split())[:LONGEST_TYPED]
        # Right ones count too: nobody measures more often than that.
        name, now_s = present_visitor().id or _NOT_SIGNED_IN, time.monotonic()
        wait_s = self._limits.wait_s(name, _EVERYBODY, now_s)
        if wait_s > 0:
            text = f"There were too many tries. Wait {math.ceil(wait_s)} seconds"
            page = self._sent(fields, typed, text, 429)
            page.headers["retry-after"] = str(math.ceil(wait_s))
            return page
        code = typed_code(typed)
        if not code:
            return self._sent(fields, typed, code_expected(typed), 400)
        self._limits.note_wrong(name, _EVERYBODY, now_s)
        try:
            refused = await asyncio.to_thread(self._keep, code, check)
        except (sqlite3.Error, OSError) as error:
            _log.error("check_not_kept", error=repr(error))
            text = (
                "The result could not be sent. Try again in a minute, or read it out "
                "to the service desk"
            )
            return self._sent(fields, typed, text, 503)
        if refused:
            return self._sent(fields, typed, refused, 403)
        return self._sent(fields, "", "", 200)

    def _keep(self, code: str, check: BrowserCheck) -> str:
        """Keeps the check, or returns why not. Both are in the audit log: a code that
        nobody has may be a guess. Blocking."""
        assert self._codes is not None
        refused, outcome = "", "done"
        try:
            self._codes.keep_check(code, check)
        except CodeRefused as refusal:
            refused, outcome = str(refusal), f"refused: {refusal.detail}"
        visitor = present_visitor()
        who = visitor.name or _NOT_SIGNED_IN
        self._audit.record(who, visitor.id, SEND, outcome=outcome)
        return refused

    def _sent(
        self, fields: dict[str, str], typed: str, error: str, status: int
    ) -> Response:
        return self._show(
            "check_sent.html",
            status,
            here="check",
            fields=FIELDS,
            measured=fields,
            typed=typed,
            error=error,
        )

    def _test(self, address: str) -> dict[str, str]:
        """The addresses of the three tests. Each load is a holder of its own, so that
        one page has one test at a time."""
        base = ndt7.with_token(address, self._token())
        more = {ndt7.MOST_BYTES_KEY: str(SPEED_BYTES)}
        return {
            "call": ndt7.url_of(base, call_echo.PATH),
            "download": ndt7.url_of(base, ndt7.DOWNLOAD, more),
            "upload": ndt7.url_of(base, ndt7.UPLOAD),
            "call_protocol": call_echo.SUBPROTOCOL,
            "speed_protocol": ndt7.SUBPROTOCOL,
        }

    def _token(self) -> str:
        if not self._secret:
            return ""
        holder = f"browser {secrets.token_hex(8)}"
        return make_token(self._secret, holder, self._views.now_ms() / 1000)


def policy_with(address: str) -> str:
    """Returns the pages' content security policy, which also allows connections to
    the reflector at that address, and nowhere else."""
    parts = urlsplit(ndt7.url_of(address, ""))
    return PAGE["content-security-policy"].replace(
        "connect-src 'self'", f"connect-src 'self' {parts.scheme}://{parts.netloc}"
    )
