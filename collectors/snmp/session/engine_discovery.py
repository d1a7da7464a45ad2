"""Finds out whether there is an SNMP agent at all, without a credential.

An agent does not answer a wrong community, nor a message that it cannot decrypt. Most
agents support v3, and must answer a request for their engine id (RFC 3414 section 4),
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


class _DiscoveryProtocol(asyncio.DatagramProtocol):
    def __init__(self, engine_id: asyncio.Future[bytes | None]) -> None:
        self._engine_id = engine_id

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.sendto(_DISCOVERY)  # type: ignore[attr-defined]

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self._engine_id.done():
            self._engine_id.set_result(engine_id_of_message(data))

    def error_received(self, exc: Exception) -> None:
        if not self._engine_id.done():
            self._engine_id.set_result(None)


async def agent_answers(address: str, port: int, timeout_s: float) -> bool:
    """True if there is an SNMP agent at that address. Never raises."""
    return await read_engine_id(address, port, timeout_s) is not None


async def read_engine_id(address: str, port: int, timeout_s: float) -> bytes | None:
    """snmpEngineID of the agent at that address; empty if the agent sends none, None if
    there is no agent. Never raises."""
    loop = asyncio.get_running_loop()
    engine_id: asyncio.Future[bytes | None] = loop.create_future()
    with contextlib.suppress(OSError, TimeoutError):
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _DiscoveryProtocol(engine_id), remote_addr=(address, port)
        )
        try:
            return await asyncio.wait_for(engine_id, timeout_s)
        finally:
            transport.close()
    return None


def engine_id_of_message(datagram: bytes) -> bytes | None:
    """msgAuthoritativeEngineID of a v3 message; empty for another SNMP message,
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
