"""A council for the incidents: sites, devices, cables, lines, power, Towpath's place.

It is built from a seed, as a network engineer would build it, and knows nothing of how
alerts are decided. `estate` is what the council has written down, which is less than
what is there: some parents are missing, and some are only known by LLDP.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator

from collectors.estate.estate_model import Estate

SUPPLIERS = {"Alpha": 40, "Beta": 25, "Gamma": 15, "Omega": 13, "Delta": 7}
PROVIDERS = ("BT", "Sky", "Virgin Media", "TalkTalk", "Vodafone", "Plusnet")
HUB = "town-hall"


@dataclasses.dataclass(frozen=True)
class Cable:
    """Two devices and the ports that a cable joins."""

    a: str
    a_port: str
    b: str
    b_port: str
    heard: bool = True
    """Whether LLDP runs on it."""

    def far(self, device: str) -> str:
        return self.b if device == self.a else self.a

    def port_at(self, device: str) -> str:
        return self.a_port if device == self.a else self.b_port


@dataclasses.dataclass(frozen=True)
class Circuit:
    """A WAN line: from a port of the site's router to one of a router further in."""

    id: str
    site: str
    supplier: str
    role: str
    near: str
    near_port: str
    far: str
    far_port: str
    measured_far: bool


@dataclasses.dataclass
class Council:
    """What is there. `monitor`: the device that Towpath's machine is plugged into."""

    sites: dict[str, str] = dataclasses.field(default_factory=dict)
    devices: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    cables: list[Cable] = dataclasses.field(default_factory=list)
    circuits: list[Circuit] = dataclasses.field(default_factory=list)
    gateways: dict[str, str] = dataclasses.field(default_factory=dict)
    ups: dict[str, str] = dataclasses.field(default_factory=dict)
    laptops: dict[str, int] = dataclasses.field(default_factory=dict)
    providers: dict[str, int] = dataclasses.field(default_factory=dict)
    access_points: dict[str, str] = dataclasses.field(default_factory=dict)
    monitor: str = ""
    estate: Estate = dataclasses.field(default_factory=Estate)

    def at_site(self, site: str, role: str = "") -> list[str]:
        return [
            device
            for device, (place, is_a) in self.devices.items()
            if place == site and role in ("", is_a)
        ]

    def cables_of(self, device: str) -> Iterator[Cable]:
        return (c for c in self.cables if device in (c.a, c.b))

    def cable_between(self, a: str, b: str) -> Cable:
        return next(c for c in self.cables if {c.a, c.b} == {a, b})


def build_council(seed: int, sites: int = 200, laptops: int = 2_000) -> Council:
    """The council of `seed`: a town hall with two cores, a hub behind which a quarter
    of the sites are, and branches with one to three switches."""
    dice = random.Random(seed)
    council = Council()
    _add_hub(council, dice)
    regional = _add_regional_hub(council, dice)
    names = [f"s{n:03}" for n in range(1, sites - 1)]
    behind_hub = set(dice.sample(names, min(46, len(names) // 4)))
    suppliers = dice.choices(
        tuple(SUPPLIERS), weights=tuple(SUPPLIERS.values()), k=len(names)
    )
    for name, supplier in zip(names, suppliers, strict=True):
        inner = regional if name in behind_hub else dice.choice(("wan-1", "wan-2"))
        _add_branch(council, dice, name, supplier, inner)
    _place_laptops(council, dice, laptops)
    council.estate = _written_down(council, dice)
    return council


def _add_hub(council: Council, dice: random.Random) -> None:
    council.sites[HUB] = "Town Hall"
    for device, role in (
        ("core-1", "switch"),
        ("core-2", "switch"),
        ("dc-1", "switch"),
        ("fw-1", "firewall"),
        ("wan-1", "router"),
        ("wan-2", "router"),
        ("wlc-1", "controller"),
    ):
        council.devices[device] = (HUB, role)
    joined = [("core-1", "core-2"), ("core-1", "dc-1"), ("core-2", "dc-1")]
    joined += [("core-1", "fw-1"), ("core-2", "fw-1"), ("core-2", "wlc-1")]
    joined += [("core-1", "wan-1"), ("core-2", "wan-2")]
    for n in range(1, 21):
        floor = f"floor-{n}"
        council.devices[floor] = (HUB, "switch")
        homes = dice.choice((("core-1", "core-2"), ("core-1",), ("core-2",)))
        joined += [(core, floor) for core in homes]
    _join(council, joined)
    council.monitor = "dc-1"
    council.ups["ups-hall"] = HUB
    council.devices["ups-hall"] = (HUB, "ups")
    _join(council, [("floor-1", "ups-hall")], heard=False)
    council.gateways = {"vpn-1": "fw-1", "vpn-2": "fw-1"}
    council.circuits.append(
        Circuit(
            "hall-internet",
            HUB,
            "Alpha",
            "primary",
            "fw-1",
            "wan0",
            "",
            "",
            False,
        )
    )


def _add_regional_hub(council: Council, dice: random.Random) -> str:
    council.sites["hub-a"] = "Area Office"
    for device, role in (("hub-a-rtr", "router"), ("hub-a-sw1", "switch")):
        council.devices[device] = ("hub-a", role)
    _join(council, [("hub-a-rtr", "hub-a-sw1")])
    council.circuits.append(
        Circuit(
            "hub-a-wan",
            "hub-a",
            "Beta",
            "primary",
            "hub-a-rtr",
            "wan0",
            "wan-2",
            "Gi0/0/200",
            dice.random() < 0.5,
        )
    )
    return "hub-a-rtr"


def _add_branch(
    council: Council, dice: random.Random, site: str, supplier: str, inner: str
) -> None:
    council.sites[site] = f"Branch {site[1:]}"
    router = f"{site}-rtr"
    council.devices[router] = (site, "router")
    switches = [f"{site}-sw{n}" for n in range(1, dice.choice((1, 2, 2, 2, 3)) + 1)]
    council.devices |= dict.fromkeys(switches, (site, "switch"))
    heard = dice.random() < 0.8
    _join(council, [(router, switches[0])], heard)
    if len(switches) == 3 and dice.random() < 0.5:
        _join(council, [(switches[0], switches[1]), (switches[1], switches[2])], heard)
    else:
        _join(council, [(switches[0], other) for other in switches[1:]], heard)
    number = int(site[1:])
    council.circuits.append(
        Circuit(
            f"{site}-wan",
            site,
            supplier,
            "primary",
            router,
            "wan0",
            inner,
            f"Gi0/0/{number}",
            dice.random() < 0.3,
        )
    )
    if inner != "hub-a-rtr" and dice.random() < 0.12:
        others = [name for name in SUPPLIERS if name != supplier]
        other = "wan-2" if inner == "wan-1" else "wan-1"
        council.circuits.append(
            Circuit(
                f"{site}-4g",
                site,
                dice.choice(others),
                "backup",
                router,
                "wan1",
                other,
                f"Gi0/1/{number}",
                False,
            )
        )
    if dice.random() < 0.5:
        ups = f"{site}-ups"
        council.devices[ups] = (site, "ups")
        council.ups[ups] = site
        _join(council, [(switches[0], ups)], heard=False)
    for n in range(dice.randint(0, 2)):
        council.access_points[f"{site}-ap{n + 1}"] = switches[-1]


def _join(council: Council, pairs: list[tuple[str, str]], heard: bool = True) -> None:
    for a, b in pairs:
        ends = [sum(1 for _ in council.cables_of(device)) + 1 for device in (a, b)]
        council.cables.append(
            Cable(a, f"Gi1/0/{ends[0]}", b, f"Gi1/0/{ends[1]}", heard)
        )


def _place_laptops(council: Council, dice: random.Random, laptops: int) -> None:
    at_home = laptops // 2
    shares = [dice.uniform(0.5, 2.0) for _ in PROVIDERS]
    for provider, share in zip(PROVIDERS, shares, strict=True):
        council.providers[provider] = round(at_home * share / sum(shares))
    council.laptops[HUB] = laptops // 6
    rest = laptops - at_home - laptops // 6
    for site in council.sites:
        if site != HUB:
            usual = rest / len(council.sites)
            council.laptops[site] = min(40, round(dice.expovariate(1) * usual))


def _written_down(council: Council, dice: random.Random) -> Estate:
    """The estate file: at some sites every parent, at some none, at some all but
    one."""
    inward = _towards_monitor(council)
    habits = {
        site: dice.choice(("all", "all", "none", "some")) for site in council.sites
    }
    lines = {c.near: c for c in council.circuits if c.role == "primary" and c.far}
    devices = []
    for number, (device, (site, role)) in enumerate(council.devices.items()):
        entry: dict[str, object] = {
            "id": device,
            "name": device,
            "site": site,
            "role": role,
            "address": f"10.0.{number // 250}.{number % 250 + 1}",
        }
        habit = habits[site]
        forgotten = habit == "some" and dice.random() < 0.4
        if device in lines:
            # How the sites are joined is in every council's drawings.
            if not forgotten:
                entry["parent"] = lines[device].far
        elif (
            site != HUB and habit != "none" and not forgotten and device in inward
        ) or (role == "ups" and device in inward):
            entry["parent"] = inward[device]
        devices.append(entry)
    return Estate.model_validate(
        {
            "sites": [
                {
                    "id": site,
                    "name": name,
                    "criticality": "high" if site == HUB else "normal",
                }
                for site, name in council.sites.items()
            ],
            "devices": devices,
            "lines": [
                {
                    "id": line.id,
                    "site": line.site,
                    "supplier": line.supplier,
                    "supplier_phone": "0800 000 000",
                    "circuit_ref": line.id.upper(),
                    "down_mbps": 100,
                    "up_mbps": 100,
                    "role": line.role,
                    "device": line.far if line.measured_far else line.near,
                    "port": line.far_port if line.measured_far else line.near_port,
                    "far_end": line.measured_far,
                }
                for line in council.circuits
            ],
            "vpn_gateways": [
                {
                    "id": gateway,
                    "name": gateway,
                    "site": HUB,
                    "host": f"{gateway}.test",
                    "device": device,
                }
                for gateway, device in council.gateways.items()
            ],
        }
    )


def _towards_monitor(council: Council) -> dict[str, str]:
    """Each device's neighbour on the shortest path to Towpath."""
    inward: dict[str, str] = {}
    reached = [council.monitor]
    seen = {council.monitor}
    for device in reached:
        joined = [cable.far(device) for cable in council.cables_of(device)]
        joined += [c.near for c in council.circuits if c.far == device]
        for other in joined:
            if other not in seen:
                seen.add(other)
                inward[other] = device
                reached.append(other)
    return inward
