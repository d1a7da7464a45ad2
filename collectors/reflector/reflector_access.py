"""Access to the reflector, from a secret that ingest and reflectors share.

With its policy, each agent gets a key for authenticated STAMP and a token for speed
tests. The token expires, and names its agent by a keyed hash that reveals nothing.
Reflectors only need the secret: they never query ingest.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from pathlib import Path
from typing import NamedTuple

from collectors.secret_mode import mode_refusal

_SECRET_BYTES = 32
# A token is the same for an hour, so that the policy stays the same. It is valid long
# enough for a reflector's clock that is slightly wrong, and for hours without a policy.
_STEP_S = 3600
_LASTS_S = 6 * 3600
_TOKEN = re.compile(r"1\.(\d{1,12})\.([0-9a-f]{16})\.([0-9a-f]{32})")


class ReflectorAccess(NamedTuple):
    """An agent's access to the reflectors: a key in hexadecimal, and a token."""

    stamp_key: str = ""
    token: str = ""


NO_ACCESS = ReflectorAccess()


class SecretRefused(ValueError):
    """The secret's file cannot be used. The text gives the file, the reason and a
    remedy."""


def read_secret(path: Path) -> bytes:
    """Reads the secret: 64 hexadecimal digits in a file that others cannot read."""
    try:
        refusal = mode_refusal(path)
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretRefused(
            f"the reflectors' secret {path} cannot be read: {error}; make one with "
            f"`openssl rand -hex {_SECRET_BYTES}`, the same for ingest and reflectors"
        ) from None
    if refusal:
        raise SecretRefused(f"the reflectors' secret {refusal}")
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if len(secret) != _SECRET_BYTES:
        raise SecretRefused(
            f"the reflectors' secret {path} is not one: expected {2 * _SECRET_BYTES} "
            f"hexadecimal digits, as `openssl rand -hex {_SECRET_BYTES}` makes them"
        )
    return secret


def grant(secret: bytes, agent: str, now_s: float) -> ReflectorAccess:
    """The access of `agent` now; none without a secret."""
    if not secret:
        return NO_ACCESS
    return ReflectorAccess(stamp_key(secret).hex(), make_token(secret, agent, now_s))


def stamp_key(secret: bytes) -> bytes:
    """The key of authenticated STAMP (RFC 8762 section 4.4), 32 octets."""
    return hmac.digest(secret, b"towpath stamp", hashlib.sha256)


def make_token(secret: bytes, agent: str, now_s: float) -> str:
    """A token for `agent`, valid for five to six hours."""
    expires_s = int(now_s) // _STEP_S * _STEP_S + _LASTS_S
    name = hmac.digest(secret, b"towpath agent " + agent.encode(), hashlib.sha256)
    content = f"1.{expires_s}.{name.hex()[:16]}"
    return f"{content}.{_mac(secret, content)}"


def token_holder(secret: bytes, token: str, now_s: float) -> str:
    """The keyed hash of the agent that `token` was made for; empty if it is invalid or
    has expired."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        return ""
    content, _, mac = token.rpartition(".")
    if not hmac.compare_digest(_mac(secret, content), mac):
        return ""
    expires_s, name = int(match[1]), match[2]
    return name if now_s < expires_s else ""


def _mac(secret: bytes, content: str) -> str:
    digest = hmac.digest(secret, b"towpath test " + content.encode(), hashlib.sha256)
    return digest.hex()[:32]
