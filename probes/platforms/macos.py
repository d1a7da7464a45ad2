"""macOS: ifconfig, netstat, scutil, networksetup, system_profiler, under `LC_ALL=C`.

Not run on a real Mac yet (docs/platforms.md): written from the tools' documentation and
checked by mypy for darwin. The parsers are tested on recorded output.
"""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

import msgspec

from probes.platforms.commands import run
from probes.platforms.macos_tools import (
    parse_hardware_ports,
    parse_ifconfig,
    parse_ioreg,
    parse_netstat_routes,
    parse_scutil_dns,
    parse_scutil_nc_list,
    parse_scutil_proxy,
)
from probes.platforms.proxies import NO_PROXY, or_else, proxy_from_environment
from probes.platforms.routing_table import default_route_addresses
from probes.platforms.system_facts import (
    Interface,
    IpRoute,
    ManagedSettings,
    ProxySetting,
    VpnConnection,
    WifiLink,
)
from probes.platforms.system_profiler import parse_system_profiler
from probes.platforms.system_settings import read_preferences
from probes.wire.failure import Outcome

MANAGED_PREFERENCES = Path("/Library/Managed Preferences/uk.towpath.agent.plist")


def interfaces() -> list[Interface] | Outcome:
    """From `ifconfig -v`, `netstat -rn` and networksetup."""
    output = run("ifconfig", "-v")
    listed = output if isinstance(output, Outcome) else parse_ifconfig(output)
    if isinstance(listed, Outcome):
        return listed
    output = run("netstat", "-rn")
    routes = [] if isinstance(output, Outcome) else parse_netstat_routes(output)
    kinds: dict[str, str] = {}
    # networksetup is slow and only needed to distinguish a cable from a phone.
    if any(
        interface.up
        and interface.physical
        and not interface.kind
        and interface.global_addresses
        for interface in listed
    ):
        output = run("networksetup", "-listallhardwareports")
        kinds = {} if isinstance(output, Outcome) else parse_hardware_ports(output)
    return with_routes(listed, routes, kinds, default_route_addresses())


def with_routes(
    interfaces: list[Interface],
    routes: list[IpRoute],
    kinds: dict[str, str],
    default_addresses: set[str],
) -> list[Interface]:
    """The interfaces, completed with routes and the kinds of hardware ports. Pure.

    The system always has several utun interfaces with link-local routes. Only a route
    to something other than the interface itself counts.
    """
    routed = []
    for interface in interfaces:
        own = [
            route
            for route in routes
            if route.interface == interface.name and _leads_beyond_host(route)
        ]
        defaults = sorted(
            (route.metric, route.gateway) for route in own if route.prefix == 0
        )
        # A port that networksetup does not list is no hardware (en5 of a T2 chip).
        listed = not kinds or interface.name in kinds
        routed.append(
            msgspec.structs.replace(
                interface,
                kind=interface.kind or kinds.get(interface.name, ""),
                physical=interface.physical and listed,
                routed=bool(own or default_addresses & set(interface.addresses)),
                default_metric=defaults[0][0] if defaults else None,
                gateway=defaults[0][1] if defaults else "",
            )
        )
    return routed


def wifi(key: bytes) -> list[WifiLink] | Outcome:
    """From system_profiler: as JSON, or as a property list before macOS 10.15."""
    for form in ("-json", "-xml"):
        output = run("system_profiler", form, "SPAirPortDataType", timeout_s=30)
        if isinstance(output, Outcome):
            return output
        links = parse_system_profiler(output, key)
        if links is not Outcome.BAD_ANSWER:
            return links
    return Outcome.BAD_ANSWER


def vpn_connections() -> list[VpnConnection] | Outcome:
    """The services in the system's VPN settings, including those of extensions."""
    output = run("scutil", "--nc", "list")
    return output if isinstance(output, Outcome) else parse_scutil_nc_list(output)


def managed_settings() -> list[ManagedSettings]:
    return read_preferences(MANAGED_PREFERENCES)


def proxy() -> ProxySetting:
    output = run("scutil", "--proxy")
    setting = output if isinstance(output, Outcome) else parse_scutil_proxy(output)
    by_system = NO_PROXY if isinstance(setting, Outcome) else setting
    return or_else(by_system, proxy_from_environment(os.environ))


def resolvers() -> tuple[str, ...]:
    output = run("scutil", "--dns")
    return () if isinstance(output, Outcome) else parse_scutil_dns(output).get("", ())


def hardware_address(gateway: str, interface: str) -> str:
    """From `arp -n`, or `ndp -an` for IPv6; both omit leading zeros."""
    ipv6 = ":" in gateway
    output = run("ndp", "-an") if ipv6 else run("arp", "-n", gateway)
    if isinstance(output, Outcome):
        return ""
    for line in output.decode("ascii", "replace").splitlines()[:5_000]:
        words = line.replace("(", " ").replace(")", " ").split()
        if gateway not in [word.split("%")[0] for word in words]:
            continue
        for word in words:
            if re.fullmatch(r"(?:[0-9a-f]{1,2}:){5}[0-9a-f]{1,2}", word):
                return ":".join(part.zfill(2) for part in word.split(":"))
    return ""


def slept_s() -> float | None:
    """CLOCK_MONOTONIC goes on during sleep, CLOCK_UPTIME_RAW does not."""
    awake_clock = getattr(time, "CLOCK_UPTIME_RAW", None)
    if sys.platform == "win32" or awake_clock is None:
        return None
    awake_s = time.clock_gettime(awake_clock)
    return max(time.clock_gettime(time.CLOCK_MONOTONIC) - awake_s, 0.0)


def machine_numbers() -> tuple[str, ...]:
    output = run("ioreg", "-rd1", "-c", "IOPlatformExpertDevice")
    if isinstance(output, Outcome):
        return ()
    numbers = parse_ioreg(output)
    return () if isinstance(numbers, Outcome) else numbers


def _leads_beyond_host(route: IpRoute) -> bool:
    if route.destination.startswith(("fe80", "ff", "224.", "239.", "169.254", "255.")):
        return False
    return route.prefix < (128 if ":" in route.destination else 32)
