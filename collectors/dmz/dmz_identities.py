"""`DmzIdentities`: a DMZ node asks the inside for names, secrets and support codes of
laptops.

Only the inside has the key and the registry. What is certain to be refused is refused
here, so that guessing tokens costs the inside little.
"""

from __future__ import annotations

import msgspec
import structlog

from collectors.dmz.dmz_messages import (
    IdentityAnswer,
    IdentityRequest,
    identities_subject,
)
from collectors.dmz.dmz_registry import DmzRegistry
from collectors.ingest import enrolment_tokens
from collectors.ingest.enrolment import EnrolmentsBusy, WrongTokens
from collectors.ingest.registry_records import (
    DeviceTaken,
    EnrolmentRefused,
    secret_digest,
)
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.nats_errors import NATS_FAILURES
from collectors.support_codes import CodesTooOften
from probes.wire.clock import MonotonicClock
from probes.wire.report import AgentCredential, CredentialWish, Enrolment
from probes.wire.support_code import SupportCode

_ANSWER_S = 20.0
_AWAY_S = 30.0

_log = structlog.get_logger()


class DmzIdentities:
    """An `IdentityService` and a `CodeService`."""

    def __init__(
        self,
        connection: NatsConnection,
        registry: DmzRegistry,
        monotonic_s: MonotonicClock,
    ) -> None:
        self._connection, self._registry = connection, registry
        self._subject = identities_subject(connection.config.prefix)
        self._wrong = WrongTokens(monotonic_s)

    async def enrol(
        self, enrolment: Enrolment, address: str, now_ms: int
    ) -> AgentCredential:
        token = self._registry.view.tokens.get(secret_digest(enrolment.token).hex())
        # Whether the same laptop has used it before, only the inside knows. It may also
        # have made the token a moment ago.
        reason = enrolment_tokens.refusal_reason(
            token, now_ms, address, enrolment.ring, again=True
        )
        if reason:
            self._wrong.charge(address)
        if reason and token is not None:
            raise EnrolmentRefused(reason)
        request = IdentityRequest("enrol", address=address, enrolment=enrolment)
        return _credential(await self._ask(request))

    async def move(
        self, original: str, secret: str, enrolment: Enrolment, now_ms: int
    ) -> AgentCredential:
        request = IdentityRequest("move", original, secret, enrolment=enrolment)
        return _credential(await self._ask(request))

    async def renew(
        self, agent: str, secret: str, machine: str, now_ms: int
    ) -> AgentCredential:
        wish = CredentialWish(machine)
        return _credential(
            await self._ask(IdentityRequest("renew", agent, secret, wish=wish))
        )

    async def confirm(self, agent: str, secret: str, now_ms: int) -> None:
        await self._ask(IdentityRequest("confirm", agent, secret))

    async def make(self, agent: str, secret: str) -> SupportCode:
        return _support(await self._ask(IdentityRequest("code", agent, secret)))

    async def of_laptop(self, agent: str, secret: str) -> SupportCode:
        return _support(await self._ask(IdentityRequest("looks", agent, secret)))

    async def _ask(self, request: IdentityRequest) -> IdentityAnswer:
        """Returns what the inside answers, once this node knows it too. Raises as
        `EnrolmentService` does."""
        try:
            message = await self._connection.client.request(
                self._subject, msgspec.json.encode(request), timeout=_ANSWER_S
            )
            answer = msgspec.json.decode(message.data, type=IdentityAnswer)
            if not answer.refusal:
                await self._registry.wait_for(answer.revision)
        except (*NATS_FAILURES, msgspec.MsgspecError) as error:
            _log.warning("inside_not_asked", error=self._connection.sentence(error))
            raise EnrolmentsBusy(
                "the council's network cannot be asked at the moment; reports are "
                "taken",
                _AWAY_S,
                own=False,
            ) from None
        if answer.refusal == "taken":
            raise DeviceTaken
        if answer.refusal == "often":
            raise CodesTooOften
        if answer.refusal == "refused":
            raise EnrolmentRefused(answer.why)
        if answer.refusal:
            raise EnrolmentsBusy(answer.why, answer.retry_s, own=answer.own)
        return answer


def _credential(answer: IdentityAnswer) -> AgentCredential:
    if answer.credential is None:
        raise EnrolmentsBusy("the inside gave no credential", _AWAY_S, own=False)
    return answer.credential


def _support(answer: IdentityAnswer) -> SupportCode:
    if answer.support is None:
        raise EnrolmentsBusy("the inside gave no support code", _AWAY_S, own=False)
    return answer.support
