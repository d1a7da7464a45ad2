"""Linux: /sys/class/net, /proc/net, netlink, psutil; `ip`, `iw` and nmcli where those
do not tell."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
import sys
import time
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
    ProxySetting,
    VpnConnection,
    WifiLink,
)
from probes.wire.failure import Outcome

_LOOPBACK = "772"
# ARPHRD types (linux/if_arp.h) of interfaces that carry one network within another.
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
    """All interfaces but loopback, by name; from `ip` where /sys is not to be read."""
    routes = [
        *parse_ipv4_routes(_read(proc_net / "route")),
        *parse_ipv6_routes(_read(proc_net / "ipv6_route")),
    ]
    bare = _interfaces_without_routes(sys_net)
    if isinstance(bare, Outcome):
        return bare
    chosen = default_route_addresses()
    found = []
    for each in bare:
        mine = [r for r in routes if r.interface == each.name]
        defaults = sorted((r.metric, r.gateway) for r in mine if r.prefix == 0)
        found.append(
            Interface(
                name=each.name,
                kind=each.kind,
                driver=each.driver,
                physical=each.physical,
                up=each.up,
                addresses=each.addresses,
                networks=each.networks,
                routed=bool(mine) or bool(chosen & set(each.addresses)),
                default_metric=defaults[0][0] if defaults else None,
                gateway=defaults[0][1] if defaults else "",
                mtu_byte=each.mtu_byte,
                speed_bps=each.speed_bps,
                index=each.index,
            )
        )
    return found


def wifi(key: bytes) -> list[WifiLink] | Outcome:
    """From the kernel; from `iw`, then from /proc/net/wireless, where it refuses."""
    found = nl80211.wifi(key)
    if not isinstance(found, Outcome):
        return with_radio_state(found)
    if found is Outcome.NOT_PRESENT:
        return found
    listed = run("iw", "dev")
    names = [] if isinstance(listed, Outcome) else parse_iw_dev(listed)
    links = []
    for name in names[:4]:
        shown = run("iw", "dev", name, "link")
        link = shown if isinstance(shown, Outcome) else parse_iw_link(shown, key)
        if not isinstance(link, Outcome):
            links.append(link)
    return (
        links
        or parse_proc_wireless(_read(Path("/proc/net/wireless")))
        or (
            # Without nl80211 in the kernel there is no Wi-Fi to speak of.
            Outcome.NOT_PRESENT if found is Outcome.NOT_SUPPORTED else found
        )
    )


def with_radio_state(
    links: list[WifiLink], sys_net: Path = Path("/sys/class/net")
) -> list[WifiLink]:
    """The links, with what rfkill says of those that are not connected."""
    return [
        link if link.connected else replace(link, radio_off=_is_blocked(link, sys_net))
        for link in links
    ]


def _is_blocked(link: WifiLink, sys_net: Path) -> bool:
    radios = sys_net.joinpath(link.interface, "phy80211").glob("rfkill*")
    return any("1" in (_read(r / "soft"), _read(r / "hard")) for r in radios)


def vpn_connections() -> list[VpnConnection] | Outcome:
    """What NetworkManager runs; `not_supported` without it."""
    shown = run("nmcli", "-t", "-f", "TYPE,STATE", "connection", "show", "--active")
    return shown if isinstance(shown, Outcome) else parse_nmcli(shown)


def proxy() -> ProxySetting:
    """The environment's; a service's own environment is empty, so /etc/environment
    counts too."""
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
    """resolv.conf's; systemd-resolved's own list where that names only its stub."""
    own = _name_servers(_read(etc))
    stub = all(_is_loopback(each) for each in own)
    upstream = _name_servers(_read(resolved)) if stub else ()
    return upstream or own


def hardware_address(gateway: str, interface: str) -> str:
    """From the kernel's neighbour tables."""
    if ":" not in gateway:
        return parse_arp(_read(Path("/proc/net/arp")), gateway)
    shown = run("ip", "-json", "-6", "neighbour", "show", "dev", interface)
    return "" if isinstance(shown, Outcome) else parse_ip_neighbour(shown, gateway)


def slept_s() -> float | None:
    """CLOCK_BOOTTIME goes on in sleep, CLOCK_MONOTONIC does not."""
    always = getattr(time, "CLOCK_BOOTTIME", None)
    if sys.platform == "win32" or always is None:
        return None
    asleep_s = time.clock_gettime(always) - time.clock_gettime(time.CLOCK_MONOTONIC)
    return max(asleep_s, 0.0)


def _interfaces_without_routes(sys_net: Path) -> list[Interface] | Outcome:
    """The interfaces without their routes."""
    import psutil

    try:
        folders = sorted(sys_net.iterdir())
    except OSError:
        shown = run("ip", "-json", "-details", "address")
        return shown if isinstance(shown, Outcome) else parse_ip_addr(shown)
    addresses = psutil.net_if_addrs()
    statuses = psutil.net_if_stats()
    found = []
    for folder in folders:
        if _read(folder / "type") == _LOOPBACK:
            continue
        status = statuses.get(folder.name)
        given = [
            (a.address.split("%")[0], a.netmask)
            for a in addresses.get(folder.name, ())
            if a.family in {socket.AF_INET, socket.AF_INET6}
        ]
        index = _read(folder / "ifindex")
        found.append(
            Interface(
                name=folder.name,
                kind=_kind(folder),
                driver=_link_name(folder / "device" / "driver"),
                physical=(folder / "device").exists(),
                up=status is not None and status.isup,
                addresses=tuple(address for address, _ in given),
                networks=tuple(
                    f"{address}/{prefix}"
                    for address, mask in given
                    if (prefix := _prefix(mask)) is not None
                ),
                mtu_byte=status.mtu if status is not None and status.mtu else None,
                # The kernel counts in Mbit/s; 65535 is its "not known".
                speed_bps=status.speed * 10**6
                if status is not None
                and 0 < status.speed < 65_535 * 10
                and status.speed != 65_535
                else None,
                index=int(index) if index.isdecimal() else 0,
            )
        )
    return found


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
            # A tap in a bridge is a virtual machine's network card.
            return "port" if (folder / "brport").exists() else kind
    return _ARPHRD.get(_read(folder / "type"), "")


def _name_servers(text: str) -> tuple[str, ...]:
    found = []
    for line in text.splitlines()[:200]:
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            found.append(words[1].split("%")[0][:60])
    return tuple(found[:8])


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
