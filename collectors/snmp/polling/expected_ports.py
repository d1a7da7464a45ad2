"""Which ports should be up, and why: lines, uplinks, neighbours, the estate's pattern.

Never an ordinary user port: no engineer is paged because a colleague went home.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

import msgspec

from collectors.estate.estate_model import (
    Device,
    Estate,
    Line,
    Room,
    expects_up,
)
from collectors.snmp.tables.interfaces import Port


class PortUses(msgspec.Struct, frozen=True):
    """What the estate has at the ports of one device."""

    lines: tuple[Line, ...] = ()
    rooms: tuple[Room, ...] = ()


def port_uses(estate: Estate) -> dict[str, PortUses]:
    """Device → what is at its ports, for those that have anything."""
    lines: dict[str, list[Line]] = {}
    rooms: dict[str, list[Room]] = {}
    for line in estate.lines:
        lines.setdefault(line.device, []).append(line)
    for room in estate.rooms:
        for device in room.switches:
            rooms.setdefault(device, []).append(room)
    return {
        device: PortUses(tuple(lines.get(device, ())), tuple(rooms.get(device, ())))
        for device in lines.keys() | rooms.keys()
    }


class ExpectedPorts(msgspec.Struct, frozen=True):
    """By port key: why the port should be up, and the lines and rooms that end there.
    `not_there`: ports of rooms that the device does not have."""

    reasons: Mapping[str, str] = {}
    lines: Mapping[str, tuple[Line, ...]] = {}
    rooms: Mapping[str, tuple[Room, ...]] = {}
    not_there: tuple[tuple[Room, str], ...] = ()


def expected_ports(
    device: Device,
    uses: PortUses,
    ports: Collection[Port],
    neighbours: Collection[str],
    uplinks: Collection[str] = (),
    are_all: bool = True,
) -> ExpectedPorts:
    """The ports that should be up, each with the strongest reason. Pure.

    `neighbours` are the keys of ports with a switch or an access point; `uplinks` are
    ports that were discovered to lead towards the exit from the site. `are_all`: these
    are all ports of the device. A room's port is not expected up: outside of events the
    room may be dark.
    """
    keys = _keys_by_name(ports)
    lines_of: dict[str, tuple[Line, ...]] = {}
    for line in uses.lines:
        key = keys.get(line.port)
        if line.device == device.id and key is not None:
            lines_of[key] = (*lines_of.get(key, ()), line)
    rooms_of: dict[str, tuple[Room, ...]] = {}
    not_there: list[tuple[Room, str]] = []
    for room in uses.rooms:
        for name in [port for id, port in room.places if id == device.id]:
            if name in keys:
                rooms_of[keys[name]] = (*rooms_of.get(keys[name], ()), room)
            elif ports and are_all:
                not_there.append((room, name))
    uplink_keys = {keys.get(name) for name in (*device.uplink_ports, *uplinks)}
    reasons: dict[str, str] = {}
    for port in ports:
        if port.key in lines_of:
            reasons[port.key] = "line"
        elif port.key in uplink_keys:
            reasons[port.key] = "uplink"
        elif port.key in neighbours:
            reasons[port.key] = "neighbour"
        elif any(expects_up(device, name, port.alias or "") for name in port.names):
            reasons[port.key] = "pattern"
    return ExpectedPorts(reasons, lines_of, rooms_of, tuple(not_there))


def _keys_by_name(ports: Collection[Port]) -> dict[str, str]:
    """The key of a port by all its names. A name that two ports share means neither of
    them, unless it is the key of one."""
    count = Counter(name for port in ports for name in port.names)
    keys = {name: port.key for port in ports for name in port.names if count[name] == 1}
    return keys | {port.key: port.key for port in ports}
