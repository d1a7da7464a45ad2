"""Signed links with which the reader of a message acknowledges or silences an alert.

A link is for one action on one episode of an alert, ends at a time, and can be used
once. Opening it changes nothing: the page that it opens has a button to press, because
mail scanners and chat previews fetch every link.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Annotated, Literal, NamedTuple

import msgspec
from pydantic import Field

from collectors.secret import Secret
from collectors.strict_model import StrictModel

ActionName = Literal["acknowledge", "silence"]
ACTIONS: tuple[ActionName, ...] = ("acknowledge", "silence")
LEAST_KEY_LENGTH = 32
_MOST_TOKEN_LENGTH = 2_000
_VERSION = 1


class LinkConfig(StrictModel):
    """`[alerts.links]`: messages have links if there is a `key` and a `base_url`. The
    alert role signs with the key, and the web role checks with it. A link ends
    `valid_s` after its message was made."""

    key: Secret = Secret()
    valid_s: Annotated[float, Field(ge=300, le=30 * 86_400)] = 86_400.0


class LinkRefused(Exception):
    """The link does nothing. The text is a sentence for the reader. `status`: the
    answer's status."""

    def __init__(self, why: str, status: int) -> None:
        super().__init__(why)
        self.status = status


class ActionLink(msgspec.Struct, frozen=True, array_like=True):
    """`channel`: of the message that had the link."""

    version: int
    action: ActionName
    episode: str
    until_ms: int
    channel: str


class SignedLink(NamedTuple):
    """A link whose signature is right. `mark` names it among the used ones."""

    link: ActionLink
    mark: str


class LinkSigner:
    """Makes and checks links with the key of the installation. Reading the key blocks,
    so that a new one needs no restart."""

    def __init__(self, config: LinkConfig, base_url: str) -> None:
        self._config, self._base_url = config, base_url.rstrip("/")

    @property
    def is_on(self) -> bool:
        return bool(self._config.key and self._base_url)

    def url(self, action: ActionName, episode: str, channel: str, made_ms: int) -> str:
        """The same for each attempt to send one message. Raises `LookupError`."""
        return f"{self._base_url}{self.path(action, episode, channel, made_ms)}"

    def path(self, action: ActionName, episode: str, channel: str, made_ms: int) -> str:
        """The link without the address of the server. Raises `LookupError`."""
        until_ms = made_ms + round(self._config.valid_s * 1000)
        link = ActionLink(_VERSION, action, episode, until_ms, channel)
        return f"/act/{write_token(link, self._key())}"

    def read(self, token: str, now_ms: int) -> SignedLink:
        """Raises `LinkRefused`."""
        try:
            key = self._key()
        except LookupError:
            raise LinkRefused(
                "Links are not in use at the moment. Acknowledge on the command line: "
                "towpath alerts ack.",
                503,
            ) from None
        return read_token(token, key, now_ms)

    def _key(self) -> bytes:
        key = self._config.key.value()
        if problem := key_problem(key):
            raise LookupError(problem)
        return key.encode()


def key_problem(key: str) -> str:
    """A sentence if the key can be guessed; else empty."""
    if len(key) >= LEAST_KEY_LENGTH:
        return ""
    return (
        f"the key of links has {len(key)} characters, expected at least "
        f"{LEAST_KEY_LENGTH}: make one with `openssl rand -hex 32`"
    )


def write_token(link: ActionLink, key: bytes) -> str:
    body = msgspec.msgpack.encode(link)
    return _text(body + _signature(body, key))


def read_token(token: str, key: bytes, now_ms: int) -> SignedLink:
    """Raises `LinkRefused` if it is forged, cut off or too old."""
    forged = LinkRefused(
        "This link is not one that Towpath made, or it was cut off. Open the link of "
        "the message again, or use the newest message.",
        403,
    )
    if len(token) > _MOST_TOKEN_LENGTH:
        raise forged
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        raise forged from None
    body, signature = raw[:-32], raw[-32:]
    if not hmac.compare_digest(signature, _signature(body, key)):
        raise forged
    try:
        link = msgspec.msgpack.decode(body, type=ActionLink)
    except msgspec.DecodeError:
        raise forged from None
    if now_ms >= link.until_ms:
        raise LinkRefused(
            "This link has expired. Use the newest message, or the command line.", 410
        )
    return SignedLink(link, hashlib.sha256(signature).hexdigest())


def _signature(body: bytes, key: bytes) -> bytes:
    return hmac.new(key, b"towpath action link\0" + body, hashlib.sha256).digest()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
