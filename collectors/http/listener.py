"""`Listener`: accepts TCP connections, agrees TLS on them, and closes what must go.

Connections are accepted here and not by the event loop's own server, as that knows
nothing of a connection until TLS is agreed: a peer that connects and stays silent is
bounded here too, by number, by address and by time.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Collection
from ipaddress import IPv4Network, IPv6Network, ip_address

import structlog

from collectors.http.pace import Pace
from collectors.http.places import Places
from collectors.http.refusal import Refusal
from collectors.networks import network_of

_ACCEPTED_AT_ONCE = 64
_PAUSE_S = 0.2
# A peer that does not answer the end of TLS may not hold its connection for long.
_TLS_END_S = 2.0

_log = structlog.get_logger()


class Connection:
    """One accepted connection, from TCP to its end. `network`: that of its peer."""

    def __init__(self, listener: Listener, peer: socket.socket, network: str) -> None:
        self._listener, self._peer = listener, peer
        self.network = network
        self._agreeing: asyncio.Task[None] | None = None
        self._taken = False
        # Set by the protocol, once TLS is agreed.
        self.transport: asyncio.Transport | None = None

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

    def _agreed(self, _task: asyncio.Task[None]) -> None:
        self._agreeing = None
        if not self._taken:
            self._peer.close()

    def recognise(self, name: str) -> bool:
        """Somebody has signed in: the connection is no stranger's any more. False if
        there is no place for it."""
        return self._listener.recognise(self, name)

    def rest(self) -> None:
        """It waits for its next request."""
        self._listener.places.rest(self)

    def wake(self) -> None:
        """A request has begun."""
        self._listener.places.wake(self)

    def penalty_s(self) -> float:
        """A request on it is refused: how long its answer must wait."""
        return self._listener.penalty_s(self)

    def refuse(self, reason: Refusal) -> None:
        """Counts why this connection is closed."""
        self._listener.refused(reason)

    def lost(self) -> None:
        """It has ended."""
        self._listener.places.leave(self)

    def abort(self) -> None:
        """Ends it at once, whatever it is doing."""
        if self.transport is not None:
            self.transport.abort()
        elif self._agreeing is not None:
            self._agreeing.cancel()


class Listener:
    """Hands each connection to a protocol of `make_protocol` once TLS is agreed.

    `trusted` are the proxies whose connections carry many laptops' requests: they
    have a place among the known from the start. `refused` is called once for each
    connection that is closed for a reason.
    """

    def __init__(
        self,
        places: Places[Connection],
        make_protocol: Callable[[Connection], asyncio.Protocol],
        refused: Callable[[Refusal], None],
        *,
        handshake_s: float,
        pace: Pace,
        trusted: Collection[IPv4Network | IPv6Network] = (),
    ) -> None:
        self._pace = pace
        self.places, self.refused = places, refused
        self._make_protocol = make_protocol
        self._handshake_s = handshake_s
        self._trusted = tuple(trusted)
        self._tls: ssl.SSLContext | None = None
        self._agreeing: set[asyncio.Task[None]] = set()
        self._socket: socket.socket | None = None
        self._paused: asyncio.TimerHandle | None = None
        self._full = False

    def start(self, listening: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Accepts from `listening`, which is closed by `stop`."""
        self._socket, self._tls = listening, tls
        asyncio.get_running_loop().add_reader(listening.fileno(), self._accept)

    def stop(self) -> None:
        """Accepts no more; connections that are agreeing TLS end."""
        if self._paused is not None:
            self._paused.cancel()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
        for task in self._agreeing:
            task.cancel()

    def recognise(self, connection: Connection, name: str) -> bool:
        if self.places.is_known(connection):
            return True
        closed = self.places.recognise(connection, name)
        if closed is None:
            self.refused(Refusal.NO_PLACE)
            return False
        self._pace.signed_in(connection.network)
        for other, reason in closed:
            self._close(other, reason)
        return True

    def penalty_s(self, connection: Connection) -> float:
        if self.places.is_known(connection):
            return 0.0
        return self._pace.penalty_s(connection.network, time.monotonic())

    def _accept(self) -> None:
        assert self._socket is not None
        for _ in range(_ACCEPTED_AT_ONCE):
            wait_s = self._pace.wait_s(time.monotonic())
            if wait_s > 0:
                # The system keeps the others waiting.
                self._pause(wait_s)
                return
            try:
                peer, address = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._make_room(error)
                return
            self._full = False
            self._welcome(peer, str(address[0]))

    def _welcome(self, peer: socket.socket, address: str) -> None:
        network = network_of(address)
        trusted = self._is_trusted(address)
        if not trusted and not self._pace.admits(network, time.monotonic()):
            self.refused(Refusal.ADDRESS_BUSY)
            peer.close()
            return
        peer.setblocking(False)
        with contextlib.suppress(OSError):
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(self, peer, network)
        closed = self.places.admit(connection, network)
        if closed is not None:
            self._close(*closed)
        if trusted:
            self.recognise(connection, "")
        task = asyncio.create_task(self._agree(connection), name="http-accept")
        connection.agreed_by(task)
        self._agreeing.add(task)
        task.add_done_callback(self._agreeing.discard)

    async def _agree(self, connection: Connection) -> None:
        try:
            await connection.agree(self._make_protocol, self._tls, self._handshake_s)
        except OSError:
            self.refused(Refusal.HANDSHAKE)
            self.places.leave(connection)

    def _close(self, connection: Connection, reason: Refusal) -> None:
        self.refused(reason)
        connection.abort()

    def _make_room(self, error: OSError) -> None:
        """The system has no more files: the oldest stranger gives up its own, and
        waiting peers are accepted a moment later."""
        self.refused(Refusal.NO_FILES)
        if not self._full:
            _log.warning("connections cannot be accepted", error=str(error))
        self._full = True
        with contextlib.suppress(LookupError):
            stranger = self.places.oldest_stranger()
            self.places.leave(stranger)
            stranger.abort()
        self._pause(_PAUSE_S)

    def _pause(self, seconds: float) -> None:
        assert self._socket is not None
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket.fileno())
        self._paused = loop.call_later(seconds, self._accept_again)

    def _accept_again(self) -> None:
        self._paused = None
        assert self._socket is not None
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._accept)

    def _is_trusted(self, address: str) -> bool:
        if not self._trusted:
            return False
        parsed = ip_address(address.partition("%")[0])
        return any(
            parsed.version == network.version and parsed in network
            for network in self._trusted
        )
