"""`SupportCodeRequests`: a laptop asks for a support code, and who has looked.

POST /v1/support-code   -> `SupportCode` with a new code
GET  /v1/support-code   -> `SupportCode` without one
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable

import structlog
from starlette.requests import Request
from starlette.responses import Response

from collectors.ingest.enrolment import EnrolmentsBusy
from collectors.ingest.http_answers import HttpRefused, json_answer, retry_later
from collectors.ingest.known_laptops import CodeService
from collectors.ingest.registry_records import EnrolledAgent, EnrolmentRefused
from collectors.support_codes import CodesTooOften, SupportCodes
from probes.wire.support_code import SupportCode

_log = structlog.get_logger()


class KeptCodes:
    """A `CodeService`: the codes in this machine's file."""

    def __init__(self, codes: SupportCodes) -> None:
        self._codes = codes

    async def make(self, agent: str, secret: str) -> SupportCode:
        return await asyncio.to_thread(self._codes.make, agent)

    async def of_laptop(self, agent: str, secret: str) -> SupportCode:
        return await asyncio.to_thread(self._codes.of_laptop, agent)


class SupportCodeRequests:
    """`sign_in` returns the laptop that a request is from and its secret, or raises
    `HttpRefused`."""

    def __init__(
        self,
        codes: CodeService,
        sign_in: Callable[[Request], tuple[EnrolledAgent, str]],
    ) -> None:
        self._codes, self._sign_in = codes, sign_in

    async def make(self, request: Request) -> Response:
        answer = await self._checked(self._codes.make, request)
        _log.info("support_code_made")
        return answer

    async def show(self, request: Request) -> Response:
        return await self._checked(self._codes.of_laptop, request)

    async def _checked(
        self, work: Callable[[str, str], Awaitable[SupportCode]], request: Request
    ) -> Response:
        sender, secret = self._sign_in(request)
        try:
            return json_answer(await work(sender.agent, secret))
        except CodesTooOften:
            raise retry_later(
                429, "too many support codes within an hour: use the last one", 600
            ) from None
        except EnrolmentRefused as refused:
            raise HttpRefused(403, str(refused)) from None
        except EnrolmentsBusy as busy:
            raise retry_later(503, busy, busy.retry_s) from None
        except (sqlite3.Error, OSError) as error:
            _log.error("support_codes_unusable", error=repr(error))
            raise retry_later(503, "support codes cannot be kept now", 60) from None
