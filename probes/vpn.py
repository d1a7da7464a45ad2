"""Whether a VPN client is there, which one, and whether its tunnel is up.

A tunnel counts as up only if its interface is up, has an address of its own and is
routed to: an adapter alone proves nothing. Linux for now; the adapter names of Windows
are here as data, with the parser of `Get-VpnConnection`, and are tried on recorded
output. IPsec without an interface of its own (strongSwan by policy) is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import msgspec

from probes.failure import Outcome
from probes.interfaces import Interface, interfaces, supported
from probes.report import Result
from probes.sample import Value

NAME = "vpn"
VERSION = 1

State = Literal["up", "down", "absent", "unknown"]


class Product(msgspec.Struct, frozen=True):
    """How one client's adapter is known: by its interface name, or by the adapter's
    description (Windows), which may end in `#2`."""

    name: str
    interface: str = ""
    description: str = ""
    # Its filter driver carries traffic though the adapter may not look up.
    quiet: bool = False


# First match wins. Descriptions as vendors' public fixtures show them.
PRODUCTS = (
    Product(
        "Cisco AnyConnect / Secure Client",
        r"cscotun\d+",
        r"Cisco AnyConnect( Secure Mobility Client)? Virtual Miniport Adapter.*",
    ),
    Product("GlobalProtect", r"gpd\d+", r"PANGP Virtual Ethernet Adapter.*"),
    Product(
        "FortiClient",
        r"fctvpn\w*|forti\w*",
        r"Fortinet (SSL VPN )?Virtual Ethernet Adapter.*",
    ),
    Product("Zscaler", r"zcctun\d+", r"Zscaler Network Adapter.*", quiet=True),
    Product("SonicWall", "", r"SonicWall (NetExtender|VPN) Adapter.*"),
    Product("NordLynx", r"nordlynx", r"NordLynx.*"),
    Product("Tailscale", r"tailscale\d+", r"Tailscale.*"),
    Product("Cloudflare WARP", r"CloudflareWARP", r"Cloudflare WARP.*", quiet=True),
    Product("WireGuard", r"wg[\w-]*", r"WireGuard Tunnel.*"),
    Product(
        "OpenVPN",
        r"tun\d+|ovpn[\w-]*",
        r"TAP-Windows Adapter V9.*|OpenVPN Data Channel Offload.*"
        r"|Wintun Userspace Tunnel.*|OpenVPN (TAP|Wintun).*",
    ),
    Product("PPP", r"ppp\d+", ""),
)
# Adapters that look like tunnels and are not.
NOT_VPN = re.compile(
    r"Microsoft Wi-Fi Direct Virtual Adapter.*|Hyper-V Virtual Ethernet Adapter.*"
    r"|VMware Virtual Ethernet Adapter.*|VirtualBox Host-Only.*|WAN Miniport \(.*",
    re.IGNORECASE,
)
_TUNNEL_KINDS = {"tun": "tunnel", "wireguard": "WireGuard", "ppp": "PPP"}


class Tunnel(msgspec.Struct, frozen=True):
    """A client's interface and what became of it."""

    product: str
    interface: str
    state: Literal["up", "down", "unknown"]
    mtu_byte: int | None


class Connection(msgspec.Struct, frozen=True):
    """One entry of Windows' `Get-VpnConnection`; its name and server are not kept."""

    tunnel_type: str
    connected: bool
    split: bool


def recognise(interface: Interface) -> Product | None:
    """Which product an interface belongs to; None where it is no VPN's. Pure."""
    if interface.description:
        if NOT_VPN.fullmatch(interface.description):
            return None
        for product in PRODUCTS:
            if product.description and re.fullmatch(
                product.description, interface.description, re.IGNORECASE
            ):
                return product
        return None
    # A modem speaks PPP too; then it is the physical line and not a tunnel.
    if interface.physical or interface.kind in {"port", "wwan", "bridge", "vlan"}:
        return None
    for product in PRODUCTS:
        if product.interface and re.fullmatch(product.interface, interface.name):
            return product
    kind = _TUNNEL_KINDS.get(interface.kind)
    return None if kind is None else Product(kind)


def tunnels(among: Iterable[Interface]) -> list[Tunnel]:
    """The VPN clients' interfaces, those that are up first. Pure."""
    found = []
    for each in among:
        product = recognise(each)
        if product is None:
            continue
        up = each.up and bool(each.global_addresses) and each.routed
        state: Literal["up", "down", "unknown"] = "up" if up else "down"
        if product.quiet and not up:
            state = "unknown"
        found.append(Tunnel(product.name, each.name, state, each.mtu_byte))
    return sorted(found, key=lambda each: ("up", "unknown", "down").index(each.state))


def state_of(found: Sequence[Tunnel]) -> State:
    """The one word for `Whereabouts`. Pure."""
    return found[0].state if found else "absent"


def parse_get_vpnconnection(text: str) -> list[Connection]:
    """The entries of `Get-VpnConnection | Format-List` (English property names, which
    PowerShell does not translate). What is not an entry is left out. Pure."""
    found: list[Connection] = []
    for block in re.split(r"(?:\r?\n){2,}", text):
        values: dict[str, str] = {}
        for line in block.splitlines():
            key, colon, value = line.partition(":")
            if colon and re.fullmatch(r"[A-Za-z0-9]{1,40}", key.strip()):
                values[key.strip()] = value.strip()
        if "ConnectionStatus" not in values:
            continue
        found.append(
            Connection(
                tunnel_type=values.get("TunnelType", "")[:40],
                connected=values["ConnectionStatus"] == "Connected",
                split=values.get("SplitTunneling") == "True",
            )
        )
    return found


async def measure(
    *,
    gather: Callable[[], list[Interface]] = interfaces,
    can: Callable[[], bool] = supported,
    now_ms: Callable[[], int],
) -> Result:
    """`not_present` where no client is, `not_connected` where its tunnel is down."""
    time_ms = now_ms()
    if not can():
        return Result(NAME, VERSION, time_ms, Outcome.NOT_SUPPORTED)
    found = tunnels(gather())
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
