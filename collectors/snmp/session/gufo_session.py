"""A session that lets gufo-snmp, in Rust, make the requests that come every minute.

gufo-snmp refuses a whole response for one value that it cannot decode, reads a number
of no octets as 0, and hides error-status. So a GET is first made in Python
(`udp_session`). If every binding of its answer was sound, the same GET is made by
gufo-snmp from then on, on the same socket. If that fails, or its answer looks unlike
the sound one, Python asks again and can tell why. Walks are rare: Python makes them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from gufo.snmp import (
    Aes128Key,
    Aes192Key,
    Aes256Key,
    DesKey,
    KeyExpansion,
    Md5Key,
    Sha1Key,
    Sha224Key,
    Sha256Key,
    Sha384Key,
    Sha512Key,
    SnmpError,
    User,
)
from gufo.snmp._fast import (
    SnmpV1ClientSocket,
    SnmpV2cClientSocket,
    SnmpV3ClientSocket,
)

from collectors.snmp.session.channel import DescriptorChannel
from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.opaque import unwrap
from collectors.snmp.session.session import Failed, RetryPolicy, Value
from collectors.snmp.session.udp_session import NO_AGENT, UdpSession
from probes.wire.failure import Outcome

_Answer = TypeVar("_Answer")
_AUTH = {
    "md5": Md5Key,
    "sha1": Sha1Key,
    "sha224": Sha224Key,
    "sha256": Sha256Key,
    "sha384": Sha384Key,
    "sha512": Sha512Key,
}
_PRIV = {"des": DesKey, "aes128": Aes128Key, "aes192": Aes192Key, "aes256": Aes256Key}
# RFC 3414 section 2.2.3: a message is timely within 150 s; stay clear of it.
_WINDOW_S = 120.0
_PANIC = "PanicException"
# GETs that are known to be sound: more than a chassis of a thousand ports takes.
_MOST_SOUND = 4_096


class _Shape(NamedTuple):
    """What an answer looks like, without its values."""

    types: int
    zeros: int


def _shape(answer: dict[str, Value]) -> _Shape:
    values = list(answer.values())
    return _Shape(hash(tuple(map(type, values))), values.count(0))


def _unwrapped(answer: dict[str, Value]) -> dict[str, Value]:
    """gufo-snmp gives an Opaque as its octets."""
    return {
        oid: unwrap(value) if type(value) is bytes else value
        for oid, value in answer.items()
    }


class GufoSession(UdpSession):
    """One agent at one address. `address` is an IP literal, as gufo demands."""

    def __init__(
        self, address: str, port: int, credential: Credential, retry_policy: RetryPolicy
    ) -> None:
        if credential.context:
            raise ValueError("gufo-snmp cannot name a context; use UdpSession")
        super().__init__(address, port, credential, retry_policy)
        self._where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        self._sock: Any = None
        # GETs by the hash of their OIDs, and what their answers looked like.
        self._sound_gets: dict[int, _Shape] = {}
        self._discovered = False
        self._last_s = 0.0

    async def get(self, oids: Sequence[str]) -> dict[str, Value]:
        asked = list(oids)
        name = hash(tuple(asked))
        sound = self._sound_gets.get(name)
        if sound is not None:
            answer = await self._get_fast(asked)
            shape = _shape(answer)
            # What gufo-snmp misreads is a 0 (or of another type) that was none.
            if answer and shape.types == sound.types and shape.zeros <= sound.zeros:
                if shape.zeros < sound.zeros:
                    self._sound_gets[name] = shape
                return answer
            del self._sound_gets[name]
        answer = await super().get(asked)
        if self._is_sound(asked, answer):
            if len(self._sound_gets) >= _MOST_SOUND:
                self._sound_gets.clear()
            self._sound_gets[name] = _shape(answer)
        return answer

    def close(self) -> None:
        super().close()
        self._sock = None
        self._discovered = False

    def _is_sound(self, asked: list[str], answer: dict[str, Value]) -> bool:
        faults = self.unreadable.by_oid
        if faults and any(oid in faults for oid in asked):
            return False
        # A v1 agent refuses a whole GET for one missing instance.
        return len(answer) == len(asked) or bool(
            answer and self._credential.version != "1"
        )

    async def _get_fast(self, asked: list[str]) -> dict[str, Value]:
        """The answer by gufo-snmp; empty if it had none that it could read. Raises
        `Failed` if the device does not answer."""
        retry_policy = self.retry_policy
        first, rest = retry_policy.timeouts_s[0], retry_policy.timeouts_s[1:]
        try:
            return await self._converse(
                lambda: self._sock.send_get_many(asked),
                lambda: _unwrapped(self._sock.recv_get_many()),
                first,
            )
        except (TimeoutError, ConnectionRefusedError) as error:
            if self._credential.version == "3":
                # It may have started again.
                self.close()
                self._envelope.forget()
            if not rest:
                # gufo-snmp says "refused" by either exception.
                if "refused" in str(error):
                    raise Failed(Outcome.REFUSED, NO_AGENT) from None
                raise Failed(Outcome.TIMEOUT, "no answer to 1 request") from None
        except (SnmpError, OSError, RuntimeError):
            # What it cannot decode, or a v3 agent that has started again.
            self.close()
            return {}
        except BaseException as error:
            # Rust panics on some malformed answers, and a panic is no Exception:
            # unstopped, one device's answer would end the process.
            if type(error).__name__ != _PANIC:
                raise
            self.close()
            return {}
        # The first of the requests is spent.
        self.counts.retries += 1
        if self.on_retry is not None:
            self.on_retry()
        try:
            self.retry_policy = RetryPolicy(rest)
            return await super().get(asked)
        finally:
            self.retry_policy = retry_policy

    async def _converse(
        self, send: Callable[[], None], receive: Callable[[], _Answer], timeout_s: float
    ) -> _Answer:
        if self._channel is None:
            self._channel = await self._open()
        if self._credential.version == "3":
            if not self._discovered:
                await self._discover(timeout_s)
            elif time.monotonic() - self._last_s > _WINDOW_S:
                await self._refresh(timeout_s)
        return await self._ask(send, receive, timeout_s)

    async def _ask(
        self, send: Callable[[], None], receive: Callable[[], _Answer], timeout_s: float
    ) -> _Answer:
        channel = self._channel
        assert isinstance(channel, DescriptorChannel)
        ends_s = asyncio.get_running_loop().time() + timeout_s
        self.counts.packets += 1
        channel.attempt(send)
        while True:
            await channel.ready(ends_s)
            try:
                answer = channel.attempt(receive)
            except BlockingIOError:
                # A late answer to an earlier request was dropped on the way.
                continue
            self._last_s = time.monotonic()
            return answer

    async def _open(self) -> DescriptorChannel:
        version, community = self._credential.version, self._credential.community
        if version == "1":
            self._sock = SnmpV1ClientSocket(self._where, community, 0, 0, 0, 0)
        elif version == "2c":
            self._sock = SnmpV2cClientSocket(self._where, community, 0, 0, 0, 0)
        else:
            self._sock = SnmpV3ClientSocket(
                self._where, b"", "", 0, b"", 0, b"", 0, 0, 0, 0
            )
        return DescriptorChannel(self._sock.get_fd())

    async def _discover(self, timeout_s: float) -> None:
        """The engine's id (RFC 3414 section 4), then its boots and time."""
        await self._refresh(timeout_s)
        user = _user(self._credential)
        self._sock.set_keys(
            user.name,
            user.get_auth_alg(),
            user.get_auth_key(),
            user.get_priv_alg(),
            user.get_priv_key(),
        )
        if user.require_auth():
            await self._refresh(timeout_s)
        self._discovered = True

    async def _refresh(self, timeout_s: float) -> None:
        await self._ask(
            lambda: self._sock.send_refresh(),
            lambda: self._sock.recv_refresh(),
            timeout_s,
        )


def _user(credential: Credential) -> User:
    auth = _AUTH[credential.auth] if credential.auth != "none" else None
    priv = _PRIV[credential.priv] if credential.priv != "none" else None
    return User(
        credential.user,
        auth_key=auth(credential.auth_password.encode()) if auth else None,
        priv_key=priv(credential.priv_password.encode()) if priv else None,
        key_expansion=(
            KeyExpansion.Cisco
            if credential.key_expansion == "cisco"
            else KeyExpansion.Blumenthal
        ),
    )
