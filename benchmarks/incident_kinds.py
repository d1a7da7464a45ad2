"""All kinds of incidents: the faults of `incident_outages`, and those that are measured
where they are: parts, figures of laptops, certificates, Towpath itself."""

from __future__ import annotations

import random
from typing import Any

from benchmarks import incident_outages
from benchmarks.incident_council import Council
from benchmarks.incident_faults import (
    MINUTE_MS,
    Build,
    Effect,
    Fault,
    branches,
    choose,
    make_fault,
    whole_sites,
)


def _part_fault(kind: str, event: str, kind_class: str, part: str, text: str) -> Build:
    def build(council: Council, dice: random.Random) -> Fault:
        switches = [d for d, (_, role) in council.devices.items() if role == "switch"]
        device = choose(dice, switches)
        effects = [
            Effect(
                "reading",
                ("sensor", device, kind_class, part),
                0,
                0,
                (("severity", 2), ("state", "failed")),
            )
        ]
        if dice.random() < 0.5:
            trap = (("level", 3), ("text", text))
            effects.append(Effect("event", (event, device, "", part), 1_000, 0, trap))
        return make_fault(kind, {f"device:{device}"}, effects, 120)

    return build


def room_hot(council: Council, dice: random.Random) -> Fault:
    """The cooling of a room fails: every switch in it is too hot, one after another."""
    site = choose(
        dice, [s for s in branches(council) if len(council.at_site(s, "switch")) > 1]
    )
    switches = council.at_site(site, "switch")
    effects = [
        Effect(
            "reading",
            ("sensor", d, "temperature", "inlet"),
            n * 2 * MINUTE_MS,
            0,
            (("severity", 2), ("value", 61.0)),
        )
        for n, d in enumerate(switches)
    ]
    causes = {f"site:{site}", *(f"device:{d}" for d in switches)}
    return make_fault("room too hot", causes, effects, 90)


def _experience(
    kind: str, by: str, cause: str, fields: tuple[tuple[str, Any], ...], minutes: float
) -> Build:
    def build(council: Council, dice: random.Random) -> Fault:
        group = {
            "all": "all",
            "provider": choose(
                dice, sorted(council.providers, key=council.providers.__getitem__)[-3:]
            ),
        }[by]
        effects = [Effect("reading", ("experience", by, group), 0, 0, fields)]
        return make_fault(kind, {cause.format(group=group)}, effects, minutes)

    return build


def access_point_down(council: Council, dice: random.Random) -> Fault:
    point = choose(dice, list(council.access_points))
    trap = (("level", 3), ("text", f"Access point {point} is down"))
    effects = [Effect("event", ("access_point_down", "wlc-1", "", point), 0, 0, trap)]
    return make_fault(
        "access point down", {f"about:{point}"}, effects, 60, {"device:wlc-1"}
    )


def poe_exhausted(council: Council, dice: random.Random) -> Fault:
    """A switch has no power left for what it feeds."""
    switch = choose(dice, [d for d in council.devices if "-sw" in d])
    effects = [
        Effect(
            "reading",
            ("sensor", switch, "state", "PoE group 1"),
            0,
            0,
            (("severity", 2), ("state", "faulty")),
        )
    ]
    return make_fault("PoE faulty", {f"device:{switch}"}, effects, 90)


def line_saturated(council: Council, dice: random.Random) -> Fault:
    line = choose(dice, [c for c in council.circuits if c.far and c.role == "primary"])
    effects = [Effect("reading", ("line", line.id), 0, 0, (("down_use_ratio", 0.97),))]
    if council.laptops.get(line.site, 0) >= 10:
        effects.append(
            Effect(
                "reading",
                ("experience", "site", line.site),
                0,
                0,
                (("call_poor_ratio", 0.35),),
            )
        )
    return make_fault(
        "line saturated", {f"line:{line.id}"}, effects, 60, {f"site:{line.site}"}
    )


def line_errors(council: Council, dice: random.Random) -> Fault:
    line = choose(dice, [c for c in council.circuits if c.far and c.role == "primary"])
    key = ("interface", line.near, line.near_port)
    effects = [
        Effect(
            "reading", key, 0, 0, (("in_error_ratio", 0.02), ("in_errors_per_s", 9.0))
        )
    ]
    if council.laptops.get(line.site, 0) >= 10:
        effects.append(
            Effect(
                "reading",
                ("experience", "site", line.site),
                0,
                0,
                (("call_poor_ratio", 0.3),),
            )
        )
    return make_fault(
        "errors on a line's port",
        {f"port:{line.near}/{line.near_port}"},
        effects,
        60,
        {f"site:{line.site}"},
    )


def monitor_cut_off(council: Council, dice: random.Random) -> Fault:
    return make_fault(
        "monitor cut off",
        {"monitor:"},
        [Effect("monitor")],
        12,
        whole_sites(council, *council.sites)
        | {f"gateway:{g}" for g in council.gateways},
    )


def certificate_expiring(council: Council, dice: random.Random) -> Fault:
    gateway = choose(dice, list(council.gateways))
    effects = [
        Effect("reading", ("vpn_gateway", gateway), 0, 0, (("certificate_days", 9.5),))
    ]
    return make_fault("certificate expiring", {f"gateway:{gateway}"}, effects, 180)


def disk_filling(council: Council, dice: random.Random) -> Fault:
    effects = [Effect("reading", ("self_disk", "all"), 0, 0, (("hours_left", 3.0),))]
    return make_fault("Towpath's disk fills", {"monitor:all"}, effects, 90)


def device_unreadable(council: Council, dice: random.Random) -> Fault:
    """Somebody has changed its SNMP password."""
    device = choose(dice, [d for d in council.devices if "-sw" in d])
    return make_fault(
        "device unreadable", {f"device:{device}"}, [Effect("unreadable", device)], 60
    )


def uplink_errors(council: Council, dice: random.Random) -> Fault:
    cable = choose(dice, [c for c in council.cables if c.b.startswith("floor-")])
    key = ("interface", cable.b, cable.b_port)
    effects = [
        Effect(
            "reading", key, 0, 0, (("in_error_ratio", 0.01), ("in_errors_per_s", 4.0))
        )
    ]
    return make_fault("bad cable", {f"port:{cable.b}/{cable.b_port}"}, effects, 60)


def stack_member_lost(council: Council, dice: random.Random) -> Fault:
    switch = choose(dice, [d for d in council.devices if "-sw" in d])
    trap = (("level", 4), ("text", "Stack member 2 is lost"))
    effects = [Effect("event", ("stack_member_lost", switch, "", "2"), 0, 0, trap)]
    return make_fault("stack member lost", {f"device:{switch}"}, effects, 60)


def battery_low(council: Council, dice: random.Random) -> Fault:
    """A worn battery: little charge, although the mains are on."""
    ups = choose(dice, list(council.ups))
    low = (("severity", 2), ("value", 12.0))
    effects = [
        Effect("reading", ("sensor", ups, "charge", "battery charge"), 0, 0, low)
    ]
    return make_fault("UPS battery low", {f"device:{ups}"}, effects, 90)


def _site_figures(
    kind: str, fields: tuple[tuple[str, Any], ...], minutes: float
) -> Build:
    """Laptops at one site, large enough to be shown, measure something bad."""

    def build(council: Council, dice: random.Random) -> Fault:
        sites = sorted(s for s, n in council.laptops.items() if n >= 20)
        site = choose(dice, sites)
        effects = [Effect("reading", ("experience", "site", site), 0, 0, fields)]
        return make_fault(kind, {f"site:{site}"}, effects, minutes)

    return build


def passwords_guessed(council: Council, dice: random.Random) -> Fault:
    """Somebody tries SNMP communities at a switch."""
    device = choose(dice, [d for d in council.devices if "-sw" in d])
    trap = (("level", 2), ("text", "Authentication failure"), ("count", 60))
    key = ("authentication_failure", device, "", "")
    effects = [Effect("event", key, 0, 0, trap)]
    return make_fault("passwords guessed", {f"device:{device}"}, effects, 20)


KINDS: dict[str, Build] = {
    "switch_dead": incident_outages.switch_dead,
    "floor_switch_dead": incident_outages.floor_switch_dead,
    "router_dead": incident_outages.router_dead,
    "core_dead": incident_outages.core_dead,
    "hub_router_dead": incident_outages.hub_router_dead,
    "line_down": incident_outages.line_down,
    "line_down_with_backup": incident_outages.line_down_with_backup,
    "supplier_outage": incident_outages.supplier_outage,
    "gateway_down": incident_outages.gateway_down,
    "power_cut": incident_outages.power_cut,
    "power_cut_with_ups": incident_outages.power_cut_with_ups,
    "ups_on_battery": incident_outages.ups_on_battery,
    "power_supply": _part_fault(
        "power supply failed",
        "power_supply_failed",
        "state",
        "Power Supply 2",
        "Power supply 2 failed",
    ),
    "fan": _part_fault("fan failed", "fan_failed", "state", "Fan 1", "Fan 1 failed"),
    "room_hot": room_hot,
    "port_flaps": incident_outages.port_flaps,
    "port_shut": incident_outages.port_shut,
    "dns": _experience("DNS fails", "all", "dns:", (("name_ok_ratio", 0.4),), 40),
    "microsoft_365": _experience(
        "Microsoft 365 fails", "all", "microsoft:", (("microsoft_ok_ratio", 0.35),), 40
    ),
    "provider_calls": _experience(
        "calls poor through a provider",
        "provider",
        "provider:{group}",
        (("call_poor_ratio", 0.4),),
        70,
    ),
    "vpn_slow": _experience(
        "VPN slow", "all", "vpn:", (("tunnel_added_p50_ms", 140.0),), 60
    ),
    "access_point_down": access_point_down,
    "poe": poe_exhausted,
    "line_saturated": line_saturated,
    "line_errors": line_errors,
    "monitor_cut_off": monitor_cut_off,
    "certificate": certificate_expiring,
    "disk": disk_filling,
    "unreadable": device_unreadable,
    "bad_cable": uplink_errors,
    "stack_member": stack_member_lost,
    "line_passes_nothing": incident_outages.line_passes_nothing,
    "line_flaps": incident_outages.line_flaps,
    "switch_restarts": incident_outages.switch_restarts,
    "one_of_two_links": incident_outages.one_of_two_links,
    "firewall_dead": incident_outages.firewall_dead,
    "both_lines_down": incident_outages.both_lines_down,
    "not_back": incident_outages.not_back_after_maintenance,
    "battery_low": battery_low,
    "site_wifi": _site_figures("Wi-Fi weak at a site", (("wifi_weak_ratio", 0.4),), 70),
    "site_calls": _site_figures(
        "calls poor at a site", (("call_poor_ratio", 0.4),), 50
    ),
    "passwords": passwords_guessed,
}
