"""The pages of the service desk: one laptop's last day, with the code that it shows.

The name of the person who opens a code is recorded before anything is shown, and the
laptop shows it too.
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from collectors.support_codes import CodeRefused, OpenedLaptop, SupportCodes
from dashboards.query_cache import rounded
from dashboards.web.browser_checks import judge_check
from dashboards.web.laptop_day import (
    LaptopDay,
    day_queries,
    laptop_day,
    personal_measurements,
    read_rows,
)
from dashboards.web.page_forms import read_form
from dashboards.web.page_routes import PageRoute
from dashboards.web.page_views import Views
from dashboards.web.shared_faults import shared_faults
from dashboards.web.sign_in.access_audit import AccessAudit
from dashboards.web.sign_in.try_limits import TryLimits
from dashboards.web.visitor_recognition import present_visitor
from dashboards.web.visitors import Right, Visitor
from probes.wire.diagnosis import Segment
from probes.wire.probe_list import probe_title
from probes.wire.result_summary import result_title, summary
from probes.wire.support_code import LONGEST_TYPED, code_expected, typed_code

_log = structlog.get_logger()
_Found = TypeVar("_Found")
OPEN = "open support code"
# Codes that nobody has are guessed: the limit of all people together.
_EVERYBODY = "all of the service desk"
# An agent reports every few minutes.
_OLD_MS = 900_000
# Who fixes a problem that callers are asked to tell the service desk about.
PASS_ON: Mapping[Segment, str] = {
    "network": "the network team",
    "laptop": "those who look after laptops",
    "wifi": "the network team",
    "line": "the network team",
    "vpn": "those who run the VPN",
    "council": "those who run the service",
    "microsoft": "those who run Microsoft 365",
    "telephony": "those who run the telephony",
    "calls": "the network team",
}


class SupportPages:
    """`show` renders a template with values, and returns the answer."""

    def __init__(
        self,
        codes: SupportCodes,
        views: Views,
        audit: AccessAudit,
        show: Callable[..., Response],
    ) -> None:
        self._codes, self._views, self._audit, self._show = codes, views, audit, show
        self._limits, self._turn = TryLimits(), asyncio.Lock()

    @property
    def routes(self) -> list[PageRoute]:
        right = Right.OPEN_SUPPORT_CODE
        return [
            PageRoute("/support", self.enter, right, ("GET", "POST")),
            PageRoute("/support/{reference}", self.laptop, right),
        ]

    async def enter(self, request: Request) -> Response:
        if request.method == "GET":
            return self._form("", "", 200)
        fields = await read_form(request)
        typed = " ".join(fields.get("code", "").split())[:LONGEST_TYPED]
        if not typed:
            return self._form("", "Enter the code that the laptop shows", 400)
        # One at a time: a volley of guesses would pass the limit before any counts.
        async with self._turn:
            try:
                return await self._open(typed, present_visitor())
            except HTTPException as failure:
                # The code may be right: it comes back to be sent again.
                return self._form(typed, failure.detail, failure.status_code)

    async def _open(self, typed: str, visitor: Visitor) -> Response:
        wait_s = self._limits.wait_s(visitor.id, _EVERYBODY, time.monotonic())
        if wait_s > 0:
            await self._record(outcome="refused: too many wrong codes")
            text = f"There were too many wrong codes. Wait {math.ceil(wait_s)} seconds"
            page = self._form(typed, text, 429)
            page.headers["retry-after"] = str(math.ceil(wait_s))
            return page
        code = typed_code(typed)
        try:
            if not code:
                raise CodeRefused(code_expected(typed), "no code")
            opened = await self._checked(
                self._codes.open, code, visitor.id, visitor.name
            )
        except CodeRefused as refusal:
            self._limits.note_wrong(visitor.id, _EVERYBODY, time.monotonic())
            await self._record(outcome=f"refused: {refusal.detail}")
            return self._form(typed, str(refusal), 403)
        await self._record(about=f"look {opened.reference}")
        return RedirectResponse(f"/support/{opened.reference}", 303)

    async def laptop(self, request: Request) -> Response:
        opened = await self._checked(
            self._codes.opened, request.path_params["reference"], present_visitor().id
        )
        if opened is None:
            raise HTTPException(
                404,
                "This code has expired, or another person opened it. Ask the caller "
                "for a new one.",
            )
        overview = await self._views.overview()
        day, unread = await self._day(opened, overview.now_ms)
        return self._show(
            "support_laptop.html",
            here="support",
            current=False,
            view=overview,
            opened=opened,
            day=day,
            unread=unread,
            checks=[judge_check(sent) for sent in opened.checks],
            faults=[] if day is None else shared_faults(overview.causes, day),
            pass_on=PASS_ON,
            is_old=day is not None and overview.now_ms - day.at_ms > _OLD_MS,
            result_title=result_title,
            summary=summary,
        )

    async def _day(
        self, opened: OpenedLaptop, now_ms: int
    ) -> tuple[LaptopDay | None, list[str]]:
        to_ms = rounded(now_ms, 60_000)
        answers = await self._views.answers.all(*day_queries(opened.agent, to_ms))
        placed, unread = [], []
        for declared, rows in zip(personal_measurements(), answers, strict=True):
            if rows is None:
                unread.append(probe_title(declared.name))
            else:
                placed += read_rows(declared.name, rows)
        return laptop_day(placed, to_ms), unread

    async def _checked(self, work: Callable[..., _Found], *values: str) -> _Found:
        try:
            return await asyncio.to_thread(work, *values)
        except (sqlite3.Error, OSError) as error:
            _log.error("support_codes_unusable", error=repr(error))
            raise HTTPException(503, f"Codes cannot be read now: {error}.") from None

    async def _record(self, about: str = "", outcome: str = "done") -> None:
        visitor = present_visitor()
        try:
            await asyncio.to_thread(
                self._audit.record, visitor.name, visitor.id, OPEN, about, outcome
            )
        except (sqlite3.Error, OSError) as error:
            _log.error("support_code_not_recorded", error=repr(error))
            raise HTTPException(
                503, f"This could not be recorded, so nothing was opened: {error}."
            ) from None

    def _form(self, typed: str, error: str, status: int) -> Response:
        return self._show(
            "support.html",
            status,
            here="support",
            typed=typed,
            error=error,
        )
