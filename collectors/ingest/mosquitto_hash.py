"""Passwords as mosquitto keeps them: `$7$<iterations>$<salt>$<PBKDF2-HMAC-SHA512>`
(mosquitto_passwd(1), format 7), both in base64.

The secrets are 256 random bits, so mosquitto's default of 101 iterations is enough:
more only helps passwords that people make up.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

ITERATIONS = 101
_SALT_BYTES = 12
_HASH_BYTES = 64


def mosquitto_hash(password: str, salt: bytes | None = None) -> str:
    """The part after `user:` in a mosquitto password file."""
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    digest = hashlib.pbkdf2_hmac(
        "sha512", password.encode(), salt, ITERATIONS, _HASH_BYTES
    )
    encoded = (base64.b64encode(part).decode() for part in (salt, digest))
    return f"$7${ITERATIONS}${'$'.join(encoded)}"


def matches(password: str, stored: str) -> bool:
    """Whether `stored` is the hash of `password`; False if it is no such hash."""
    try:
        _, kind, iterations, salt, digest = stored.split("$")
        expected = base64.b64decode(digest, validate=True)
        actual = hashlib.pbkdf2_hmac(
            "sha512",
            password.encode(),
            base64.b64decode(salt, validate=True),
            int(iterations),
            len(expected),
        )
    except (ValueError, OverflowError):
        return False
    return kind == "7" and hmac.compare_digest(actual, expected)
