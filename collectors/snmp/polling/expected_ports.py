"""Which ports should be up, and why: lines, uplinks, neighbours, the estate's pattern.

Never an ordinary user port: nobody is paged because somebody went home.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from collectors.estate.estate_model import Device, Line, expects_up
from collectors.snmp.polling.poll_rows import ExpectedPorts
from collectors.snmp.tables.interfaces import Port


def outlook(
    device: Device,
    lines: Iterable[Line],
    ports: Collection[Port],
    neighbours: Collection[str],
    towards: Collection[str] = (),
) -> ExpectedPorts:
    """By port key, why it should be up (the strongest reason), and its lines. Pure.

    `neighbours` are keys of ports behind which a bridge or access point was heard;
    `towards` those that were discovered to lead towards the way out.
    """
    called = _called(ports)
    ends: dict[str, tuple[Line, ...]] = {}
    for line in lines:
        key = called.get(line.port)
        if line.device == device.id and key is not None:
            ends[key] = (*ends.get(key, ()), line)
    uplinks = {called.get(name) for name in (*device.uplink_ports, *towards)} - {None}
    expected: dict[str, str] = {}
    for port in ports:
        names = port.names
        if port.key in ends:
            expected[port.key] = "line"
        elif port.key in uplinks:
            expected[port.key] = "uplink"
        elif port.key in neighbours:
            expected[port.key] = "neighbour"
        elif any(expects_up(device, name, port.alias or "") for name in names):
            expected[port.key] = "pattern"
    return ExpectedPorts(expected, ends)


def _called(ports: Collection[Port]) -> dict[str, str]:
    """By all that a person may call a port, its key; what two ports are called means
    neither, unless it is the key of one."""
    counted = Counter(name for port in ports for name in port.names)
    called = {
        name: port.key for port in ports for name in port.names if counted[name] == 1
    }
    return called | {port.key: port.key for port in ports}
