"""Seals a refresh token with the secret of its session, which only the browser has: who
reads the file of sessions cannot use it. Pure, but for random numbers."""

from __future__ import annotations

import hashlib
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


def sealed(token: str, secret: str) -> bytes:
    """Empty for an empty token."""
    if not token:
        return b""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(_key(secret)).encrypt(nonce, token.encode(), None)


def unsealed(box: bytes, secret: str) -> str:
    """The token; empty if there is none, or it was sealed with another secret."""
    if not box:
        return ""
    nonce, text = box[:_NONCE_BYTES], box[_NONCE_BYTES:]
    try:
        return AESGCM(_key(secret)).decrypt(nonce, text, None).decode()
    except InvalidTag:
        return ""


def _key(secret: str) -> bytes:
    # The session's hash in the file is of the secret alone, so it is no key. The secret
    # has 256 random bits: no slow hash is needed.
    return hashlib.sha256(b"towpath refresh token" + secret.encode()).digest()
