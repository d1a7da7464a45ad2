"""Keys of SNMPv3 users: derivation, digests and encryption. Pure.

Passwords to keys and localisation: RFC 3414 sections 2.6 and A.2. Digests: RFC 3414
(MD5, SHA-1) and RFC 7860 (SHA-2). AES: RFC 3826; longer keys by the two expansions that
agents know, Blumenthal's draft and Reeder's ("cisco"). DES: RFC 3414 section 8.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from functools import lru_cache

import msgspec
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from collectors.snmp.session.ber import Malformed
from collectors.snmp.session.credentials import Credential

# By Credential.auth: the name of the digest, and how many of its octets are sent.
DIGESTS = {
    "md5": ("md5", 12),
    "sha1": ("sha1", 12),
    "sha224": ("sha224", 16),
    "sha256": ("sha256", 24),
    "sha384": ("sha384", 32),
    "sha512": ("sha512", 48),
}
_KEY_OCTETS = {"des": 16, "aes128": 16, "aes192": 24, "aes256": 32}
_PASSWORD_OCTETS = 1_048_576
_DES_BLOCK = 8


class Keys(msgspec.Struct, frozen=True):
    """The keys of one user at one engine; `priv` is empty without encryption."""

    auth: bytes
    priv: bytes


@lru_cache(maxsize=1024)
def password_to_key(password: bytes, digest: str) -> bytes:
    """The digest of the password repeated to 1 MiB (RFC 3414, A.2)."""
    repeated = password * (_PASSWORD_OCTETS // len(password) + 1)
    return hashlib.new(digest, repeated[:_PASSWORD_OCTETS]).digest()


def localise(key: bytes, engine_id: bytes, digest: str) -> bytes:
    """`key` localised to one engine (RFC 3414, 2.6)."""
    return hashlib.new(digest, key + engine_id + key).digest()


def auth_key(credential: Credential, engine_id: bytes) -> bytes:
    digest, _ = DIGESTS[credential.auth]
    return localise(
        password_to_key(credential.auth_password.encode(), digest), engine_id, digest
    )


def priv_key(credential: Credential, engine_id: bytes) -> bytes:
    """The localised privacy key, as long as its cipher needs."""
    if credential.priv == "none":
        return b""
    digest, _ = DIGESTS[credential.auth]
    size = _KEY_OCTETS[credential.priv]
    key = localise(
        password_to_key(credential.priv_password.encode(), digest), engine_id, digest
    )
    while len(key) < size:
        if credential.key_expansion == "cisco":
            key += localise(password_to_key(key, digest), engine_id, digest)
        else:
            key += hashlib.new(digest, key).digest()
    return key[:size]


def digest_of(credential: Credential, key: bytes, message: bytes) -> bytes:
    """The digest of `message`, which has zeros in place of the digest."""
    name, size = DIGESTS[credential.auth]
    return hmac.digest(key, message, name)[:size]


def decrypt(
    credential: Credential, key: bytes, boots: int, time: int, salt: bytes, data: bytes
) -> bytes:
    """The scoped PDU, DES' padding included. Raises `Malformed`."""
    if len(salt) != _DES_BLOCK:
        raise Malformed("a salt that is not 8 octets")
    if credential.priv == "des" and (not data or len(data) % _DES_BLOCK):
        raise Malformed("DES octets that are not whole blocks")
    decryptor = _cipher(credential, key, boots, time, salt).decryptor()
    return decryptor.update(data) + decryptor.finalize()


def encrypt(
    credential: Credential, key: bytes, boots: int, time: int, data: bytes
) -> tuple[bytes, bytes]:
    """(salt, octets), with a fresh salt for each message."""
    salt = os.urandom(_DES_BLOCK)
    if credential.priv == "des":
        data += bytes(-len(data) % _DES_BLOCK)
    encryptor = _cipher(credential, key, boots, time, salt).encryptor()
    return salt, encryptor.update(data) + encryptor.finalize()


def _cipher(
    credential: Credential, key: bytes, boots: int, time: int, salt: bytes
) -> Cipher[CBC] | Cipher[CFB]:
    if credential.priv == "des":
        vector = bytes(a ^ b for a, b in zip(key[8:16], salt, strict=True))
        # Triple DES with the same key three times is DES.
        return Cipher(TripleDES(key[:8] * 3), CBC(vector))
    vector = boots.to_bytes(4, "big") + time.to_bytes(4, "big") + salt
    return Cipher(AES(key), CFB(vector))
