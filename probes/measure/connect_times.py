"""Times to open TCP connections to a host, by the kernel's own clock if it has one."""

from __future__ import annotations

import asyncio
import socket
import time

from probes.measure.tcp_connection import listed_addresses
from probes.wire.tcp_info import tcp_info

_LOOK_UP_S = 10.0
_CONNECT_S = 2.0


async def connect_times_ms(host: str, port: int, times: int) -> list[float]:
    """Times in ms to open a TCP connection. Raises `OSError` if none opened."""
    async with asyncio.timeout(_LOOK_UP_S):
        addresses = await listed_addresses(host, port, socket.SOCK_STREAM)
    error: OSError = TimeoutError("no address")
    for family, address in addresses:
        rtts = []
        for _ in range(times):
            try:
                rtts.append(await connect_time_ms(family, address))
            except OSError as failed:
                error = failed
                if not rtts:
                    break
            await asyncio.sleep(0.05)
        if rtts:
            return rtts
    raise error


async def connect_time_ms(
    family: socket.AddressFamily, address: tuple[object, ...]
) -> float:
    """The time to open one connection. Raises `OSError`."""
    with socket.socket(family, socket.SOCK_STREAM) as channel:
        channel.setblocking(False)
        started_s = time.perf_counter()
        async with asyncio.timeout(_CONNECT_S):
            await asyncio.get_running_loop().sock_connect(channel, address)
        elapsed_ms = (time.perf_counter() - started_s) * 1e3
        # The kernel's own figure does not include delays of this program.
        info = tcp_info(channel)
        return info.rtt_us / 1e3 if info is not None and info.rtt_us else elapsed_ms
