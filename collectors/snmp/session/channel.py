"""A connected UDP socket to one agent, in the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeVar

_Result = TypeVar("_Result")
_MAX_OCTETS = 65_535
# Datagrams that are not read yet; if there are more, the oldest are lost.
_MAX_UNREAD = 32


class Channel(Protocol):
    """Datagrams to and from one agent.

    Raises ConnectionRefusedError if nothing listens on the port, and other OSErrors if
    the agent cannot be reached.
    """

    def send(self, datagram: bytes) -> None: ...

    async def receive(self, ends_s: float) -> bytes:
        """The next datagram. Raises TimeoutError at `ends_s` of the loop's clock."""

    def clear(self) -> None:
        """Drops late answers to earlier requests."""

    def close(self) -> None: ...


class _Arrival:
    """Wakes the task that waits for a datagram. At most one task may wait."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[None] | None = None

    @property
    def is_awaited(self) -> bool:
        return self._future is not None

    def notify(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    async def wait(self, ends_s: float) -> None:
        self._future = self._loop.create_future()
        timer = self._loop.call_at(ends_s, self._time_out)
        try:
            await self._future
        finally:
            self._future = None
            timer.cancel()

    def _time_out(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_exception(TimeoutError("no answer"))


class SocketChannel(asyncio.DatagramProtocol):
    """A channel with its own socket, for any platform. Made by `open_channel`."""

    def __init__(self) -> None:
        self._arrival = _Arrival()
        self._received: deque[bytes | Exception] = deque(maxlen=_MAX_UNREAD)
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._received.append(data)
        self._arrival.notify()

    def error_received(self, exc: Exception) -> None:
        self._received.append(exc)
        self._arrival.notify()

    def send(self, datagram: bytes) -> None:
        assert self._transport is not None
        self._transport.sendto(datagram)

    async def receive(self, ends_s: float) -> bytes:
        if not self._received:
            await self._arrival.wait(ends_s)
        received = self._received.popleft()
        if isinstance(received, Exception):
            raise received
        return received

    def clear(self) -> None:
        self._received.clear()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def open_channel(address: str, port: int) -> SocketChannel:
    """Opens a socket to an address. Raises OSError."""
    _, channel = await asyncio.get_running_loop().create_datagram_endpoint(
        SocketChannel, remote_addr=(address, port)
    )
    return channel


class DescriptorChannel:
    """A channel on the non-blocking socket of a library.

    The library's own calls go through `attempt`, and wait in `ready`.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._arrival = _Arrival()
        self._loop.add_reader(descriptor, self._readable)

    def send(self, datagram: bytes) -> None:
        self.attempt(lambda: os.write(self._descriptor, datagram))

    async def receive(self, ends_s: float) -> bytes:
        while True:
            try:
                return self.attempt(lambda: os.read(self._descriptor, _MAX_OCTETS))
            except BlockingIOError:
                await self.ready(ends_s)

    async def ready(self, ends_s: float) -> None:
        """Waits for a datagram. Raises TimeoutError at `ends_s`."""
        await self._arrival.wait(ends_s)

    def attempt(self, action: Callable[[], _Result]) -> _Result:
        """Calls `action`, which uses the socket.

        libuv stops polling a socket after an error, such as an ICMP "port unreachable",
        so it is registered again.
        """
        try:
            return action()
        except BlockingIOError:
            raise
        except OSError:
            self._loop.remove_reader(self._descriptor)
            self._loop.add_reader(self._descriptor, self._readable)
            raise

    def clear(self) -> None:
        with contextlib.suppress(OSError):
            for _ in range(_MAX_UNREAD):
                self.attempt(lambda: os.read(self._descriptor, _MAX_OCTETS))

    def close(self) -> None:
        self._loop.remove_reader(self._descriptor)

    def _readable(self) -> None:
        if self._arrival.is_awaited:
            self._arrival.notify()
        else:
            self.clear()
