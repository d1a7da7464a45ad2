"""The server side of ndt7: sends a download, counts an upload, sends measurements."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import DATA_OPCODES, Frame, Opcode
from websockets.protocol import Event

from probes.wire import ndt7
from probes.wire.tcp_info import TcpInfo, keep_little_waiting, tcp_info

_QUERY_BYTES = 4096
_EARLY_EXIT_BYTES = {"250": 250_000_000}
# The receive buffer: enough for a round trip of 200 ms at full rate.
_ROOM_S = 0.2
# Measurements are sent at random intervals, so that they never beat with the traffic.
_LEAST_S, _MEAN_S, _MOST_S = 0.1, 0.25, 0.625


class SubtestRequest(NamedTuple):
    """A client's request. `most_bytes` 0: no limit but time. `token`: the access token,
    in the same place as for M-Lab's servers."""

    test: str
    most_bytes: int = 0
    token: str = ""


class MalformedRequest(ValueError):
    """A request that the specification forbids. The text names the part."""


_NDT7_TESTS = {ndt7.DOWNLOAD: "download", ndt7.UPLOAD: "upload"}


def parse_request(
    target: str, tests: Mapping[str, str] = _NDT7_TESTS
) -> SubtestRequest | None:
    """The test that a request's target names; None for another path. `tests`: path →
    test. Pure."""
    parts = urlsplit(target)
    test = tests.get(parts.path)
    if test is None:
        return None
    if len(parts.query) > _QUERY_BYTES:
        raise MalformedRequest(
            f"a query of {len(parts.query)} octets, at most {_QUERY_BYTES}"
        )
    try:
        pairs = parse_qsl(
            parts.query, keep_blank_values=True, errors="strict", max_num_fields=256
        )
    except ValueError as error:
        raise MalformedRequest(f"a query that cannot be read: {error}") from None
    # If a key appears twice, the first counts: servers must accept that.
    asked = dict(reversed(pairs))
    if "" in asked:
        raise MalformedRequest("a query with an empty key")
    most_bytes = 0
    if "early_exit" in asked:
        if asked["early_exit"] not in _EARLY_EXIT_BYTES:
            raise MalformedRequest(
                f"early_exit={asked['early_exit'][:20]!r}, expected 250"
            )
        most_bytes = _EARLY_EXIT_BYTES[asked["early_exit"]]
    own = asked.get(ndt7.MOST_BYTES_KEY, "")
    if own.isascii() and own.isdecimal() and len(own) <= 15 and int(own):
        most_bytes = min(most_bytes or int(own), int(own))
    token = asked.get(ndt7.TOKEN_KEY, "")
    return SubtestRequest(test, most_bytes if test == "download" else 0, token)


class SendPacing:
    """Limits a flow to `bps`; 0 is no limit."""

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


class TestConnection(ServerConnection):
    """A WebSocket connection that passes on data frame by frame, without a queue.

    Clients cut messages into frames of 4 kB or send them whole, and neither may wait.
    Reads no faster than its rate limit.
    """

    _held_bps = 0.0
    _due_s = 0.0
    _take: Callable[[Frame], None] | None = None

    def take_by(self, take: Callable[[Frame], None]) -> None:
        """Calls `take` with every data frame. Call it before any can arrive."""
        self._take = take

    def hold_to(self, bps: float) -> None:
        """Limits reading to `bps`. Call it once, after the connection is made."""
        self._held_bps, self._due_s = bps, self.loop.time()
        channel = self.transport.get_extra_info("socket")
        if channel is not None:
            room = min(max(round(bps / 8 * _ROOM_S), 1 << 16), 1 << 22)
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)

    def process_event(self, event: Event) -> None:
        take = self._take
        if take is None or not isinstance(event, Frame):
            super().process_event(event)
        elif event.opcode in DATA_OPCODES:
            take(event)
        else:
            super().process_event(event)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._held_bps and not self.transport.is_closing():
            due_s = max(self._due_s, self.loop.time())
            self._due_s = due_s + 8 * len(data) / self._held_bps
            self.transport.pause_reading()
            self.loop.call_at(self._due_s, self._read_on)

    def _read_on(self) -> None:
        due = self.loop.time() >= self._due_s - 0.001
        if due and not self.transport.is_closing():
            self.transport.resume_reading()


class Subtest:
    """A test in one direction over one connection.

    `run` ends by itself, at the latest after the specification's 13 s, whatever the
    client does. Make it before answering the handshake, so that it misses no frame.
    """

    def __init__(
        self,
        connection: TestConnection,
        ask: SubtestRequest,
        noise: bytes,
        bps: float = 0.0,
        seconds: float = ndt7.SECONDS,
    ) -> None:
        self._connection, self._ask, self._noise = connection, ask, noise
        self._socket = connection.transport.get_extra_info("socket")
        self._pace = SendPacing(bps)
        self._seconds = seconds
        self._client_measured, self._misbehaved = asyncio.Event(), asyncio.Event()
        self._text = False
        # Required in every measurement of a server since version 0.9.
        self._about = {
            "Client": _address_text(connection.remote_address),
            "Server": _address_text(connection.local_address),
            "UUID": secrets.token_hex(8),
        }
        self.octets = 0
        connection.take_by(self._receive)

    async def run(self) -> None:
        self._started_s = time.monotonic()
        self._measured_s = self._started_s - _LEAST_S
        work = self._send() if self._ask.test == "download" else self._measure()
        tasks = {
            asyncio.create_task(work, name="ndt7-work"),
            asyncio.create_task(self._misbehaved.wait(), name="ndt7-misbehaved"),
            asyncio.create_task(self._connection.wait_closed(), name="ndt7-closed"),
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

    def _receive(self, frame: Frame) -> None:
        self._text = frame.opcode is Opcode.TEXT or (
            self._text and frame.opcode is Opcode.CONT
        )
        if self._text:
            # The client's own measurement: in an upload it may be its last message.
            self._client_measured.set()
        elif self._ask.test == "upload":
            self.octets += len(frame.data)
        elif frame.opcode is Opcode.BINARY:
            # Binary messages go one way only; the specification requires an end here.
            self._misbehaved.set()

    async def _send(self) -> None:
        """The download: sends noise as fast as possible, and measurements."""
        due_s, before = 0.0, 0
        for size in ndt7.message_sizes():
            elapsed_s = time.monotonic() - self._started_s
            over = self._ask.most_bytes and self.octets + size > self._ask.most_bytes
            if elapsed_s >= self._seconds or over:
                await self._send_measurement()
                return
            if elapsed_s >= due_s:
                await self._send_measurement()
                due_s = elapsed_s + _interval_s()
            if size > before:
                before = size
                keep_little_waiting(self._socket, max(ndt7.WAITING_BYTES, size))
            await self._connection.send(self._noise[:size])
            self.octets += size
            # For a fast client `send` never waits: this gives other tasks a turn.
            await asyncio.sleep(0)
            await self._pace.spend(size)

    async def _measure(self) -> None:
        """The upload: sends a measurement at intervals, and at once after one of the
        client, but not more often than allowed."""
        while True:
            left_s = self._seconds - (time.monotonic() - self._started_s)
            self._client_measured.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, min(left_s, _interval_s()))):
                    await self._client_measured.wait()
                    if time.monotonic() - self._measured_s < _LEAST_S:
                        continue
            await self._send_measurement()
            if left_s <= 0:
                return

    async def _send_measurement(self) -> None:
        self._measured_s = time.monotonic()
        elapsed_us = round((self._measured_s - self._started_s) * 1e6)
        message = ndt7.measurement(
            self._ask.test,
            self.octets,
            elapsed_us,
            "server",
            self._tcp(),
            self._about,
        )
        await self._connection.send(message)

    def _tcp(self) -> TcpInfo | None:
        return tcp_info(self._socket) if self._socket is not None else None


def _interval_s() -> float:
    return min(max(random.expovariate(1 / _MEAN_S), _LEAST_S), _MOST_S)


def _address_text(address: tuple[object, ...]) -> str:
    host, port = str(address[0]), address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
