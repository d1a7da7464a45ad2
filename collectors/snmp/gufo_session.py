"""A session on gufo-snmp: encoding and decoding in Rust, waiting here.

Its sockets are used directly: one file descriptor stays with the loop for the life of
the session, and a request costs one future and one timer. What the library leaves to
its caller is done here: retries, refresh of the v3 time window, and telling "closed"
and "too much" from silence. What it hides is worked round: it drops error-status (an
empty answer stands for tooBig, genErr and noSuchName alike), and it ends a walk on any
answer without values.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

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
    SnmpAuthError,
    SnmpDecodeError,
    SnmpEncodeError,
    SnmpError,
    User,
)
from gufo.snmp._fast import (
    GetIter,
    SnmpV1ClientSocket,
    SnmpV2cClientSocket,
    SnmpV3ClientSocket,
)

from collectors.snmp.credentials import Credential
from collectors.snmp.session import Failed, Patience, Row, Tally, TooMuch, Value
from probes.failure import Outcome
from probes.faults import outcome_of

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


class GufoSession:
    """One agent at one address. `address` is an IP literal, as gufo demands."""

    def __init__(
        self,
        address: str,
        port: int,
        credential: Credential,
        patience: Patience,
    ) -> None:
        if credential.context:
            raise ValueError("gufo-snmp cannot name a context; use PysnmpSession")
        self._where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        self._credential = credential
        self.patience = patience
        self.tally = Tally()
        self.on_silence: Callable[[], None] | None = None
        self._sock: Any = None
        self._fd = -1
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._discovered = False
        self._proved = False
        self._last_s = 0.0

    async def get(self, oids: Sequence[str]) -> dict[str, Value]:
        asked = list(oids)
        answer = await self._converse(
            lambda: self._sock.send_get_many(asked),
            lambda: cast(dict[str, Value], self._sock.recv_get_many()),
        )
        if not answer and len(asked) > 1:
            # tooBig, genErr, v1's noSuchName or "none of them is here": all alike.
            raise TooMuch("an answer without values")
        return answer

    def pages(self, base: str, repetitions: int) -> GufoPages:
        if self._credential.version == "1":
            repetitions = 1
        return GufoPages(self, base, repetitions)

    def get_engine_id(self) -> bytes:
        """The agent's engine (v3), empty before it is known."""
        return cast(bytes, self._sock.get_engine_id()) if self._discovered else b""

    def close(self) -> None:
        if self._sock is not None and self._loop is not None:
            self._loop.remove_reader(self._fd)
        self._sock = None
        self._loop = None
        self._discovered = False

    async def _converse(
        self, send: Callable[[], None], receive: Callable[[], _Answer]
    ) -> _Answer:
        """One request and its answer, with what v3 needs before and after."""
        if self._credential.version != "3":
            return await self._ask(send, receive)
        if not self._proved:
            return await self._prove(send, receive)
        if time.monotonic() - self._last_s > _WINDOW_S:
            await self._refresh()
        patience = self.patience
        first, rest = patience.timeouts_s[:1], patience.timeouts_s[1:]
        try:
            self.patience = Patience(first)
            try:
                return await self._ask(send, receive)
            except Failed as failed:
                if failed.outcome not in (Outcome.AUTH_FAILED, Outcome.TIMEOUT):
                    raise
            # It did work. An agent that has started again answers with a report the
            # library may not even hear: so not the same once more, but from the start.
            self._proved = False
            self.patience = Patience(rest or first)
            return await self._prove(send, receive)
        finally:
            self.patience = patience

    async def _prove(
        self, send: Callable[[], None], receive: Callable[[], _Answer]
    ) -> _Answer:
        """From nothing: discovery, then the request. A password that never worked is
        not tried again: agents lock users out and raise traps."""
        self.close()
        await self._discover()
        answer = await self._ask(send, receive)
        self._proved = True
        return answer

    async def _ask(
        self, send: Callable[[], None], receive: Callable[[], _Answer]
    ) -> _Answer:
        if self._sock is None:
            self._open()
        refused = False
        for attempt, timeout_s in enumerate(self.patience.timeouts_s):
            self.tally.packets += 1
            if attempt > 0:
                self.tally.retries += 1
                if self.on_silence is not None:
                    self.on_silence()
            try:
                send()
                answer = await self._receive(receive, timeout_s)
            except (TimeoutError, ConnectionRefusedError) as error:
                self._listen_again()
                if "refused" in str(error):
                    # The port may open in a moment: an agent that starts again.
                    refused = True
                    await asyncio.sleep(min(timeout_s, 0.2))
                continue
            except SnmpAuthError:
                raise Failed(
                    Outcome.AUTH_FAILED, "user, password or time refused"
                ) from None
            except SnmpDecodeError as error:
                if "incomplete" in str(error):
                    raise TooMuch("an answer longer than 4,080 bytes") from None
                raise Failed(Outcome.BAD_ANSWER, f"not SNMP: {error}") from None
            except SnmpEncodeError as error:
                raise TooMuch(f"a request too long: {error}") from None
            except SnmpError as error:
                raise Failed(Outcome.BAD_ANSWER, str(error)) from None
            except OSError as error:
                self._listen_again()
                raise Failed(outcome_of(error), str(error)) from None
            except BaseException as error:
                # Rust panics on some malformed answers, and a panic is no Exception:
                # unstopped, one device's answer would end the process.
                if type(error).__name__ != _PANIC:
                    raise
                self.close()
                raise Failed(Outcome.BAD_ANSWER, "an answer beyond decoding") from None
            self._last_s = time.monotonic()
            return answer
        if refused:
            raise Failed(Outcome.REFUSED, "no agent listens on that port")
        raise Failed(
            Outcome.TIMEOUT, f"no answer to {len(self.patience.timeouts_s)} requests"
        )

    async def _receive(
        self, receive: Callable[[], _Answer], timeout_s: float
    ) -> _Answer:
        assert self._loop is not None
        timer: asyncio.TimerHandle | None = None
        try:
            while True:
                waiting = self._loop.create_future()
                self._waiting = waiting
                if timer is None:
                    timer = self._loop.call_later(timeout_s, self._give_up)
                await waiting
                try:
                    return receive()
                except BlockingIOError:
                    # A late answer to an earlier request was dropped on the way.
                    continue
        finally:
            self._waiting = None
            if timer is not None:
                timer.cancel()

    def _readable(self) -> None:
        waiting = self._waiting
        if waiting is not None:
            if not waiting.done():
                waiting.set_result(None)
            return
        # Nobody waits: an answer that came after its time. Take it off the socket.
        try:
            self._sock.recv_get_many()
        except BaseException as error:
            if not isinstance(error, Exception) and type(error).__name__ != _PANIC:
                raise
            self._listen_again()

    def _listen_again(self) -> None:
        """libuv hears a socket no more once that has had an error (an ICMP "port
        unreachable" is one), although the socket is as good as before."""
        if self._loop is not None:
            self._loop.remove_reader(self._fd)
            self._loop.add_reader(self._fd, self._readable)

    def _give_up(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(TimeoutError("no answer"))

    def _open(self) -> None:
        self._loop = asyncio.get_running_loop()
        version, community = self._credential.version, self._credential.community
        try:
            if version == "1":
                self._sock = SnmpV1ClientSocket(self._where, community, 0, 0, 0, 0)
            elif version == "2c":
                self._sock = SnmpV2cClientSocket(self._where, community, 0, 0, 0, 0)
            else:
                self._sock = SnmpV3ClientSocket(
                    self._where, b"", "", 0, b"", 0, b"", 0, 0, 0, 0
                )
        except OSError as error:
            raise Failed(outcome_of(error), f"{self._where}: {error}") from None
        self._fd = self._sock.get_fd()
        self._loop.add_reader(self._fd, self._readable)

    async def _discover(self) -> None:
        """The engine's id (RFC 3414 section 4), then its boots and time."""
        await self._refresh()
        user = _user(self._credential)
        self._sock.set_keys(
            user.name,
            user.get_auth_alg(),
            user.get_auth_key(),
            user.get_priv_alg(),
            user.get_priv_key(),
        )
        if user.require_auth():
            await self._refresh()
        self._discovered = True

    async def _refresh(self) -> None:
        await self._ask(
            lambda: self._sock.send_refresh(), lambda: self._sock.recv_refresh()
        )


class GufoPages:
    """A walk. Starts again from `base` only by asking for a new one: the library's
    cursor cannot be set, so less at a time means beginning afresh."""

    def __init__(self, session: GufoSession, base: str, repetitions: int) -> None:
        self._session = session
        self._cursor = GetIter(base, repetitions)
        self._next = repetitions <= 1
        self._ended = False

    async def read(self) -> list[Row]:
        if self._ended:
            return []
        if self._next:
            row = await self._one()
            return [] if row is None else [row]
        sock = self._session
        found = await sock._converse(
            lambda: sock._sock.send_get_bulk(self._cursor), self._receive_bulk
        )
        if not found:
            # The end of the agent's view, or tooBig, which looks the same: one
            # GETNEXT tells.
            if await self._one() is not None:
                raise TooMuch("GETBULK refused while there was more")
            return []
        if found[-1] is None:
            self._ended = True
            found.pop()
        return cast(list[Row], found)

    def _receive_bulk(self) -> list[Row | None]:
        try:
            return cast(
                list[Row | None], self._session._sock.recv_get_bulk(self._cursor)
            )
        except StopAsyncIteration:
            return []

    async def _one(self) -> Row | None:
        sock = self._session
        return await sock._converse(
            lambda: sock._sock.send_get_next(self._cursor), self._receive_next
        )

    def _receive_next(self) -> Row | None:
        try:
            return cast(Row, self._session._sock.recv_get_next(self._cursor))
        except StopAsyncIteration:
            self._ended = True
            return None


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
