"""Echoes a browser's test stream over WebSocket, as a call would flow: small messages,
fifty a second, each sent back as it came.

A browser can send no UDP of its own. TCP sends a lost packet again, often soon enough
that it is not late, but the operating system counts it. When a browser has sent all
messages it sends the text `end`, and gets the shares of packets that were lost:
`{"down": 0.02, "up": 0.0}`, null if they are not known.
"""

from __future__ import annotations

import asyncio
import json
import time

from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode, Frame, Opcode

from collectors.ip_networks import is_loopback_name
from collectors.reflector.ndt7_server import TestConnection
from probes.wire.tcp_info import TcpInfo, tcp_info

PATH, SUBPROTOCOL, TEST = "/towpath/call", "towpath.call.v1", "call"
# Ten seconds of a call at 50 messages a second, and as much again for a slow path.
MOST_SECONDS, MOST_MESSAGES, LARGEST_BYTES = 20.0, 1000, 1200
END = b"end"
_EVERY_MS = 20
# With fewer packets a share says nothing.
_LEAST_SEGMENTS = 20
# More that wait are no call, or the browser reads nothing.
_MOST_WAITING = 100


class BusyCall:
    """Closes a connection because there is no place. A browser can read why one was
    closed, but not why one was refused."""

    def __init__(self, connection: TestConnection) -> None:
        self._connection = connection
        connection.take_by(lambda _frame: None)

    async def run(self) -> None:
        await self._connection.close(CloseCode.TRY_AGAIN_LATER)


class CallEcho:
    """One test. `run` ends by itself, whatever the browser does. Make it before
    answering the handshake, so that it misses no message."""

    def __init__(
        self, connection: TestConnection, seconds: float = MOST_SECONDS
    ) -> None:
        self._connection, self._seconds = connection, seconds
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(_MOST_WAITING)
        self.messages = 0
        self._is_over = False
        self._socket = connection.transport.get_extra_info("socket")
        self._before = None if self._socket is None else tcp_info(self._socket)
        connection.take_by(self._receive)

    async def run(self) -> None:
        ends_s = time.monotonic() + self._seconds
        closed = asyncio.create_task(
            self._connection.wait_closed(), name="call-echo-closed"
        )
        closed.add_done_callback(lambda _: self._end())
        try:
            async with asyncio.timeout(max(0.0, ends_s - time.monotonic())):
                while (data := await self._waiting.get()) is not None:
                    await self._connection.send(data)
                if self._is_over:
                    await self._connection.send(self._lost())
        except (TimeoutError, ConnectionClosed):
            pass
        finally:
            closed.cancel()

    def _lost(self) -> str:
        after = None if self._socket is None else tcp_info(self._socket)
        # This connection leads to a proxy on this machine, not to the browser.
        is_near = is_loopback_name(str(self._connection.remote_address[0]))
        down, up = None, None
        if self._before is not None and after is not None and not is_near:
            down, up = lost_ratios(self._before, after)
        return json.dumps({"down": down, "up": up})

    def _receive(self, frame: Frame) -> None:
        if frame.opcode is Opcode.TEXT and frame.fin and frame.data == END:
            self._is_over = True
            self._end()
            return
        self.messages += 1
        is_call = (
            frame.opcode is Opcode.BINARY
            and frame.fin
            and len(frame.data) <= LARGEST_BYTES
            and self.messages <= MOST_MESSAGES
        )
        try:
            self._waiting.put_nowait(bytes(frame.data) if is_call else None)
        except asyncio.QueueFull:
            self._end()

    def _end(self) -> None:
        """Makes `run` end after what waits, or at once if there is no room."""
        while True:
            try:
                self._waiting.put_nowait(None)
            except asyncio.QueueFull:
                self._waiting.get_nowait()
            else:
                return


def lost_ratios(before: TcpInfo, after: TcpInfo) -> tuple[float | None, float | None]:
    """Estimates the shares of packets that were lost to the browser and from it, during
    a call. None if too few were sent. Pure.

    Packets to the browser that were lost are those sent again, less those that had
    arrived already. Packets from it that were lost are estimated from those that come
    out of order: one every 20 ms, until the missing one is sent again.
    """
    sent = after.data_segments_out - before.data_segments_out
    again = after.sent_again - before.sent_again
    needless = after.sent_twice - before.sent_twice
    received = after.data_segments_in - before.data_segments_in
    odd = after.out_of_order - before.out_of_order
    odd_per_loss = 1 + after.min_rtt_us / 1000 / _EVERY_MS
    down = max(0, again - needless) / sent if sent >= _LEAST_SEGMENTS else None
    up = odd / odd_per_loss / received if received >= _LEAST_SEGMENTS else None
    return _ratio(down), _ratio(up)


def _ratio(share: float | None) -> float | None:
    return None if share is None else round(min(1.0, share), 4)
