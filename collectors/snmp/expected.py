"""Which ports should be up, and why: lines, uplinks, neighbours, the estate's pattern.

Never an ordinary user port: nobody is paged because somebody went home.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from collectors.estate.model import Device, Line, expects_up
from collectors.snmp.interfaces import Port
from collectors.snmp.poll import Outlook


def outlook(
    device: Device,
    lines: Iterable[Line],
    ports: Collection[Port],
    neighbours: Collection[str],
) -> Outlook:
    """By port key, why it should be up (the strongest reason), and its lines. Pure.

    `neighbours` are keys of ports behind which a bridge or access point was heard.
    """
    lines = [line for line in lines if line.device == device.id]
    expected: dict[str, str] = {}
    ends: dict[str, tuple[Line, ...]] = {}
    for port in ports:
        names = port.names
        ending = tuple(line for line in lines if line.port in names)
        if ending:
            ends[port.key] = ending
            expected[port.key] = "line"
        elif any(name in device.uplink_ports for name in names):
            expected[port.key] = "uplink"
        elif port.key in neighbours:
            expected[port.key] = "neighbour"
        elif any(expects_up(device, name, port.alias or "") for name in names):
            expected[port.key] = "pattern"
    return Outlook(expected, ends)
