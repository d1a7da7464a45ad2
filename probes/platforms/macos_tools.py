"""Parsers for macOS: scutil, ifconfig, netstat, networksetup.

Under `LC_ALL=C` none of the tools is translated. Names of connections are dropped.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Literal

from probes.platforms.proxies import NO_PROXY, or_else
from probes.platforms.system_facts import (
    Interface,
    IpRoute,
    ProxySetting,
    VpnConnection,
)
from probes.platforms.tool_output import decode, number
from probes.wire.failure import Outcome

_NC = re.compile(
    r"^\s*\*?\s*\((Connected|Connecting|Disconnecting|Disconnected|Invalid|No Service"
    r"|[A-Za-z ]{1,30})\)\s+(.*)$"
)
_STATES: dict[str, Literal["up", "connecting", "down", "unknown"]] = {
    "Connected": "up",
    "Connecting": "connecting",
    "Disconnecting": "down",
    "Disconnected": "down",
}
_HEAD = re.compile(r"^([A-Za-z][\w.-]{0,30}): flags=([0-9a-fA-F]{1,8})<([^>]*)>(.*)$")
_ENTRY = re.compile(r"(\w[\w ]{0,59}?) +: +(.*)")
_IOREG = re.compile(r'"(IOPlatform\w{1,40})" = "([^"\r\n]{0,100})"')
_UP, _LOOPBACK, _POINT_TO_POINT = 0x1, 0x8, 0x10
# Cable, Wi-Fi and mobile; software creates all other interfaces of macOS.
_HARDWARE = re.compile(r"en\d+|pdp_ip\d+|fw\d+")
_TUNNELS = re.compile(r"(utun|ipsec|ppp|gpd|tun|tap|wg|feth)\d+")


def parse_scutil_nc_list(output: bytes | str) -> list[VpnConnection] | Outcome:
    """The services in `scutil --nc list`. Returns `bad_answer` if the output is from
    something else. Pure."""
    lines = decode(output).splitlines()[:500]
    services = []
    for line in lines:
        match = _NC.match(line[:500])
        if match is None:
            continue
        # The last bracket is the kind: [IPSec], [PPP:L2TP], [VPN:com.wireguard.macos].
        # The text in quotation marks is a name that a person chose.
        kinds = re.findall(r"\[([\w.:-]{1,100})\]", re.sub(r'".*"', "", match[2]))
        kind = kinds[-1] if kinds else ""
        services.append(
            VpnConnection(
                kind=kind.removeprefix("VPN:").lower(),
                state=_STATES.get(match[1], "unknown"),
            )
        )
    if services or not any(line.strip() for line in lines):
        return services
    known = "Available network connection services" in lines[0]
    return [] if known else Outcome.BAD_ANSWER


def parse_scutil_proxy(output: bytes | str) -> ProxySetting | Outcome:
    """The proxy setting in `scutil --proxy`. As in macOS, PAC takes precedence over
    discovery, and discovery over a manual proxy, which is used if the script cannot
    be run. Pure."""
    text = decode(output)
    if "<dictionary>" not in text:
        return Outcome.BAD_ANSWER
    values: dict[str, str] = {}
    exceptions: list[str] = []
    depth = 0
    for line in text.splitlines()[1:2_000]:
        match = _ENTRY.match(line[:2_000].strip())
        if match and match[2].endswith("{"):
            depth += 1
        elif line.strip() == "}":
            depth = max(depth - 1, 0)
        elif match and depth == 0:
            values.setdefault(match[1], match[2])
        elif match and depth == 1 and len(exceptions) < 200:
            exceptions.append(match[2][:200])
    bypass = tuple(exceptions)
    setting = _manual_proxy(values, bypass)
    if values.get("ProxyAutoDiscoveryEnable") == "1":
        setting = or_else(ProxySetting("wpad", exceptions=bypass), setting)
    if values.get("ProxyAutoConfigEnable") == "1":
        setting = or_else(ProxySetting("pac", exceptions=bypass), setting)
    return setting


def _manual_proxy(values: Mapping[str, str], bypass: tuple[str, ...]) -> ProxySetting:
    for name in ("HTTPS", "HTTP", "SOCKS"):
        host = values.get(f"{name}Proxy", "")
        if values.get(f"{name}Enable") == "1" and host:
            port = number(values.get(f"{name}Port")) or 80
            scheme = "socks5" if name == "SOCKS" else "http"
            url_host = f"[{host}]" if ":" in host else host
            return ProxySetting("manual", f"{scheme}://{url_host}:{port:.0f}", bypass)
    return NO_PROXY


def parse_scutil_dns(output: bytes | str) -> dict[str, tuple[str, ...]]:
    """The name servers in `scutil --dns` by interface, from its scoped part. Those of
    the default resolver have an empty name. Pure."""
    by_interface: dict[str, list[str]] = {}
    servers: list[str] = []
    scope = ""
    scoped = False

    def close() -> None:
        if servers and (scope or not scoped):
            kept = by_interface.setdefault(scope if scoped else "", [])
            kept += [server for server in servers if server not in kept]

    for line in decode(output).splitlines()[:5_000]:
        if line.startswith("resolver #"):
            close()
            servers, scope = [], ""
        elif line.startswith("DNS configuration (for scoped"):
            close()
            servers, scope, scoped = [], "", True
        match = re.match(r"\s+nameserver\[\d+\]\s*:\s*(\S{2,60})", line)
        if match:
            servers.append(match[1].split("%")[0])
        match = re.match(r"\s+if_index\s*:\s*\d+\s*\(([\w.-]{1,30})\)", line)
        if match:
            scope = match[1]
    close()
    return {name: tuple(servers[:8]) for name, servers in by_interface.items()}


def parse_ifconfig(output: bytes | str) -> list[Interface] | Outcome:
    """The interfaces in `ifconfig -v` (or `-a`), without loopback and without routes.
    `description` is the provider of a tunnel, if the system names it (`agent domain: …
    desc:`). Pure."""
    interfaces: list[Interface] = []
    facts: dict[str, object] = {}
    addresses: list[str] = []
    networks: list[str] = []

    def close() -> None:
        if facts and not facts.pop("loopback"):
            interfaces.append(
                Interface(
                    **facts,  # type: ignore[arg-type]
                    addresses=tuple(addresses[:32]),
                    networks=tuple(networks[:32]),
                )
            )

    for line in decode(output).splitlines()[:20_000]:
        head = _HEAD.match(line[:500])
        if head:
            close()
            facts, addresses, networks = _head(head), [], []
            continue
        if facts and line[:1].isspace():
            _detail(line.strip()[:500], facts, addresses, networks)
    close()
    return interfaces or Outcome.BAD_ANSWER


def _head(head: re.Match[str]) -> dict[str, object]:
    name, flags = head[1], int(head[2], 16)
    mtu = re.search(r"\bmtu (\d{1,6})", head[4])
    index = re.search(r"\bindex (\d{1,6})", head[4])
    tunnel = _TUNNELS.fullmatch(name)
    return {
        "name": name,
        "loopback": bool(flags & _LOOPBACK),
        "kind": tunnel[1] if tunnel else ("bridge" if "bridge" in name else ""),
        "physical": _HARDWARE.fullmatch(name) is not None,
        "up": bool(flags & _UP),
        "mtu_byte": int(mtu[1]) if mtu and int(mtu[1]) else None,
        "index": int(index[1]) if index else 0,
    }


def _detail(
    line: str, facts: dict[str, object], addresses: list[str], networks: list[str]
) -> None:
    words = line.split()
    if words[0] in {"inet", "inet6"} and len(words) > 1:
        try:
            address = ipaddress.ip_address(words[1].split("%")[0])
        except ValueError:
            return
        addresses.append(str(address))
        prefix = _prefix(words)
        if prefix is not None and 0 <= prefix <= address.max_prefixlen:
            networks.append(f"{address}/{prefix}")
    elif line.startswith("status:"):
        # A port without a cable has the flag UP too.
        facts["up"] = bool(facts["up"]) and "inactive" not in line
    elif line.startswith("type:"):
        if "Wi-Fi" in line:
            facts["kind"] = "wlan"
        elif "cellular" in line.lower():
            facts["kind"] = "wwan"
    elif line.startswith("link quality:") or line.startswith("uplink rate:"):
        rate = re.search(r"uplink rate: ([\d.]{1,12}) ?([KMG])bps", line)
        if rate and number(rate[1]):
            scale = {"K": 1e3, "M": 1e6, "G": 1e9}[rate[2]]
            facts["speed_bps"] = round(float(number(rate[1]) or 0) * scale) or None
    elif line.startswith("agent domain:"):
        if "Skywalk" in line or "ids" in line.split("type:")[0]:
            return
        match = re.search(r'desc:"([^"]{1,200})"', line)
        if match and ("VPN" in line or "NetworkExtension" in line):
            facts["description"] = re.sub(r"^VPN:?\s*", "", match[1])


def _prefix(words: list[str]) -> int | None:
    if "prefixlen" in words[:-1]:
        text = words[words.index("prefixlen") + 1]
        return int(text) if re.fullmatch(r"\d{1,3}", text) else None
    if "netmask" in words[:-1]:
        text = words[words.index("netmask") + 1]
        if re.fullmatch(r"0x[0-9a-fA-F]{1,8}", text):
            return int(text, 16).bit_count()
    return None


def parse_netstat_routes(output: bytes | str) -> list[IpRoute]:
    """The routes in `netstat -rn`, both families, in the order printed. That order is
    the system's preference among default routes. Pure."""
    routes: list[IpRoute] = []
    for line in decode(output).splitlines()[:20_000]:
        columns = line.split()
        if len(columns) < 4 or columns[0] in {"Destination", "Routing"}:
            continue
        parsed = _destination(columns[0])
        flags = columns[2]
        # Older versions have two more columns between flags and interface.
        names = [
            column
            for column in columns[3:]
            if re.fullmatch(r"[a-z]{2,12}\d{1,4}", column)
        ]
        if parsed is None or not names or "U" not in flags or names[0] == "lo0":
            continue
        gateway = columns[1].split("%")[0] if "G" in flags else ""
        # "I": bound to its interface, not for general traffic.
        metric = 1000 * ("I" in flags) + len(routes)
        routes.append(IpRoute(names[0], parsed[0], parsed[1], gateway, metric))
    return routes


def _destination(text: str) -> tuple[str, int] | None:
    """`default`, `10`, `10.1/16`, `192.168.1.5`, `fe80::%en0/64`."""
    if text == "default":
        return "0.0.0.0", 0
    address, _, prefix = text.partition("/")
    address = address.split("%")[0]
    if prefix and not re.fullmatch(r"\d{1,3}", prefix):
        return None
    if ":" not in address:
        parts = address.split(".")
        if not all(re.fullmatch(r"\d{1,3}", part) for part in parts) or len(parts) > 4:
            return None
        length = int(prefix) if prefix else 8 * len(parts)
        address = ".".join([*parts, *["0"] * (4 - len(parts))])
    else:
        length = int(prefix) if prefix else 128
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    return (str(parsed), length) if length <= parsed.max_prefixlen else None


def parse_hardware_ports(output: bytes | str) -> dict[str, str]:
    """The kind of each device in `networksetup -listallhardwareports`, in the terms of
    `Interface`: wlan, wwan, bridge, or empty for a cable. Pure."""
    kinds: dict[str, str] = {}
    port = ""
    for line in decode(output).splitlines()[:2_000]:
        label, _, value = line.partition(":")
        if label == "Hardware Port":
            port = value.strip().lower()
        elif label == "Device" and port:
            kinds[value.strip()[:30]] = _port_kind(port)
            port = ""
    return kinds


def _port_kind(port: str) -> str:
    if port in {"wi-fi", "airport", "wlan"}:
        return "wlan"
    if "iphone" in port or "ipad" in port or "wwan" in port or "modem" in port:
        return "wwan"
    return "bridge" if "bridge" in port else ""


def parse_ioreg(output: bytes | str) -> tuple[str, ...] | Outcome:
    """The serial number and the UUID of the computer in `ioreg -rd1 -c
    IOPlatformExpertDevice`. Pure."""
    text = decode(output)[:200_000]
    if "IOPlatformExpertDevice" not in text:
        return Outcome.BAD_ANSWER
    found = dict(_IOREG.findall(text))
    names = ("IOPlatformSerialNumber", "IOPlatformUUID")
    return tuple(found[name] for name in names if found.get(name))
