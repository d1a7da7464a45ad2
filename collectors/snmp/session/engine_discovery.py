"""Tells "nobody there" from "somebody who does not take our community".

An agent does not answer a wrong community, nor what it cannot decrypt. Most agents
speak v3, and those must answer the question for their engine id (RFC 3414 section 4),
which needs no secret.
"""

from __future__ import annotations

import asyncio
import contextlib

from collectors.snmp.session.ber import (
    OCTETS,
    SEQUENCE,
    Malformed,
    expect,
    read,
    read_integer,
    read_octets,
)

# SNMPv3, msgID 1, 1,500 octets, reportable, USM without engine or user; an empty GET.
_DISCOVERY = bytes.fromhex(
    "3037020103300d020101020205dc0401040201030410300e040002010002"
    "0100040004000400301104000400a00b0201010201000201003000"
)


class _Listener(asyncio.DatagramProtocol):
    def __init__(self, heard: asyncio.Future[bytes | None]) -> None:
        self._heard = heard

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.sendto(_DISCOVERY)  # type: ignore[attr-defined]

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self._heard.done():
            self._heard.set_result(engine_id_of_message(data))

    def error_received(self, exc: Exception) -> None:
        if not self._heard.done():
            self._heard.set_result(None)


async def agent_answers(address: str, port: int, timeout_s: float) -> bool:
    """True where something speaks SNMP at that address. Never raises."""
    return await read_engine_id(address, port, timeout_s) is not None


async def read_engine_id(address: str, port: int, timeout_s: float) -> bytes | None:
    """snmpEngineID of the agent at that address; empty where it speaks SNMP but gives
    none, None where nothing does. Never raises."""
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[bytes | None] = loop.create_future()
    with contextlib.suppress(OSError, TimeoutError):
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Listener(heard), remote_addr=(address, port)
        )
        try:
            return await asyncio.wait_for(heard, timeout_s)
        finally:
            transport.close()
    return None


def engine_id_of_message(datagram: bytes) -> bytes | None:
    """Return msgAuthoritativeEngineID of a v3 message; empty for another SNMP message,
    None for anything else. Pure."""
    # A message of any version begins as a sequence.
    if datagram[:1] != b"\x30":
        return None
    try:
        _, at, end = read(datagram, 0, len(datagram))
        version, at = read_integer(datagram, at, end)
        if version != 3:
            return b""
        _, _, at = read(datagram, at, end)
        at, end = expect(datagram, at, end, OCTETS)
        at, end = expect(datagram, at, end, SEQUENCE)
        return read_octets(datagram, at, end)[0]
    except Malformed:
        return b""
