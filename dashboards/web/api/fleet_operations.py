"""Operations of the API on enrolled laptops and enrolment tokens, as `towpath fleet`
does them. Laptops are named by pseudonym; nothing of what one measured is here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, TypeVar

import msgspec

from collectors.estate import Estate, known_names
from collectors.ingest import IngestConfig, Registry
from collectors.ingest.enrolment_tokens import TokenWish, token_state
from collectors.ingest.fleet_list import (
    FleetFilter,
    State,
    remarks_of,
    select,
)
from collectors.ingest.pseudonym import KeyRefused
from collectors.ingest.registry_reader import RegistryUnreadable, read_agents
from collectors.ingest.registry_records import EnrolledAgent, RegistryRefused, Token
from collectors.ingest.rings import unknown_ring_text
from dashboards.web.api.alert_documents import Why
from dashboards.web.api.api_paging import Paged
from dashboards.web.api.api_problem import ApiProblem, no_such
from dashboards.web.api.api_route import ApiCall, ApiRoute, Made, by_id, get_route
from dashboards.web.api.document_makers import counted
from dashboards.web.api.estate_documents import Id, utc, utc_time
from dashboards.web.visitors import Right

T = TypeVar("T")


class AgentQuery(Paged, frozen=True, forbid_unknown_fields=True, kw_only=True):
    site: Id = ""
    ring: Id = ""
    state: State | None = None


class AgentDocument(msgspec.Struct, frozen=True, kw_only=True):
    """An enrolled laptop. `last_seen_at`: the hour; null for never. `remarks`: what
    looks wrong with it."""

    id: str
    site: str
    ring: str
    team: str
    state: State
    software: str
    remarks: tuple[str, ...]
    enrolled_at: datetime
    last_seen_at: datetime | None


class FleetDocument(msgspec.Struct, frozen=True):
    """How many laptops are in which state, and have which version of the agent."""

    states: Mapping[State, int]
    software: Mapping[str, int]


class EnrolmentTokenDocument(msgspec.Struct, frozen=True, kw_only=True):
    """An enrolment token. `secret` is there only when it is made."""

    id: str
    site: str
    team: str
    ring: str
    sources: tuple[str, ...]
    uses: int
    used: int
    state: str
    expires_at: datetime
    secret: str | None = None


class EnrolmentTokenBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What laptops that enrol with it belong to, and from which networks they may."""

    site: Id
    uses: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1
    days: Annotated[float, msgspec.Meta(ge=0.01, le=400)] = 7
    team: Id = ""
    ring: Id = ""
    sources: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=50)], ...],
        msgspec.Meta(max_length=50),
    ] = ()


class PlaceBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The team and the ring of a laptop; empty: none."""

    team: Id
    ring: Id


class RevocationBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a laptop may no longer report."""

    why: Why = ""


class FleetOperations:
    """`config` is that of the ingest role, whose registry is changed."""

    def __init__(self, config: IngestConfig, estate: Callable[[], Estate]) -> None:
        self._config, self._estate = config, estate

    @property
    def routes(self) -> list[ApiRoute]:
        see, admin = Right.SEE_FLEET, Right.ADMINISTER
        write = (404, 412, 503)
        return [
            get_route(
                "/fleet",
                "get_fleet",
                "How many laptops are in which state",
                see,
                self.fleet,
                FleetDocument,
            ),
            get_route(
                "/agents",
                "list_agents",
                "Enrolled laptops",
                see,
                self.agents,
                AgentDocument,
                query=AgentQuery,
                order=by_id,
            ),
            get_route(
                "/agents/{agent}",
                "get_agent",
                "One laptop",
                see,
                self.agent,
                AgentDocument,
            ),
            ApiRoute(
                "PUT",
                "/agents/{agent}/place",
                "place_agent",
                "Move a laptop to a team and a ring",
                admin,
                self.place,
                AgentDocument,
                body=PlaceBody,
                problems=write,
                about=_unnamed,
            ),
            ApiRoute(
                "PUT",
                "/agents/{agent}/revocation",
                "revoke_agent",
                "Accept no more reports of a laptop",
                admin,
                self.revoke,
                AgentDocument,
                body=RevocationBody,
                problems=write,
                about=_unnamed,
            ),
            ApiRoute(
                "DELETE",
                "/agents/{agent}/revocation",
                "restore_agent",
                "Accept reports of a revoked laptop again",
                admin,
                self.restore,
                None,
                status=204,
                problems=write,
                about=_unnamed,
            ),
            get_route(
                "/enrolment-tokens",
                "list_enrolment_tokens",
                "Tokens that laptops enrol with",
                admin,
                self.tokens,
                EnrolmentTokenDocument,
                query=Paged,
                order=by_id,
            ),
            ApiRoute(
                "POST",
                "/enrolment-tokens",
                "make_enrolment_token",
                "Make a token for laptops to enrol with; it is shown once",
                admin,
                self.make_token,
                EnrolmentTokenDocument,
                body=EnrolmentTokenBody,
                status=201,
                problems=(409, 503),
                about=lambda call: call.body.site,
            ),
            ApiRoute(
                "DELETE",
                "/enrolment-tokens/{token}",
                "withdraw_enrolment_token",
                "Withdraw an enrolment token",
                admin,
                self.withdraw_token,
                None,
                status=204,
                problems=write,
            ),
        ]

    async def fleet(self, call: ApiCall) -> FleetDocument:
        chosen = select(await self._read(), FleetFilter(), call.now_ms)
        return FleetDocument(
            counted(state for _, state in chosen),
            counted(a.software for a, _ in chosen if a.counts and a.software),
        )

    async def agents(self, call: ApiCall) -> list[AgentDocument]:
        wanted = FleetFilter(call.query.site, call.query.ring, call.query.state or "")
        return [
            _agent(agent, state)
            for agent, state in select(await self._read(), wanted, call.now_ms)
        ]

    async def agent(self, call: ApiCall) -> AgentDocument:
        wanted = call.path["agent"]
        for agent, state in select(await self._read(), FleetFilter(), call.now_ms):
            if agent.agent == wanted:
                return _agent(agent, state)
        # The audit of the API has this sentence, and may outlast the laptop.
        raise ApiProblem(404, "there is no laptop of that name")

    async def place(self, call: ApiCall) -> AgentDocument:
        before, body = await self.agent(call), call.body
        call.check_match(before)
        if body.team and (
            unknown := known_names.unknown_name_text(self._estate(), "team", body.team)
        ):
            raise ApiProblem(422, unknown)

        def change(registry: Registry) -> None:
            policy, agents = self._config.policy, registry.agents()
            if body.ring and (fault := unknown_ring_text(body.ring, policy, agents)):
                raise ApiProblem(422, fault)
            who, admin = call.caller.name, registry.admin
            if body.team != before.team:
                admin.set_team(before.id, body.team, call.now_ms, who)
            if body.ring != before.ring:
                admin.set_ring(before.id, body.ring, call.now_ms, who)

        await self._change(change)
        return await self.agent(call)

    async def revoke(self, call: ApiCall) -> AgentDocument:
        before = await self.agent(call)
        call.check_match(before)
        who = call.caller.name
        await self._change(
            lambda registry: registry.admin.revoke(before.id, call.now_ms, who)
        )
        return await self.agent(call)

    async def restore(self, call: ApiCall) -> None:
        before = await self.agent(call)
        call.check_match(before)
        who = call.caller.name
        await self._change(
            lambda registry: registry.admin.restore(before.id, call.now_ms, who)
        )

    async def tokens(self, call: ApiCall) -> list[EnrolmentTokenDocument]:
        tokens = await self._change(lambda registry: registry.admin.tokens())
        return [_token(token, call.now_ms) for token in tokens]

    async def make_token(self, call: ApiCall) -> Made:
        body: EnrolmentTokenBody = call.body
        estate = self._estate()
        named = [("site", body.site), *([("team", body.team)] if body.team else [])]
        for kind, name in named:
            if unknown := known_names.unknown_name_text(estate, kind, name):
                raise ApiProblem(422, unknown)
        wish = TokenWish(
            body.site, body.uses, body.days, body.team, body.ring, body.sources
        )
        try:
            wish.check()
        except ValueError as error:
            raise ApiProblem(422, str(error)) from None

        def make(registry: Registry) -> tuple[str, Token]:
            secret = registry.admin.add_token(wish, call.now_ms, call.caller.name)
            made = registry.admin.token(secret)
            assert made is not None
            return secret, made

        secret, made = await self._change(make)
        document = _token(made, call.now_ms)
        return Made(
            msgspec.structs.replace(document, secret=secret),
            f"/enrolment-tokens/{made.id}",
            repeated=document,
        )

    async def withdraw_token(self, call: ApiCall) -> None:
        wanted = call.path["token"]
        known = {token.id: token for token in await self.tokens(call)}
        if wanted not in known:
            raise no_such("enrolment token", wanted)
        call.check_match(known[wanted])
        who = call.caller.name
        await self._change(
            lambda registry: registry.admin.withdraw_token(wanted, call.now_ms, who)
        )

    async def _read(self) -> list[EnrolledAgent]:
        try:
            return await asyncio.to_thread(read_agents, self._config.registry.path)
        except RegistryUnreadable as error:
            raise ApiProblem(503, str(error)) from None

    async def _change(self, change: Callable[[Registry], T]) -> T:
        """Opens the registry for one change, as the command line does."""

        def work() -> T:
            with Registry(self._config.registry) as registry:
                return change(registry)

        try:
            return await asyncio.to_thread(work)
        except (RegistryRefused, KeyRefused, OSError) as error:
            raise ApiProblem(503, f"the registry cannot be used: {error}") from None


def _unnamed(call: ApiCall) -> str:
    """How the audit of the API names a laptop: not at all, as the audit may outlast it.
    The registry's own audit has its name, until it is erased."""
    return "a laptop"


def _agent(agent: EnrolledAgent, state: State) -> AgentDocument:
    return AgentDocument(
        id=agent.agent,
        site=agent.home_site,
        ring=agent.ring,
        team=agent.team,
        state=state,
        software=agent.software,
        remarks=tuple(remarks_of(agent)),
        enrolled_at=utc_time(agent.enrolled_ms),
        last_seen_at=utc(agent.last_seen_ms or None),
    )


def _token(token: Token, now_ms: int) -> EnrolmentTokenDocument:
    return EnrolmentTokenDocument(
        id=token.id,
        site=token.site,
        team=token.team,
        ring=token.ring,
        sources=token.sources,
        uses=token.uses,
        used=token.used,
        state=token_state(token, now_ms),
        expires_at=utc_time(token.expires_ms),
    )
