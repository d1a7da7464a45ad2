"""The file of credentials for NATS: a key (nkey) that proves who a process is, beside
the JWT of an operator's account or alone."""

from __future__ import annotations

import base64
import binascii
import json
import re
from pathlib import Path

import msgspec

from collectors.secret_mode import mode_refusal

_SEED_PREFIX, _USER_PREFIX = 18 << 3, 20 << 3
_SEED_BYTES = 32
_BLOCK = re.compile(
    r"-{3,}\s*BEGIN ([A-Z ]+?)\s*-{3,}\s*(\S+)\s*-{3,}\s*END \1\s*-{3,}"
)


class CredentialsRefused(ValueError):
    """The file cannot be used. The text gives the file and the reason, and nothing of
    what is secret."""


class NatsCredentials(msgspec.Struct, frozen=True):
    """`seed` makes the private key. `jwt` is empty if the servers know the public key
    themselves. `expires_s`: seconds since 1970, or None if the JWT does not expire."""

    seed: bytes
    jwt: str = ""
    expires_s: int | None = None

    @property
    def public_key(self) -> str:
        from nacl.signing import SigningKey

        return nkey(_USER_PREFIX, bytes(SigningKey(self.seed).verify_key))

    def sign(self, nonce: str) -> bytes:
        """What a server demands to see, in base64."""
        from nacl.signing import SigningKey

        return base64.b64encode(SigningKey(self.seed).sign(nonce.encode()).signature)


def read_credentials(path: Path) -> NatsCredentials:
    """Blocking. Reads a `.creds` file, or one with the seed of a user's nkey alone.
    Raises `CredentialsRefused`."""
    try:
        refusal = mode_refusal(path)
        text = path.read_text("ascii")
    except OSError as error:
        raise CredentialsRefused(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CredentialsRefused(f"{path} is not a text file") from None
    if refusal:
        raise CredentialsRefused(refusal)
    try:
        return parse_credentials(text)
    except ValueError as error:
        raise CredentialsRefused(f"{path} {error}") from None


def credentials_expire_s(path: Path) -> int | None:
    """When they expire, in seconds since 1970; None if never. Raises
    `CredentialsRefused`."""
    return read_credentials(path).expires_s


def parse_credentials(text: str) -> NatsCredentials:
    """Raises `ValueError` with what is wrong with the text."""
    blocks = dict(_BLOCK.findall(text))
    alone = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE).strip()
    seed = _read_seed(blocks.get("USER NKEY SEED", alone))
    jwt = blocks.get("NATS USER JWT", "")
    if not jwt:
        if blocks:
            raise ValueError("has no block NATS USER JWT")
        return NatsCredentials(seed)
    claims = _read_claims(jwt)
    expires_s = claims.get("exp")
    found = NatsCredentials(
        seed, jwt, expires_s if isinstance(expires_s, int) and expires_s else None
    )
    if claims.get("sub") != found.public_key:
        raise ValueError("has the JWT of another user than its key")
    return found


def nkey(prefix: int, data: bytes) -> str:
    """A key as text: what it is, its bytes, and a checksum, in base32."""
    raw = bytes([prefix]) + data
    return base64.b32encode(raw + _checksum(raw)).decode().rstrip("=")


def _checksum(raw: bytes) -> bytes:
    return binascii.crc_hqx(raw, 0).to_bytes(2, "little")


def _read_seed(text: str) -> bytes:
    if not re.fullmatch(r"S[A-Z2-7]+", text):
        raise ValueError(
            "is not a file of credentials: expected the blocks NATS USER JWT and USER "
            "NKEY SEED, or the seed of a user's nkey alone (SU…)"
        )
    try:
        raw = base64.b32decode(text + "=" * (-len(text) % 8))
    except binascii.Error:
        raw = b""
    body, checksum = raw[:-2], raw[-2:]
    if len(body) != 2 + _SEED_BYTES or checksum != _checksum(body):
        raise ValueError("has a seed that is damaged (its checksum is wrong)")
    kind = ((body[0] & 7) << 5) | (body[1] >> 3)
    if body[0] & 0xF8 != _SEED_PREFIX or kind != _USER_PREFIX:
        raise ValueError("has the seed of an operator or account, expected a user's")
    return body[2:]


def _read_claims(jwt: str) -> dict[str, object]:
    try:
        _, payload, _ = jwt.split(".")
        claims = json.loads(
            base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        )
    except ValueError:
        claims = None
    if not isinstance(claims, dict):
        raise ValueError("has a JWT that is damaged")
    return claims
