"""Finds the port of IF-MIB that a neighbour table means; few tables give its
ifIndex."""

from __future__ import annotations

import re
from collections.abc import Collection

from collectors.snmp.tables.interfaces import Port


class LocalPorts:
    """The ports of a device, by every name that its tables use."""

    def __init__(self, ports: Collection[Port]) -> None:
        self.by_index = {port.if_index: port for port in ports}
        self._by_name: dict[str, Port] = {}
        for port in reversed(list(ports)):
            for name in (port.alias, port.descr, port.name, port.key):
                if name:
                    self._by_name[name.lower()] = port
        # All ports of a stack may have the chassis' address: then it identifies none.
        macs = [port.mac for port in ports if port.mac]
        self._by_mac = {p.mac: p for p in ports if p.mac and macs.count(p.mac) == 1}
        self._by_place: dict[tuple[int, int], list[Port]] = {}
        for port in ports:
            place = _parse_slot_and_port(port.name or port.descr or "")
            if place is not None:
                self._by_place.setdefault(place, []).append(port)

    def find_by_name(self, *names: str) -> Port | None:
        """Return the port with one of these names, descriptions or aliases, the best
        first."""
        for name in names:
            if name and (port := self._by_name.get(name.lower())):
                return port
        return None

    def find_by_mac(self, mac: str) -> Port | None:
        """Return the port with this MAC address, as 12 hex digits."""
        return self._by_mac.get(mac)

    def find_by_slot(self, slot: int, port: int) -> Port | None:
        """Return the port whose name ends with this slot and port, if only one does."""
        ports = self._by_place.get((slot, port), [])
        if not ports and slot <= 1:
            ports = self._by_place.get((0, port), [])
        return ports[0] if len(ports) == 1 else None


def _parse_slot_and_port(name: str) -> tuple[int, int] | None:
    """Return (2, 7) for `Gi2/0/7`, `Slot: 2 Port: 7` and `2/7`; a single number is a
    port of slot 0."""
    numbers = [int(digits) for digits in re.findall(r"\d{1,5}", name)]
    if not numbers:
        return None
    return (numbers[0] if len(numbers) > 1 else 0, numbers[-1])
