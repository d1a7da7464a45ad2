"""The council's stop key: made once, and kept off the server."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from probes.wire.atomic_file import write_new_file
from probes.wire.fsync import sync
from probes.wire.stop_order import MAX_LINE, StopOrder, signed_part

_HEADER = "towpath stop key: keep it off the server"
_MAX_BYTES = 1_000


class KeyUnusable(ValueError):
    """The file has no stop key that can be used; the text says which and why."""


class StopKey:
    """A key that can sign orders."""

    def __init__(self, seed: bytes) -> None:
        from nacl.signing import SigningKey

        self._key = SigningKey(seed)

    @property
    def public(self) -> str:
        """The public key, in hexadecimal."""
        return bytes(self._key.verify_key).hex()

    def sign(self, order: StopOrder) -> str:
        """The line of a signed order. Raises `ValueError` if it is too long."""
        text = msgspec.json.encode(order).decode()
        line = f"{self._key.sign(signed_part(text)).signature.hex()} {text}"
        if len(line) > MAX_LINE:
            raise ValueError(
                f"the order has {len(line)} characters, at most {MAX_LINE} are "
                "possible: shorten --why"
            )
        return line


def make_stop_key(path: Path) -> StopKey:
    """Makes a key in a new file that only its owner can read. Raises `OSError`, such as
    `FileExistsError`: no key is ever overwritten."""
    seed = os.urandom(32)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_new_file(path, f"{_HEADER}\n{seed.hex()}\n".encode(), durable=True)
    sync(path.parent)
    return StopKey(seed)


def read_stop_key(path: Path) -> StopKey:
    """Raises `KeyUnusable` with one sentence."""
    try:
        with path.open("rb") as file:
            lines = file.read(_MAX_BYTES).decode().split("\n")
        if lines[0].strip() == _HEADER and len(lines[1].strip()) == 64:
            return StopKey(bytes.fromhex(lines[1].strip()))
    except OSError as error:
        raise KeyUnusable(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, ValueError, IndexError):
        pass
    raise KeyUnusable(
        f"{path} is no stop key, expected a file made by towpath fleet stop-key"
    )
