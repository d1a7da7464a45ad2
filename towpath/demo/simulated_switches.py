"""Simulated switches that speak SNMP over UDP: for the demo, tests and benchmarks.

A switch has ports whose counters really increase, and LLDP neighbours. It can lose a
link and restart. It answers GET, GETNEXT and GETBULK of v1 and v2c from a sorted table.
Subclasses misbehave by overriding `answer` or `reply`.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Self

from probes.wire.clock import MonotonicClock
from towpath.demo import snmp_messages
from towpath.demo.snmp_messages import Oid

_SYSTEM = (1, 3, 6, 1, 2, 1, 1)
_INTERFACES = (1, 3, 6, 1, 2, 1, 2)
_IF = (*_INTERFACES, 2, 1)
_IFX_MIB = (1, 3, 6, 1, 2, 1, 31, 1)
_IFX = (*_IFX_MIB, 1, 1)
_BRIDGE_PORT = (1, 3, 6, 1, 2, 1, 17, 1, 4, 1, 2)
_LLDP = (1, 0, 8802, 1, 1, 2, 1)
# A longer answer does not fit one Ethernet frame: agents answer tooBig or, to GETBULK,
# with fewer rows.
_MAX_REPLY = 1_472
_OCTETS_A_PACKET = 800
_ETHERNET = 6
_UP, _DOWN = 1, 2
_BRIDGE, _ACCESS_POINT, _ROUTER, _TELEPHONE = 0x20, 0x10, 0x08, 0x04
CAPABILITIES = {
    "switch": _BRIDGE,
    "access_point": _BRIDGE | _ACCESS_POINT,
    "router": _ROUTER,
    "telephone": _BRIDGE | _TELEPHONE,
}

Value = Callable[[], bytes]


class SimulatedNeighbour:
    """An LLDP neighbour on a port. `kind` is a key of `CAPABILITIES`."""

    def __init__(self, name: str, port: str = "1", kind: str = "switch") -> None:
        self.name, self.port, self.kind = name, port, kind


class SimulatedPort:
    """One port. Its rates (bit/s, errors per second) count up while it is up."""

    def __init__(
        self,
        index: int,
        name: str,
        *,
        speed_bps: int = 1_000_000_000,
        alias: str = "",
        neighbour: SimulatedNeighbour | None = None,
        up: bool = True,
    ) -> None:
        self.index, self.name, self.alias = index, name, alias
        self.speed_bps, self.neighbour = speed_bps, neighbour
        self.admin_up, self.link = True, up
        self.last_change_ticks = 0
        self._in_bps = self._out_bps = self._errors_per_s = 0.0
        self._in_octets = self._out_octets = self._errors = 0.0
        self._as_of: float | None = None

    @property
    def up(self) -> bool:
        return self.admin_up and self.link

    def set_rate(
        self, in_bps: float, out_bps: float, errors_per_s: float = 0.0
    ) -> None:
        """Sets the rates from now on; the counters keep their values."""
        self._in_bps, self._out_bps = in_bps, out_bps
        self._errors_per_s = errors_per_s

    def advance(self, now_s: float) -> None:
        """Counts the traffic since the last call."""
        if self._as_of is not None and self.up:
            gone = now_s - self._as_of
            self._in_octets += self._in_bps / 8 * gone
            self._out_octets += self._out_bps / 8 * gone
            self._errors += self._errors_per_s * gone
        self._as_of = now_s

    def reset(self) -> None:
        self._in_octets = self._out_octets = self._errors = 0.0

    @property
    def in_octets(self) -> int:
        return int(self._in_octets)

    @property
    def out_octets(self) -> int:
        return int(self._out_octets)

    @property
    def errors(self) -> int:
        return int(self._errors)


class SimulatedSwitch(asyncio.DatagramProtocol):
    """`async with SimulatedSwitch(...) as switch:` answers on `switch.port_number`.

    Counters run from the moment it starts; `monotonic_s` is its clock.
    """

    def __init__(
        self,
        name: str,
        ports: int | Sequence[SimulatedPort] = 24,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        community: str = "public",
        description: str = "Towpath simulated switch",
        location: str = "",
        monotonic_s: MonotonicClock | None = None,
    ) -> None:
        monotonic_s = monotonic_s or time.monotonic
        if isinstance(ports, int):
            ports = [SimulatedPort(n, f"Gi1/0/{n}") for n in range(1, ports + 1)]
        self.name, self.ports = name, list(ports)
        self.address, self.port_number = address, port
        self.description, self.location = description, location
        self._community, self._monotonic_s = community.encode(), monotonic_s
        self._started_s = monotonic_s()
        self._table_changed_ticks = 0
        self._transport: asyncio.DatagramTransport | None = None
        self.requests = 0
        self._rows: list[Oid] = []
        self._values: dict[bytes, Value] = {}
        self.rebuild()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=(self.address, self.port_number)
        )
        self._transport = transport
        self.port_number = transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def port(self, name: str) -> SimulatedPort:
        """The port of that name. Raises `KeyError` if there is none."""
        for port in self.ports:
            if port.name == name:
                return port
        raise KeyError(name)

    def take_down(self, name: str) -> None:
        self._link(self.port(name), False)

    def bring_up(self, name: str) -> None:
        self._link(self.port(name), True)

    def restart(self) -> None:
        """Restarts, as after a power cut: uptime and counters start at 0."""
        self._started_s = self._monotonic_s()
        for port in self.ports:
            port.reset()

    @property
    def uptime_ticks(self) -> int:
        return int((self._monotonic_s() - self._started_s) * 100)

    def _link(self, port: SimulatedPort, up: bool) -> None:
        port.advance(self._monotonic_s())
        port.link = up
        port.last_change_ticks = self.uptime_ticks
        # LLDP rows come and go with the link.
        self.rebuild()

    def rebuild(self) -> None:
        """Rebuilds the table, after ports, aliases or neighbours were changed."""
        values = {**self._system(), **self._lldp()}
        for port in self.ports:
            values |= self._port(port)
        self._rows = sorted(values)
        self._values = {
            snmp_messages.oid_content(row): values[row] for row in self._rows
        }

    def table_changed(self) -> None:
        """Records that ports were added, removed or renumbered (ifTableLastChange)."""
        self._table_changed_ticks = self.uptime_ticks
        self.rebuild()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        pass

    # True: requests are lost, as behind a line that is cut.
    cut_off = False

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self.cut_off:
            return
        for answer in self.answer(data):
            if self._transport is not None:
                self._transport.sendto(answer, addr)

    def answer(self, data: bytes) -> list[bytes]:
        """The datagrams that answer `data`; none for a wrong community."""
        try:
            request = snmp_messages.decode(data)
        except snmp_messages.Malformed:
            return []
        if request.community != self._community:
            return []
        self.requests += 1
        reply = self.reply(request)
        return [] if reply is None else [reply]

    def reply(self, request: snmp_messages.SnmpRequest) -> bytes | None:
        """The response, or None for silence."""
        now_s = self._monotonic_s()
        for port in self.ports:
            port.advance(now_s)
        if request.kind == snmp_messages.GET:
            return self._get(request)
        if request.kind in (snmp_messages.GET_NEXT, snmp_messages.GET_BULK):
            return self._walk(request)
        return snmp_messages.response(request, b"", snmp_messages.GEN_ERR)

    def after(self, row: Oid) -> Oid | None:
        """The row that follows `row`."""
        at = bisect_right(self._rows, row)
        return self._rows[at] if at < len(self._rows) else None

    def _get(self, request: snmp_messages.SnmpRequest) -> bytes:
        binds = []
        for at, name in enumerate(request.names, 1):
            value = self._values.get(name)
            if value is not None:
                binds.append(snmp_messages.bind(name, value()))
            elif request.version == snmp_messages.V1:
                return self._refuse(request, snmp_messages.NO_SUCH_NAME, at)
            else:
                binds.append(snmp_messages.bind(name, snmp_messages.NO_SUCH_INSTANCE))
        reply = snmp_messages.response(request, b"".join(binds))
        if len(reply) > _MAX_REPLY:
            return self._refuse(request, snmp_messages.TOO_BIG, 0)
        return reply

    def _walk(self, request: snmp_messages.SnmpRequest) -> bytes:
        once, often = len(request.names), 1
        if request.kind == snmp_messages.GET_BULK:
            once = max(0, min(request.first, len(request.names)))
            often = max(0, request.second)
        binds: list[bytes] = []
        size = 60
        rows = [snmp_messages.arcs_of(name) for name in request.names]
        for turn in range(often):
            for at, row in enumerate(rows):
                if turn and at < once:
                    continue
                following = self.after(row)
                if following is None:
                    if request.version == snmp_messages.V1:
                        return self._refuse(request, snmp_messages.NO_SUCH_NAME, at + 1)
                    name, value = (
                        snmp_messages.oid_content(row),
                        snmp_messages.END_OF_MIB_VIEW,
                    )
                else:
                    name = snmp_messages.oid_content(following)
                    value = self._values[name]()
                    rows[at] = following
                one = snmp_messages.bind(name, value)
                size += len(one)
                if size > _MAX_REPLY and binds:
                    return snmp_messages.response(request, b"".join(binds))
                binds.append(one)
        return snmp_messages.response(request, b"".join(binds))

    def _refuse(
        self, request: snmp_messages.SnmpRequest, status: int, index: int
    ) -> bytes:
        binds = b"".join(
            snmp_messages.bind(name, snmp_messages.EMPTY) for name in request.names
        )
        if status == snmp_messages.TOO_BIG:
            binds = b""
        return snmp_messages.response(request, binds, status, index)

    def _system(self) -> dict[Oid, Value]:
        return {
            (*_SYSTEM, 1, 0): lambda: snmp_messages.octets(self.description),
            # netSnmpAgentOIDs.unknown: this is nobody's product.
            (*_SYSTEM, 2, 0): lambda: snmp_messages.oid("1.3.6.1.4.1.8072.3.2.255"),
            (*_SYSTEM, 3, 0): lambda: snmp_messages.ticks(self.uptime_ticks),
            (*_SYSTEM, 4, 0): lambda: snmp_messages.octets(""),
            (*_SYSTEM, 5, 0): lambda: snmp_messages.octets(self.name),
            (*_SYSTEM, 6, 0): lambda: snmp_messages.octets(self.location),
            (*_SYSTEM, 7, 0): lambda: snmp_messages.integer(2),
            (*_INTERFACES, 1, 0): lambda: snmp_messages.integer(len(self.ports)),
            (*_IFX_MIB, 5, 0): lambda: snmp_messages.ticks(self._table_changed_ticks),
        }

    def _port(self, port: SimulatedPort) -> dict[Oid, Value]:
        mac = bytes((0x02, 0, 0, *port.index.to_bytes(3, "big")))

        def state(up: bool) -> bytes:
            return snmp_messages.integer(_UP if up else _DOWN)

        def packets(octets: int) -> int:
            return octets // _OCTETS_A_PACKET

        def zero() -> bytes:
            return snmp_messages.counter32(0)

        def zero64() -> bytes:
            return snmp_messages.counter64(0)

        table: dict[int, Value] = {
            1: lambda: snmp_messages.integer(port.index),
            2: lambda: snmp_messages.octets(port.name),
            3: lambda: snmp_messages.integer(_ETHERNET),
            4: lambda: snmp_messages.integer(1500),
            5: lambda: snmp_messages.gauge32(port.speed_bps),
            6: lambda: snmp_messages.octets(mac),
            7: lambda: state(port.admin_up),
            8: lambda: state(port.up),
            9: lambda: snmp_messages.ticks(port.last_change_ticks),
            10: lambda: snmp_messages.counter32(port.in_octets),
            11: lambda: snmp_messages.counter32(packets(port.in_octets)),
            13: zero,
            14: lambda: snmp_messages.counter32(port.errors),
            16: lambda: snmp_messages.counter32(port.out_octets),
            17: lambda: snmp_messages.counter32(packets(port.out_octets)),
            19: zero,
            20: zero,
        }
        extended: dict[int, Value] = {
            1: lambda: snmp_messages.octets(port.name),
            6: lambda: snmp_messages.counter64(port.in_octets),
            7: lambda: snmp_messages.counter64(packets(port.in_octets)),
            8: zero64,
            9: zero64,
            10: lambda: snmp_messages.counter64(port.out_octets),
            11: lambda: snmp_messages.counter64(packets(port.out_octets)),
            15: lambda: snmp_messages.gauge32(port.speed_bps // 1_000_000),
            18: lambda: snmp_messages.octets(port.alias),
            19: lambda: snmp_messages.ticks(0),
        }
        values: dict[Oid, Value] = {
            (*_IF, column, port.index): v for column, v in table.items()
        }
        values |= {(*_IFX, column, port.index): v for column, v in extended.items()}
        values[(*_BRIDGE_PORT, port.index)] = lambda: snmp_messages.integer(port.index)
        return values

    def _lldp(self) -> dict[Oid, Value]:
        values: dict[Oid, Value] = {}
        for port in self.ports:
            local = (*_LLDP, 3, 7, 1)
            values[(*local, 2, port.index)] = lambda: snmp_messages.integer(5)
            values[(*local, 3, port.index)] = lambda p=port: snmp_messages.octets(
                p.name
            )  # type: ignore[misc]
            values[(*local, 4, port.index)] = lambda p=port: snmp_messages.octets(
                p.name
            )  # type: ignore[misc]
            heard = port.neighbour
            if heard is None or not port.up:
                continue
            capabilities = bytes((CAPABILITIES[heard.kind], 0))
            mac = bytes((0x02, 1, 0, *port.index.to_bytes(3, "big")))
            remote = {
                4: snmp_messages.integer(4),
                5: snmp_messages.octets(mac),
                6: snmp_messages.integer(5),
                7: snmp_messages.octets(heard.port),
                8: snmp_messages.octets(heard.port),
                9: snmp_messages.octets(heard.name),
                11: snmp_messages.octets(capabilities),
                12: snmp_messages.octets(capabilities),
            }
            for column, encoded in remote.items():
                row = (*_LLDP, 4, 1, 1, column, 0, port.index, 1)
                values[row] = lambda encoded=encoded: encoded  # type: ignore[misc]
        return values
