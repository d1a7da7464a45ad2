"""Who may query which database over the InfluxDB interface of the `web` role.

Grafana's InfluxDB data source can send its secret in four ways: `Authorization: Token
X` (or `Token user:X`, as InfluxDB 1.x has it), `Bearer X`, a user and password, and the
parameters `u` and `p`. The user's name is not checked.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from pathlib import Path

SHORTEST_TOKEN = 16


class InfluxAccess:
    """Knows the tokens. `tokens` is token -> the databases that it may read."""

    def __init__(self, tokens: Mapping[str, frozenset[str]]) -> None:
        self._digests = [
            (_digest(token), databases) for token, databases in tokens.items()
        ]

    def databases(self, authorization: str, password: str) -> frozenset[str] | None:
        """Returns the databases that the sender may read, or None for a wrong secret.

        Every token is compared, in a time that does not depend on the secret.
        """
        allowed: frozenset[str] | None = None
        for secret in (*_header_secrets(authorization), password):
            digest = _digest(secret)
            for known, databases in self._digests:
                if hmac.compare_digest(known, digest):
                    allowed = (allowed or frozenset()) | databases
        return allowed


def read_token(path: Path, setting: str) -> str:
    """Returns the token in a file. Raises `ValueError` with a sentence."""
    try:
        token = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not text"
        raise ValueError(f"{setting}: {path}: {reason}") from None
    if len(token) < SHORTEST_TOKEN or not token.isascii() or " " in token:
        raise ValueError(
            f"{setting}: {path} has {len(token)} characters; expected a token of at "
            f"least {SHORTEST_TOKEN} letters and digits, such as from "
            "`openssl rand -hex 24`"
        )
    return token


def _header_secrets(authorization: str) -> Iterator[str]:
    scheme, _, value = authorization.strip().partition(" ")
    value = value.strip()
    if not value:
        return
    if scheme.lower() in ("token", "bearer"):
        yield value
        if ":" in value:
            yield value.partition(":")[2]
    elif scheme.lower() == "basic":
        try:
            decoded = base64.b64decode(value, validate=True).decode()
        except ValueError:
            # Not base64, or not text.
            return
        yield decoded.partition(":")[2]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
