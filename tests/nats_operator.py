"""An operator of nats-servers: the keys and JWTs of accounts and users, for tests."""

from __future__ import annotations

import base64
import json
import secrets
from pathlib import Path
from typing import Any

from nacl.signing import SigningKey

from collectors.nats.nats_credentials import nkey

SEED, OPERATOR, ACCOUNT, USER = 18 << 3, 14 << 3, 0, 20 << 3
_UNLIMITED = -1
_CREDS = """-----BEGIN NATS USER JWT-----
{jwt}
------END NATS USER JWT------

************************* IMPORTANT *************************
NKEY Seed printed below can be used to sign and prove identity.

-----BEGIN USER NKEY SEED-----
{seed}
------END USER NKEY SEED------

*************************************************************
"""


class Nkey:
    """A key pair of an operator, an account or a user."""

    def __init__(self, kind: int) -> None:
        self._kind, self._key = kind, SigningKey.generate()
        self.public = nkey(kind, bytes(self._key.verify_key))

    @property
    def seed(self) -> str:
        rest = bytes([(self._kind & 31) << 3]) + bytes(self._key)
        return nkey(SEED | self._kind >> 5, rest)

    def issue(
        self, subject: str, kind: str, claims: dict[str, Any], **more: int
    ) -> str:
        body = {
            "jti": secrets.token_hex(8),
            "iat": 1_700_000_000,
            "iss": self.public,
            "sub": subject,
            "name": kind,
            "nats": {**claims, "type": kind, "version": 2},
            **more,
        }
        header = {"typ": "JWT", "alg": "ed25519-nkey"}
        signed = ".".join(_encoded(json.dumps(p).encode()) for p in (header, body))
        return f"{signed}.{_encoded(self._key.sign(signed.encode()).signature)}"


class NatsOperator:
    """Has one account with JetStream. `extra` is for the server's settings."""

    def __init__(self) -> None:
        self._operator, self._account = Nkey(OPERATOR), Nkey(ACCOUNT)
        system = Nkey(ACCOUNT)
        keys = ("subs", "conn", "leaf", "imports", "exports", "data", "payload")
        limits = {**dict.fromkeys(keys, _UNLIMITED), "wildcards": True}
        stored = dict.fromkeys(
            ("mem_storage", "disk_storage", "streams", "consumer"), _UNLIMITED
        )
        own = self._operator.issue(
            self._operator.public, "operator", {"system_account": system.public}
        )
        accounts = {
            key.public: self._operator.issue(key.public, "account", {"limits": given})
            for key, given in ((system, limits), (self._account, limits | stored))
        }
        preload = "\n".join(f"{key}: {jwt}" for key, jwt in accounts.items())
        self.extra = (
            f"operator: {own}\nsystem_account: {system.public}\nresolver: MEMORY\n"
            f"resolver_preload {{\n{preload}\n}}\n"
        )

    def issue_credentials(self, path: Path, user: Nkey, **claims: int) -> Path:
        """A `.creds` file; `exp` is when its JWT expires."""
        limits = dict.fromkeys(("subs", "data", "payload"), _UNLIMITED)
        jwt = self._account.issue(user.public, "user", limits, **claims)
        return write_credentials(path, _CREDS.format(jwt=jwt, seed=user.seed))


def write_credentials(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
