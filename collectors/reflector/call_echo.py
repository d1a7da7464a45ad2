"""Echoes a browser's test stream over WebSocket, as a call would flow: small messages,
fifty a second, each sent back as it came.

A browser can send no UDP of its own. What a lost packet is to a call, here is a message
that arrives late, because TCP sends it again; the page counts those.
"""

from __future__ import annotations

import asyncio
import time

from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from collectors.reflector.ndt7_server import TestConnection

PATH, SUBPROTOCOL, TEST = "/towpath/call", "towpath.call.v1", "call"
# Ten seconds of a call at 50 messages a second, and as much again for a slow path.
MOST_SECONDS, MOST_MESSAGES, LARGEST_BYTES = 20.0, 1000, 1200
# More that wait are no call, or the browser reads nothing.
_MOST_WAITING = 100


class CallEcho:
    """One test. `run` ends by itself, whatever the browser does. Make it before
    answering the handshake, so that it misses no message."""

    def __init__(
        self, connection: TestConnection, seconds: float = MOST_SECONDS
    ) -> None:
        self._connection, self._seconds = connection, seconds
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(_MOST_WAITING)
        self.messages = 0
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
        except (TimeoutError, ConnectionClosed):
            pass
        finally:
            closed.cancel()

    def _receive(self, frame: Frame) -> None:
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
