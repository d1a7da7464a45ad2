"""`SupportCodeRequests`: a laptop asks for a support code, and who has looked.

POST /v1/support-code   -> `SupportCode` with a new code
GET  /v1/support-code   -> `SupportCode` without one
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable

import structlog
from starlette.requests import Request
from starlette.responses import Response

from collectors.ingest.http_answers import json_answer, retry_later
from collectors.support_codes import CodesTooOften, SupportCodes
from probes.wire.support_code import SupportCode

_log = structlog.get_logger()


class SupportCodeRequests:
    """`sender` returns the laptop that a request is from, or raises `HttpRefused`.
    Without `codes`, as on a DMZ node, there are none."""

    def __init__(
        self, codes: SupportCodes | None, sender: Callable[[Request], str]
    ) -> None:
        self._codes, self._sender = codes, sender

    async def make(self, request: Request) -> Response:
        agent = self._sender(request)
        answer = await self._checked(self._opened().make, agent)
        _log.info("support_code_made")
        return json_answer(answer)

    async def show(self, request: Request) -> Response:
        agent = self._sender(request)
        return json_answer(await self._checked(self._opened().of_laptop, agent))

    def _opened(self) -> SupportCodes:
        if self._codes is None:
            why = "support codes cannot be made from outside: use the council's network"
            raise retry_later(503, why, 3600)
        return self._codes

    async def _checked(
        self, work: Callable[[str], SupportCode], agent: str
    ) -> SupportCode:
        try:
            return await asyncio.to_thread(work, agent)
        except CodesTooOften:
            raise retry_later(
                429, "too many support codes within an hour: use the last one", 600
            ) from None
        except (sqlite3.Error, OSError) as error:
            _log.error("support_codes_unusable", error=repr(error))
            raise retry_later(503, "support codes cannot be kept now", 60) from None
