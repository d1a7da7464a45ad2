"""`Connection`: one accepted connection, from TCP accept to its end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Protocol

from collectors.http.connection_slots import ConnectionSlots
from collectors.http.refusal_reasons import HttpRefusal

# How long a peer may take to answer the end of TLS.
_TLS_END_S = 2.0
# The type of a TLS handshake record (RFC 8446 section 5.1).
_HELLO = b"\x16"


class ConnectionOwner(Protocol):
    """What a connection needs of the `Listener` that accepted it."""

    @property
    def slots(self) -> ConnectionSlots[Connection]: ...

    def count_refusal(self, reason: HttpRefusal, /) -> None: ...

    def sign_in(self, connection: Connection, name: str) -> bool: ...

    def refusal_delay_s(self, connection: Connection) -> float: ...

    def hello_received(self, connection: Connection) -> None: ...

    def hello_missing(self, connection: Connection) -> None: ...

    def forget(self, connection: Connection) -> None: ...


class Connection:
    """`network` is the peer's; `transport` is set after the TLS handshake."""

    def __init__(
        self, owner: ConnectionOwner, peer: socket.socket, network: str
    ) -> None:
        self._owner, self._peer = owner, peer
        self.network = network
        self.transport: asyncio.Transport | None = None
        self._hello_timer: asyncio.TimerHandle | None = None
        self._handshake: asyncio.Task[None] | None = None
        self._is_handed_over = False

    def wait_for_hello(self, seconds: float) -> None:
        """Waits until the peer starts TLS or `seconds` have passed."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._peer.fileno(), self._on_readable)
        self._hello_timer = loop.call_later(seconds, self._owner.hello_missing, self)

    async def handshake(
        self,
        make_protocol: Callable[[Connection], asyncio.Protocol],
        tls: ssl.SSLContext | None,
        handshake_s: float,
    ) -> None:
        """Does the TLS handshake and hands the connection to a protocol.

        Raises `OSError` if the handshake fails.
        """

        def protocol() -> asyncio.Protocol:
            # From now on the event loop closes the socket.
            self._is_handed_over = True
            return make_protocol(self)

        await asyncio.get_running_loop().connect_accepted_socket(
            protocol,
            self._peer,
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else handshake_s,
            ssl_shutdown_timeout=None if tls is None else _TLS_END_S,
        )

    def set_handshake(self, task: asyncio.Task[None]) -> None:
        """Sets the task that runs `handshake`, so that `abort` can cancel it."""
        self._handshake = task
        task.add_done_callback(self._handshake_ended)

    def sign_in(self, name: str) -> bool:
        """Marks the connection as signed in by `name`. Returns False if there is no
        slot for it."""
        return self._owner.sign_in(self, name)

    def mark_idle(self) -> None:
        """The connection waits for its next request."""
        self._owner.slots.mark_idle(self)

    def mark_busy(self) -> None:
        """A request has started."""
        self._owner.slots.mark_busy(self)

    def refusal_delay_s(self) -> float:
        """Returns how long the answer to a refused request must wait."""
        return self._owner.refusal_delay_s(self)

    def count_refusal(self, reason: HttpRefusal) -> None:
        """Counts the reason for closing this connection."""
        self._owner.count_refusal(reason)

    def connection_lost(self) -> None:
        """The transport has closed."""
        self.transport = None
        self._owner.forget(self)

    def abort(self) -> None:
        """Closes the connection at once."""
        self._owner.forget(self)
        if self.transport is not None:
            self.transport.abort()
        elif self._handshake is not None:
            self._handshake.cancel()
        elif not self._is_handed_over:
            self._stop_waiting()
            self._peer.close()

    def _on_readable(self) -> None:
        self._stop_waiting()
        first = b""
        with contextlib.suppress(OSError):
            first = self._peer.recv(1, socket.MSG_PEEK)
        if first == _HELLO:
            self._owner.hello_received(self)
        else:
            self._owner.hello_missing(self)

    def _stop_waiting(self) -> None:
        if self._hello_timer is not None:
            self._hello_timer.cancel()
            self._hello_timer = None
            asyncio.get_running_loop().remove_reader(self._peer.fileno())

    def _handshake_ended(self, _task: asyncio.Task[None]) -> None:
        self._handshake = None
        if not self._is_handed_over:
            self._peer.close()
