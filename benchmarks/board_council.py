"""The council whose boards are measured: which series each measurement has.

200 sites with a switch of 50 ports and a line each (60 with a backup), 50 access
points with two radios, 40 UPSs, 20 PDUs, 20 probes of climate, 50 IP SLA operations;
groups of laptops of every kind, a thousand by site; events and incidents of every day.
What is not named here has a few series, with the tags that boards ask for.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from dashboards.grafana import BOARDS
from probes.wire.catalogue import Measurement

Tags = dict[str, str]
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
SHOWN = {"device": "sw-0", "site": "site-0"}
# Board → what is chosen on it instead.
SHOWN_ON: dict[str, Tags] = {
    "towpath-power": {"device": "ups-0"},
    "towpath-wifi": {"device": "ap-0"},
}
# Measurements with a row now and then instead of one each period, and how often.
SPARSE_MS = {"event": 6 * HOUR_MS, "incident": 12 * HOUR_MS}
_AP_FIGURES = ("clients", "utilization", "noise-floor", "channel", "frequency", "power")
_SENSORS = {
    "switch": ("temperature", "fanspeed", "state", "power", "dbm"),
    "ups": ("state", "load", "charge", "runtime", "voltage", "temperature", "current"),
    "pdu": ("state", "current", "power", "load"),
    "environment": ("temperature", "humidity"),
}
_PLACES = ("home", "office", "elsewhere")
_GROUPS = {
    "all": ("all",),
    "place": _PLACES,
    "connection": ("wifi", "wired", "mobile"),
    "vpn": ("anyconnect", "globalprotect", "down", "absent"),
    "provider": tuple(f"provider {n}" for n in range(12)),
}


class Council(NamedTuple):
    """How large it is."""

    switches: int = 200
    ports: int = 50

    @property
    def name(self) -> str:
        return f"{self.switches * self.ports:,} ports"


def series(declared: Measurement, council: Council) -> list[Tags]:
    """Returns the tags of each series of a measurement."""
    known = {tag.name for tag in declared.tags}
    made = {
        tuple(sorted((k, v) for k, v in tags.items() if k in known)): None
        for tags in _series(declared, council)
    }
    return [dict(tags) for tags in made]


def _devices(council: Council) -> Iterator[Tags]:
    roles = {
        "switch": ("sw", council.switches),
        "access_point": ("ap", council.switches // 4),
        "ups": ("ups", council.switches // 5),
        "pdu": ("pdu", council.switches // 10),
        "environment": ("env", council.switches // 10),
    }
    for role, (name, count) in roles.items():
        for n in range(count):
            yield {"device": f"{name}-{n}", "site": f"site-{n}", "role": role}


def _series(declared: Measurement, council: Council) -> Iterator[Tags]:
    devices = list(_devices(council))
    switches = [tags for tags in devices if tags["role"] == "switch"]
    match declared.name:
        case "interface":
            for tags, port in itertools.product(switches, range(council.ports)):
                yield tags | {"port": f"Gi1/0/{port}", "description": f"room {port}"}
        case "line":
            for n in range(council.switches):
                line = {"site": f"site-{n}", "supplier": f"supplier-{n % 5}"}
                yield line | {"line": f"line-{n}", "role": "primary"}
                if n % 10 < 3:
                    yield line | {"line": f"backup-{n}", "role": "backup"}
        case "site_name":
            for n in range(council.switches):
                label = f"Site {n} (site-{n})"
                yield {"site": f"site-{n}", "site_id": f"site-{n}", "label": label}
        case "site" | "self_agents":
            for tags in switches:
                yield {"site": tags["site"], "home_site": tags["site"]}
        case "device" | "inventory" | "identity":
            yield from devices
        case "processor" | "memory" | "storage":
            for tags in switches:
                yield tags | {"processor": "1", "pool": "main", "volume": "flash"}
        case "finding":
            yield from (tags | {"finding": "no_lldp"} for tags in switches[:20])
        case "neighbour":
            for tags, port in itertools.product(switches[:1], range(4)):
                yield tags | {"port": f"Gi1/0/{port}", "heard": f"ap-{port}"}
        case "sensor":
            for tags in devices:
                for kind in _SENSORS.get(tags["role"], ()):
                    port = "Gi1/0/1" if kind == "dbm" else ""
                    yield tags | {"class": kind, "sensor": f"{kind} 1", "port": port}
        case "wireless":
            for tags in devices:
                if tags["role"] == "access_point":
                    for kind, radio in itertools.product(_AP_FIGURES, "01"):
                        yield tags | {"class": kind, "radio": f"radio {radio}"}
            yield {
                "device": "wlc-0", "site": "site-0", "role": "controller",
                "class": "ap-count", "radio": "Access points",
            }  # fmt: skip
        case "ip_sla":
            yield from (tags | {"operation": "1 jitter"} for tags in switches[:50])
        case "experience":
            for by, groups in _GROUPS.items():
                yield from ({"by": by, "group": group} for group in groups)
            for tags in switches:
                yield {"by": "site", "group": tags["site"]}
                yield {"by": "home_site", "group": tags["site"]}
                for place in _PLACES:
                    group = f"{tags['site']}/{place}"
                    yield {"by": "home_site_place", "group": group}
        case "event":
            for n, tags in enumerate(devices[::2]):
                kind = ("link_down", "access_point_down", "fan_failed")[n % 3]
                yield tags | {"event": kind, "port": f"Gi1/0/{n % 50}", "about": ""}
        case "alert" | "incident":
            some = switches[: 40 if declared.name == "incident" else 10]
            for n, tags in enumerate(some):
                severity = ("critical", "warning", "info")[n % 3]
                subject = f"{tags['device']}/Gi1/0/1"
                yield (
                    tags
                    | {"rule": f"rule-{n % 20}", "severity": severity}
                    | {"subject": subject}
                )
        case _:
            yield from _unknown(declared)


def _unknown(declared: Measurement) -> Iterator[Tags]:
    """Yields a few series, and those that the conditions of boards select."""
    names = [tag.name for tag in declared.tags]
    for n in range(5):
        yield {name: f"site-{n}" if name == "site" else f"{name}-{n}" for name in names}
    for board in BOARDS:
        for panel in board.panels:
            for target in panel.targets:
                if target.query.measurement == declared.name:
                    wanted = {
                        where.tag: where.values
                        for where in target.query.where
                        if not where.negate and where.values
                    }
                    for values in itertools.product(*wanted.values()):
                        tags = {name: f"{name}-0" for name in names}
                        yield tags | dict(zip(wanted, values, strict=True))
