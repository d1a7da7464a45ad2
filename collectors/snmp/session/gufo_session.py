"""A session that lets gufo-snmp, in Rust, make the requests that come every minute.

gufo-snmp refuses a whole response for one value that it cannot decode, reads a number
of no octets as 0, and hides error-status. So a GET is first made in Python
(`udp_session`). If every binding of its answer was sound, the same GET is made by
gufo-snmp from then on, on the same socket. If that fails, or its answer looks different
from the sound one, Python sends the GET again and finds the reason. Walks are rare:
Python makes them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from collectors.snmp.session.channel import DescriptorChannel
from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.gufo_library import GufoError, GufoSocket
from collectors.snmp.session.opaque import unwrap
from collectors.snmp.session.session import BUDGET_SPENT, Failed, RetryPolicy, Value
from collectors.snmp.session.udp_session import NO_AGENT, UdpSession
from probes.wire.failure import Outcome

_Answer = TypeVar("_Answer")
# A message must arrive within 150 s of the engine's time (RFC 3414 section 2.2.3); the
# time is refreshed well before that.
_REFRESH_S = 120.0
# GETs that are known to be sound: more than a chassis of a thousand ports needs.
_MAX_SOUND = 4_096


class _Shape(NamedTuple):
    """What an answer looks like, without its values."""

    types: int
    zeros: int


def _shape(answer: dict[str, Value]) -> _Shape:
    values = list(answer.values())
    return _Shape(hash(tuple(map(type, values))), values.count(0))


class GufoSession(UdpSession):
    """One agent at one address. `address` is an IP literal, as gufo-snmp requires."""

    def __init__(
        self,
        address: str,
        port: int,
        credential: Credential,
        retry_policy: RetryPolicy,
    ) -> None:
        if credential.context:
            raise ValueError("gufo-snmp cannot name a context; use UdpSession")
        super().__init__(address, port, credential, retry_policy)
        self._socket: GufoSocket | None = None
        # The shape of the answer to each sound GET, by the hash of its OIDs.
        self._sound_gets: dict[int, _Shape] = {}
        self._discovered = False
        self._last_answer_s = 0.0

    async def get(self, oids: Sequence[str]) -> dict[str, Value]:
        requested = list(oids)
        key = hash(tuple(requested))
        sound = self._sound_gets.get(key)
        # A late answer to gufo-snmp's request is lost, because its number is not known.
        is_slow = self.answer_time.is_longer_than(self.retry_policy.timeouts_s[0])
        if sound is not None and not is_slow:
            answer = await self._get_fast(requested)
            shape = _shape(answer)
            # A value that gufo-snmp misreads is a new 0, or has another type.
            if answer and shape.types == sound.types and shape.zeros <= sound.zeros:
                if shape.zeros < sound.zeros:
                    self._sound_gets[key] = shape
                return answer
            del self._sound_gets[key]
        answer = await super().get(requested)
        if self._is_sound(requested, answer):
            if len(self._sound_gets) >= _MAX_SOUND:
                self._sound_gets.clear()
            self._sound_gets[key] = _shape(answer)
        return answer

    def close(self) -> None:
        super().close()
        self._socket = None
        self._discovered = False

    def _is_sound(self, requested: list[str], answer: dict[str, Value]) -> bool:
        unreadable = self.unreadable.by_oid
        if unreadable and any(oid in unreadable for oid in requested):
            return False
        # A v1 agent refuses a whole GET for one missing instance.
        return len(answer) == len(requested) or bool(answer and self.version != "1")

    async def _get_fast(self, requested: list[str]) -> dict[str, Value]:
        """The answer by gufo-snmp; empty if gufo-snmp cannot read it.

        Raises `Failed` if the device does not answer.
        """
        retry_policy = self.retry_policy
        first, rest = retry_policy.timeouts_s[0], retry_policy.timeouts_s[1:]
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            answer = await self._exchange_get(
                requested, min(began_s + first, self.ends_s)
            )
            self.answer_time.record(loop.time() - began_s)
            return answer
        except (TimeoutError, ConnectionRefusedError) as error:
            if loop.time() >= self.ends_s:
                raise Failed(Outcome.BUDGET_SPENT, BUDGET_SPENT) from None
            if self.version == "3":
                # The agent may have restarted.
                self.close()
                self._envelope.discover_again()
            if not rest:
                # gufo-snmp raises either exception if nothing listens on the port.
                if "refused" in str(error):
                    raise Failed(Outcome.REFUSED, NO_AGENT) from None
                raise Failed(Outcome.TIMEOUT, "no answer to 1 request") from None
        except (GufoError, OSError):
            # An answer that it cannot decode, or a v3 agent that has restarted.
            self.close()
            return {}
        # The first request is used up.
        self.counts.retries += 1
        if self.on_retry is not None:
            self.on_retry()
        try:
            self.retry_policy = RetryPolicy(rest)
            return await super().get(requested)
        finally:
            self.retry_policy = retry_policy

    async def _exchange_get(
        self, requested: list[str], ends_s: float
    ) -> dict[str, Value]:
        if self._channel is None:
            self._channel = await self._open()
        assert self._socket is not None
        if self.version == "3":
            if not self._discovered:
                await self._discover(self._socket, ends_s)
            elif time.monotonic() - self._last_answer_s > _REFRESH_S:
                await self._refresh(self._socket, ends_s)
        socket = self._socket
        answer = await self._converse(
            lambda: socket.send_get(requested), socket.receive_get, ends_s
        )
        return {
            oid: unwrap(value) if type(value) is bytes else value
            for oid, value in answer.items()
        }

    async def _converse(
        self, send: Callable[[], None], receive: Callable[[], _Answer], ends_s: float
    ) -> _Answer:
        channel = self._channel
        assert isinstance(channel, DescriptorChannel)
        self.counts.packets += 1
        channel.attempt(send)
        while True:
            await channel.ready(ends_s)
            try:
                answer = channel.attempt(receive)
            except BlockingIOError:
                # The library dropped a late answer to an earlier request.
                continue
            self._last_answer_s = time.monotonic()
            return answer

    async def _open(self) -> DescriptorChannel:
        self._socket = GufoSocket(self._address, self._port, self._credential)
        return DescriptorChannel(self._socket.descriptor)

    async def _discover(self, socket: GufoSocket, ends_s: float) -> None:
        """The engine's id (RFC 3414 section 4), then its boots and time."""
        await self._refresh(socket, ends_s)
        socket.use_keys()
        if socket.needs_authentication:
            await self._refresh(socket, ends_s)
        self._discovered = True

    async def _refresh(self, socket: GufoSocket, ends_s: float) -> None:
        await self._converse(socket.send_refresh, socket.receive_refresh, ends_s)
