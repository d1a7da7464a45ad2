"""Which device of the estate a neighbour is. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from collectors.estate.estate_model import Device
from collectors.topology.sighting import Sighting, Who


class Directory:
    """Devices by address, chassis id and name; what two of them have tells neither."""

    def __init__(self, devices: Sequence[Device], who: Mapping[str, Who]) -> None:
        self._ids = {device.id for device in devices}
        self._by_address = _unique((str(d.address), d.id) for d in devices)
        self._by_chassis = _unique(
            (plain(who[d.id].chassis), d.id) for d in devices if d.id in who
        )
        self._by_name = _unique(
            (name.lower(), d.id) for d in devices for name in _names(d, who.get(d.id))
        )
        self._by_short = _unique(
            (short(name), d.id) for d in devices for name in _names(d, who.get(d.id))
        )

    def find(self, seen: Sighting) -> tuple[str | None, str]:
        """(device id, how it was told): by chassis id, address, then name."""
        # `core-1(FOC1234X0AB)`, as Nexus switches say by CDP.
        name = re.sub(r"\([^)]*\)$", "", seen.remote_name).strip().lower()
        for table, key, how in (
            (self._by_chassis, plain(seen.remote_chassis), "chassis"),
            (self._by_address, seen.remote_address, "address"),
            (self._by_name, name, "name"),
            (self._by_short, short(name), "name"),
            (self._by_name, seen.remote_chassis.lower(), "name"),
        ):
            found = table.get(key) if key else None
            if found is not None:
                return found, how
        return None, ""


def short(name: str) -> str:
    """A host name without its domain; an address stays whole."""
    if re.fullmatch(r"[\d.]+|.*:.*", name):
        return name.lower()
    return name.lower().partition(".")[0]


def plain(chassis: str) -> str:
    """A chassis id without the marks people put into MAC addresses."""
    bare = re.sub(r"[:\-. ]", "", chassis.lower())
    if re.fullmatch(r"[0-9a-f]{12}", bare):
        # An address of nothing but zeros is what factories leave.
        return bare if bare.strip("0") else ""
    return chassis.lower()


def _names(device: Device, who: Who | None) -> Iterable[str]:
    given = (device.id, device.name, who.sys_name if who else "")
    return {name.lower() for name in given if name}


def _unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    owners: dict[str, set[str]] = {}
    for key, owner in pairs:
        if key:
            owners.setdefault(key, set()).add(owner)
    return {key: next(iter(ids)) for key, ids in owners.items() if len(ids) == 1}
