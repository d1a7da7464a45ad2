"""Which port of IF-MIB a neighbour table means: few say it by ifIndex."""

from __future__ import annotations

import re
from collections.abc import Collection

from collectors.snmp.tables.interfaces import Port


class LocalPorts:
    """The ports of a device by all that its tables call them."""

    def __init__(self, ports: Collection[Port]) -> None:
        self.by_index = {port.if_index: port for port in ports}
        self._by_text: dict[str, Port] = {}
        for port in reversed(list(ports)):
            for each in (port.alias, port.descr, port.name, port.key):
                if each:
                    self._by_text[each.lower()] = port
        # Every port of a stack may show the chassis' one address: then it tells none.
        macs = [port.mac for port in ports if port.mac]
        self._by_mac = {p.mac: p for p in ports if p.mac and macs.count(p.mac) == 1}
        self._by_place: dict[tuple[int, int], list[Port]] = {}
        for port in ports:
            place = _parse_slot_and_port(port.name or port.descr or "")
            if place is not None:
                self._by_place.setdefault(place, []).append(port)

    def called(self, *texts: str) -> Port | None:
        """The port with one of these names, descriptions or aliases; best first."""
        for each in texts:
            if each and (port := self._by_text.get(each.lower())):
                return port
        return None

    def with_mac(self, mac: str) -> Port | None:
        """`mac` as 12 hex digits."""
        return self._by_mac.get(mac)

    def at(self, slot: int, port: int) -> Port | None:
        """The port whose name ends in that slot and port, if just one does."""
        found = self._by_place.get((slot, port), [])
        if not found and slot <= 1:
            found = self._by_place.get((0, port), [])
        return found[0] if len(found) == 1 else None


def _parse_slot_and_port(name: str) -> tuple[int, int] | None:
    """`Gi2/0/7`, `Slot: 2 Port: 7`, `2/7` as (2, 7); one number is port of slot 0."""
    numbers = [int(each) for each in re.findall(r"\d{1,5}", name)]
    if not numbers:
        return None
    return (numbers[0] if len(numbers) > 1 else 0, numbers[-1])
