"""What a search finds: sites, devices and ports. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from collectors.estate import Device
from collectors.natural_order import natural_order
from collectors.store.query import Row
from dashboards.web.site_filter import MAX_TEXT, SiteFilter, matching
from dashboards.web.site_state import SiteNow

# Fewer characters would find half of all ports.
LEAST_TEXT = 2
MOST_FOUND = 50
# Fewer digits than those of a maker are no MAC address but a number.
_MAC_DIGITS = re.compile("[0-9a-f]{6,12}")
_MAC_MARKS = re.compile("[:.-]")


@dataclass(frozen=True)
class FoundPort:
    device: str
    port: str
    description: str


@dataclass(frozen=True)
class FoundNeighbour:
    """What is seen on a port, such as an access point. `device`: where it is seen."""

    device: str
    port: str
    name: str
    chassis: str
    address: str


@dataclass(frozen=True)
class Found:
    """What was found, at most `MOST_FOUND` of each. `ports` and `neighbours` are None
    if they are not known. `more`: of which kinds there are more."""

    sites: tuple[SiteNow, ...] = ()
    devices: tuple[Device, ...] = ()
    ports: tuple[FoundPort, ...] | None = ()
    neighbours: tuple[FoundNeighbour, ...] | None = ()
    more: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.sites or self.devices or self.ports or self.neighbours)


def search_text(values: Mapping[str, str]) -> str:
    """Returns what is searched for; empty if that is too short."""
    text = " ".join(values.get("q", "")[:MAX_TEXT].replace("\0", "").split())
    return text if len(text) >= LEAST_TEXT else ""


def has_text(text: str, known: Iterable[str]) -> bool:
    """Whether one of the known texts has `text`, in capitals or not."""
    wanted = text.casefold()
    return any(wanted in one.casefold() for one in known)


def mac_digits(text: str) -> str:
    """Returns the hexadecimal digits of a MAC address, or of its beginning, however it
    is written: `001a.2b3c.4d5e`, `00:1A:2B`. Empty if `text` is none."""
    digits = _MAC_MARKS.sub("", text).lower()
    return digits if _MAC_DIGITS.fullmatch(digits) else ""


def has_mac(text: str, known: str) -> bool:
    """Whether `text` is that MAC address, or its beginning."""
    wanted = mac_digits(text)
    return bool(wanted) and mac_digits(known).startswith(wanted)


def find_devices(
    devices: Iterable[Device], text: str, chassis: Mapping[str, str]
) -> list[Device]:
    """Returns the devices whose id, name or address has that text, or whose MAC address
    begins so. `chassis`: device → the chassis id by which its neighbours know it."""
    found = [
        device
        for device in devices
        if has_text(text, (device.id, device.name, str(device.address)))
        or has_mac(text, chassis.get(device.id, ""))
    ]
    return sorted(found, key=lambda device: natural_order(device.name or device.id))


def chassis_ids(rows: Iterable[Row]) -> dict[str, str]:
    """Returns device → its chassis id. `rows`: of `device_queries.chassis_now`."""
    return {
        row.tags.get("device", ""): str(row.values.get("chassis_last") or "")
        for row in rows
    }


def found_neighbours(
    rows: Iterable[Row], text: str, devices: Collection[str]
) -> list[FoundNeighbour]:
    """Returns the neighbours whose name or address has that text, or whose MAC address
    begins so. `rows`: of `device_queries.all_neighbours`; `devices`: where they may be
    seen."""
    found = []
    for row in rows:
        name, chassis, address = (
            str(row.values.get(f"remote_{what}_last") or "").strip()
            for what in ("name", "chassis", "address")
        )
        device = row.tags.get("device", "")
        is_found = has_text(text, (name, address)) or has_mac(text, chassis)
        if is_found and device in devices:
            port = row.tags.get("port", "")
            found.append(FoundNeighbour(device, port, name, chassis, address))
    return sorted(
        found,
        key=lambda one: tuple(map(natural_order, (one.name, one.device, one.port))),
    )


def found_ports(answers: Iterable[Iterable[Row]]) -> list[FoundPort]:
    """Returns each port once, by device and name."""
    ports = {
        (row.tags.get("device", ""), row.tags.get("port", "")): FoundPort(
            row.tags.get("device", ""),
            row.tags.get("port", ""),
            row.tags.get("description", ""),
        )
        for rows in answers
        for row in rows
    }
    order = sorted(ports, key=lambda key: tuple(map(natural_order, key)))
    return [ports[key] for key in order]


def search(
    text: str,
    sites: Iterable[SiteNow],
    devices: Iterable[Device],
    ports: Iterable[FoundPort] | None,
    neighbours: Iterable[FoundNeighbour] | None = (),
    chassis: Mapping[str, str] = MappingProxyType({}),
) -> Found:
    """`devices`, `ports` and `neighbours`: those that the visitor may see."""
    found_sites = matching(sites, SiteFilter(text=text))
    found_devices = find_devices(devices, text, chassis)
    listed_ports = None if ports is None else list(ports)
    listed_neighbours = None if neighbours is None else list(neighbours)
    counts = {
        "sites": len(found_sites),
        "devices": len(found_devices),
        "ports": len(listed_ports or ()),
        "neighbours": len(listed_neighbours or ()),
    }
    return Found(
        tuple(found_sites[:MOST_FOUND]),
        tuple(found_devices[:MOST_FOUND]),
        None if listed_ports is None else tuple(listed_ports[:MOST_FOUND]),
        None if listed_neighbours is None else tuple(listed_neighbours[:MOST_FOUND]),
        tuple(kind for kind, count in counts.items() if count > MOST_FOUND),
    )
