"""One look-up at the name servers of this laptop, as the system's own resolver does it:
each server in turn, over UDP, and over TCP if the answer does not fit."""

from __future__ import annotations

import asyncio
import secrets
import struct
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from probes.measure.dns_message import (
    DnsAnswer,
    DnsCode,
    encode_query,
    encode_question,
    read_answer,
)
from probes.wire.failure import Outcome
from probes.wire.socket_errors import outcome_of

PORT = 53
# How long one server has for an answer; then the next one is asked, again and again.
_TRY_S = 2.0
# IP and UDP headers; and those of a short TCP exchange.
_UDP_BYTES, _UDP6_BYTES, _TCP_BYTES = 28, 48, 400


class NameServer(NamedTuple):
    address: str
    port: int = PORT


class DnsLookup(NamedTuple):
    """`outcome` is OK if a server has answered for the name, whether or not it has
    records of this kind (`found`)."""

    outcome: Outcome
    found: bool
    cost_bytes: int


class _Failed(Exception):
    """This server cannot help."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


async def look_up(
    name: str, kind: int, servers: Sequence[NameServer], lifetime_s: float
) -> DnsLookup:
    """Asks `servers` in turn for the records of `kind` of `name`. A server that refuses
    or fails is not asked again, a silent one is. Network errors never raise."""
    if not servers:
        return DnsLookup(Outcome.NO_NETWORK, False, 0)
    try:
        question = encode_question(name, kind)
    except ValueError:
        return DnsLookup(Outcome.NAME_NOT_FOUND, False, 0)
    left, failed, cost = list(servers), list[Outcome](), [0]
    ends_s = time.monotonic() + lifetime_s
    while left:
        for server in list(left):
            try_s = min(_TRY_S, ends_s - time.monotonic())
            if try_s <= 0:
                return DnsLookup(Outcome.TIMEOUT, False, cost[0])
            try:
                async with asyncio.timeout(try_s):
                    answer = await _ask(server, question, cost)
            except TimeoutError:
                continue
            except _Failed as error:
                failed.append(error.outcome)
                left.remove(server)
                continue
            missing = answer.code == DnsCode.NO_SUCH_NAME
            outcome = Outcome.NAME_NOT_FOUND if missing else Outcome.OK
            return DnsLookup(outcome, answer.found, cost[0])
    # If they differ, at least one answered, and with an error.
    outcome = failed[0] if len(set(failed)) == 1 else Outcome.NAME_SERVER_FAILED
    return DnsLookup(outcome, False, cost[0])


async def _ask(server: NameServer, question: bytes, cost: list[int]) -> DnsAnswer:
    """Returns what `server` answers; adds the octets of the exchange to `cost`. Raises
    `_Failed`."""
    id = secrets.randbelow(65_536)
    query = encode_query(id, question)
    try:
        answer = await _over_udp(server, id, query, question, cost)
        if answer.truncated:
            answer = await _over_tcp(server, id, query, question, cost)
    except asyncio.IncompleteReadError:
        raise _Failed(Outcome.RESET) from None
    except OSError as error:
        raise _Failed(outcome_of(error)) from None
    except ValueError:
        raise _Failed(Outcome.BAD_ANSWER) from None
    if answer.code == DnsCode.REFUSED:
        raise _Failed(Outcome.REFUSED)
    if answer.code not in (DnsCode.OK, DnsCode.NO_SUCH_NAME):
        raise _Failed(Outcome.NAME_SERVER_FAILED)
    return answer


class _Datagrams(asyncio.DatagramProtocol):
    """Waits for the answer; what else arrives at the port is ignored."""

    def __init__(self, id: int, question: bytes, cost: list[int], head: int) -> None:
        self._id, self._question = id, question
        self._cost, self._head_bytes = cost, head
        self.answer: asyncio.Future[DnsAnswer]
        self.answer = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, _address: Any) -> None:
        self._cost[0] += len(data) + self._head_bytes
        if self.answer.done():
            return
        try:
            answer = read_answer(data, self._id, self._question)
        except ValueError as error:
            self.answer.set_exception(error)
        else:
            if answer is not None:
                self.answer.set_result(answer)

    def error_received(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


async def _over_udp(
    server: NameServer, id: int, query: bytes, question: bytes, cost: list[int]
) -> DnsAnswer:
    head_bytes = _UDP6_BYTES if ":" in server.address else _UDP_BYTES
    # Connected, so that only this server's datagrams and errors arrive.
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Datagrams(id, question, cost, head_bytes), remote_addr=server
    )
    try:
        transport.sendto(query)
        cost[0] += len(query) + head_bytes
        return await protocol.answer
    finally:
        transport.close()


async def _over_tcp(
    server: NameServer, id: int, query: bytes, question: bytes, cost: list[int]
) -> DnsAnswer:
    reader, writer = await asyncio.open_connection(*server)
    try:
        writer.write(struct.pack("!H", len(query)) + query)
        (size,) = struct.unpack("!H", await reader.readexactly(2))
        message = await reader.readexactly(size)
        cost[0] += _TCP_BYTES + len(query) + len(message)
        answer = read_answer(message, id, question)
        if answer is None or answer.truncated:
            raise ValueError("the answer over TCP is to another question, or cut off")
        return answer
    finally:
        writer.transport.abort()
