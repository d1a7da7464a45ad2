"""Measures round trips with TCP connections, which need no privileges.

A refused connection is an answer too. An attempt ends before TCP would repeat its SYN
(after 1 s, RFC 6298), so an attempt without an answer was lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time

import msgspec

from probes.wire.failure import Outcome
from probes.wire.socket_errors import outcome_of

ATTEMPTS = 5
WAIT_S = 0.9
PAUSE_S = 0.1
# SYN, SYN-ACK, ACK, FIN both ways and their acknowledgements, with IP headers.
_COST_BYTES = 360


class RoundTrips(msgspec.Struct, frozen=True):
    """`rtt_ms` is the lowest of all answered attempts, or None if none was answered."""

    rtt_ms: float | None
    loss_ratio: float
    cost_bytes: int


async def measure_round_trips(
    address: str, port: int, attempts: int = ATTEMPTS, wait_s: float = WAIT_S
) -> RoundTrips:
    """Connects `attempts` times, one after the other. Raises `OSError` if there is no
    route."""
    times_ms: list[float] = []
    for n in range(attempts):
        if n:
            await asyncio.sleep(PAUSE_S)
        took_ms = await _connect(address, port, wait_s)
        if took_ms is not None:
            times_ms.append(took_ms)
    return RoundTrips(
        rtt_ms=min(times_ms, default=None),
        loss_ratio=1 - len(times_ms) / attempts,
        cost_bytes=attempts * _COST_BYTES,
    )


async def _connect(address: str, port: int, wait_s: float) -> float | None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as channel:
        channel.setblocking(False)
        started_s = time.perf_counter()
        try:
            async with asyncio.timeout(wait_s):
                await asyncio.get_running_loop().sock_connect(channel, (address, port))
        except OSError as error:
            outcome = outcome_of(error)
            if outcome is Outcome.TIMEOUT:
                return None
            if outcome is not Outcome.REFUSED:
                raise
        return (time.perf_counter() - started_s) * 1000
