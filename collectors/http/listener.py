"""`Listener`: accepts TCP connections, does TLS handshakes, closes what must go.

The event loop's own server shows nobody a connection until its TLS handshake is done.
This one also limits peers that connect and stay silent: by number, address and time. A
handshake starts only after the peer has sent something. Handshakes are paced and take
turns by address (`fair_queue`).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Collection, Coroutine
from ipaddress import IPv4Network, IPv6Network, ip_address

from collectors.failure_log import FailureLog
from collectors.http.connection import Connection
from collectors.http.connection_slots import ConnectionSlots
from collectors.http.fair_queue import FairQueue
from collectors.http.refusal_reasons import HttpRefusal
from collectors.ip_networks import is_in, network_of
from collectors.token_buckets import TokenBuckets

_ACCEPTED_AT_ONCE = 64
# This many in a row delay everything else by some 10 ms.
_HANDSHAKES_AT_ONCE = 10
_PAUSE_S = 0.2
# A stranger that waits for its refusal holds a slot, so the wait is limited.
_LONGEST_REFUSAL_DELAY_S = 5.0


class Listener:
    """Hands each connection to a protocol of `make_protocol` after its TLS handshake.

    `handshakes_per_s` handshakes are started in all. `refusals` limits how many refused
    requests one address may have before their answers are delayed. Connections from
    `trusted_proxies` carry many laptops' requests and count as signed in from the
    start. `on_refusal` is called once for each connection that is closed for a reason.
    """

    def __init__(
        self,
        slots: ConnectionSlots[Connection],
        make_protocol: Callable[[Connection], asyncio.Protocol],
        on_refusal: Callable[[HttpRefusal], None],
        *,
        handshake_s: float,
        handshakes_per_s: float,
        refusals: TokenBuckets,
        trusted_proxies: Collection[IPv4Network | IPv6Network] = (),
    ) -> None:
        self.slots, self._on_refusal = slots, on_refusal
        self._make_protocol = make_protocol
        self._handshake_s = handshake_s
        self._pace = TokenBuckets(handshakes_per_s, _HANDSHAKES_AT_ONCE)
        self._refusals = refusals
        self._trusted = tuple(trusted_proxies)
        self._tls: ssl.SSLContext | None = None
        self._queue: FairQueue[Connection] = FairQueue()
        self._pace_timer: asyncio.TimerHandle | None = None
        self._waiting: set[Connection] = set()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._socket: socket.socket | None = None
        self._pause_timer: asyncio.TimerHandle | None = None
        self._failures = FailureLog("connections_not_accepted", level="warning")

    def start(self, listening: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Accepts connections from `listening`, which `stop` closes."""
        self._socket, self._tls = listening, tls
        asyncio.get_running_loop().add_reader(listening.fileno(), self._accept)

    def stop(self) -> None:
        """Stops accepting and closes connections whose handshake is not done."""
        for timer in (self._pause_timer, self._pace_timer):
            if timer is not None:
                timer.cancel()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
        for connection in list(self._waiting):
            connection.abort()
        for task in self._handshakes:
            task.cancel()

    def count_refusal(self, reason: HttpRefusal) -> None:
        self._on_refusal(reason)

    def sign_in(self, connection: Connection, name: str) -> bool:
        """Marks the connection as signed in. Returns False if no slot is free."""
        closed = self.slots.sign_in(connection, name)
        if closed is None:
            self.count_refusal(HttpRefusal.NO_PLACE)
            return False
        for other, reason in closed:
            self._close(other, reason)
        return True

    def refusal_delay_s(self, connection: Connection) -> float:
        """Returns how long the answer to a stranger's refused request must wait."""
        if self.slots.is_signed_in(connection):
            return 0.0
        now_s = time.monotonic()
        return self._refusals.owe(
            connection.network, 1, now_s, _LONGEST_REFUSAL_DELAY_S
        )

    def hello_received(self, connection: Connection) -> None:
        """The peer has sent the start of a handshake, which may now begin."""
        self._queue.put(connection.network, connection)
        if self._pace_timer is None:
            self._start_handshakes()

    def hello_missing(self, connection: Connection) -> None:
        """The peer sent nothing in time, or something that is not TLS."""
        self.count_refusal(HttpRefusal.HANDSHAKE)
        connection.abort()

    def forget(self, connection: Connection) -> None:
        """Forgets a connection that is closed or closing."""
        self._waiting.discard(connection)
        self._queue.discard(connection.network, connection)
        self.slots.remove(connection)

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
            self._failures.recovered()
            self._admit(peer, str(address[0]))

    def _admit(self, peer: socket.socket, address: str) -> None:
        peer.setblocking(False)
        with contextlib.suppress(OSError):
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(self, peer, network_of(address))
        closed = self.slots.admit(connection, connection.network)
        if closed is not None:
            self._close(*closed)
        if self._is_trusted(address):
            self.sign_in(connection, "")
        if self._tls is None:
            self._handshake(connection)
        else:
            self._waiting.add(connection)
            connection.wait_for_hello(self._handshake_s)

    def _start_handshakes(self) -> None:
        self._pace_timer = None
        while self._queue:
            wait_s = self._pace.take("", 1, time.monotonic())
            if wait_s > 0:
                loop = asyncio.get_running_loop()
                self._pace_timer = loop.call_later(wait_s, self._start_handshakes)
                return
            self._handshake(self._queue.pop())

    def _handshake(self, connection: Connection) -> None:
        self._waiting.discard(connection)
        handshake = connection.handshake(
            self._make_protocol, self._tls, self._handshake_s
        )
        task = asyncio.create_task(
            self._run_handshake(connection, handshake), name="http-tls"
        )
        connection.set_handshake(task)
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def _run_handshake(
        self, connection: Connection, handshake: Coroutine[None, None, None]
    ) -> None:
        try:
            await handshake
        except OSError:
            self.count_refusal(HttpRefusal.HANDSHAKE)
            self.slots.remove(connection)

    def _close(self, connection: Connection, reason: HttpRefusal) -> None:
        self.count_refusal(reason)
        connection.abort()

    def _make_room(self, error: OSError) -> None:
        """Closes the oldest stranger, because no file descriptor is left, and pauses
        accepting for a moment."""
        self.count_refusal(HttpRefusal.NO_FILES)
        self._failures.failed(error)
        with contextlib.suppress(LookupError):
            self.slots.oldest_stranger().abort()
        assert self._socket is not None
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket.fileno())
        self._pause_timer = loop.call_later(_PAUSE_S, self._accept_again)

    def _accept_again(self) -> None:
        self._pause_timer = None
        assert self._socket is not None
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._accept)

    def _is_trusted(self, address: str) -> bool:
        if not self._trusted:
            return False
        parsed = ip_address(address.partition("%")[0])
        return is_in(parsed, self._trusted)
