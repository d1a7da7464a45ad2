"""Finds what each side is missing. Pure.

A device is matched by address, then by name. A port is matched by its name, description
or ifIndex. A sensor is matched by its OID, then by class and name, then, within its
class, by the words of its name if only one sensor fits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from collectors.comparing.compared_device import (
    ComparedDevice,
    ComparedPort,
    ComparedSensor,
)
from collectors.estate.estate_model import Device
from collectors.topology.device_matching import DeviceDirectory
from collectors.topology.neighbour_records import DeviceNeighbour

_Item = TypeVar("_Item")


class MissingItems(msgspec.Struct):
    """What one side is missing: devices, and (device, name) of ports and sensors."""

    devices: list[str] = []
    ports: list[tuple[str, str]] = []
    sensors: list[tuple[str, str]] = []

    @property
    def is_empty(self) -> bool:
        return not (self.devices or self.ports or self.sensors)


class Comparison(msgspec.Struct):
    """`missing_here`: missing in Towpath; `missing_there`: missing in the other
    monitor.

    `no_data` and `no_data_there`: devices that both have, but of which Towpath or the
    other has no data. `matched`: the number of devices, ports and sensors of both.
    """

    missing_here: MissingItems
    missing_there: MissingItems
    no_data: list[str] = []
    no_data_there: list[str] = []
    matched: dict[str, int] = {}

    @property
    def same(self) -> bool:
        return (
            self.missing_here.is_empty
            and self.missing_there.is_empty
            and not self.no_data
            and not self.no_data_there
        )


class OtherDevice(msgspec.Struct, frozen=True):
    """A device of the other monitor, with its names and the address it is polled at."""

    key: int
    name: str
    names: tuple[str, ...]
    address: str


def match_devices(
    devices: Sequence[Device], others: Sequence[OtherDevice]
) -> tuple[list[tuple[Device, OtherDevice]], list[Device], list[OtherDevice]]:
    """Return (matched pairs, devices only here, devices only there)."""
    directory = DeviceDirectory(devices, {})
    by_id = {device.id: device for device in devices}
    matched: dict[str, OtherDevice] = {}
    only_there: list[OtherDevice] = []
    for other in others:
        id = None
        for sighting in (
            DeviceNeighbour("", "", remote_address=other.address),
            *(DeviceNeighbour("", "", remote_name=name) for name in other.names),
        ):
            id = id or directory.find(sighting)[0]
        if id is None or id in matched:
            only_there.append(other)
        else:
            matched[id] = other
    only_here = [device for device in devices if device.id not in matched]
    return [(by_id[id], other) for id, other in matched.items()], only_here, only_there


def compare(
    matched: Sequence[tuple[Device, OtherDevice]],
    only_here: Sequence[Device],
    only_there: Sequence[OtherDevice],
    here: Mapping[str, ComparedDevice],
    there: Mapping[int, ComparedDevice],
) -> Comparison:
    """Compare both sides: `here` by device id, `there` by the other monitor's key."""
    comparison = Comparison(MissingItems(), MissingItems())
    comparison.missing_there.devices = sorted(device.id for device in only_here)
    comparison.missing_here.devices = sorted(
        f"{other.name} ({other.address})" if other.address else other.name
        for other in only_there
    )
    ports = sensors = 0
    for device, other in matched:
        mine, theirs = here.get(device.id), there.get(other.key, ComparedDevice())
        if mine is None:
            comparison.no_data.append(device.id)
            continue
        if not (theirs.ports or theirs.sensors) and (mine.ports or mine.sensors):
            comparison.no_data_there.append(device.id)
            continue
        both, only_mine, only_theirs = _match_items(mine.ports, theirs.ports, _PORTS)
        ports += both
        comparison.missing_there.ports += [(device.id, port.name) for port in only_mine]
        comparison.missing_here.ports += [
            (device.id, port.name) for port in only_theirs
        ]
        both, my_own, their_own = _match_items(mine.sensors, theirs.sensors, _SENSORS)
        sensors += both
        comparison.missing_there.sensors += [(device.id, _label(s)) for s in my_own]
        comparison.missing_here.sensors += [(device.id, _label(s)) for s in their_own]
    for side in (comparison.missing_here, comparison.missing_there):
        side.ports.sort()
        side.sensors.sort()
    comparison.no_data.sort()
    comparison.no_data_there.sort()
    comparison.matched = {"devices": len(matched), "ports": ports, "sensors": sensors}
    return comparison


def _match_items(
    mine: Sequence[_Item],
    theirs: Sequence[_Item],
    rules: Sequence[tuple[bool, Callable[[_Item, _Item], bool]]],
) -> tuple[int, list[_Item], list[_Item]]:
    """Return (number matched, only mine, only theirs), by the most certain rule first.

    A certain rule matches items one by one. Any other rule matches only if exactly one
    item fits on each side.
    """
    my_rest, their_rest, both = list(mine), list(theirs), 0
    for certain, rule in rules:
        for item in list(my_rest):
            fits = [other for other in their_rest if rule(item, other)]
            if not fits:
                continue
            rivals = [other for other in my_rest if rule(other, fits[0])]
            if certain or len(fits) == len(rivals) == 1:
                my_rest.remove(item)
                their_rest.remove(fits[0])
                both += 1
    return both, my_rest, their_rest


def _label(sensor: ComparedSensor) -> str:
    return f"{sensor.kind} {sensor.descr}".strip()


_PORTS: tuple[tuple[bool, Callable[[ComparedPort, ComparedPort], bool]], ...] = (
    (True, lambda a, b: a.name.lower() == b.name.lower() != ""),
    (False, lambda a, b: bool(a.names & b.names)),
)
_SENSORS: tuple[tuple[bool, Callable[[ComparedSensor, ComparedSensor], bool]], ...] = (
    (True, lambda a, b: a.oid == b.oid != "" and a.kind == b.kind),
    (True, lambda a, b: a.kind == b.kind and a.plain == b.plain != ""),
    (False, lambda a, b: a.oid == b.oid != ""),
    (
        False,
        lambda a, b: a.kind == b.kind and (a.words <= b.words or b.words <= a.words),
    ),
)
