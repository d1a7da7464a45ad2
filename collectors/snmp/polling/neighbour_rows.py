"""Neighbours that matter, and as rows of the journal for the topology. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol

from collectors.batch import Batch
from collectors.snmp.tables.device_tags import DeviceTags
from collectors.snmp.tables.neighbour import Neighbour
from collectors.snmp.tables.neighbour_tables import NeighbourTables
from collectors.topology.neighbour_records import (
    DeviceNeighbour,
    LocalSystem,
    to_batches,
)


class NeighbourView(Protocol):
    """What is known of the network around a device."""

    def uplinks(self, device: str) -> Collection[str]:
        """Its ports that lead towards the way out."""

    def is_known(self, seen: DeviceNeighbour) -> bool:
        """Whether who was heard is a device of the estate."""


class NoNeighbours:
    """A device with nothing known around it."""

    def uplinks(self, device: str) -> Collection[str]:
        return ()

    def is_known(self, seen: DeviceNeighbour) -> bool:
        return False


def of_note(
    device: str, heard: Iterable[Neighbour], around: NeighbourView
) -> list[Neighbour]:
    """Those behind a port that must not go down unseen: switches, routers and access
    points by their own word, and whom the estate has, for some say nothing of what
    they are. Desks, telephones and laptops are nobody's business here."""
    return [
        each
        for each in heard
        if each.local_if_index is not None
        and (each.infrastructure or around.is_known(_sighting(device, each)))
    ]


def heard_rows(
    place: DeviceTags, found: NeighbourTables, known: Iterable[Neighbour], time_ms: int
) -> list[Batch]:
    """What one look around brought: who the device is, and whom of `known` it hears."""
    return to_batches(
        (place.device, place.site, place.role),
        LocalSystem(place.device, found.sys_name, found.chassis),
        (_sighting(place.device, each) for each in known),
        time_ms,
        f"poll/{place.device}",
    )


def _sighting(device: str, each: Neighbour) -> DeviceNeighbour:
    return DeviceNeighbour(
        device=device,
        port=each.local_port,
        remote_name=each.remote_name or "",
        remote_port=each.remote_port or "",
        remote_chassis=each.remote_chassis or "",
        remote_address=each.remote_address or "",
        remote_port_descr=each.remote_port_descr or "",
        protocol=each.protocol,
    )
