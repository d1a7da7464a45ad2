"""Finds the device of the estate that a neighbour is. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from collectors.estate.estate_model import Device
from collectors.topology.neighbour_records import DeviceNeighbour, LocalSystem


class DeviceDirectory:
    """Devices by address, chassis id and name. A value that two devices share
    identifies neither."""

    def __init__(
        self, devices: Sequence[Device], local_systems: Mapping[str, LocalSystem]
    ) -> None:
        self._ids = {device.id for device in devices}
        self._by_address = _map_unique((str(d.address), d.id) for d in devices)
        self._by_chassis = _map_unique(
            (normalise_chassis(local_systems[d.id].chassis), d.id)
            for d in devices
            if d.id in local_systems
        )
        self._by_name = _map_unique(
            (name.lower(), d.id)
            for d in devices
            for name in _device_names(d, local_systems.get(d.id))
        )
        self._by_short = _map_unique(
            (short_name(name), d.id)
            for d in devices
            for name in _device_names(d, local_systems.get(d.id))
        )

    def find(self, neighbour: DeviceNeighbour) -> tuple[str | None, str]:
        """Return (device id, method): by chassis id, then address, then name."""
        # Nexus switches append their serial number in CDP: `core-1(FOC1234X0AB)`.
        name = re.sub(r"\([^)]*\)$", "", neighbour.remote_name).strip().lower()
        for table, key, method in (
            (self._by_chassis, normalise_chassis(neighbour.remote_chassis), "chassis"),
            (self._by_address, neighbour.remote_address, "address"),
            (self._by_name, name, "name"),
            (self._by_short, short_name(name), "name"),
            (self._by_name, neighbour.remote_chassis.lower(), "name"),
        ):
            device_id = table.get(key) if key else None
            if device_id is not None:
                return device_id, method
        return None, ""


def short_name(name: str) -> str:
    """Return a host name without its domain; an address is left whole."""
    if re.fullmatch(r"[\d.]+|.*:.*", name):
        return name.lower()
    return name.lower().partition(".")[0]


def normalise_chassis(chassis: str) -> str:
    """Return a chassis id in lower case; a MAC address without its separators."""
    bare = re.sub(r"[:\-. ]", "", chassis.lower())
    if re.fullmatch(r"[0-9a-f]{12}", bare):
        # Some factories leave an address of all zeros.
        return bare if bare.strip("0") else ""
    return chassis.lower()


def _device_names(device: Device, system: LocalSystem | None) -> Iterable[str]:
    names = (device.id, device.name, system.sys_name if system else "")
    return {name.lower() for name in names if name}


def _map_unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    owners: dict[str, set[str]] = {}
    for key, owner in pairs:
        if key:
            owners.setdefault(key, set()).add(owner)
    return {key: next(iter(ids)) for key, ids in owners.items() if len(ids) == 1}
