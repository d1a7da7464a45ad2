"""A UDP server that answers whatever a test wants."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

Answer = Callable[[bytes, int], Iterable[bytes]]


class _Echo(asyncio.DatagramProtocol):
    def __init__(self, answer: Answer) -> None:
        self._answer, self._count = answer, 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        for packet in self._answer(data, self._count):
            self._transport.sendto(packet, address)
        self._count += 1


@contextlib.asynccontextmanager
async def echo(answer: Answer, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Yields the port of a server on which `answer(packet, number of earlier packets)`
    returns the packets to send back."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Echo(answer), local_addr=(host, 0)
    )
    try:
        yield int(transport.get_extra_info("sockname")[1])
    finally:
        transport.close()
