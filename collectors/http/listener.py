"""`Listener`: accepts TCP connections, agrees TLS on them, and closes what must go.

Connections are accepted here and not by the event loop's own server, as that shows a
connection to nobody until TLS is agreed: a peer that connects and stays silent is
bounded here too, by number, by address and by time. TLS is begun only when a peer has
said something, at a pace, in turns by address (`fair_queue`).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Collection, Coroutine
from ipaddress import IPv4Network, IPv6Network, ip_address

import structlog

from collectors.http.connection import Connection
from collectors.http.connection_slots import ConnectionSlots
from collectors.http.fair_queue import FairQueue
from collectors.http.refusal_reasons import HttpRefusal
from collectors.network_prefix import network_of
from collectors.token_buckets import Allowance

_ACCEPTED_AT_ONCE = 64
# So many one after the other keep everybody else waiting for some 10 ms.
_HANDSHAKES_AT_ONCE = 10
_PAUSE_S = 0.2
# A stranger waits for its refusal, not for ever: it holds one of the places.
_LONGEST_PENALTY_S = 5.0

_log = structlog.get_logger()


class Listener:
    """Hands each connection to a protocol of `make_protocol` once TLS is agreed.

    `handshakes_per_s` are begun in all. `refusals`: how many refused requests one
    address may have before their answers wait. `trusted` are the proxies whose
    connections carry many laptops' requests: they have a place among the known from the
    start. `refused` is called once for each connection that is closed for a reason.
    """

    def __init__(
        self,
        places: ConnectionSlots[Connection],
        make_protocol: Callable[[Connection], asyncio.Protocol],
        refused: Callable[[HttpRefusal], None],
        *,
        handshake_s: float,
        handshakes_per_s: float,
        refusals: Allowance,
        trusted: Collection[IPv4Network | IPv6Network] = (),
    ) -> None:
        self.places, self.refused = places, refused
        self._make_protocol = make_protocol
        self._handshake_s = handshake_s
        self._pace = Allowance(handshakes_per_s, _HANDSHAKES_AT_ONCE)
        self._refusals = refusals
        self._trusted = tuple(trusted)
        self._tls: ssl.SSLContext | None = None
        self._queue: FairQueue[Connection] = FairQueue()
        self._beginning: asyncio.TimerHandle | None = None
        self._waiting: set[Connection] = set()
        self._agreeing: set[asyncio.Task[None]] = set()
        self._socket: socket.socket | None = None
        self._paused: asyncio.TimerHandle | None = None
        self._full = False

    def start(self, listening: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Accepts from `listening`, which is closed by `stop`."""
        self._socket, self._tls = listening, tls
        asyncio.get_running_loop().add_reader(listening.fileno(), self._accept)

    def stop(self) -> None:
        """Accepts no more; connections without TLS end."""
        for timer in (self._paused, self._beginning):
            if timer is not None:
                timer.cancel()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
        for connection in list(self._waiting):
            connection.abort()
        for task in self._agreeing:
            task.cancel()

    def recognise(self, connection: Connection, name: str) -> bool:
        """Somebody has signed in. False if there is no place among the known."""
        closed = self.places.recognise(connection, name)
        if closed is None:
            self.refused(HttpRefusal.NO_PLACE)
            return False
        for other, reason in closed:
            self._close(other, reason)
        return True

    def penalty_s(self, connection: Connection) -> float:
        """A request was refused: how long its answer waits, if it is a stranger's."""
        if self.places.is_known(connection):
            return 0.0
        now_s = time.monotonic()
        return self._refusals.owe(connection.network, 1, now_s, _LONGEST_PENALTY_S)

    def spoke(self, connection: Connection) -> None:
        """Its peer has said something: TLS can be begun."""
        self._queue.put(connection.network, connection)
        if self._beginning is None:
            self._begin()

    def silent(self, connection: Connection) -> None:
        """Its peer said nothing, nothing in time, or nothing that is TLS."""
        self.refused(HttpRefusal.HANDSHAKE)
        connection.abort()

    def left(self, connection: Connection) -> None:
        """It is gone, or about to go."""
        self._waiting.discard(connection)
        self._queue.discard(connection.network, connection)
        self.places.leave(connection)

    def _accept(self) -> None:
        assert self._socket is not None
        for _ in range(_ACCEPTED_AT_ONCE):
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
        peer.setblocking(False)
        with contextlib.suppress(OSError):
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(self, peer, network_of(address))
        closed = self.places.admit(connection, connection.network)
        if closed is not None:
            self._close(*closed)
        if self._is_trusted(address):
            self.recognise(connection, "")
        if self._tls is None:
            self._agree(connection)
        else:
            self._waiting.add(connection)
            connection.wait_for_hello(self._handshake_s)

    def _begin(self) -> None:
        self._beginning = None
        while self._queue:
            wait_s = self._pace.take("", 1, time.monotonic())
            if wait_s > 0:
                loop = asyncio.get_running_loop()
                self._beginning = loop.call_later(wait_s, self._begin)
                return
            self._agree(self._queue.take())

    def _agree(self, connection: Connection) -> None:
        self._waiting.discard(connection)
        agreeing = connection.agree(self._make_protocol, self._tls, self._handshake_s)
        task = asyncio.create_task(self._counted(connection, agreeing), name="http-tls")
        connection.agreed_by(task)
        self._agreeing.add(task)
        task.add_done_callback(self._agreeing.discard)

    async def _counted(
        self, connection: Connection, agreeing: Coroutine[None, None, None]
    ) -> None:
        try:
            await agreeing
        except OSError:
            self.refused(HttpRefusal.HANDSHAKE)
            self.places.leave(connection)

    def _close(self, connection: Connection, reason: HttpRefusal) -> None:
        self.refused(reason)
        connection.abort()

    def _make_room(self, error: OSError) -> None:
        """The system has no more files: the oldest stranger gives up its own, and
        waiting peers are accepted a moment later."""
        self.refused(HttpRefusal.NO_FILES)
        if not self._full:
            _log.warning("connections cannot be accepted", error=str(error))
        self._full = True
        with contextlib.suppress(LookupError):
            self.places.oldest_stranger().abort()
        assert self._socket is not None
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket.fileno())
        self._paused = loop.call_later(_PAUSE_S, self._accept_again)

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
