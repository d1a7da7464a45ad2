"""`EnrolmentRequests`: the requests by which laptops get names and secrets.

POST /v1/enrol               `Enrolment` -> `AgentCredential`
POST /v1/credential          `CredentialWish` -> `AgentCredential`, a new secret
POST /v1/credential/confirm  with the new secret: from now on it is the only one
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from collectors.ingest.enrolment import EnrolmentsBusy
from collectors.ingest.http_answers import (
    HttpRefused,
    address_of,
    json_answer,
    retry_later,
)
from collectors.ingest.ingest_stats import IngestStats
from collectors.ingest.known_laptops import IdentityService
from collectors.ingest.pseudonym import KeyRefused
from collectors.ingest.registry_records import (
    DeviceTaken,
    EnrolledAgent,
    EnrolmentRefused,
)
from collectors.ingest.rejection_reasons import RejectionReason
from probes.wire.clock import WallClock
from probes.wire.report import CredentialWish, Enrolment

MAX_BYTES = 4_000
_Body = TypeVar("_Body", Enrolment, CredentialWish)
_Answer = TypeVar("_Answer")

_log = structlog.get_logger()


class EnrolmentRequests:
    """`sign_in` returns the sender of a request and its secret, or raises
    `HttpRefused`; `read` returns a body of at most so many bytes. What `stop_key`
    returns goes with an enrolment."""

    def __init__(
        self,
        service: IdentityService,
        stats: IngestStats,
        sign_in: Callable[[Request], tuple[EnrolledAgent, str]],
        read: Callable[[Request, int], Awaitable[bytes]],
        now_ms: WallClock,
        stop_key: Callable[[], str] = str,
    ) -> None:
        self._service, self._stats = service, stats
        self._sign_in, self._read, self._now_ms = sign_in, read, now_ms
        self._stop_key = stop_key

    async def enrol(self, request: Request) -> Response:
        enrolment = await self._body(request, Enrolment, "token and device")
        copied = not enrolment.token and "authorization" in request.headers
        if copied:
            sender, secret = self._sign_in(request)
            working = self._service.move(
                sender.agent, secret, enrolment, self._now_ms()
            )
        else:
            address = address_of(request)
            working = self._service.enrol(enrolment, address, self._now_ms())
        credential = await self._checked(working)
        _log.info("agent_enrolled", site=credential.home_site)
        key = self._stop_key()
        return json_answer(msgspec.structs.replace(credential, stop_key=key))

    async def renew(self, request: Request) -> Response:
        sender, secret = self._sign_in(request)
        wish = await self._body(request, CredentialWish, "machine")
        working = self._service.renew(
            sender.agent, secret, wish.machine, self._now_ms()
        )
        return json_answer(await self._checked(working))

    async def confirm(self, request: Request) -> Response:
        sender, secret = self._sign_in(request)
        await self._checked(self._service.confirm(sender.agent, secret, self._now_ms()))
        return json_answer({"agent": sender.agent})

    async def _body(self, request: Request, kind: type[_Body], names: str) -> _Body:
        try:
            return msgspec.json.decode(
                await self._read(request, MAX_BYTES) or b"{}", type=kind
            )
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise HttpRefused(400, f"expected {names}: {error}") from None

    async def _checked(self, working: Awaitable[_Answer]) -> _Answer:
        try:
            return await working
        except DeviceTaken as taken:
            raise HttpRefused(409, str(taken)) from None
        except EnrolmentRefused as refused:
            self._stats.count_unauthorised(RejectionReason.ENROLMENT)
            raise HttpRefused(403, str(refused)) from None
        except EnrolmentsBusy as many:
            self._stats.count_turned_away(
                RejectionReason.ENROLMENT_RATE if many.own else RejectionReason.BUSY
            )
            raise retry_later(429 if many.own else 503, many, many.retry_s) from None
        except (KeyRefused, sqlite3.Error, OSError) as error:
            _log.error("enrolment_failed", error=str(error))
            raise retry_later(
                503, "enrolment is not possible at the moment", 60
            ) from None
