"""What a search finds: sites, devices and ports. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from collectors.estate import Device
from collectors.natural_order import natural_order
from collectors.store.query import Row
from dashboards.web.site_filter import MAX_TEXT, SiteFilter, matching
from dashboards.web.site_state import SiteNow

# Fewer characters would find half of all ports.
LEAST_TEXT = 2
MOST_FOUND = 50


@dataclass(frozen=True)
class FoundPort:
    device: str
    port: str
    description: str


@dataclass(frozen=True)
class Found:
    """What was found, at most `MOST_FOUND` of each. `ports` is None if they are not
    known. `more`: of which kinds there are more."""

    sites: tuple[SiteNow, ...] = ()
    devices: tuple[Device, ...] = ()
    ports: tuple[FoundPort, ...] | None = ()
    more: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.sites or self.devices or self.ports)


def search_text(values: Mapping[str, str]) -> str:
    """Returns what is searched for; empty if that is too short."""
    text = " ".join(values.get("q", "")[:MAX_TEXT].replace("\0", "").split())
    return text if len(text) >= LEAST_TEXT else ""


def has_text(text: str, known: Iterable[str]) -> bool:
    """Whether one of the known texts has `text`, in capitals or not."""
    wanted = text.casefold()
    return any(wanted in one.casefold() for one in known)


def find_devices(devices: Iterable[Device], text: str) -> list[Device]:
    """Returns the devices whose id, name or address has that text."""
    found = (
        device
        for device in devices
        if has_text(text, (device.id, device.name, str(device.address)))
    )
    return sorted(found, key=lambda device: natural_order(device.name or device.id))


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
) -> Found:
    """`devices` and `ports`: those that the visitor may see."""
    found_sites = matching(sites, SiteFilter(text=text))
    found_devices = find_devices(devices, text)
    listed_ports = None if ports is None else list(ports)
    counts = {
        "sites": len(found_sites),
        "devices": len(found_devices),
        "ports": len(listed_ports or ()),
    }
    return Found(
        tuple(found_sites[:MOST_FOUND]),
        tuple(found_devices[:MOST_FOUND]),
        None if listed_ports is None else tuple(listed_ports[:MOST_FOUND]),
        tuple(kind for kind, count in counts.items() if count > MOST_FOUND),
    )
