"""Faults that make things unreachable: power, lines, devices, cables, ports. The engine
must find the one thing that explains them."""

from __future__ import annotations

import random

from benchmarks.incident_council import HUB, Circuit, Council
from benchmarks.incident_faults import (
    MINUTE_MS,
    Effect,
    Fault,
    branches,
    choose,
    make_fault,
    sites_behind,
    whole_sites,
)


def switch_dead(council: Council, dice: random.Random) -> Fault:
    """An access switch loses its power supply; what hangs on it goes with it."""
    site = choose(dice, [s for s in branches(council) if len(council.at_site(s)) > 2])
    device = choose(dice, council.at_site(site, "switch"))
    causes = {f"device:{device}"}
    if device.endswith("sw1"):
        causes.add(f"site:{site}")
    effects = [Effect("dead", device)]
    return make_fault("switch dead", causes, effects, 40, whole_sites(council, site))


def floor_switch_dead(council: Council, dice: random.Random) -> Fault:
    device = f"floor-{dice.randint(2, 20)}"
    return make_fault(
        "floor switch dead", {f"device:{device}"}, [Effect("dead", device)], 40
    )


def router_dead(council: Council, dice: random.Random) -> Fault:
    site = choose(dice, branches(council))
    device = f"{site}-rtr"
    causes = {f"device:{device}", f"site:{site}"}
    effects = [Effect("dead", device)]
    return make_fault("router dead", causes, effects, 45, whole_sites(council, site))


def core_dead(council: Council, dice: random.Random) -> Fault:
    """One of two cores: what has a cable to the other stays up."""
    core = dice.choice(("core-1", "core-2"))
    behind = sites_behind(council, "wan-1" if core == "core-1" else "wan-2")
    if "hub-a" in behind:
        behind += sites_behind(council, "hub-a-rtr")
    hit = whole_sites(council, HUB, *behind) | {
        f"gateway:{g}" for g in council.gateways
    }
    return make_fault("core dead", {f"device:{core}"}, [Effect("dead", core)], 30, hit)


def hub_router_dead(council: Council, dice: random.Random) -> Fault:
    """The hub behind which a quarter of the sites are."""
    behind = sites_behind(council, "hub-a-rtr")
    causes = {"device:hub-a-rtr", "site:hub-a"}
    effects = [Effect("dead", "hub-a-rtr")]
    return make_fault(
        "hub dead", causes, effects, 35, whole_sites(council, "hub-a", *behind)
    )


def _only_line(council: Council, dice: random.Random) -> Circuit:
    """A line of a site that has no other."""
    backed = {c.site for c in council.circuits if c.role == "backup"}
    return choose(
        dice,
        [
            c
            for c in council.circuits
            if c.far and c.site not in backed | {HUB, "hub-a"}
        ],
    )


def _causes_of(line: Circuit) -> set[str]:
    """What may be named when the line is down. Towpath cannot tell it from its site if
    nothing measures the far end."""
    if line.measured_far:
        return {f"line:{line.id}"}
    return {f"line:{line.id}", f"site:{line.site}", f"device:{line.near}"}


def line_down(council: Council, dice: random.Random) -> Fault:
    line = _only_line(council, dice)
    effects = [Effect("circuit", line.id)]
    return make_fault(
        "line down", _causes_of(line), effects, 50, whole_sites(council, line.site)
    )


def line_down_with_backup(council: Council, dice: random.Random) -> Fault:
    backed = [c.site for c in council.circuits if c.role == "backup"]
    site = choose(dice, backed)
    line = f"{site}-wan"
    effects = [Effect("circuit", line)]
    return make_fault(
        "line down, backup carries", {f"line:{line}"}, effects, 50, {f"site:{site}"}
    )


def supplier_outage(council: Council, dice: random.Random) -> Fault:
    """Most or all lines of one supplier, within five minutes of each other."""
    by_supplier = {
        name: [c for c in council.circuits if c.supplier == name and c.far]
        for name in ("Omega", "Delta", "Gamma", "Beta")
    }
    supplier, lines = choose(dice, [x for x in by_supplier.items() if len(x[1]) >= 3])
    share = dice.choice((1.0, 1.0, 0.8))
    hit = dice.sample(lines, max(3, round(len(lines) * share)))
    spread_ms = dice.choice((0, 90_000, 300_000))
    effects = [Effect("circuit", c.id, dice.randint(0, spread_ms)) for c in hit]
    sites = [c.site for c in hit]
    return make_fault(
        "supplier outage",
        {f"supplier:{supplier}"},
        effects,
        60,
        whole_sites(council, *sites),
    )


def gateway_down(council: Council, dice: random.Random) -> Fault:
    gateway = choose(dice, list(council.gateways))
    effects = [Effect("gateway", gateway)]
    return make_fault("VPN gateway down", {f"gateway:{gateway}"}, effects, 30)


def power_cut(council: Council, dice: random.Random) -> Fault:
    """No UPS: the site is dark at once."""
    with_ups = set(council.ups.values())
    site = choose(dice, [s for s in branches(council) if s not in with_ups])
    return make_fault(
        "power cut",
        {f"site:{site}"},
        [Effect("mains", site)],
        60,
        whole_sites(council, site),
    )


def power_cut_with_ups(council: Council, dice: random.Random) -> Fault:
    """On battery for some minutes, then dark."""
    ups, site = choose(dice, [u for u in council.ups.items() if u[1] != HUB])
    runtime_ms = dice.randint(8, 25) * MINUTE_MS
    battery = (("on_battery", 1),)
    effects = [
        Effect(
            "event",
            ("ups_on_battery", ups, "", ""),
            2_000,
            0,
            (("level", 4), ("text", "UPS on battery")),
        ),
        Effect("reading", ("sensor", ups), 0, 0, battery),
        Effect("mains", site, runtime_ms),
    ]
    causes = {f"device:{ups}"}
    return make_fault(
        "UPS on battery, then dark", causes, effects, 70, whole_sites(council, site)
    )


def ups_on_battery(council: Council, dice: random.Random) -> Fault:
    """Mains comes back before the battery is empty; the trap may be lost."""
    ups, site = choose(dice, [u for u in council.ups.items() if u[1] != HUB])
    effects = [Effect("reading", ("sensor", ups), 0, 0, (("on_battery", 1),))]
    if dice.random() < 0.6:
        trap = (("level", 4), ("text", "UPS on battery"))
        effects.append(Effect("event", ("ups_on_battery", ups, "", ""), 2_000, 0, trap))
    return make_fault(
        "UPS on battery", {f"device:{ups}"}, effects, 20, {f"site:{site}"}
    )


def port_flaps(council: Council, dice: random.Random) -> Fault:
    """A bad cable between two floors: down a minute, up two."""
    cable = choose(dice, [c for c in council.cables if c.b.startswith("floor-")])
    other = "core-2" if cable.a == "core-1" else "core-1"
    single = not any(other in (c.a, c.b) for c in council.cables_of(cable.b))
    effects = [
        Effect("cable", cable, n * 3 * MINUTE_MS, (n * 3 + 1) * MINUTE_MS)
        for n in range(12)
    ]
    causes = {f"port:{cable.a}/{cable.a_port}", f"port:{cable.b}/{cable.b_port}"}
    if single:
        causes.add(f"device:{cable.b}")
    return make_fault(
        "port flaps", causes, effects, 36, {f"device:{cable.a}", f"device:{cable.b}"}
    )


def port_shut(council: Council, dice: random.Random) -> Fault:
    """An engineer shuts the wrong port: the switch behind it is gone."""
    singles = [
        c
        for c in council.cables
        if (c.a.endswith("sw1") and "-sw" in c.b)
        or (c.b.startswith("floor-") and sum(1 for _ in council.cables_of(c.b)) == 1)
    ]
    cable = choose(dice, singles)
    site = council.devices[cable.a][0]
    trap = (("level", 3), ("text", "Link down"))
    effects = [Effect("shut", (cable.a, cable.a_port))]
    if dice.random() < 0.5:
        effects.append(
            Effect("event", ("link_down", cable.a, cable.a_port, ""), 500, 0, trap)
        )
    causes = {f"port:{cable.a}/{cable.a_port}"}
    if not cable.heard:
        # Without LLDP nobody knows what is behind which port.
        causes.add(f"device:{cable.b}")
    return make_fault(
        "port shut",
        causes,
        effects,
        30,
        whole_sites(council, site) if site != HUB else {f"device:{cable.b}"},
    )


def line_passes_nothing(council: Council, dice: random.Random) -> Fault:
    """The supplier's network loses all packets, and the ports at both ends stay up."""
    line = _only_line(council, dice)
    causes = {f"site:{line.site}", f"device:{line.near}", f"line:{line.id}"}
    effects = [Effect("deaf", line.id)]
    return make_fault(
        "line passes nothing", causes, effects, 45, whole_sites(council, line.site)
    )


def line_flaps(council: Council, dice: random.Random) -> Fault:
    """A line that is down for two minutes of every six."""
    line = _only_line(council, dice)
    effects = [
        Effect("circuit", line.id, n * 6 * MINUTE_MS, (n * 6 + 2) * MINUTE_MS)
        for n in range(8)
    ]
    return make_fault(
        "line flaps", _causes_of(line), effects, 48, whole_sites(council, line.site)
    )


def switch_restarts(council: Council, dice: random.Random) -> Fault:
    """A switch that crashes every seven minutes and needs two and a half to start."""
    leaves = [
        d
        for d, (site, role) in council.devices.items()
        if role == "switch" and "-sw" in d and not d.endswith("sw1")
    ]
    device = choose(dice, leaves)
    effects = [
        Effect("dead", device, n * 7 * MINUTE_MS, n * 7 * MINUTE_MS + 150_000)
        for n in range(7)
    ]
    return make_fault(
        "switch restarts again and again",
        {f"device:{device}"},
        effects,
        48,
        whole_sites(council, council.devices[device][0]),
    )


def one_of_two_links(council: Council, dice: random.Random) -> Fault:
    """One of two cables of a floor is cut: nothing is unreachable."""
    cables = [
        c
        for c in council.cables
        if c.b.startswith("floor-")
        and sum(1 for _ in council.cables_of(c.b)) > 1
        # The cable to the UPS is no second way.
        and {x.far(c.b) for x in council.cables_of(c.b)} >= {"core-1", "core-2"}
    ]
    cable = choose(dice, cables)
    causes = {f"port:{cable.a}/{cable.a_port}", f"port:{cable.b}/{cable.b_port}"}
    return make_fault("one of two links cut", causes, [Effect("cable", cable)], 40)


def firewall_dead(council: Council, dice: random.Random) -> Fault:
    """The firewall before the VPN gateways."""
    hit = {f"gateway:{g}" for g in council.gateways} | {"line:hall-internet"}
    return make_fault(
        "firewall dead", {"device:fw-1"}, [Effect("dead", "fw-1")], 30, hit
    )


def both_lines_down(council: Council, dice: random.Random) -> Fault:
    """A digger cuts both lines of a site."""
    backed = [c.site for c in council.circuits if c.role == "backup"]
    site = choose(dice, backed)
    lines = [c for c in council.circuits if c.site == site]
    causes = {f"line:{c.id}" for c in lines} | {f"site:{site}", f"device:{site}-rtr"}
    effects = [Effect("circuit", c.id) for c in lines]
    return make_fault(
        "both lines down", causes, effects, 50, whole_sites(council, site)
    )


def not_back_after_maintenance(council: Council, dice: random.Random) -> Fault:
    """A switch that is replaced as planned, and does not come back."""
    device = choose(
        dice, [d for d in council.devices if "-sw" in d and not d.endswith("sw1")]
    )
    effects = [
        Effect("maintenance", ("device", device), 0, 40 * MINUTE_MS),
        Effect("dead", device, 5 * MINUTE_MS),
    ]
    site = council.devices[device][0]
    return make_fault(
        "not back after maintenance",
        {f"device:{device}"},
        effects,
        80,
        whole_sites(council, site),
    )
