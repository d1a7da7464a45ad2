"""Looks a host up and connects to the first of its addresses that answers.

Names in ASCII reach the system as octets: Python's codec for other names takes more
than a megabyte on Windows, and only they need it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from typing import Any, NamedTuple

from probes.measure.background import in_background
from probes.wire.socket_errors import outcome_of, telling

# RFC 8305: how long one address is tried before the next one is, too.
NEXT_ADDRESS_S = 0.25


class TcpAddress(NamedTuple):
    """An address as the system listed it."""

    family: int
    host: str
    port: int


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def host_octets(host: str) -> bytes:
    """The name as DNS has it. Raises `UnicodeError` if it cannot be one. Pure."""
    return host.encode("ascii" if host.isascii() else "idna")


def url_host(host: str) -> str:
    """The host as an address names it. Pure."""
    return f"[{host}]" if ":" in host else host


async def look_up(host: str, port: int) -> list[TcpAddress]:
    """The addresses of `host` in the system's order. Raises `OSError`, or
    `UnicodeError` for what cannot be a name."""
    listed = await listed_addresses(host, port, socket.SOCK_STREAM)
    return [TcpAddress(family, str(at[0]), int(at[1])) for family, at in listed]


async def listed_addresses(
    host: str, port: int, kind: socket.SocketKind
) -> list[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    """The same for any kind of socket, as the system wrote them. A look-up that hangs
    does not delay the end of the process."""
    found = await in_background(socket.getaddrinfo, host_octets(host), port, type=kind)
    return [(family, address) for family, *_, address in found]


def first_of_each_family(addresses: Sequence[TcpAddress]) -> list[TcpAddress]:
    """At most one IPv6 and one IPv4 address, in order. Pure."""
    chosen: dict[int, TcpAddress] = {}
    for address in addresses:
        chosen.setdefault(address.family, address)
    return list(chosen.values())


def families_in_turn(addresses: Sequence[TcpAddress]) -> list[TcpAddress]:
    """All addresses, so that IPv6 and IPv4 take turns (RFC 8305 section 4). Pure."""
    families: dict[int, list[TcpAddress]] = {}
    for address in addresses:
        families.setdefault(address.family, []).append(address)
    turns: Iterator[TcpAddress | None] = chain(*zip_longest(*families.values()))
    return [address for address in turns if address is not None]


async def connect_first(addresses: Sequence[TcpAddress]) -> Streams:
    """Connects to the first of `addresses` that answers; each is begun 250 ms after the
    one before, or when all before have failed. Raises the `OSError` that says most."""
    errors: list[OSError] = []
    waiting: set[asyncio.Task[Streams]] = set()
    try:
        for index, address in enumerate(addresses):
            opening = asyncio.open_connection(
                address.host, address.port, family=address.family
            )
            waiting.add(asyncio.create_task(opening, name=f"tcp-connect-{index}"))
            last = index == len(addresses) - 1
            while waiting:
                done, waiting = await asyncio.wait(
                    waiting,
                    timeout=None if last else NEXT_ADDRESS_S,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                connected = [task for task in done if task.exception() is None]
                if connected:
                    waiting.update(connected[1:])
                    return connected[0].result()
                errors += [
                    e for task in done if isinstance(e := task.exception(), OSError)
                ]
                if not done:
                    break
    finally:
        for task in waiting:
            task.cancel()
            task.add_done_callback(_close)
    if not errors:
        raise OSError("there is no address to connect to")
    raise max(errors, key=lambda error: telling(outcome_of(error)))


def _close(task: asyncio.Task[Streams]) -> None:
    """Closes a connection that came second."""
    if not task.cancelled() and task.exception() is None:
        task.result()[1].transport.abort()


async def start_tls(
    writer: asyncio.StreamWriter, tls: ssl.SSLContext, host: str
) -> None:
    """Begins TLS with `host`. Raises `OSError`, or `ValueError` for what cannot be a
    host's name."""
    # The library takes octets too, but its types do not say so.
    await writer.start_tls(tls, server_hostname=host_octets(host))  # type: ignore[arg-type]
