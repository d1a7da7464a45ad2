"""ICMP echo (RFC 792, RFC 4443): is anything at that address at all.

Without privileges where the system allows it (`net.ipv4.ping_group_range`, macOS), else
through a raw socket where the process may have one. Where it may have neither,
`Pinger.possible` is false: not measured, which is not the same as no answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import struct
import time
from ipaddress import ip_address
from types import TracebackType
from typing import Self

_REQUEST = {4: 8, 6: 128}
_REPLY = {4: 0, 6: 129}
_HEADER = struct.Struct("!BBHHH")
_BODY = struct.Struct("!8sI")


class Pinger:
    """`async with Pinger() as pinger:`; any number of addresses at once."""

    def __init__(self) -> None:
        self._token = os.urandom(8)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[float]] = {}
        self._sockets: dict[int, socket.socket] = {}

    @property
    def possible(self) -> bool:
        return bool(self._sockets)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for version in (4, 6):
            opened = _open(version)
            if opened is not None:
                self._sockets[version] = opened
                loop.add_reader(opened, self._readable, version, opened)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in self._sockets.values():
            asyncio.get_running_loop().remove_reader(each)
            each.close()
        self._sockets.clear()

    async def ping(self, address: str, timeout_s: float) -> float | None:
        """Round trip in ms of one echo; None where none came back. Never raises."""
        version = ip_address(address).version
        sock = self._sockets.get(version)
        if sock is None:
            return None
        number = next(self._numbers) & 0xFFFFFFFF
        heard: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting[number] = heard
        started = time.monotonic()
        try:
            sock.sendto(_echo(version, number, self._token), (address, 0))
            ended = await asyncio.wait_for(heard, timeout_s)
        except (OSError, TimeoutError):
            return None
        finally:
            self._waiting.pop(number, None)
        return (ended - started) * 1000

    def _readable(self, version: int, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                number = reply_number(sock.recv(2048), version, self._token)
                waiting = self._waiting.get(number) if number is not None else None
                if waiting is not None and not waiting.done():
                    waiting.set_result(time.monotonic())


def reply_number(packet: bytes, version: int, token: bytes) -> int | None:
    """The number in an echo reply to one of ours; None in anything else. Pure.

    Raw sockets give IPv4 with its header, others without.
    """
    if version == 4 and packet[:1] and packet[0] >> 4 == 4:
        packet = packet[(packet[0] & 0x0F) * 4 :]
    if len(packet) < _HEADER.size + _BODY.size or packet[0] != _REPLY[version]:
        return None
    said, number = _BODY.unpack_from(packet, _HEADER.size)
    return int(number) if said == token else None


def _echo(version: int, number: int, token: bytes) -> bytes:
    body = _BODY.pack(token, number)
    # The kernel fills in the checksum of ICMPv6, and its own id without privileges.
    head = _HEADER.pack(_REQUEST[version], 0, 0, os.getpid() & 0xFFFF, number & 0xFFFF)
    checked = _checksum(head + body) if version == 4 else 0
    return head[:2] + struct.pack("!H", checked) + head[4:] + body


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return int(~(total + (total >> 16)) & 0xFFFF)


def _open(version: int) -> socket.socket | None:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    protocol = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            opened = socket.socket(family, kind, protocol)
        except OSError:
            continue
        opened.setblocking(False)
        return opened
    return None
