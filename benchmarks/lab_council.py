"""The lab's council as data: 21 devices at six sites, cables, lines, and Towpath's own
files about them. `lab_network` makes real network namespaces of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

MONITOR = "monitor"
MONITOR_ADDRESS = "10.1.0.10"
CARRIER = "carrier"
COMMUNITY = "lab-only"
WEBHOOK_PORT = 9009
_SITES = {
    "hall": "Town Hall",
    "north": "North Office",
    "south": "South Office",
    "lib1": "Library 1",
    "lib2": "Library 2",
    "lib3": "Library 3",
}
_NETWORKS = {site: f"10.{n}.0" for n, site in enumerate(_SITES, 1)}
_HOSTS = {"rtr": 1, "core": 2, "acc1": 3, "acc2": 4, "ap": 5, "sw": 2}
_ROLES = {"rtr": "router", "ap": "access_point"}


@dataclasses.dataclass(frozen=True)
class Node:
    """A device. Switches are bridges; `lan`: the port with its address if not."""

    name: str
    site: str
    address: str
    role: str
    lan: str = ""


@dataclasses.dataclass(frozen=True)
class LabCable:
    """Two nodes and their ports."""

    a: str
    a_port: str
    b: str
    b_port: str


@dataclasses.dataclass(frozen=True)
class LabLine:
    """A WAN line between a site's router and the town hall's, through the carrier's own
    equipment, so that both ends see when it fails."""

    id: str
    site: str
    supplier: str
    role: str
    near_port: str
    far_port: str
    network: str
    far_end: bool

    @property
    def near(self) -> str:
        return f"{self.site}-rtr"


def _cables() -> Iterator[LabCable]:
    yield LabCable("hall-core", "gi9", MONITOR, "eth0")
    for site in ("hall", "north", "south"):
        yield LabCable(f"{site}-rtr", "gi1", f"{site}-core", "gi1")
        yield LabCable(f"{site}-core", "gi2", f"{site}-acc1", "gi1")
        yield LabCable(f"{site}-core", "gi3", f"{site}-acc2", "gi1")
        yield LabCable(f"{site}-acc2", "gi2", f"{site}-ap", "gi1")
    for site in ("lib1", "lib2", "lib3"):
        yield LabCable(f"{site}-rtr", "gi1", f"{site}-sw", "gi1")


def _nodes() -> Iterator[Node]:
    for cable in CABLES:
        for name, port in ((cable.a, cable.a_port), (cable.b, cable.b_port)):
            if name == MONITOR:
                continue
            site, _, kind = name.partition("-")
            yield Node(
                name,
                site,
                f"{_NETWORKS[site]}.{_HOSTS[kind]}",
                _ROLES.get(kind, "switch"),
                port if kind in _ROLES else "",
            )


CABLES = tuple(_cables())
NODES = {node.name: node for node in _nodes()}
LINES = (
    LabLine("north-wan", "north", "Alpha", "primary", "wan0", "wan-n", "10.9.1", False),
    LabLine("south-wan", "south", "Beta", "primary", "wan0", "wan-s", "10.9.2", True),
    LabLine("south-4g", "south", "Alpha", "backup", "wan1", "wan-s4", "10.9.3", True),
    *(
        LabLine(
            f"lib{n}-wan",
            f"lib{n}",
            "Omega",
            "primary",
            "wan0",
            f"wan-l{n}",
            f"10.9.{3 + n}",
            n != 2,
        )
        for n in (1, 2, 3)
    ),
)
LINE_MBPS = 4


def ports_of(node: str) -> list[str]:
    """The names of its ports."""
    ports = [c.a_port for c in CABLES if c.a == node]
    ports += [c.b_port for c in CABLES if c.b == node]
    ports += [line.near_port for line in LINES if line.near == node]
    return ports + [line.far_port for line in LINES if node == "hall-rtr"]


def routes_of(node: str) -> list[str]:
    """What is added after its ports are up: `ip route replace …`. A backup line has the
    worse metric."""
    if node == "hall-rtr":
        return [
            f"{_NETWORKS[line.site]}.0/24 via {line.network}.2 metric {_metric(line)}"
            for line in LINES
        ]
    lines = [line for line in LINES if line.near == node]
    if lines:
        return [
            f"default via {line.network}.1 metric {_metric(line)}" for line in lines
        ]
    site = NODES[node].site if node in NODES else "hall"
    return [f"default via {_NETWORKS[site]}.1"]


def _metric(line: LabLine) -> int:
    return 100 if line.role == "primary" else 200


def estate_toml(with_parents: bool) -> str:
    """How sites are joined is written down; the rest only if LLDP cannot show it."""
    # Always open: a full line is paged on a Sunday too.
    hours = 'hours = {opens = "00:00", closes = "24:00", days = [0, 1, 2, 3, 4, 5, 6]}'
    parts = [
        f'[[sites]]\nid = "{id}"\nname = "{name}"\n{hours}\n'
        for id, name in _SITES.items()
    ]
    for node in NODES.values():
        parent = _parent(node.name, with_parents)
        parts.append(
            f'[[devices]]\nid = "{node.name}"\nname = "{node.name}"\n'
            f'site = "{node.site}"\nrole = "{node.role}"\naddress = "{node.address}"\n'
            + (f'parent = "{parent}"\n' if parent else "")
        )
    for line in LINES:
        device, port = line.near, line.near_port
        if line.far_end:
            device, port = "hall-rtr", line.far_port
        parts.append(
            f'[[lines]]\nid = "{line.id}"\nsite = "{line.site}"\n'
            f'supplier = "{line.supplier}"\nsupplier_phone = "01632 960000"\n'
            f'circuit_ref = "{line.id}"\nrole = "{line.role}"\n'
            f"down_mbps = {LINE_MBPS}\nup_mbps = {LINE_MBPS}\n"
            f'device = "{device}"\nport = "{port}"\n'
            f"far_end = {str(line.far_end).lower()}\n"
        )
    return "\n".join(parts)


def _parent(node: str, with_parents: bool) -> str:
    if node.endswith("-rtr") and node != "hall-rtr":
        return "hall-rtr"
    if not with_parents or node == "hall-core":
        return ""
    if node == "hall-rtr":
        return "hall-core"
    return next(c.a for c in CABLES if c.b == node)


def towpath_toml(period_s: float) -> str:
    """Ordinary settings: only polls are more frequent. A router's traps come from the
    address of its line."""
    senders = "\n".join(f'"{x.network}.2" = "{x.near}"' for x in LINES)
    return f"""council = "Lab"
state = "state"
estate = "estate.toml"

[snmp]
period_s = {period_s}
ping_s = {period_s}
neighbours_s = 60
credentials_file = "snmp.toml"

[traps]
host = "0.0.0.0"
port = 162

[traps.addresses]
{senders}

[alerts.channels.duty]
kind = "webhook"
url = "http://127.0.0.1:{WEBHOOK_PORT}/pages"

[web]
port = 0

[metrics]
port = 0
"""


def snmpd_conf(node: Node, folder: str) -> str:
    """A real agent that serves LLDP over AgentX, and reports ports by trap."""
    # linkDown and linkUp of SNMPv2-MIB, by numbers: no MIB files are needed.
    traps, columns = ".1.3.6.1.6.3.1.1.5", ".1.3.6.1.2.1.2.2.1"
    shown = f"{columns}.1 {columns}.7 {columns}.8"
    ports = f"""notificationEvent portDown {traps}.3 {shown}
notificationEvent portUp {traps}.4 {shown}
monitor -r 10 -e portDown "port down" {columns}.8 != 1
monitor -r 10 -e portUp "port up" {columns}.8 == 1
"""
    return f"""rocommunity {COMMUNITY}
sysName {node.name}
sysLocation {node.site}
master agentx
agentXSocket {folder}/agentx
agentXTimeout 5
clientaddr {node.address}
trap2sink {MONITOR_ADDRESS} {COMMUNITY}
createUser internal
iquerySecName internal
rouser internal noauth
{ports}"""
