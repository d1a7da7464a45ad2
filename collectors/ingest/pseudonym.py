"""Pseudonyms of laptops: HMAC-SHA256 (RFC 2104) of the device id under a secret key.

`<key id>-<128 bits>`: the key id (a few bits of the key's hash) names the key that made
it, so that a rotation can be followed. The key is in a file of its own; without it
nobody can get from a pseudonym to a device, or test device ids. See
docs/decisions/020-pseudonym-key.md.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import stat
from pathlib import Path

from probes.wire.atomic_file import replace_file, write_new_file
from probes.wire.fsync import sync
from probes.wire.machine_number import machine_digest

_KEY_BYTES = 32


class KeyRefused(ValueError):
    """The key file cannot be used. The text gives the reason and what was expected."""


def pseudonym(key: bytes, device: str) -> str:
    """The pseudonym of `device`: `[0-9a-f]{6}-[0-9a-f]{32}`."""
    digest = hmac.new(key, device.encode(), hashlib.sha256).hexdigest()
    return f"{key_id(key)}-{digest[:32]}"


def machine_hash(key: bytes, digest: str) -> str:
    """What is stored of a computer's number, of which agents send a digest; empty if
    there is none."""
    if not digest:
        return ""
    message = b"machine\0" + digest.encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:32]


def serial_hash(key: bytes, serial: str) -> str:
    """What is stored of the computer with that serial number; empty if it is no
    computer's own number."""
    return machine_hash(key, machine_digest(serial))


def key_id(key: bytes) -> str:
    """Six hexadecimal digits that name the key and reveal nothing of it."""
    return hashlib.sha256(b"towpath pseudonym key id\0" + key).hexdigest()[:6]


def read_key(path: Path) -> bytes:
    """Reads the key in `path`; creates it (mode 0600) if there is none.

    Raises `KeyRefused` if others than its owner may read it, or if it is not a key. A
    damaged key is not replaced: that would cut every laptop off from its own history.
    """
    if not path.exists():
        _create(path)
    return read_existing_key(path)


def read_existing_key(path: Path) -> bytes:
    """As `read_key`, for roles that do not enrol: there must be a key. Raises
    `KeyRefused`."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyRefused(f"pseudonym key {path} cannot be read: {error}") from None
    if mode & 0o077:
        raise KeyRefused(
            f"pseudonym key {path} has mode {mode:04o}, expected 0600: others could "
            "read it (chmod 600, and rotate it if they may have)"
        )
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise KeyRefused(
            f"pseudonym key {path} is damaged, expected {2 * _KEY_BYTES} hexadecimal "
            "digits: put the backup back, or remove it to begin a new one"
        )
    return key


def rotate_key(path: Path) -> tuple[str, str]:
    """Replaces the key, which cannot be undone. Returns (old id, new id)."""
    old = key_id(read_key(path))
    replace_file(path, _new_key(), durable=True)
    return old, key_id(read_key(path))


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    write_new_file(new, _new_key(), durable=True)
    try:
        # A link is atomic, and never replaces a file that another process made.
        path.hardlink_to(new)
    except FileExistsError:
        pass
    finally:
        new.unlink()
    sync(path.parent)


def _new_key() -> bytes:
    return secrets.token_bytes(_KEY_BYTES).hex().encode() + b"\n"
