"""Linux: /sys/class/net, /proc/net, netlink and psutil; `ip`, `iw` and nmcli if those
are not enough."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from probes.platforms import nl80211
from probes.platforms.commands import run
from probes.platforms.iw import parse_iw_dev, parse_iw_link, parse_proc_wireless
from probes.platforms.linux_tools import (
    parse_arp,
    parse_ip_addr,
    parse_ip_neighbour,
    parse_ipv4_routes,
    parse_ipv6_routes,
    parse_nmcli,
)
from probes.platforms.proxies import proxy_from_environment
from probes.platforms.routing_table import default_route_addresses
from probes.platforms.system_facts import (
    Interface,
    ManagedSettings,
    ProxySetting,
    VpnConnection,
    WifiLink,
)
from probes.platforms.system_settings import read_toml_folder
from probes.wire.failure import Outcome

_LOOPBACK = "772"
# ARPHRD types (linux/if_arp.h) of tunnel interfaces.
_ARPHRD = {
    "512": "ppp",
    "768": "tunnel",
    "769": "tunnel",
    "776": "tunnel",
    "778": "tunnel",
    "823": "tunnel",
}


def interfaces(
    sys_net: Path = Path("/sys/class/net"), proc_net: Path = Path("/proc/net")
) -> list[Interface] | Outcome:
    """All interfaces except loopback, by name; from `ip` if /sys cannot be read."""
    routes = [
        *parse_ipv4_routes(_read(proc_net / "route")),
        *parse_ipv6_routes(_read(proc_net / "ipv6_route")),
    ]
    interfaces = _interfaces_without_routes(sys_net)
    if isinstance(interfaces, Outcome):
        return interfaces
    default_addresses = default_route_addresses()
    routed = []
    for interface in interfaces:
        own = [route for route in routes if route.interface == interface.name]
        defaults = sorted(
            (route.metric, route.gateway) for route in own if route.prefix == 0
        )
        routed.append(
            replace(
                interface,
                routed=bool(own or default_addresses & set(interface.addresses)),
                default_metric=defaults[0][0] if defaults else None,
                gateway=defaults[0][1] if defaults else "",
            )
        )
    return routed


def wifi(key: bytes) -> list[WifiLink] | Outcome:
    """From the kernel; if it refuses, from `iw`, then from /proc/net/wireless."""
    from_kernel = nl80211.wifi(key)
    if not isinstance(from_kernel, Outcome):
        return with_radio_state(from_kernel)
    if from_kernel is Outcome.NOT_PRESENT:
        return from_kernel
    output = run("iw", "dev")
    names = [] if isinstance(output, Outcome) else parse_iw_dev(output)
    links = []
    for name in names[:4]:
        output = run("iw", "dev", name, "link")
        link = output if isinstance(output, Outcome) else parse_iw_link(output, key)
        if not isinstance(link, Outcome):
            links.append(link)
    return (
        links
        or parse_proc_wireless(_read(Path("/proc/net/wireless")))
        or (
            # A kernel without nl80211 has no Wi-Fi.
            Outcome.NOT_PRESENT if from_kernel is Outcome.NOT_SUPPORTED else from_kernel
        )
    )


def with_radio_state(
    links: list[WifiLink], sys_net: Path = Path("/sys/class/net")
) -> list[WifiLink]:
    """The links, with the rfkill state of those that are not connected."""
    return [
        link if link.connected else replace(link, radio_off=_is_blocked(link, sys_net))
        for link in links
    ]


def _is_blocked(link: WifiLink, sys_net: Path) -> bool:
    radios = sys_net.joinpath(link.interface, "phy80211").glob("rfkill*")
    return any(
        "1" in (_read(radio / "soft"), _read(radio / "hard")) for radio in radios
    )


def vpn_connections() -> list[VpnConnection] | Outcome:
    """The active connections of NetworkManager; `not_supported` without it."""
    output = run("nmcli", "-t", "-f", "TYPE,STATE", "connection", "show", "--active")
    return output if isinstance(output, Outcome) else parse_nmcli(output)


def managed_settings(root: Path = Path("/")) -> list[ManagedSettings]:
    """What a package brings, then the council's policy."""
    package = read_toml_folder(root / "usr/lib/towpath-agent.d", policy=False)
    return [*package, *read_toml_folder(root / "etc/towpath-agent.d")]


def proxy() -> ProxySetting:
    """From the environment and /etc/environment, because the environment of a service
    is empty."""
    variables = dict(os.environ)
    for line in _read(Path("/etc/environment")).splitlines()[:200]:
        name, equals, value = line.removeprefix("export ").partition("=")
        if equals and re.fullmatch(r"[A-Za-z_]{1,40}", name.strip()):
            variables.setdefault(name.strip(), value.strip().strip("\"'"))
    return proxy_from_environment(variables)


def resolvers(
    resolved: Path = Path("/run/systemd/resolve/resolv.conf"),
    etc: Path = Path("/etc/resolv.conf"),
) -> tuple[str, ...]:
    """From resolv.conf; from systemd-resolved's own list if that names only a stub."""
    own = _name_servers(_read(etc))
    stub = all(_is_loopback(server) for server in own)
    upstream = _name_servers(_read(resolved)) if stub else ()
    return tuple(server.split("%")[0] for server in upstream or own)


def name_servers(etc: Path = Path("/etc/resolv.conf")) -> tuple[str, ...]:
    """Those that programs ask: a local stub, if there is one."""
    return _name_servers(_read(etc))


def hardware_address(gateway: str, interface: str) -> str:
    """From the kernel's neighbour tables."""
    if ":" not in gateway:
        return parse_arp(_read(Path("/proc/net/arp")), gateway)
    output = run("ip", "-json", "-6", "neighbour", "show", "dev", interface)
    return "" if isinstance(output, Outcome) else parse_ip_neighbour(output, gateway)


def slept_s() -> float | None:
    """CLOCK_BOOTTIME goes on during sleep, CLOCK_MONOTONIC does not."""
    boot_clock = getattr(time, "CLOCK_BOOTTIME", None)
    if sys.platform == "win32" or boot_clock is None:
        return None
    boot_s = time.clock_gettime(boot_clock)
    return max(boot_s - time.clock_gettime(time.CLOCK_MONOTONIC), 0.0)


def _interfaces_without_routes(sys_net: Path) -> list[Interface] | Outcome:
    import psutil

    try:
        folders = sorted(sys_net.iterdir())
    except OSError:
        output = run("ip", "-json", "-details", "address")
        return output if isinstance(output, Outcome) else parse_ip_addr(output)
    addresses = psutil.net_if_addrs()
    statuses = psutil.net_if_stats()
    interfaces = []
    for folder in folders:
        if _read(folder / "type") == _LOOPBACK:
            continue
        status = statuses.get(folder.name)
        own = [
            (entry.address.split("%")[0], entry.netmask)
            for entry in addresses.get(folder.name, ())
            if entry.family in {socket.AF_INET, socket.AF_INET6}
        ]
        index = _read(folder / "ifindex")
        interfaces.append(
            Interface(
                name=folder.name,
                kind=_kind(folder),
                driver=_link_name(folder / "device" / "driver"),
                physical=(folder / "device").exists(),
                up=status is not None and status.isup,
                addresses=tuple(address for address, _ in own),
                networks=tuple(
                    f"{address}/{prefix}"
                    for address, mask in own
                    if (prefix := _prefix(mask)) is not None
                ),
                mtu_byte=status.mtu if status is not None and status.mtu else None,
                # The kernel reports Mbit/s; 65535 means not known.
                speed_bps=status.speed * 10**6
                if status is not None
                and 0 < status.speed < 65_535 * 10
                and status.speed != 65_535
                else None,
                index=int(index) if index.isdecimal() else 0,
            )
        )
    return interfaces


def _prefix(mask: str | None) -> int | None:
    try:
        return int(ipaddress.ip_address(mask or "")).bit_count()
    except ValueError:
        return None


def _kind(folder: Path) -> str:
    if (folder / "wireless").exists() or (folder / "phy80211").exists():
        return "wlan"
    for line in _read(folder / "uevent").splitlines():
        if line.startswith("DEVTYPE="):
            return line.removeprefix("DEVTYPE=")
    flags = _read(folder / "tun_flags")
    if flags:
        with contextlib.suppress(ValueError):
            # TUN_TYPE_MASK 0x000f: IFF_TUN 1, IFF_TAP 2 (linux/if_tun.h).
            kind = "tun" if int(flags, 16) & 0xF == 1 else "tap"
            # A tap in a bridge is the network card of a virtual machine.
            return "port" if (folder / "brport").exists() else kind
    return _ARPHRD.get(_read(folder / "type"), "")


def _name_servers(text: str) -> tuple[str, ...]:
    lines = [line.split() for line in text.splitlines()[:200]]
    servers = [words[1] for words in lines if words[:1] == ["nameserver"] and words[1:]]
    return tuple(server[:80] for server in servers[:8])


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _link_name(path: Path) -> str:
    try:
        return path.readlink().name
    except OSError:
        return ""


def machine_numbers(folders: Sequence[Path] | None = None) -> tuple[str, ...]:
    """The kernel shows these numbers only to root. Others read what was made for them:
    a credential of systemd, or a file of the administrator's."""
    if folders is None:
        given = os.environ.get("CREDENTIALS_DIRECTORY", "")
        folders = [Path(given)] if given else []
        folders = [*folders, Path("/etc/towpath-agent.d"), Path("/sys/class/dmi/id")]
    names = ("machine-number", "product_serial", "product_uuid")
    texts = [_read(folder / name)[:200] for folder in folders for name in names]
    return tuple(text for text in texts if text)
