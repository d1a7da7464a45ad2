"""`Connection`: one accepted connection, from TCP to its end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Protocol

from collectors.http.connection_slots import ConnectionSlots
from collectors.http.refusal_reasons import HttpRefusal

# A peer that does not answer the end of TLS may not hold its connection for long.
_TLS_END_S = 2.0
# RFC 8446 section 5.1: the type of a record that agrees TLS.
_HELLO = b"\x16"


class Keeper(Protocol):
    """Whoever accepted it (`Listener`)."""

    @property
    def places(self) -> ConnectionSlots[Connection]: ...

    def refused(self, reason: HttpRefusal, /) -> None: ...

    def recognise(self, connection: Connection, name: str) -> bool: ...

    def penalty_s(self, connection: Connection) -> float: ...

    def spoke(self, connection: Connection) -> None: ...

    def silent(self, connection: Connection) -> None: ...

    def left(self, connection: Connection) -> None: ...


class Connection:
    """`network` is that of its peer, `transport` is set once TLS is agreed."""

    def __init__(self, keeper: Keeper, peer: socket.socket, network: str) -> None:
        self._keeper, self._peer = keeper, peer
        self.network = network
        self.transport: asyncio.Transport | None = None
        self._hello: asyncio.TimerHandle | None = None
        self._agreeing: asyncio.Task[None] | None = None
        self._taken = False

    def wait_for_hello(self, seconds: float) -> None:
        """Until the peer begins TLS, or the time is over."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._peer.fileno(), self._heard)
        self._hello = loop.call_later(seconds, self._keeper.silent, self)

    async def agree(
        self,
        make_protocol: Callable[[Connection], asyncio.Protocol],
        tls: ssl.SSLContext | None,
        handshake_s: float,
    ) -> None:
        """Agrees TLS and hands the connection to a protocol. Raises `OSError`."""

        def protocol() -> asyncio.Protocol:
            # From here on the event loop closes the socket.
            self._taken = True
            return make_protocol(self)

        await asyncio.get_running_loop().connect_accepted_socket(
            protocol,
            self._peer,
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else handshake_s,
            ssl_shutdown_timeout=None if tls is None else _TLS_END_S,
        )

    def agreed_by(self, task: asyncio.Task[None]) -> None:
        """`task` runs `agree`."""
        self._agreeing = task
        task.add_done_callback(self._agreed)

    def recognise(self, name: str) -> bool:
        """Somebody has signed in: the connection is no stranger's any more. False if
        there is no place for it."""
        return self._keeper.recognise(self, name)

    def rest(self) -> None:
        """It waits for its next request."""
        self._keeper.places.rest(self)

    def wake(self) -> None:
        """A request has begun."""
        self._keeper.places.wake(self)

    def penalty_s(self) -> float:
        """A request on it is refused: how long its answer must wait."""
        return self._keeper.penalty_s(self)

    def refuse(self, reason: HttpRefusal) -> None:
        """Counts why this connection is closed."""
        self._keeper.refused(reason)

    def lost(self) -> None:
        """It has ended."""
        self.transport = None
        self._keeper.left(self)

    def abort(self) -> None:
        """Ends it at once, whatever it is doing."""
        self._keeper.left(self)
        if self.transport is not None:
            self.transport.abort()
        elif self._agreeing is not None:
            self._agreeing.cancel()
        elif not self._taken:
            self._stop_waiting()
            self._peer.close()

    def _heard(self) -> None:
        self._stop_waiting()
        first = b""
        with contextlib.suppress(OSError):
            first = self._peer.recv(1, socket.MSG_PEEK)
        if first == _HELLO:
            self._keeper.spoke(self)
        else:
            self._keeper.silent(self)

    def _stop_waiting(self) -> None:
        if self._hello is not None:
            self._hello.cancel()
            self._hello = None
            asyncio.get_running_loop().remove_reader(self._peer.fileno())

    def _agreed(self, _task: asyncio.Task[None]) -> None:
        self._agreeing = None
        if not self._taken:
            self._peer.close()
