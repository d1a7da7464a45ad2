"""What breaks in the lab, when, for how long, and what a page must name. Several faults
at different sites overlap; none hides another."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from benchmarks.incident_faults import MINUTE_MS, Fault
from benchmarks.lab_council import LINE_MBPS, LINES, NODES
from benchmarks.lab_network import LabNetwork

_LINE = {line.id: line for line in LINES}
Act = Callable[[LabNetwork], None]


@dataclasses.dataclass(frozen=True)
class LabFault:
    """`maintenance`: the device whose maintenance is planned before, so nobody is to be
    paged. `round`: faults of one round run together."""

    kind: str
    round: int
    after_min: float
    lasts_min: float
    causes: frozenset[str]
    begin: Act
    mend: Act
    footprint: frozenset[str] = frozenset()
    maintenance: str = ""

    def scored(self, begin_ms: int, end_ms: int) -> Fault:
        """The same as the incidents of `incident_scores`."""
        return Fault(
            self.kind,
            self.causes,
            self.causes | self.footprint,
            (),
            end_ms - begin_ms,
            begin_ms,
        )


def _at_sites(*sites: str) -> frozenset[str]:
    found = {f"site:{site}" for site in sites}
    found |= {f"device:{n.name}" for n in NODES.values() if n.site in sites}
    return frozenset(found | {f"line:{x.id}" for x in LINES if x.site in sites})


def _power(*nodes: str) -> tuple[Act, Act]:
    def off(network: LabNetwork) -> None:
        for node in nodes:
            network.power_off(node)

    def on(network: LabNetwork) -> None:
        for node in nodes:
            network.power_on(node)

    return off, on


def _cut(*lines: str) -> tuple[Act, Act]:
    def begin(network: LabNetwork) -> None:
        for line in lines:
            network.cut(_LINE[line])

    def mend(network: LabNetwork) -> None:
        for line in lines:
            network.cut(_LINE[line], up=True)

    return begin, mend


def _port(node: str, port: str) -> tuple[Act, Act]:
    return (
        lambda network: network.link(node, port, up=False),
        lambda network: network.link(node, port, up=True),
    )


def _snmpd(node: str) -> tuple[Act, Act]:
    return (
        lambda network: network.kill_snmpd(node),
        lambda network: network.start_snmpd(node),
    )


def _rules(node: str, *rules: str) -> tuple[Act, Act]:
    """nftables rules at `node`, and their end."""
    script = "".join(f"nft '{rule}'\n" for rule in rules)

    def begin(network: LabNetwork) -> None:
        network.do(node, script)

    def mend(network: LabNetwork) -> None:
        network.do(node, "nft flush ruleset")

    return begin, mend


def _saturated(line: str, sender: str, receiver: str) -> tuple[Act, Act]:
    """A token bucket at the carrier, and a little more than it lets through."""
    address = NODES[receiver].address
    octets = 1200
    wait_s = octets * 8 / (LINE_MBPS * 1.08e6)
    flood = (
        "import socket, time\n"
        "sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "next_s = time.monotonic()\n"
        "while True:\n"
        f"    sender.sendto(bytes({octets}), ('{address}', 9))\n"
        f"    next_s += {wait_s}\n"
        "    time.sleep(max(0, next_s - time.monotonic()))\n"
    )

    def begin(network: LabNetwork) -> None:
        network.do(
            "carrier",
            f"tc qdisc add dev {line}-n root tbf rate {LINE_MBPS}mbit burst 16kb "
            "latency 100ms",
        )
        # Nobody listens; the answers would be traffic too.
        network.do(
            receiver,
            "nft add table inet quiet; nft 'add chain inet quiet in "
            "{type filter hook input priority 0;}'; nft add rule inet quiet in "
            "udp dport 9 drop",
        )
        network.run_beside("flood", sender, "python3", "-c", flood)

    def mend(network: LabNetwork) -> None:
        network.stop_beside("flood")
        network.do("carrier", f"tc qdisc del dev {line}-n root")
        network.do(receiver, "nft flush ruleset")

    return begin, mend


def _flapping(node: str, port: str) -> tuple[Act, Act]:
    """The far end of a cable loses its light: 40 s down, 60 s up."""
    loop = (
        f"while :; do ip link set {port} down; sleep 40; ip link set {port} up; "
        "ip route replace default via 10.1.0.1; sleep 60; done"
    )

    def begin(network: LabNetwork) -> None:
        network.run_beside("flaps", node, "sh", "-c", loop)

    def mend(network: LabNetwork) -> None:
        network.stop_beside("flaps")
        network.link(node, port, up=True)

    return begin, mend


def _fault(
    round: int,
    kind: str,
    causes: set[str],
    acts: tuple[Act, Act],
    lasts_min: float = 4,
    after_min: float = 0,
    footprint: frozenset[str] = frozenset(),
    maintenance: str = "",
) -> LabFault:
    return LabFault(
        kind,
        round,
        after_min,
        lasts_min,
        frozenset(causes),
        *acts,
        footprint,
        maintenance,
    )


_NORTH_DARK = {"site:north", "device:north-rtr", "line:north-wan"}
FAULTS = (
    _fault(1, "switch dead", {"device:hall-acc1"}, _power("hall-acc1")),
    _fault(1, "SNMP agent ends", {"device:north-acc2"}, _snmpd("north-acc2"), 6),
    _fault(
        1,
        "line down, backup carries",
        {"line:south-wan"},
        _cut("south-wan"),
        footprint=_at_sites("south"),
    ),
    _fault(
        1,
        "switch dead in maintenance",
        {"device:lib1-sw"},
        _power("lib1-sw"),
        maintenance="lib1-sw",
    ),
    _fault(
        2,
        "core of a branch dead",
        {"device:north-core"},
        _power("north-core"),
        footprint=_at_sites("north"),
    ),
    _fault(
        2,
        "port shut",
        {"port:hall-core/gi3"},
        _port("hall-core", "gi3"),
        footprint=frozenset({"device:hall-acc2", "device:hall-ap"}),
    ),
    _fault(
        2,
        "supplier outage",
        {"supplier:Omega"},
        _cut("lib1-wan", "lib2-wan", "lib3-wan"),
        footprint=_at_sites("lib1", "lib2", "lib3"),
    ),
    _fault(
        2,
        "firewall drops SNMP",
        {"device:south-acc1"},
        _rules(
            "south-acc1",
            "add table inet acl",
            "add chain inet acl in {type filter hook input priority 0;}",
            "add rule inet acl in udp dport 161 drop",
        ),
        6,
    ),
    _fault(
        3,
        "line passes nothing",
        _NORTH_DARK,
        _rules(
            "carrier",
            "add table bridge faults",
            "add chain bridge faults forward {type filter hook forward priority 0;}",
            'add rule bridge faults forward iifname "north-wan-*" drop',
        ),
        footprint=_at_sites("north"),
    ),
    _fault(
        3,
        "firewall drops everything",
        {"device:south-acc2"},
        _rules(
            "south-acc2",
            "add table inet acl",
            "add chain inet acl in {type filter hook input priority 0;}",
            "add rule inet acl in drop",
        ),
    ),
    _fault(
        3,
        "port flaps",
        {"port:hall-core/gi2", "device:hall-acc1"},
        _flapping("hall-acc1", "gi1"),
        12,
    ),
    _fault(
        4,
        "head router dead",
        {"device:hall-rtr"},
        _power("hall-rtr"),
        footprint=_at_sites("hall", "north", "south", "lib1", "lib2", "lib3"),
    ),
    _fault(5, "monitor cut off", {"monitor:"}, _port("monitor", "eth0")),
    _fault(
        6,
        "power cut",
        {"site:south", "device:south-rtr", "line:south-wan"},
        _power("south-ap", "south-acc1", "south-acc2", "south-core", "south-rtr"),
        footprint=_at_sites("south"),
    ),
    _fault(
        6,
        "line saturated",
        {"line:north-wan"},
        _saturated("north-wan", "hall-core", "north-ap"),
        14,
        footprint=_at_sites("north"),
    ),
)
ROUNDS = sorted({fault.round for fault in FAULTS})
SETTLE_MS = 5 * MINUTE_MS
