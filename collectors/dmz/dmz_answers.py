"""`DmzAnswers`: the inside answers a DMZ node: who gets which name, secret or support
code, and which laptops were there.

What comes from the node is not trusted: a laptop's secret is verified again, and times
are never later than now.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable

import msgspec
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from collectors.dmz.dmz_messages import (
    MAX_BYTES,
    IdentityAnswer,
    IdentityRequest,
    LaptopMark,
    identities_subject,
    marks_subject,
)
from collectors.dmz.registry_publisher import RegistryPublisher
from collectors.ingest.enrolment import EnrolmentsBusy, EnrolmentService
from collectors.ingest.pseudonym import KeyRefused
from collectors.ingest.registry import Registry
from collectors.ingest.registry_records import DeviceTaken, EnrolmentRefused
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.nats_errors import NATS_FAILURES
from collectors.support_codes import CodesTooOften, SupportCodes
from probes.wire.clock import WallClock
from probes.wire.report import AgentCredential

_LOOK_S = 1.0
_AT_ONCE = 64

_log = structlog.get_logger()


class DmzAnswers:
    """`run` answers until it is cancelled. `given`: how many requests it has answered
    with what was asked for."""

    def __init__(
        self,
        connection: NatsConnection,
        registry: Registry,
        service: EnrolmentService,
        publisher: RegistryPublisher,
        codes: SupportCodes,
        now_ms: WallClock,
    ) -> None:
        self._connection, self._registry = connection, registry
        self._service, self._publisher = service, publisher
        self._codes, self._now_ms = codes, now_ms
        self.given = 0
        self._answering: set[asyncio.Task[None]] = set()
        prefix = connection.config.prefix
        self._handlers: dict[str, Callable[[bytes], Awaitable[bytes]]] = {
            identities_subject(prefix): self._give_identity,
            marks_subject(prefix): self._take_marks,
        }
        self._subscribed: dict[str, Subscription] = {}
        self._is_subscribed = False
        connection.listeners.add(self._lose)

    async def run(self) -> None:
        try:
            while True:
                if self._connection.is_connected and not self._is_subscribed:
                    with contextlib.suppress(*NATS_FAILURES):
                        await self._subscribe()
                await asyncio.sleep(_LOOK_S)
        finally:
            for task in self._answering:
                task.cancel()

    def _lose(self) -> None:
        # A client that was closed and connected again has no subscriptions.
        self._is_subscribed = False

    async def _subscribe(self) -> None:
        self._is_subscribed = True
        for subject in self._handlers:
            if before := self._subscribed.pop(subject, None):
                with contextlib.suppress(*NATS_FAILURES):
                    await before.unsubscribe()
            self._subscribed[subject] = await self._connection.client.subscribe(
                subject, queue="inside", cb=self._hear
            )

    async def _hear(self, message: Msg) -> None:
        """Begins to answer: the next request need not wait for this one."""
        if len(self._answering) >= _AT_ONCE:
            busy = IdentityAnswer(
                refusal="busy", why="too many laptops enrol at once", retry_s=5
            )
            await self._respond(message, msgspec.json.encode(busy))
            return
        task = asyncio.create_task(self._answer(message), name="answer to a DMZ node")
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, message: Msg) -> None:
        await self._respond(
            message, await self._handlers[message.subject](message.data)
        )

    async def _respond(self, message: Msg, body: bytes) -> None:
        with contextlib.suppress(*NATS_FAILURES):
            await message.respond(body)

    async def _give_identity(self, body: bytes) -> bytes:
        try:
            if len(body) > MAX_BYTES:
                raise msgspec.ValidationError("the request is too large")
            request = msgspec.json.decode(body, type=IdentityRequest)
            answer = await self._granted(request)
            self.given += 1
        except CodesTooOften:
            answer = IdentityAnswer(refusal="often")
        except DeviceTaken:
            answer = IdentityAnswer(refusal="taken")
        except EnrolmentRefused as refused:
            answer = IdentityAnswer(refusal="refused", why=str(refused))
        except EnrolmentsBusy as busy:
            answer = IdentityAnswer(
                refusal="busy", why=str(busy), retry_s=busy.retry_s, own=busy.own
            )
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            answer = IdentityAnswer(
                refusal="refused", why=f"expected a request: {error}"
            )
        except (KeyRefused, sqlite3.Error, *NATS_FAILURES) as error:
            _log.error("dmz_request_failed", error=str(error))
            why = "this is not possible at the moment"
            answer = IdentityAnswer(refusal="failed", why=why, retry_s=60)
        return msgspec.json.encode(answer)

    async def _granted(self, request: IdentityRequest) -> IdentityAnswer:
        if request.kind in ("code", "looks"):
            self._verify(request)
            codes = self._codes
            work = codes.make if request.kind == "code" else codes.of_laptop
            support = await asyncio.to_thread(work, request.agent)
            return IdentityAnswer(support=support)
        credential = await self._credential(request)
        return IdentityAnswer(await self._publisher.publish(), credential)

    def _verify(self, request: IdentityRequest) -> None:
        if self._registry.verify(request.agent, request.secret) is None:
            raise EnrolmentRefused("this secret is not valid any more")

    async def _credential(self, request: IdentityRequest) -> AgentCredential | None:
        now_ms, service = self._now_ms(), self._service
        agent, secret = request.agent, request.secret
        if request.kind == "enrol":
            if request.enrolment is None:
                raise EnrolmentRefused("expected token and device")
            return await service.enrol(request.enrolment, request.address, now_ms)
        self._verify(request)
        if request.kind == "move":
            if request.enrolment is None:
                raise EnrolmentRefused("expected token and device")
            return await service.move(agent, secret, request.enrolment, now_ms)
        if request.kind == "renew":
            return await service.renew(agent, secret, request.wish.machine, now_ms)
        await service.confirm(agent, secret, now_ms)
        return None

    async def _take_marks(self, body: bytes) -> bytes:
        try:
            marks = msgspec.msgpack.decode(body, type=list[LaptopMark])
        except msgspec.MsgspecError as error:
            _log.warning("dmz_marks_unreadable", error=str(error))
            return b"unreadable"
        now_ms, registry = self._now_ms(), self._registry
        for mark in marks:
            if mark.seen_ms:
                registry.mark_seen(mark.agent, min(mark.seen_ms, now_ms))
            if mark.measured_ms:
                at_ms = min(mark.measured_ms, now_ms)
                registry.mark_measured(mark.agent, at_ms, mark.software)
            if mark.policy:
                registry.mark_policy(mark.agent, mark.policy)
            if mark.retired_secret:
                registry.is_retired(mark.agent, mark.retired_secret, now_ms)
        return b"taken"
