"""What the registry knows: agents, the tokens they enrol with, and its refusals."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Protocol

import msgspec

# The secret of a laptop that is not known is compared with this.
_NO_SECRET = hashlib.sha256(b"").digest()


class EnrolmentRefused(Exception):
    """The token or the laptop is not let in; the text is for the person enrolling."""


class DeviceTaken(EnrolmentRefused):
    """The laptop's id belongs to another computer; it may enrol with another id."""

    def __init__(self) -> None:
        super().__init__(
            "this laptop's id belongs to another computer, because its disk was copied "
            "or it was repaired: enrol it as another laptop (towpath-agent enrol --new)"
        )


class RegistryRefused(ValueError):
    """The registry's file cannot be used; the text says which and why."""


class EnrolledAgent(msgspec.Struct, frozen=True):
    """An enrolled laptop. `last_seen_ms` is the start of an hour; 0 is never.
    `team`: of the estate; empty if it is in none.

    `machine`: keyed hash of its computer's number, empty if that is not known.
    `replaced_ms`: when another laptop enrolled on the same computer; 0 if none did.
    `shares`: others have the same number. `copied_ms`: when two laptops were seen to
    use its credential. `software`: the version of its agent, `policy` the one of the
    policy that it has fetched; empty if unknown.
    """

    agent: str
    home_site: str
    enrolled_ms: int
    last_seen_ms: int
    revoked: int
    team: str = ""
    ring: str = ""
    machine: str = ""
    replaced_ms: int = 0
    shares: int = 0
    copied_ms: int = 0
    software: str = ""
    policy: str = ""

    @property
    def counts(self) -> bool:
        """Whether it is expected to report."""
        return not (self.revoked or self.replaced_ms)


# The fields have the names of the columns.
AGENT_COLUMNS = ", ".join(EnrolledAgent.__struct_fields__)


class Token(msgspec.Struct, frozen=True, array_like=True):
    """An enrolment token without its text, which only its maker saw. `id` names it.
    `sources`: the networks it may be used from; empty means any."""

    id: str
    site: str
    uses: int
    used: int
    created_ms: int
    expires_ms: int
    withdrawn: int
    team: str = ""
    ring: str = ""
    sources: tuple[str, ...] = ()


class SignIn(msgspec.Struct, frozen=True, array_like=True):
    """How one laptop signs in. `retired`: beginnings of the digests of its earlier
    secrets, the newest last."""

    agent: str
    secret_hash: bytes
    pending_hash: bytes | None
    home_site: str
    team: str = ""
    ring: str = ""
    retired: tuple[bytes, ...] = ()


class RegistryState(msgspec.Struct, frozen=True):
    """What a registry has in memory: sign-ins, tokens by the hash of their text, and
    whose the replaced secrets were, oldest first."""

    sign_ins: list[SignIn]
    tokens: Mapping[str, Token]
    retired: Mapping[bytes, str]


def secret_digest(secret: str) -> bytes:
    """What is stored of a secret or a token's text."""
    # They are 192 random bits or more: a plain hash cannot be reversed, and is cheap.
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


class SecretHashes(Protocol):
    """Of a laptop's secret, and of the one that is about to replace it."""

    @property
    def secret_hash(self) -> bytes: ...
    @property
    def pending_hash(self) -> bytes | None: ...


def is_secret_of(laptop: SecretHashes | None, secret: str) -> bool:
    """Whether the laptop may sign in with it. None is a laptop that is not known: it
    takes the same time."""
    digest = secret_digest(secret)
    expected = _NO_SECRET if laptop is None else laptop.secret_hash
    right = hmac.compare_digest(digest, expected)
    if laptop is not None and laptop.pending_hash:
        right |= hmac.compare_digest(digest, laptop.pending_hash)
    return right and laptop is not None
