"""What a DMZ node knows: laptops by names that are pseudonyms, hashes of secrets and
tokens, and what laptops are to measure and to be told. Pure.

It is published in parts, so that the number of keys is the same for any number of
laptops, and an enrolment changes one small part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence

import msgspec

from collectors.estate.estate_model import Estate, Site, Team, VpnGateway
from collectors.ingest.ingest_config import PolicyConfig
from collectors.ingest.registry_records import (
    EnrolledAgent,
    RegistryState,
    SignIn,
    Token,
    is_secret_of,
    secret_digest,
)
from probes.wire.policy import Incident, SpeedTestFreeze

FORMAT = 1
TOKENS, ESTATE, ORDERS, HEAD = "tokens", "estate", "orders", "head"
# The key "policy" has what an earlier version compared its own settings with.
POLICY, INCIDENTS, FREEZES = "laptop-policy", "incidents", "freezes"
_PARTS = 256
_LAPTOPS = "laptops-"
# It only shows a copy, and lets no laptop in: a part of the digest is enough.
_RETIRED_BYTES = 8
_MOST_RETIRED = 12


class PublishedHead(msgspec.Struct, frozen=True):
    """When the inside was last there, by its clock. `format`: of all parts."""

    at_ms: int
    format: int = FORMAT


def parts_of(state: RegistryState) -> dict[str, bytes]:
    """Every part of the registry, also the empty ones, in a fixed order."""
    retired: dict[str, list[bytes]] = {}
    for digest, agent in state.retired.items():
        retired.setdefault(agent, []).append(digest[:_RETIRED_BYTES])
    parts: dict[str, list[SignIn]] = {_key(n): [] for n in range(_PARTS)}
    for one in sorted(state.sign_ins, key=lambda one: one.agent):
        before = tuple(retired.get(one.agent, ())[-_MOST_RETIRED:])
        parts[part_of(one.agent)].append(msgspec.structs.replace(one, retired=before))
    encode = msgspec.msgpack.Encoder(order="deterministic").encode
    return {key: encode(part) for key, part in parts.items()} | {
        TOKENS: encode(dict(state.tokens))
    }


def part_of(agent: str) -> str:
    """The key of the part that has a laptop."""
    return _key(hashlib.sha256(agent.encode(errors="replace")).digest()[0])


def laptop_keys() -> list[str]:
    """The keys of the parts with laptops."""
    return [_key(number) for number in range(_PARTS)]


def have_lost_laptops(
    before: Mapping[str, bytes], changed: Mapping[str, bytes]
) -> bool:
    """Whether a part that is changed had laptops that it has no more. One that cannot
    be read may have had."""
    for key in changed.keys() & before.keys():
        if key.startswith(_LAPTOPS):
            try:
                known, kept = (
                    {one.agent for one in _decoded(part)}
                    for part in (before[key], changed[key])
                )
            except msgspec.MsgspecError:
                return True
            if not known <= kept:
                return True
    return False


def _decoded(part: bytes) -> list[SignIn]:
    return msgspec.msgpack.decode(part, type=list[SignIn])


def estate_part(estate: Estate) -> bytes:
    """What laptops' policies need of the estate: no device, no line, no room, and no
    name of anything."""
    part = Estate(
        sites=tuple(Site(id=s.id, name=s.id, subnets=s.subnets) for s in estate.sites),
        vpn_gateways=tuple(
            VpnGateway(id=gateway.id, host=gateway.host, port=gateway.port)
            for gateway in estate.vpn_gateways
        ),
        reflectors=estate.reflectors,
        teams=tuple(Team(id=t.id, media_edges=t.media_edges) for t in estate.teams),
        places=estate.places,
    )
    return part.model_dump_json(exclude_defaults=True).encode()


def policy_part(policy: PolicyConfig) -> bytes:
    """What laptops are asked to measure. Of a ring only what it sets, as the rest is
    that of all."""
    own = {"reflector_secret_file", "rings"}
    part = policy.model_dump(mode="json", exclude=own)
    part["rings"] = {
        name: ring.model_dump(mode="json", exclude_unset=True)
        for name, ring in policy.rings.items()
    }
    return msgspec.json.encode(part, order="deterministic")


def incidents_part(by_site: Mapping[str, Sequence[Incident]]) -> bytes:
    """The known incidents of each site; those of the empty site are for all."""
    return msgspec.json.encode(by_site, order="deterministic")


class PublishedView:
    """The parts as they were received, in any order; `take` adds one."""

    def __init__(self) -> None:
        self.head: PublishedHead | None = None
        self.estate = Estate()
        self.orders: tuple[str, ...] = ()
        self.policy: PolicyConfig | None = None
        self.freezes: tuple[SpeedTestFreeze, ...] = ()
        self._incidents: dict[str, tuple[Incident, ...]] = {}
        self.tokens: dict[str, Token] = {}
        self._parts: dict[str, dict[str, SignIn]] = {}
        self._agents: frozenset[str] | None = None

    def take(self, key: str, body: bytes) -> None:
        """Raises `ValueError` for a part of another version."""
        if key.startswith(_LAPTOPS):
            self._parts[key] = {one.agent: one for one in _decoded(body)}
            self._agents = None
        elif key == TOKENS:
            self.tokens = msgspec.msgpack.decode(body, type=dict[str, Token])
        elif key == ESTATE:
            self.estate = Estate.model_validate_json(body)
        elif key == POLICY:
            self.policy = PolicyConfig.model_validate_json(body)
        elif key == INCIDENTS:
            decoder = msgspec.json.Decoder(dict[str, tuple[Incident, ...]])
            self._incidents = decoder.decode(body)
        elif key == FREEZES:
            decode = msgspec.json.decode
            self.freezes = decode(body, type=tuple[SpeedTestFreeze, ...])
        elif key == ORDERS:
            self.orders = msgspec.json.decode(body, type=tuple[str, ...])
        elif key == HEAD:
            self.head = msgspec.json.decode(body, type=PublishedHead)

    @property
    def problem(self) -> str:
        """Why no laptop can be verified; empty if all parts are there."""
        if self.head is None or len(self._parts) < _PARTS:
            return "the list of laptops has not come from the inside yet"
        if self.head.format > FORMAT:
            return "the inside has a newer Towpath: update this node"
        if self.policy is None:
            return (
                "what laptops are to measure has not come from the inside, or is of "
                "another version: update both"
            )
        return ""

    def verify(self, agent: str, secret: str) -> EnrolledAgent | None:
        """The laptop if the secret is right, else None. In constant time."""
        one = self._find(agent)
        right = is_secret_of(one, secret)
        if one is None or not right:
            return None
        return EnrolledAgent(agent, one.home_site, 0, 0, 0, one.team, one.ring)

    def is_retired(self, agent: str, secret: str) -> bool:
        """Whether this was the laptop's secret before the one it uses now."""
        one = self._find(agent)
        return one is not None and secret_digest(secret)[:_RETIRED_BYTES] in one.retired

    def incidents(self, sites: Collection[str]) -> list[Incident]:
        """The known incidents at those sites and for all, the oldest first."""
        found = {i for site in {"", *sites} for i in self._incidents.get(site, ())}
        return sorted(found, key=lambda incident: (incident.since_ms, incident.says))

    @property
    def agents(self) -> frozenset[str]:
        """The enrolled laptops: the same object until a part with laptops comes."""
        if self._agents is None:
            self._agents = frozenset().union(*self._parts.values())
        return self._agents

    def _find(self, agent: str) -> SignIn | None:
        return self._parts.get(part_of(agent), {}).get(agent)


def _key(number: int) -> str:
    return f"{_LAPTOPS}{number:02x}"
