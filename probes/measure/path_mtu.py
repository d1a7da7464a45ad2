"""The largest packet that gets to the council's reflector and back, unfragmented.

STAMP requests (which are answered in their own size) with "don't fragment" set, halving
the interval. A packet that the network refuses (ICMP; the system then says EMSGSIZE)
and one that vanishes are two things: where only larger ones vanish, the path is a black
hole for them, and connections hang that would otherwise shrink (RFC 4821, RFC 8899).
"""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
import time

import msgspec

from probes.wire import stamp, stamp_auth

MIN_MTU, MAX_MTU = 1_200, 1_500
TRIES = 2
WAIT_S = 0.7
_LEAST_WAIT_S = 0.25
_TOO_LONG = {errno.EMSGSIZE, 10_040}
_IPV4_UDP_BYTES, _IPV6_UDP_BYTES = 28, 48
_IP_MTU, _IPV6_MTU = 14, 24


class PathMtu(msgspec.Struct, frozen=True):
    """`mtu_byte`: None where nothing came back. `black_hole`: larger packets vanished
    without a word. `cost_bytes`: both ways."""

    mtu_byte: int | None
    black_hole: bool = False
    cost_bytes: int = 0


async def find_path_mtu(
    address: str,
    port: int = stamp.PORT,
    wait_s: float = WAIT_S,
    most: int = MAX_MTU,
    key: bytes = b"",
) -> PathMtu:
    """Asks the reflector at `address`, with `key` in STAMP's authenticated mode.
    `OSError` where there is no way there."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    channel = socket.socket(family, socket.SOCK_DGRAM)
    try:
        channel.setblocking(False)
        forbid_fragments(channel)
        channel.connect((address, port))
        return await _search(channel, wait_s, most, key)
    finally:
        channel.close()


def forbid_fragments(channel: socket.socket) -> None:
    """Sets "don't fragment", by each system's own number for it."""
    six = channel.family == socket.AF_INET6
    level = socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP
    if sys.platform == "win32":
        # IP_DONTFRAGMENT and IPV6_DONTFRAG (ws2ipdef.h).
        option, value = 14, 1
    elif sys.platform == "darwin":
        # IP_DONTFRAG (netinet/in.h) and IPV6_DONTFRAG (netinet6/in6.h).
        option, value = (62 if six else 28), 1
    else:
        # IP_MTU_DISCOVER and IPV6_MTU_DISCOVER; IP_PMTUDISC_DO.
        option, value = (23 if six else 10), 2
    channel.setsockopt(level, option, value)


async def _search(
    channel: socket.socket, wait_s: float, most: int, key: bytes
) -> PathMtu:
    asking = _Asking(channel, wait_s, key)
    low, high = MIN_MTU, min(most, MAX_MTU)
    begun_s = time.perf_counter()
    if high < low or not await asking.gets_through(low):
        return PathMtu(None, cost_bytes=asking.cost_bytes)
    # Silence is a packet's answer nine times; it need not be long on a quick path.
    took_s = time.perf_counter() - begun_s
    asking.wait_s = min(wait_s, max(_LEAST_WAIT_S, 5 * took_s))
    vanished = 0
    size = high
    while low < high:
        if await asking.gets_through(size):
            low = size
        else:
            high = size - 1
            # What the system learned from the network saves the halving.
            told = asking.told_mtu()
            if told is not None and low < told < high:
                size = told
                continue
            vanished += not asking.refused
        size = (low + high + 1) // 2
    return PathMtu(low, vanished > 0 and not asking.ever_refused, asking.cost_bytes)


class _Asking:
    def __init__(self, channel: socket.socket, wait_s: float, key: bytes) -> None:
        self._channel, self.wait_s, self._key = channel, wait_s, key
        six = channel.family == socket.AF_INET6
        self._six, self._head = six, _IPV6_UDP_BYTES if six else _IPV4_UDP_BYTES
        self._sequence = 0
        self.cost_bytes = 0
        self.refused = self.ever_refused = False

    async def gets_through(self, mtu: int) -> bool:
        """Whether a packet of `mtu` octets was answered in full."""
        self.refused = False
        size = mtu - self._head
        for _ in range(TRIES):
            if await self._ask(size):
                return True
            if self.refused:
                return False
        return False

    def told_mtu(self) -> int | None:
        """What Linux knows of the path by now."""
        if sys.platform != "linux":
            return None
        level = socket.IPPROTO_IPV6 if self._six else socket.IPPROTO_IP
        try:
            return self._channel.getsockopt(level, _IPV6_MTU if self._six else _IP_MTU)
        except OSError:
            return None

    async def _ask(self, size: int) -> bool:
        loop = asyncio.get_running_loop()
        self._sequence += 1
        packet = self._request(size)
        try:
            await loop.sock_sendall(self._channel, packet)
        except OSError as error:
            if error.errno not in _TOO_LONG:
                raise
            self.refused = self.ever_refused = True
            return False
        self.cost_bytes += size + self._head
        try:
            async with asyncio.timeout(self.wait_s):
                while True:
                    answer = await loop.sock_recv(self._channel, 2_048)
                    self.cost_bytes += len(answer) + self._head
                    if len(answer) >= size and self._is_mine(answer):
                        return True
        except TimeoutError:
            return False
        except OSError as error:
            # The router's refusal comes as an error of the next call.
            if error.errno not in _TOO_LONG:
                raise
            self.refused = self.ever_refused = True
            return False

    def _request(self, size: int) -> bytes:
        t1 = stamp.ntp_of(time.time_ns())
        if not self._key:
            tlvs = stamp.tail(size)
            return stamp.request(self._sequence, t1, tlvs=tlvs)[:size]
        longer = stamp_auth.AUTHENTICATED_BYTES - stamp.HEAD_BYTES
        tlvs = stamp.tail(size - longer)
        return stamp_auth.request(self._sequence, t1, self._key) + tlvs

    def _is_mine(self, answer: bytes) -> bool:
        try:
            reply = (
                stamp_auth.read_reply(answer, self._key)
                if self._key
                else stamp.read_reply(answer)
            )
            return reply.sender_sequence == self._sequence
        except stamp.StampError:
            return False
