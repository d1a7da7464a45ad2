"""Thousands of simulated switches behind one UDP socket, with 52 ports each.

Every address of 127.0.0.0/8 is a switch. Its number selects one of `MODELS`, and one in
ten is dead. The demo's simulated switch builds each response once a second. For a
packet the server only looks up its request and inserts the request id. Counters
increase; all switches of one model have the same counters.

    python -m benchmarks.poll_switches PORT [PORTS]
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from services import free_port

from towpath.demo import snmp_messages
from towpath.demo.simulated_switches import SimulatedPort, SimulatedSwitch

COMMUNITY = "public"
PORTS = 52
# First ifIndex and port name, as three makers number them.
MODELS = (
    (1, "Gi1/0/{}"),
    (10_101, "GigabitEthernet1/0/{}"),
    (49_153, "ethernet1/1/{}"),
)
_DEAD_OF = 10
# Its last 20 bits are the number of the switch.
_FIRST = int(ipaddress.IPv4Address("127.16.0.0"))
# A placeholder of four octets, the same length as the real id.
_REQUEST_ID = 0x5A5A5A5A
# IP_PKTINFO on Linux; the socket module has only that of IPv6.
_PKTINFO = 8
_ASLEEP_S = 0.001
_RECEIVE_BYTES = 4 << 20


def address(n: int) -> str:
    """The address of switch `n`."""
    return str(ipaddress.IPv4Address(_FIRST + n))


def is_dead(n: int) -> bool:
    return n % _DEAD_OF == _DEAD_OF - 1


class Switches:
    """`answer` returns the response to one datagram, or None if there is none."""

    def __init__(self, ports: int = PORTS) -> None:
        self._ports, self._now_s = ports, float(int(time.time()))
        self._models = [self._model(*model) for model in MODELS]
        # By model and request: the parts of the response before and after the request
        # id.
        self._ready: dict[tuple[int, bytes], tuple[bytes, bytes] | None] = {}

    def advance(self, now_s: float) -> None:
        """Moves time forward and discards the cached responses."""
        self._now_s = now_s
        self._ready.clear()

    def answer(self, n: int, data: bytes) -> bytes | None:
        if is_dead(n):
            return None
        # SEQUENCE, version, community, PDU, request id: only their lengths vary.
        at = 4 if data[1] == 0x82 else 3 if data[1] == 0x81 else 2
        at += 3
        at += 2 + data[at + 1]
        kind = data[at]
        at += 4 if data[at + 1] == 0x82 else 3 if data[at + 1] == 0x81 else 2
        begins = at + 2
        ends = begins + data[at + 1]
        key = (n % len(self._models), data[ends:] + bytes((kind,)))
        if key in self._ready:
            ready = self._ready[key]
        else:
            ready = self._ready[key] = self._make(key[0], data)
        if ready is None:
            return None
        id = data[begins:ends].rjust(4, b"\0")
        return ready[0] + id + ready[1]

    def _make(self, model: int, data: bytes) -> tuple[bytes, bytes] | None:
        try:
            request = snmp_messages.decode(data)._replace(request_id=_REQUEST_ID)
        except snmp_messages.Malformed:
            return None
        reply = self._models[model].reply(request)
        if reply is None:
            return None
        before, _, after = reply.partition(_REQUEST_ID.to_bytes(4, "big"))
        return before, after

    def _model(self, first: int, name: str) -> SimulatedSwitch:
        ports = [
            SimulatedPort(first + n, name.format(n + 1), alias=f"socket {n}")
            for n in range(self._ports)
        ]
        switch = SimulatedSwitch(
            "switch", ports, community=COMMUNITY, monotonic_s=lambda: self._now_s
        )
        # Up for 40 days, so that counters and sysUpTime are as long as real ones.
        self._now_s -= 40 * 86_400
        switch._started_s = self._now_s
        for n, port in enumerate(ports):
            port.set_rate(4e6 * (n + 1), 1e6 * (n + 1), 0.001 * n)
            port.advance(self._now_s)
        self._now_s += 40 * 86_400
        return switch


@contextmanager
def running(ports: int = PORTS) -> Iterator[int]:
    """Runs the switches in a process of their own; yields their UDP port. `ports`: how
    many a switch has."""
    port = free_port(socket.SOCK_DGRAM)
    module = "benchmarks.poll_switches"
    command = [sys.executable, "-m", module, str(port), str(ports)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield port
        finally:
            process.terminate()


def serve(port: int, ports: int) -> None:
    """Answers until killed."""
    switches = Switches(ports)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        sock.setsockopt(socket.IPPROTO_IP, _PKTINFO, 1)
        sock.setblocking(False)
        sock.bind(("0.0.0.0", port))
        print("ready", flush=True)
        room = socket.CMSG_SPACE(12)
        second = 0
        while True:
            try:
                data, packed, _, peer = sock.recvmsg(2048, room)
            except BlockingIOError:
                # Sleeps instead of waiting: waking a waiting process is expensive, and
                # the sender pays for it. In a network the poller would not pay.
                time.sleep(_ASLEEP_S)
                continue
            now = int(time.time())
            if now != second:
                second = now
                switches.advance(float(now))
            info = packed[0][2]
            n = struct.unpack_from("!I", info, 8)[0] & 0xFFFFF
            answer = switches.answer(n, data)
            if answer is not None:
                # Answers from the address that was polled: `ipi_spec_dst`.
                source = struct.pack("=I4s4s", 0, info[8:12], bytes(4))
                control = [(socket.IPPROTO_IP, _PKTINFO, source)]
                try:
                    sock.sendmsg([answer], control, 0, peer)
                except OSError:
                    continue


if __name__ == "__main__":
    serve(*map(int, sys.argv[1:]))
