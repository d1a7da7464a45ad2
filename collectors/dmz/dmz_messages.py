"""What a DMZ node and the inside say to each other. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from probes.wire.report import AgentCredential, CredentialWish, Enrolment
from probes.wire.support_code import SupportCode

# The only reader of a node's stream: the rows that it has passed are deleted there.
READER = "inside"
MAX_BYTES = 16_000
_Short = Annotated[str, msgspec.Meta(max_length=500)]


def bucket_name(prefix: str) -> str:
    return f"{prefix}-agents"


def identities_subject(prefix: str) -> str:
    """Where a node asks for names, secrets and support codes of laptops."""
    return f"{prefix}.dmz.identities"


def marks_subject(prefix: str) -> str:
    """Where a node says which laptops were there."""
    return f"{prefix}.dmz.marks"


class IdentityRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """`kind`: what a laptop asked for: `code` is a new support code, `looks` who has
    looked. `agent` and `secret`: how it signed in, for all but `enrol`; the inside
    verifies them again. `address`: the laptop's, for tokens that are valid in some
    networks only."""

    kind: Literal["enrol", "move", "renew", "confirm", "code", "looks"]
    agent: _Short = ""
    secret: _Short = ""
    address: _Short = ""
    enrolment: Enrolment | None = None
    wish: CredentialWish = CredentialWish()


class IdentityAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """`revision`: of the bucket, once it has what this changed. `refusal`: why nothing
    is given, with the sentence `why`; `often`: too many codes. After `busy` the laptop
    may try again in `retry_s`; `own` says that the laptop itself caused it."""

    revision: int = 0
    credential: AgentCredential | None = None
    support: SupportCode | None = None
    refusal: Literal["", "refused", "taken", "busy", "failed", "often"] = ""
    why: str = ""
    retry_s: float = 0.0
    own: bool = False


class LaptopMark(msgspec.Struct, frozen=True, array_like=True):
    """What a node noticed of a laptop; 0 and empty: nothing."""

    agent: _Short
    seen_ms: int = 0
    measured_ms: int = 0
    software: _Short = ""
    policy: _Short = ""
    retired_secret: _Short = ""
