"""macOS: ifconfig, netstat, scutil, networksetup, system_profiler, under `LC_ALL=C`.

Not yet run on a real Mac (docs/platforms.md): written against the documented tools,
checked by mypy for darwin, its parsers tried on recorded output.
"""

from __future__ import annotations

import os
import re
import sys
import time

import msgspec

from probes.platforms.commands import run
from probes.platforms.macos_tools import (
    parse_hardware_ports,
    parse_ifconfig,
    parse_netstat_routes,
    parse_scutil_dns,
    parse_scutil_nc_list,
    parse_scutil_proxy,
)
from probes.platforms.proxies import proxy_from_environment
from probes.platforms.routing_table import default_route_addresses
from probes.platforms.system_facts import (
    Interface,
    IpRoute,
    ProxySetting,
    VpnConnection,
    WifiLink,
)
from probes.platforms.system_profiler import parse_system_profiler
from probes.wire.failure import Outcome


def interfaces() -> list[Interface] | Outcome:
    """From `ifconfig -v`, `netstat -rn` and networksetup."""
    shown = run("ifconfig", "-v")
    bare = shown if isinstance(shown, Outcome) else parse_ifconfig(shown)
    if isinstance(bare, Outcome):
        return bare
    listed = run("netstat", "-rn")
    routes = [] if isinstance(listed, Outcome) else parse_netstat_routes(listed)
    kinds: dict[str, str] = {}
    # Slow, and needed only to tell a cable from a telephone's.
    if any(i.up and i.physical and not i.kind and i.global_addresses for i in bare):
        ports = run("networksetup", "-listallhardwareports")
        kinds = {} if isinstance(ports, Outcome) else parse_hardware_ports(ports)
    return with_routes(bare, routes, kinds, default_route_addresses())


def with_routes(
    bare: list[Interface],
    routes: list[IpRoute],
    kinds: dict[str, str],
    chosen: set[str],
) -> list[Interface]:
    """The interfaces with what routes and hardware ports say of them. Pure.

    Several utun always exist, with link-local routes; a route counts that leads to
    others than the interface itself.
    """
    found = []
    for each in bare:
        mine = [r for r in routes if r.interface == each.name and _leads_beyond_host(r)]
        defaults = sorted((r.metric, r.gateway) for r in mine if r.prefix == 0)
        found.append(
            msgspec.structs.replace(
                each,
                kind=each.kind or kinds.get(each.name, ""),
                # A port networksetup does not list is not of hardware (en5 of a T2).
                physical=each.physical and (not kinds or each.name in kinds),
                routed=bool(mine) or bool(chosen & set(each.addresses)),
                default_metric=defaults[0][0] if defaults else None,
                gateway=defaults[0][1] if defaults else "",
            )
        )
    return found


def wifi(key: bytes) -> list[WifiLink] | Outcome:
    """From system_profiler: as JSON, as a property list before macOS 10.15."""
    for form in ("-json", "-xml"):
        shown = run("system_profiler", form, "SPAirPortDataType", timeout_s=30)
        if isinstance(shown, Outcome):
            return shown
        found = parse_system_profiler(shown, key)
        if found is not Outcome.BAD_ANSWER:
            return found
    return Outcome.BAD_ANSWER


def vpn_connections() -> list[VpnConnection] | Outcome:
    """The services of the system's own VPN settings, and of providers' extensions."""
    shown = run("scutil", "--nc", "list")
    return shown if isinstance(shown, Outcome) else parse_scutil_nc_list(shown)


def proxy() -> ProxySetting:
    shown = run("scutil", "--proxy")
    found = shown if isinstance(shown, Outcome) else parse_scutil_proxy(shown)
    if isinstance(found, Outcome) or found.kind == "none":
        return proxy_from_environment(os.environ)
    return found


def resolvers() -> tuple[str, ...]:
    shown = run("scutil", "--dns")
    return () if isinstance(shown, Outcome) else parse_scutil_dns(shown).get("", ())


def hardware_address(gateway: str, interface: str) -> str:
    """From `arp -n`, or `ndp -an` for IPv6; leading noughts are left out there."""
    six = ":" in gateway
    shown = run("ndp", "-an") if six else run("arp", "-n", gateway)
    if isinstance(shown, Outcome):
        return ""
    for line in shown.decode("ascii", "replace").splitlines()[:5_000]:
        words = line.replace("(", " ").replace(")", " ").split()
        if gateway not in [word.split("%")[0] for word in words]:
            continue
        for word in words:
            if re.fullmatch(r"(?:[0-9a-f]{1,2}:){5}[0-9a-f]{1,2}", word):
                return ":".join(part.zfill(2) for part in word.split(":"))
    return ""


def slept_s() -> float | None:
    """CLOCK_MONOTONIC goes on in sleep, CLOCK_UPTIME_RAW does not."""
    awake = getattr(time, "CLOCK_UPTIME_RAW", None)
    if sys.platform == "win32" or awake is None:
        return None
    asleep_s = time.clock_gettime(time.CLOCK_MONOTONIC) - time.clock_gettime(awake)
    return max(asleep_s, 0.0)


def _leads_beyond_host(route: IpRoute) -> bool:
    if route.destination.startswith(("fe80", "ff", "224.", "239.", "169.254", "255.")):
        return False
    return route.prefix < (128 if ":" in route.destination else 32)
