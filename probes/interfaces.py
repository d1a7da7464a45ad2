"""The laptop's network interfaces, as far as place and VPN need them.

Facts are gathered here; `probes/vpn.py` and `probes/place.py` judge them. Linux for
now: `/sys/class/net`, `/proc/net`, and psutil for addresses. None of it needs rights.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
import sys
from pathlib import Path

import msgspec

_GATEWAY = 0x2
_UP = 0x1
_LOCAL_OR_ANYCAST = 0x8010_0000
# Documentation addresses (RFC 5737, RFC 3849): nothing is ever sent there. Full
# tunnels often keep their routes in tables of their own, so the system is asked.
_FAR_AWAY = ("203.0.113.1", "2001:db8::1")


class Interface(msgspec.Struct, frozen=True):
    """One interface.

    `kind`: what the system calls it (wireguard, tun, tap, ppp, wlan, wwan, bridge, …),
    empty where it does not say; `description`: the adapter's (Windows); `physical`: it
    stands for a piece of hardware; `routed`: some route leads through it, or the system
    chooses it for far addresses; `driver`: of the hardware.
    """

    name: str
    description: str = ""
    kind: str = ""
    driver: str = ""
    physical: bool = False
    up: bool = False
    addresses: tuple[str, ...] = ()
    routed: bool = False
    default_metric: int | None = None
    gateway: str = ""
    mtu_byte: int | None = None

    @property
    def global_addresses(self) -> tuple[str, ...]:
        """Its addresses without link-local and loopback ones."""
        return tuple(a for a in self.addresses if not _is_local(a))


class Route(msgspec.Struct, frozen=True):
    """One route of the main table; `metric` as the system orders them."""

    interface: str
    destination: str
    prefix: int
    gateway: str
    metric: int


def supported() -> bool:
    """True where interfaces can be gathered on this system."""
    return sys.platform == "linux"


def interfaces(
    sys_net: Path = Path("/sys/class/net"), proc_net: Path = Path("/proc/net")
) -> list[Interface]:
    """All interfaces but loopback, by name. Empty where not `supported()`."""
    if not supported():
        return []
    import psutil

    addresses = psutil.net_if_addrs()
    statuses = psutil.net_if_stats()
    routes = [
        *parse_ipv4_routes(_read(proc_net / "route")),
        *parse_ipv6_routes(_read(proc_net / "ipv6_route")),
    ]
    chosen = {local_address(remote) for remote in _FAR_AWAY} - {""}
    found = []
    with contextlib.suppress(OSError):
        for folder in sorted(sys_net.iterdir()):
            if _read(folder / "type") == "772":
                continue
            status = statuses.get(folder.name)
            given = tuple(
                a.address.split("%")[0]
                for a in addresses.get(folder.name, ())
                if a.family in {socket.AF_INET, socket.AF_INET6}
            )
            mine = [r for r in routes if r.interface == folder.name]
            defaults = sorted((r for r in mine if r.prefix == 0), key=_by_metric)
            found.append(
                Interface(
                    name=folder.name,
                    kind=_kind(folder),
                    driver=_link_name(folder / "device" / "driver"),
                    physical=(folder / "device").exists(),
                    up=status is not None and status.isup,
                    addresses=given,
                    routed=bool(mine) or bool(chosen & set(given)),
                    default_metric=defaults[0].metric if defaults else None,
                    gateway=defaults[0].gateway if defaults else "",
                    mtu_byte=status.mtu if status is not None and status.mtu else None,
                )
            )
    return found


def local_address(remote: str) -> str:
    """Which of its own addresses the system would use towards `remote`; empty if none.

    A UDP socket is connected, which asks the routing table and sends nothing.
    """
    family = socket.AF_INET6 if ":" in remote else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect((remote, 9))
            return str(asking.getsockname()[0])
    except OSError:
        return ""


def parse_ipv4_routes(text: str) -> list[Route]:
    """Routes of `/proc/net/route`; lines that are not one are left out. Pure."""
    routes = []
    for line in text.splitlines()[1:]:
        columns = line.split()
        try:
            name, destination, gateway, flags, _, _, metric, mask = columns[:8]
            if not int(flags, 16) & _UP:
                continue
            routes.append(
                Route(
                    name,
                    _ipv4(destination),
                    int(mask, 16).bit_count(),
                    _ipv4(gateway) if int(flags, 16) & _GATEWAY else "",
                    int(metric),
                )
            )
        except (ValueError, struct.error):
            continue
    return routes


def parse_ipv6_routes(text: str) -> list[Route]:
    """Routes of `/proc/net/ipv6_route`, multicast and link-local left out. Pure."""
    routes = []
    for line in text.splitlines():
        columns = line.split()
        try:
            destination, prefix, _, _, gateway, metric, _, _, flags, name = columns
            address = ipaddress.IPv6Address(bytes.fromhex(destination))
            length = int(prefix, 16)
            if not int(flags, 16) & _UP or int(flags, 16) & _LOCAL_OR_ANYCAST:
                continue
            if name == "lo" or address.is_multicast or address.is_link_local:
                continue
            hop = ipaddress.IPv6Address(bytes.fromhex(gateway))
            routes.append(
                Route(
                    name,
                    str(address),
                    length,
                    str(hop) if int(flags, 16) & _GATEWAY else "",
                    int(metric, 16),
                )
            )
        except ValueError:
            continue
    return routes


def _ipv4(hexadecimal: str) -> str:
    # The kernel prints the four octets in the byte order of the machine.
    return str(ipaddress.IPv4Address(struct.pack("=I", int(hexadecimal, 16))))


def _by_metric(route: Route) -> int:
    return route.metric


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
    if _read(folder / "type") == "512":
        return "ppp"
    return ""


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


def _is_local(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return True
    return parsed.is_link_local or parsed.is_loopback
