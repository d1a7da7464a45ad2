"""The far end of ndt7: sends a download, counts an upload, says what it sees."""

from __future__ import annotations

import asyncio
import random
import secrets
import socket
import time
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from probes import ndt7
from probes.tcp_info import TcpInfo, keep_little_waiting, tcp_info

_QUERY_BYTES = 4096
_EARLY_EXIT_BYTES = {"250": 250_000_000}
# Measurements come at random intervals, so that they never beat with the traffic.
# Waiting in the kernel: enough for a round trip of 200 ms at full rate.
_ROOM_S = 0.2
_LEAST_S, _MEAN_S, _MOST_S = 0.1, 0.25, 0.625


class Ask(NamedTuple):
    """What a client asks for. `most_bytes` 0: no limit but time."""

    test: str
    most_bytes: int = 0


class Malformed(ValueError):
    """A request the specification forbids; the text says which part."""


def read_ask(target: str) -> Ask | None:
    """The test a request's target names, None for another path. Pure."""
    parts = urlsplit(target)
    tests = {ndt7.DOWNLOAD: "download", ndt7.UPLOAD: "upload"}
    test = tests.get(parts.path)
    if test is None:
        return None
    if len(parts.query) > _QUERY_BYTES:
        raise Malformed(f"a query of {len(parts.query)} octets, at most {_QUERY_BYTES}")
    try:
        pairs = parse_qsl(
            parts.query, keep_blank_values=True, errors="strict", max_num_fields=256
        )
    except ValueError as error:
        raise Malformed(f"a query that cannot be read: {error}") from None
    keys = [key for key, _value in pairs]
    if "" in keys:
        raise Malformed("a query with an empty key")
    if len(keys) != len(set(keys)):
        raise Malformed("a query with a key twice")
    asked = dict(pairs)
    most_bytes = 0
    if "early_exit" in asked:
        if asked["early_exit"] not in _EARLY_EXIT_BYTES:
            raise Malformed(f"early_exit={asked['early_exit'][:20]!r}, expected 250")
        most_bytes = _EARLY_EXIT_BYTES[asked["early_exit"]]
    own = asked.get(ndt7.MOST_BYTES_KEY, "")
    if own.isascii() and own.isdecimal() and len(own) <= 15 and int(own):
        most_bytes = min(most_bytes or int(own), int(own))
    return Ask(test, most_bytes if test == "download" else 0)


class Pace:
    """Holds a flow to `bps`; 0 lets it run."""

    def __init__(self, bps: float) -> None:
        self._bps = bps
        self._due_s = time.monotonic()

    async def spend(self, octets: int) -> None:
        if not self._bps:
            return
        now_s = time.monotonic()
        self._due_s = max(self._due_s, now_s - 0.1) + 8 * octets / self._bps
        if self._due_s > now_s:
            await asyncio.sleep(self._due_s - now_s)


class PacedConnection(ServerConnection):
    """Reads no faster than `read_bps` (0: as fast as it comes), octet by octet and
    not message by message, with little room in the kernel for what waits."""

    _held_bps = 0.0
    _due_s = 0.0

    def hold_to(self, bps: float) -> None:
        """From now on. Called once, after the connection was made."""
        self._held_bps, self._due_s = bps, self.loop.time()
        # The queue of messages wants to read on as soon as it is empty.
        self.recv_messages.resume = self._read_on
        channel = self.transport.get_extra_info("socket")
        if channel is not None:
            room = min(max(round(bps / 8 * _ROOM_S), 1 << 16), 1 << 22)
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._held_bps and not self.transport.is_closing():
            due_s = max(self._due_s, self.loop.time())
            self._due_s = due_s + 8 * len(data) / self._held_bps
            self.transport.pause_reading()
            self.loop.call_at(self._due_s, self._read_on)

    def _read_on(self) -> None:
        due = self.loop.time() >= self._due_s - 0.001
        if due and not self.recv_messages.paused and not self.transport.is_closing():
            self.transport.resume_reading()


class Subtest:
    """One direction over one connection. `run` ends by itself, at the latest after
    the specification's 13 s, however the client behaves."""

    def __init__(
        self,
        connection: ServerConnection,
        ask: Ask,
        noise: bytes,
        bps: float = 0.0,
        seconds: float = ndt7.SECONDS,
    ) -> None:
        self._connection, self._ask, self._noise = connection, ask, noise
        self._socket = connection.transport.get_extra_info("socket")
        self._pace = Pace(bps)
        self._seconds = seconds
        self._started_s = time.monotonic()
        self._said_s = self._started_s - _LEAST_S
        self._first = True
        self.octets = 0

    async def run(self) -> None:
        download = self._ask.test == "download"
        work = self._send() if download else self._measure()
        read = self._read(counts=not download)
        tasks = {
            asyncio.create_task(work, name="ndt7-send"),
            asyncio.create_task(read, name="ndt7-read"),
        }
        try:
            await asyncio.wait(
                tasks,
                timeout=self._seconds + ndt7.MOST_SECONDS - ndt7.SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception) and not isinstance(
                    ended, ConnectionClosed
                ):
                    raise ended

    async def _send(self) -> None:
        """The download: noise as fast as it goes, measurements in between."""
        due_s, before = 0.0, 0
        for size in ndt7.message_sizes():
            elapsed_s = time.monotonic() - self._started_s
            over = self._ask.most_bytes and self.octets + size > self._ask.most_bytes
            if elapsed_s >= self._seconds or over:
                await self._say()
                return
            if elapsed_s >= due_s:
                await self._say()
                due_s = elapsed_s + _interval_s()
            if size > before:
                before = size
                keep_little_waiting(self._socket, max(ndt7.WAITING_BYTES, size))
            await self._connection.send(self._noise[:size])
            self.octets += size
            await self._pace.spend(size)

    async def _measure(self) -> None:
        """The upload: says from time to time what has come."""
        while True:
            left_s = self._seconds - (time.monotonic() - self._started_s)
            await asyncio.sleep(max(0.0, min(left_s, _interval_s())))
            await self._say()
            if left_s <= 0:
                return

    async def _read(self, counts: bool) -> None:
        while True:
            message = await self._connection.recv()
            if isinstance(message, str):
                # A client's own measurement: in an upload it may be its last word, so
                # ours follows at once, and not more often than is allowed.
                if counts and time.monotonic() - self._said_s >= _LEAST_S:
                    await self._say()
            elif counts:
                self.octets += len(message)
            else:
                # Binary is one way only; the specification wants an end to it.
                return

    async def _say(self) -> None:
        self._said_s = time.monotonic()
        elapsed_us = round((self._said_s - self._started_s) * 1e6)
        about = None
        if self._first:
            self._first = False
            about = {
                "Client": _name(self._connection.remote_address),
                "Server": _name(self._connection.local_address),
                "UUID": secrets.token_hex(8),
            }
        said = ndt7.measurement(
            self._ask.test, self.octets, elapsed_us, "server", self._tcp(), about
        )
        await self._connection.send(said)

    def _tcp(self) -> TcpInfo | None:
        return tcp_info(self._socket) if self._socket is not None else None


def _interval_s() -> float:
    return min(max(random.expovariate(1 / _MEAN_S), _LEAST_S), _MOST_S)


def _name(address: tuple[object, ...]) -> str:
    host, port = str(address[0]), address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
