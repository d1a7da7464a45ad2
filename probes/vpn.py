"""Whether a VPN client is there, which one, and whether its tunnel is up."""

from __future__ import annotations

from collections.abc import Callable

from probes import platforms
from probes.failure import Outcome
from probes.platforms.facts import Interface, VpnConnection
from probes.report import Result
from probes.sample import Value
from probes.tunnels import managed_connections, tunnels

NAME = "vpn"
VERSION = 2


async def measure(
    *,
    gather: Callable[[], list[Interface] | Outcome] = platforms.interfaces,
    managed: Callable[[], list[VpnConnection]] = managed_connections,
    now_ms: Callable[[], int],
) -> Result:
    """`not_present` where no client is, `not_connected` where its tunnel is down."""
    time_ms = now_ms()
    among = gather()
    if isinstance(among, Outcome):
        return Result(NAME, VERSION, time_ms, among)
    found = tunnels(among, managed())
    if not found:
        return Result(NAME, VERSION, time_ms, Outcome.NOT_PRESENT)
    first = found[0]
    values: dict[str, Value] = {"product": first.product}
    if first.state == "unknown":
        return Result(NAME, VERSION, time_ms, Outcome.NOT_SUPPORTED, values=values)
    values["up"] = int(first.state == "up")
    if first.mtu_byte is not None:
        values["mtu_byte"] = first.mtu_byte
    outcome = Outcome.OK if first.state == "up" else Outcome.NOT_CONNECTED
    return Result(NAME, VERSION, time_ms, outcome, values=values)
