"""Which ports should be up, and why: lines, uplinks, neighbours, the estate's pattern.

Never an ordinary user port: nobody is paged because somebody went home.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import msgspec

from collectors.estate.estate_model import Device, Line, expects_up
from collectors.snmp.tables.interfaces import Port


class ExpectedPorts(msgspec.Struct, frozen=True):
    """By port key: why the port should be up, and the lines that end there."""

    reasons: Mapping[str, str] = {}
    lines: Mapping[str, tuple[Line, ...]] = {}


def expected_ports(
    device: Device,
    lines: Iterable[Line],
    ports: Collection[Port],
    neighbours: Collection[str],
    uplinks: Collection[str] = (),
) -> ExpectedPorts:
    """The ports that should be up, each with the strongest reason. Pure.

    `neighbours` are the keys of ports with a switch or an access point; `uplinks` are
    ports that were discovered to lead towards the exit from the site.
    """
    keys = _keys_by_name(ports)
    lines_of: dict[str, tuple[Line, ...]] = {}
    for line in lines:
        key = keys.get(line.port)
        if line.device == device.id and key is not None:
            lines_of[key] = (*lines_of.get(key, ()), line)
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
    return ExpectedPorts(reasons, lines_of)


def _keys_by_name(ports: Collection[Port]) -> dict[str, str]:
    """The key of a port by all its names. A name that two ports share means neither of
    them, unless it is the key of one."""
    count = Counter(name for port in ports for name in port.names)
    keys = {name: port.key for port in ports for name in port.names if count[name] == 1}
    return keys | {port.key: port.key for port in ports}
