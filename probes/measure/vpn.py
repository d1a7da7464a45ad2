"""The VPN: which client, whether its tunnel is up, what it costs a call, what goes
through it.

State is looked at often and costs nothing. Beside it: the round trip to something of
the council's through the tunnel and to its gateway beside it, the largest packet each
way takes, and whether Microsoft 365's traffic is split out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from probes import platforms
from probes.measure import optimize
from probes.measure.active_interface import Interface, interfaces_with
from probes.measure.background import in_background
from probes.measure.path_mtu import find_path_mtu
from probes.measure.round_trips import measure_round_trips
from probes.measure.tunnels import (
    Tunnel,
    find_tunnels,
    managed_connections,
    physical_interface,
    routes_hidden,
    vpn_product,
)
from probes.measure.vpn_watch import VpnWatch
from probes.platforms.routing_table import local_address
from probes.platforms.system_facts import VpnConnection
from probes.wire.clock import WallClock
from probes.wire.failure import Outcome
from probes.wire.policy import Policy
from probes.wire.report import Result
from probes.wire.sample import Value

NAME = "vpn"
VERSION = 2
LOOK_UP_S = 5.0
MTU_AGAIN_S = 6 * 3_600.0
# A little less than three results: what costs network comes with every third.
COMPARE_AGAIN_S = 800.0
MAX_ENDS = 12


class VpnEndpoint(NamedTuple):
    """Something of the council's that answers: a TCP port, or a STAMP reflector."""

    host: str
    port: int
    stamp_port: int | None = None
    stamp_key: str = ""


class EndpointRoutes(NamedTuple):
    """Of each kind, the first end whose traffic goes so: (its address, it)."""

    tunnel: tuple[str, VpnEndpoint] | None
    direct: tuple[str, VpnEndpoint] | None
    tunnel_stamp: tuple[str, VpnEndpoint] | None
    direct_stamp: tuple[str, VpnEndpoint] | None


class Vpn:
    """`look()` often, `await measure(…)` once in the period."""

    def __init__(
        self,
        gather: Callable[[], list[Interface] | Outcome] = platforms.interfaces,
        managed: Callable[[], list[VpnConnection]] = managed_connections,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._gather, self._managed, self._clock_s = gather, managed, clock_s
        self._watch = VpnWatch()
        self._connections: list[VpnConnection] = []
        self._compared_key: object = None
        self._compared_s = 0.0
        self._mtu_key: object = None
        self._mtu_at_s = 0.0
        self._mtu_values: dict[str, Value] = {}

    def observe(self) -> list[Interface] | Outcome:
        """Sees the tunnels and remembers what the next result needs of it."""
        among = self._gather()
        if isinstance(among, list):
            found = find_tunnels(among, self._connections)
            self._watch.observe(
                found, physical_interface(among) is not None, self._clock_s()
            )
        return among

    async def measure(
        self,
        policy: Policy,
        *,
        frugal: bool = False,
        now_ms: WallClock,
    ) -> Result:
        """`not_present` where no client is, `not_connected` where its tunnel is down,
        `not_supported` where that cannot be told. `frugal`: nothing is sent."""
        time_ms = now_ms()
        self._connections = await in_background(self._managed)
        among = self.observe()
        if isinstance(among, Outcome):
            return Result(NAME, VERSION, time_ms, among)
        found = find_tunnels(among, self._connections)
        if not found:
            return Result(NAME, VERSION, time_ms, Outcome.NOT_PRESENT)
        first = found[0]
        values = self._seen(first)
        if first.state == "down":
            return Result(NAME, VERSION, time_ms, Outcome.NOT_CONNECTED, values=values)
        values |= microsoft_routing(policy, among, found)
        outcome = Outcome.OK if first.state == "up" else Outcome.NOT_SUPPORTED
        cost_bytes = 0
        if first.state == "up" and not frugal and self._is_time(first):
            more, cost_bytes = await self._compare(policy, among, found)
            values |= more
        return Result(NAME, VERSION, time_ms, outcome, "", values, cost_bytes)

    def _is_time(self, first: Tunnel) -> bool:
        """Once a quarter of an hour, and at once when the tunnel is another."""
        now_s = self._clock_s()
        if first == self._compared_key and 0 <= now_s - self._compared_s < (
            COMPARE_AGAIN_S
        ):
            return False
        self._compared_key, self._compared_s = first, now_s
        return True

    def _seen(self, first: Tunnel) -> dict[str, Value]:
        values: dict[str, Value] = {"product": first.product}
        if first.state != "unknown":
            values["up"] = int(first.state == "up")
        if first.mtu_byte is not None:
            values["mtu_byte"] = first.mtu_byte
        reconnects = self._watch.reconnects(self._clock_s())
        if reconnects is not None:
            values["reconnects"] = reconnects
        took_s = self._watch.pop_connect_s()
        if took_s is not None:
            values["connect_s"] = took_s
        return values

    async def _compare(
        self, policy: Policy, among: list[Interface], found: list[Tunnel]
    ) -> tuple[dict[str, Value], int]:
        """The way through the tunnel beside the direct one. Where routes cannot be
        believed, nothing is known of either."""
        if routes_hidden(found):
            return {}, 0
        reached = await _ways(endpoints(policy), among)
        values: dict[str, Value] = {}
        cost_bytes = 0
        for name, chosen in (("tunnel", reached.tunnel), ("direct", reached.direct)):
            if chosen is None:
                continue
            address, end = chosen
            try:
                trips = await measure_round_trips(address, end.port)
            except OSError:
                continue
            cost_bytes += trips.cost_bytes
            values[f"{name}_loss_ratio"] = trips.loss_ratio
            if trips.rtt_ms is not None:
                values[f"{name}_rtt_ms"] = trips.rtt_ms
        more, more_bytes = await self._mtus(reached, found[0], among)
        return values | more, cost_bytes + more_bytes

    async def _mtus(
        self, reached: EndpointRoutes, tunnel: Tunnel, among: list[Interface]
    ) -> tuple[dict[str, Value], int]:
        """Measured when the tunnel or the line is another, and a few times a day."""
        line = physical_interface(among)
        key = (tunnel, line.name if line else "", line.networks if line else ())
        now_s = self._clock_s()
        if key == self._mtu_key and 0 <= now_s - self._mtu_at_s < MTU_AGAIN_S:
            return self._mtu_values, 0
        values: dict[str, Value] = {}
        cost_bytes = 0
        for name, chosen, most in (
            ("path_mtu", reached.tunnel_stamp, tunnel.mtu_byte),
            ("direct_path_mtu", reached.direct_stamp, line.mtu_byte if line else None),
        ):
            if chosen is None:
                continue
            address, end = chosen
            try:
                path = await find_path_mtu(
                    address,
                    end.stamp_port or 0,
                    most=most or 1_500,
                    key=bytes.fromhex(end.stamp_key),
                )
            except OSError:
                continue
            cost_bytes += path.cost_bytes
            if path.mtu_byte is not None:
                values[f"{name}_byte"] = path.mtu_byte
                values[f"{name}_black_hole"] = int(path.black_hole)
        self._mtu_key, self._mtu_at_s, self._mtu_values = key, now_s, values
        return values, cost_bytes


def microsoft_routing(
    policy: Policy, among: Sequence[Interface], found: Sequence[Tunnel]
) -> dict[str, Value]:
    """Which way Teams and all of Microsoft 365's Optimize traffic goes."""
    workloads = policy.optimize or optimize.OPTIMIZE
    hidden = routes_hidden(found)
    teams = [n for each in workloads if each.name == "teams" for n in each.networks]
    every = [n for each in workloads for n in each.networks]
    values: dict[str, Value] = {"m365_way": optimize.routing_of(every, among, hidden)}
    if teams:
        values["teams_way"] = optimize.routing_of(teams, among, hidden)
    return values


def endpoints(policy: Policy) -> list[VpnEndpoint]:
    """What the policy names, gateways first: they are never behind their own tunnel.
    Pure."""
    found = [VpnEndpoint(each.host, each.port) for each in policy.vpn_gateways]
    for reflector in policy.reflectors:
        at = _host_and_port(reflector.ndt7_url)
        # Its TCP port where it has one; a refusal is an answer as well.
        port = at[1] if at and at[0] == reflector.host.lower() else reflector.stamp_port
        stamp_at = reflector.stamp_port, reflector.stamp_key
        found.append(VpnEndpoint(reflector.host, port, *stamp_at))
    for service in policy.services:
        at = _host_and_port(service.url)
        if at:
            found.append(VpnEndpoint(*at))
    return list(dict.fromkeys(found))[:MAX_ENDS]


async def _ways(
    among_ends: Sequence[VpnEndpoint], among: Sequence[Interface]
) -> EndpointRoutes:
    tunnel = direct = tunnel_stamp = direct_stamp = None
    for end in among_ends:
        for address in await _addresses(end.host, end.port):
            owners = interfaces_with(local_address(address), among)
            if not owners:
                continue
            reached = address, end
            stamped = reached if end.stamp_port else None
            if any(vpn_product(each) is not None for each in owners):
                tunnel = tunnel or reached
                tunnel_stamp = tunnel_stamp or stamped
            else:
                direct = direct or reached
                direct_stamp = direct_stamp or stamped
            break
    return EndpointRoutes(tunnel, direct, tunnel_stamp, direct_stamp)


async def _addresses(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(LOOK_UP_S):
            found = await loop.getaddrinfo(host, port)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(at[0]) for *_, at in found))


def _host_and_port(url: str) -> tuple[str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme in {"https", "wss"} else 80)
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname else None
