"""Path MTU: the largest packet that reaches the council's reflector and returns,
unfragmented.

Sends STAMP requests, which are answered at the same size, with "don't fragment" set,
and searches by halving the interval. The network may reject a packet (ICMP, so the
system reports EMSGSIZE) or drop it silently. If larger packets are only ever dropped,
the path is a black hole: connections hang instead of using smaller packets (RFC 4821,
RFC 8899).
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time

import msgspec

from probes.wire import stamp, stamp_auth
from probes.wire.socket_errors import is_too_long

MIN_MTU, MAX_MTU = 1_200, 1_500
TRIES = 2
WAIT_S = 0.7
_LEAST_WAIT_S = 0.25
_IPV4_UDP_BYTES, _IPV6_UDP_BYTES = 28, 48
_IP_MTU, _IPV6_MTU = 14, 24


class PathMtu(msgspec.Struct, frozen=True):
    """`mtu_byte` is None if nothing came back. `black_hole`: larger packets were
    dropped silently. `cost_bytes` counts both directions."""

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
    """Measures the path to the reflector at `address`; with `key` in STAMP's
    authenticated mode. Raises `OSError` if there is no route."""
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
    """Sets "don't fragment", whose option number differs between systems."""
    ipv6 = channel.family == socket.AF_INET6
    level = socket.IPPROTO_IPV6 if ipv6 else socket.IPPROTO_IP
    if sys.platform == "win32":
        # IP_DONTFRAGMENT and IPV6_DONTFRAG (ws2ipdef.h).
        option, value = 14, 1
    elif sys.platform == "darwin":
        # IP_DONTFRAG (netinet/in.h) and IPV6_DONTFRAG (netinet6/in6.h).
        option, value = (62 if ipv6 else 28), 1
    else:
        # IP_MTU_DISCOVER and IPV6_MTU_DISCOVER; IP_PMTUDISC_DO.
        option, value = (23 if ipv6 else 10), 2
    channel.setsockopt(level, option, value)


async def _search(
    channel: socket.socket, wait_s: float, most: int, key: bytes
) -> PathMtu:
    prober = _MtuProber(channel, wait_s, key)
    low, high = MIN_MTU, min(most, MAX_MTU)
    started_s = time.perf_counter()
    if high < low or not await prober.fits(low):
        return PathMtu(None, cost_bytes=prober.cost_bytes)
    # A search times out up to nine times, so do not wait long on a quick path.
    took_s = time.perf_counter() - started_s
    prober.wait_s = min(wait_s, max(_LEAST_WAIT_S, 5 * took_s))
    dropped = 0
    size = high
    while low < high:
        if await prober.fits(size):
            low = size
        else:
            high = size - 1
            # If the system learned the MTU from the network, try that first.
            kernel_mtu = prober.kernel_mtu()
            if kernel_mtu is not None and low < kernel_mtu < high:
                size = kernel_mtu
                continue
            dropped += not prober.rejected
        size = (low + high + 1) // 2
    return PathMtu(low, dropped > 0 and not prober.ever_rejected, prober.cost_bytes)


class _MtuProber:
    """Sends packets of a given size; `rejected` is set if the network rejects one."""

    def __init__(self, channel: socket.socket, wait_s: float, key: bytes) -> None:
        self._channel, self.wait_s, self._key = channel, wait_s, key
        self._ipv6 = channel.family == socket.AF_INET6
        self._header_bytes = _IPV6_UDP_BYTES if self._ipv6 else _IPV4_UDP_BYTES
        self._sequence = 0
        self.cost_bytes = 0
        self.rejected = self.ever_rejected = False

    async def fits(self, mtu: int) -> bool:
        """True if a packet of `mtu` octets was answered in full."""
        self.rejected = False
        size = mtu - self._header_bytes
        for _ in range(TRIES):
            if await self._exchange(size):
                return True
            if self.rejected:
                return False
        return False

    def kernel_mtu(self) -> int | None:
        """The path MTU that Linux has learned so far."""
        if sys.platform != "linux":
            return None
        level = socket.IPPROTO_IPV6 if self._ipv6 else socket.IPPROTO_IP
        try:
            return self._channel.getsockopt(level, _IPV6_MTU if self._ipv6 else _IP_MTU)
        except OSError:
            return None

    async def _exchange(self, size: int) -> bool:
        loop = asyncio.get_running_loop()
        self._sequence += 1
        packet = self._request(size)
        try:
            await loop.sock_sendall(self._channel, packet)
        except OSError as error:
            if not is_too_long(error):
                raise
            self.rejected = self.ever_rejected = True
            return False
        self.cost_bytes += size + self._header_bytes
        try:
            async with asyncio.timeout(self.wait_s):
                while True:
                    reply = await loop.sock_recv(self._channel, 2_048)
                    self.cost_bytes += len(reply) + self._header_bytes
                    if len(reply) >= size and self._answers(reply):
                        return True
        except TimeoutError:
            return False
        except OSError as error:
            # A router's ICMP error is reported by the next call.
            if not is_too_long(error):
                raise
            self.rejected = self.ever_rejected = True
            return False

    def _request(self, size: int) -> bytes:
        t1 = stamp.ntp_of(time.time_ns())
        if not self._key:
            tlvs = stamp.request_tlvs(size)
            return stamp.request(self._sequence, t1, tlvs=tlvs)[:size]
        extra_bytes = stamp_auth.AUTHENTICATED_BYTES - stamp.HEAD_BYTES
        tlvs = stamp.request_tlvs(size - extra_bytes)
        return stamp_auth.request(self._sequence, t1, self._key) + tlvs

    def _answers(self, packet: bytes) -> bool:
        try:
            reply = (
                stamp_auth.read_reply(packet, self._key)
                if self._key
                else stamp.read_reply(packet)
            )
            return reply.sender_sequence == self._sequence
        except stamp.StampError:
            return False
