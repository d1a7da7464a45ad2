"""VPN clients as data: how to recognise the adapter of each.

On Linux by the interface's name, on Windows by the adapter's description (which may end
in `#2`), on macOS by the provider of the tunnel. Names as the vendors document them.
"""

from __future__ import annotations

import re

import msgspec


class Product(msgspec.Struct, frozen=True):
    """One client. `quiet`: a filter driver carries its traffic past the routing table,
    and its adapter may not show as up, so neither is evidence."""

    name: str
    interface: str = ""
    description: str = ""
    provider: str = ""
    quiet: bool = False


# First match wins.
PRODUCTS = (
    Product(
        "Cisco AnyConnect / Secure Client",
        r"cscotun\d+",
        r"Cisco (AnyConnect|Secure Client)\b.*(Virtual Miniport|Virtual) Adapter.*",
        r"com\.cisco\.(anyconnect|secureclient).*|.*(AnyConnect|Secure Client).*",
    ),
    Product(
        "GlobalProtect",
        r"gpd\d+",
        r"PANGP Virtual Ethernet Adapter.*",
        r"com\.paloaltonetworks\.globalprotect.*|.*GlobalProtect.*",
    ),
    Product(
        "FortiClient",
        r"fctvpn\w*|forti\w*",
        r"Fortinet (SSL VPN )?Virtual Ethernet Adapter.*",
        r"com\.fortinet\..*|.*Forti(Client|Tray).*",
    ),
    Product(
        "Zscaler",
        r"zcctun\d+",
        r"Zscaler Network Adapter.*",
        r"com\.zscaler\..*|.*Zscaler.*",
        quiet=True,
    ),
    Product(
        "Netskope",
        r"nstun\d*",
        r"Netskope.*(Adapter|Tunnel).*",
        r"com\.netskope\..*",
        quiet=True,
    ),
    Product(
        "Cloudflare WARP",
        r"CloudflareWARP",
        r"Cloudflare WARP.*|CloudflareWARP.*",
        r"com\.cloudflare\..*|.*WARP.*",
        quiet=True,
    ),
    Product(
        "Absolute Secure Access / NetMotion",
        "",
        r"(NetMotion|Absolute).*(Virtual|Mobility|Secure Access).*Adapter.*",
        r"com\.(netmotionwireless|absolute)\..*",
        quiet=True,
    ),
    Product(
        "SonicWall", "", r"SonicWall (NetExtender|VPN).*Adapter.*", r"com\.sonicwall.*"
    ),
    Product(
        "Check Point",
        r"snx\d*|tunsnx",
        r"Check Point Virtual Network Adapter.*",
        r"com\.checkpoint\..*",
    ),
    Product(
        "Ivanti / Pulse Secure",
        r"ivanti\w*|pulse\w*",
        r"(Juniper Networks|Pulse Secure|Ivanti).*Virtual Adapter.*"
        r"|Juniper Networks Network Connect.*",
        r"(net\.pulsesecure|net\.juniper|com\.ivanti).*",
    ),
    Product("F5 BIG-IP", r"f5\w*", r"F5 Networks VPN Adapter.*", r"com\.f5\..*"),
    Product("Citrix", "", r"Citrix (Virtual|VPN|Net6).*Adapter.*", r"com\.citrix\..*"),
    Product("Sophos", "", r"Sophos (SSL VPN|TAP|Connect).*", r"com\.sophos\..*"),
    Product("WatchGuard", "", r"WatchGuard.*(TAP|Adapter).*", r"com\.watchguard\..*"),
    Product("Barracuda", "", r"Barracuda.*(VPN|Adapter).*", r"com\.barracuda\..*"),
    Product("Aruba VIA", "", r"Aruba.*VIA.*|Aruba Networks Virtual.*", r"com\.aruba.*"),
    Product("Cato", r"cato\w*", r"Cato Networks.*", r"com\.catonetworks\..*"),
    Product("Appgate", "", r"Appgate.*|Cryptzone.*", r"com\.appgate\..*"),
    Product("Twingate", r"sdwan\d+", r"Twingate.*", r"com\.twingate\..*"),
    Product("ZeroTier", r"zt\w{8,}", r"ZeroTier.*", r"com\.zerotier\..*"),
    Product("SoftEther", r"vpn_\w+", r"VPN Client Adapter.*|SoftEther.*"),
    Product("Sangfor", "", r"Sangfor.*", r"com\.sangfor\..*"),
    Product(
        "NordLynx",
        r"nordlynx|nordtun",
        r"NordLynx.*|TAP-NordVPN.*",
        r"com\.nordvpn\..*",
    ),
    Product("Mullvad", r"wg0-mullvad", r"Mullvad.*", r"net\.mullvad\..*"),
    Product(
        "Proton VPN",
        r"proton\d+|pvpn\w*",
        r"ProtonVPN.*|TAP-ProtonVPN.*",
        r"ch\.protonvpn\..*",
    ),
    Product("ExpressVPN", "", r"(TAP-)?ExpressVPN.*", r"com\.expressvpn\..*"),
    Product(
        "Tailscale",
        r"tailscale\d+",
        r"Tailscale.*",
        r"(io|com)\.tailscale\..*|Tailscale",
    ),
    Product("NetBird", r"wt\d+", r"NetBird.*", r"io\.netbird\..*"),
    Product("DirectAccess", "", r"Microsoft IP-HTTPS Platform.*|iphttpsinterface.*"),
    Product(
        "WireGuard", r"wg[\w-]*", r"WireGuard Tunnel.*", r"com\.wireguard\..*|WireGuard"
    ),
    Product(
        "OpenVPN",
        r"tun\d+|ovpn[\w-]*",
        r"TAP-Windows Adapter V9.*|TAP-Win32.*|OpenVPN Data Channel Offload.*"
        r"|Wintun Userspace Tunnel.*|OpenVPN (TAP|Wintun).*|TAP Adapter OAS NDIS.*",
        r"net\.openvpn\..*|net\.tunnelblick\..*|.*OpenVPN.*",
    ),
    Product("IPsec", r"ipsec\d+|vti\d+|xfrm\w*"),
    Product("PPP", r"ppp\d+"),
)
# Adapters that look like tunnels and are not: made by Windows, or by virtual machines.
NOT_VPN = re.compile(
    r"Microsoft Wi-Fi Direct Virtual Adapter.*|Hyper-V Virtual (Ethernet|Switch).*"
    r"|VMware Virtual Ethernet.*|VirtualBox.*|WAN Miniport.*|Parallels.*"
    r"|Microsoft (Teredo|ISATAP|6to4|Kernel Debug|KM-TEST|Hosted Network).*"
    r"|Bluetooth Device.*|Npcap.*|WSL.*|Docker.*|Fibocom.*|.*Mobile Broadband.*"
    r"|TeamViewer.*|QEMU.*|Red Hat VirtIO.*",
    re.IGNORECASE,
)
# By the kernel's kind (or Windows' ifType), if the name shows nothing.
BY_KIND = {
    "tun": Product("tunnel"),
    "utun": Product("tunnel"),
    "tunnel": Product("tunnel"),
    "wireguard": Product("WireGuard"),
    "ipsec": Product("IPsec"),
    "xfrm": Product("IPsec"),
    "ppp": Product("PPP"),
}
# Windows shows a connection of its own as a PPP adapter named like the connection.
NATIVE = Product("Windows VPN")

NAMES = tuple(
    sorted({product.name for product in (*PRODUCTS, *BY_KIND.values(), NATIVE)})
)


def by_description(description: str) -> Product | None:
    """Returns the client whose adapter has this description. Pure."""
    for product in PRODUCTS:
        for pattern in (product.description, product.provider):
            if pattern and re.fullmatch(pattern, description[:200], re.IGNORECASE):
                return product
    return None


def by_name(interface: str) -> Product | None:
    """Returns the client whose interface has this name, on Linux. Pure."""
    for product in PRODUCTS:
        if product.interface and re.fullmatch(product.interface, interface):
            return product
    return None


def by_connection(kind: str) -> Product:
    """Returns the client of a connection that the system manages
    (`VpnConnection.kind`). Pure."""
    product = by_description(kind)
    if product is not None:
        return product
    if kind.startswith(("ikev2", "sstp", "l2tp", "pptp", "automatic")):
        return NATIVE
    if kind in {"ipsec", "ppp:l2tp", "ppp", "ppp:pptp"}:
        return BY_KIND["ipsec"]
    return BY_KIND.get(kind, Product("tunnel"))
