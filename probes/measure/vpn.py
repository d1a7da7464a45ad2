"""The VPN: which client, whether its tunnel is up, how much delay it adds, and which
traffic goes through it.

Reading the state is cheap and done often. Measured less often: round trips to a council
host through the tunnel and to the gateway outside it, the path MTU of both, and whether
Microsoft 365 traffic is split out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from probes import platforms
from probes.measure import optimize
from probes.measure.active_interface import Interface, interfaces_with
from probes.measure.background import in_background
from probes.measure.path_mtu import find_path_mtu
from probes.measure.probe_runner import ProbeRunner, RoundContext
from probes.measure.round_trips import measure_round_trips
from probes.measure.tcp_connection import look_up
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
from probes.wire.laptop_probes import VPN
from probes.wire.policy import Policy
from probes.wire.report import Result
from probes.wire.sample import Value

NAME = VPN.name
VERSION = 2
LOOK_UP_S = 5.0
MTU_AGAIN_S = 6 * 3_600.0
# Just under three results: measurements that use the network come with every third.
COMPARE_AGAIN_S = 800.0
MAX_ENDPOINTS = 12


class VpnEndpoint(NamedTuple):
    """A host of the council that answers on a TCP port or as a STAMP reflector."""

    host: str
    port: int
    stamp_port: int | None = None
    stamp_key: str = ""


class EndpointRoutes(NamedTuple):
    """For each route the first endpoint reached over it, with its address."""

    tunnel: tuple[str, VpnEndpoint] | None
    direct: tuple[str, VpnEndpoint] | None
    tunnel_stamp: tuple[str, VpnEndpoint] | None
    direct_stamp: tuple[str, VpnEndpoint] | None


class Vpn:
    """Call `observe()` often, and `await measure(…)` once per period."""

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
        """Reads the interfaces and records what the next result needs."""
        interfaces = self._gather()
        if isinstance(interfaces, list):
            has_line = physical_interface(interfaces) is not None
            clients = find_tunnels(interfaces, self._connections)
            self._watch.observe(clients, has_line, self._clock_s())
        return interfaces

    async def measure(
        self,
        policy: Policy,
        *,
        frugal: bool = False,
        now_ms: WallClock,
    ) -> Result:
        """The outcome is `not_present` without a client, `not_connected` if its tunnel
        is down, `not_supported` if its state cannot be read. With `frugal`, sends
        nothing."""
        time_ms = now_ms()
        self._connections = await in_background(self._managed)
        interfaces = self.observe()
        if isinstance(interfaces, Outcome):
            return Result(NAME, VERSION, time_ms, interfaces)
        clients = find_tunnels(interfaces, self._connections)
        if not clients:
            return Result(NAME, VERSION, time_ms, Outcome.NOT_PRESENT)
        first = clients[0]
        values = self._tunnel_values(first)
        if first.state == "down":
            return Result(NAME, VERSION, time_ms, Outcome.NOT_CONNECTED, values=values)
        values |= microsoft_routing(policy, interfaces, clients)
        outcome = Outcome.OK if first.state == "up" else Outcome.NOT_SUPPORTED
        cost_bytes = 0
        if first.state == "up" and not frugal and self._comparison_due(first):
            compared, cost_bytes = await self._compare(policy, interfaces, clients)
            values |= compared
        return Result(NAME, VERSION, time_ms, outcome, "", values, cost_bytes)

    def _comparison_due(self, first: Tunnel) -> bool:
        """True every quarter of an hour, and at once if the tunnel has changed."""
        now_s = self._clock_s()
        if first == self._compared_key and 0 <= now_s - self._compared_s < (
            COMPARE_AGAIN_S
        ):
            return False
        self._compared_key, self._compared_s = first, now_s
        return True

    def _tunnel_values(self, first: Tunnel) -> dict[str, Value]:
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
        self, policy: Policy, interfaces: list[Interface], clients: list[Tunnel]
    ) -> tuple[dict[str, Value], int]:
        """Measures the path through the tunnel and the direct one. If routes are
        hidden, neither can be identified, so nothing is measured."""
        if routes_hidden(clients):
            return {}, 0
        routes = await _find_routes(endpoints(policy), interfaces)
        values: dict[str, Value] = {}
        cost_bytes = 0
        for name, route in (("tunnel", routes.tunnel), ("direct", routes.direct)):
            if route is None:
                continue
            address, endpoint = route
            try:
                trips = await measure_round_trips(address, endpoint.port)
            except OSError:
                continue
            cost_bytes += trips.cost_bytes
            values[f"{name}_loss_ratio"] = trips.loss_ratio
            if trips.rtt_ms is not None:
                values[f"{name}_rtt_ms"] = trips.rtt_ms
        mtus, mtu_bytes = await self._path_mtus(routes, clients[0], interfaces)
        return values | mtus, cost_bytes + mtu_bytes

    async def _path_mtus(
        self, routes: EndpointRoutes, tunnel: Tunnel, interfaces: list[Interface]
    ) -> tuple[dict[str, Value], int]:
        """Measures both path MTUs if the tunnel or the line has changed, and a few
        times a day."""
        line = physical_interface(interfaces)
        key = (tunnel, line.name if line else "", line.networks if line else ())
        now_s = self._clock_s()
        if key == self._mtu_key and 0 <= now_s - self._mtu_at_s < MTU_AGAIN_S:
            return self._mtu_values, 0
        values: dict[str, Value] = {}
        cost_bytes = 0
        for name, route, most in (
            ("path_mtu", routes.tunnel_stamp, tunnel.mtu_byte),
            ("direct_path_mtu", routes.direct_stamp, line.mtu_byte if line else None),
        ):
            if route is None:
                continue
            address, endpoint = route
            try:
                path = await find_path_mtu(
                    address,
                    endpoint.stamp_port or 0,
                    most=most or 1_500,
                    key=bytes.fromhex(endpoint.stamp_key),
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
    policy: Policy, interfaces: Sequence[Interface], clients: Sequence[Tunnel]
) -> dict[str, Value]:
    """How Teams traffic and all Microsoft 365 Optimize traffic is routed."""
    workloads = policy.optimize or optimize.OPTIMIZE
    hidden = routes_hidden(clients)
    all_networks = [network for workload in workloads for network in workload.networks]
    teams_networks = [
        network
        for workload in workloads
        if workload.name == "teams"
        for network in workload.networks
    ]
    values: dict[str, Value] = {
        "m365_way": optimize.routing_of(all_networks, interfaces, hidden)
    }
    if teams_networks:
        values["teams_way"] = optimize.routing_of(teams_networks, interfaces, hidden)
    return values


def endpoints(policy: Policy) -> list[VpnEndpoint]:
    """The hosts that the policy names, gateways first, because they are never behind
    their own tunnel. Pure."""
    hosts = [VpnEndpoint(gateway.host, gateway.port) for gateway in policy.vpn_gateways]
    for reflector in policy.reflectors:
        at = _host_and_port(reflector.ndt7_url)
        # Its TCP port if it has one; a refusal is an answer too.
        port = at[1] if at and at[0] == reflector.host.lower() else reflector.stamp_port
        stamp_at = reflector.stamp_port, reflector.stamp_key
        hosts.append(VpnEndpoint(reflector.host, port, *stamp_at))
    for service in policy.services:
        at = _host_and_port(service.url)
        if at:
            hosts.append(VpnEndpoint(*at))
    return list(dict.fromkeys(hosts))[:MAX_ENDPOINTS]


async def _find_routes(
    candidates: Sequence[VpnEndpoint], interfaces: Sequence[Interface]
) -> EndpointRoutes:
    tunnel = direct = tunnel_stamp = direct_stamp = None
    for endpoint in candidates:
        for address in await _addresses(endpoint.host, endpoint.port):
            owners = interfaces_with(local_address(address), interfaces)
            if not owners:
                continue
            reached = address, endpoint
            stamped = reached if endpoint.stamp_port else None
            if any(vpn_product(owner) is not None for owner in owners):
                tunnel = tunnel or reached
                tunnel_stamp = tunnel_stamp or stamped
            else:
                direct = direct or reached
                direct_stamp = direct_stamp or stamped
            break
    return EndpointRoutes(tunnel, direct, tunnel_stamp, direct_stamp)


async def _addresses(host: str, port: int) -> list[str]:
    try:
        async with asyncio.timeout(LOOK_UP_S):
            addresses = await look_up(host, port)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(address.host for address in addresses))


def _host_and_port(url: str) -> tuple[str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme in {"https", "wss"} else 80)
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname else None


class VpnRunner(ProbeRunner):
    """Looks at the tunnel often, so that a reconnection between two results counts."""

    def __init__(self) -> None:
        self._vpn = Vpn()

    async def run(self, context: RoundContext) -> AsyncIterator[Result]:
        yield await self._vpn.measure(
            context.policy, frugal=context.frugal, now_ms=context.now_ms
        )

    async def glance(self) -> None:
        self._vpn.observe()
