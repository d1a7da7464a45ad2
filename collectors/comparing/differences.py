"""What either side lacks. Pure.

A device is matched by address, then by name; a port by its name, description or
ifIndex; a sensor by its object, then by class and what it is called, then, within its
class, by the words of its name where only one fits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from collectors.comparing.side import ComparedDevice, ComparedPort, ComparedSensor
from collectors.estate.estate_model import Device
from collectors.topology.device_matching import Directory
from collectors.topology.sighting import Sighting

_Thing = TypeVar("_Thing")


class Lacks(msgspec.Struct):
    """What one side lacks and the other has: devices, and (device, what)."""

    devices: list[str] = []
    ports: list[tuple[str, str]] = []
    sensors: list[tuple[str, str]] = []

    @property
    def nothing(self) -> bool:
        return not (self.devices or self.ports or self.sensors)


class Comparison(msgspec.Struct):
    """`here` is what Towpath lacks, `there` what the other does; `silent` devices both
    have, but of which Towpath has no data; `both` how much was matched."""

    here: Lacks
    there: Lacks
    silent: list[str] = []
    both: dict[str, int] = {}

    @property
    def same(self) -> bool:
        return self.here.nothing and self.there.nothing and not self.silent


class Other(msgspec.Struct, frozen=True):
    """A device of the other side: what it is called, and where it is asked."""

    key: int
    name: str
    names: tuple[str, ...]
    address: str


def pair(
    devices: Sequence[Device], others: Sequence[Other]
) -> tuple[list[tuple[Device, Other]], list[Device], list[Other]]:
    """(matched, only here, only there)."""
    directory = Directory(devices, {})
    by_id = {device.id: device for device in devices}
    matched: dict[str, Other] = {}
    strangers: list[Other] = []
    for other in others:
        found = None
        for seen in (
            Sighting("", "", remote_address=other.address),
            *(Sighting("", "", remote_name=name) for name in other.names),
        ):
            found = found or directory.find(seen)[0]
        if found is None or found in matched:
            strangers.append(other)
        else:
            matched[found] = other
    lonely = [device for device in devices if device.id not in matched]
    return [(by_id[id], other) for id, other in matched.items()], lonely, strangers


def compare(
    matched: Sequence[tuple[Device, Other]],
    lonely: Sequence[Device],
    strangers: Sequence[Other],
    here: Mapping[str, ComparedDevice],
    there: Mapping[int, ComparedDevice],
) -> Comparison:
    """`here` by device id, `there` by the other's key."""
    found = Comparison(Lacks(), Lacks())
    found.there.devices = sorted(device.id for device in lonely)
    found.here.devices = sorted(
        f"{each.name} ({each.address})" if each.address else each.name
        for each in strangers
    )
    ports = sensors = 0
    for device, other in matched:
        mine, theirs = here.get(device.id), there.get(other.key, ComparedDevice())
        if mine is None:
            found.silent.append(device.id)
            continue
        both, only_mine, only_theirs = _match(mine.ports, theirs.ports, _PORTS)
        ports += both
        found.there.ports += [(device.id, each.name) for each in only_mine]
        found.here.ports += [(device.id, each.name) for each in only_theirs]
        both, my_own, their_own = _match(mine.sensors, theirs.sensors, _SENSORS)
        sensors += both
        found.there.sensors += [(device.id, _shown(each)) for each in my_own]
        found.here.sensors += [(device.id, _shown(each)) for each in their_own]
    for side in (found.here, found.there):
        side.ports.sort()
        side.sensors.sort()
    found.silent.sort()
    found.both = {"devices": len(matched), "ports": ports, "sensors": sensors}
    return found


def _match(
    mine: Sequence[_Thing],
    theirs: Sequence[_Thing],
    rules: Sequence[tuple[bool, Callable[[_Thing, _Thing], bool]]],
) -> tuple[int, list[_Thing], list[_Thing]]:
    """(how many matched, only mine, only theirs): by the surest rule first. What a
    sure rule fits is matched one by one, what another does only where it leaves no
    choice."""
    left, others, both = list(mine), list(theirs), 0
    for sure, rule in rules:
        for thing in list(left):
            fits = [each for each in others if rule(thing, each)]
            if not fits:
                continue
            back = [each for each in left if rule(each, fits[0])]
            if sure or len(fits) == len(back) == 1:
                left.remove(thing)
                others.remove(fits[0])
                both += 1
    return both, left, others


def _shown(sensor: ComparedSensor) -> str:
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
