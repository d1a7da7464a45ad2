"""`EstateIndex`: the estate, indexed for the lookups that rules need."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from alerts.device_graph import DeviceGraph
from collectors.estate.estate_model import (
    Device,
    Estate,
    Line,
    Room,
    Site,
    Team,
    VpnGateway,
)
from collectors.estate.opening_hours import OpeningHours, is_open
from collectors.experience.groups import LEAST
from collectors.topology import TopologyGraph


class EstateIndex:
    """Lookups in one frozen estate.

    `tops`: the polled devices of a site whose parent is not at that site: its way out.
    `least_agents`: the smallest group of laptops that is reported (`groups.least`).
    `topology`: what neighbours report of the links between devices.
    """

    def __init__(
        self,
        estate: Estate,
        least_agents: int = LEAST,
        topology: TopologyGraph | None = None,
    ) -> None:
        self.estate, self.least_agents = estate, least_agents
        self.topology = topology or TopologyGraph()
        self.graph = DeviceGraph(estate, self.topology)
        self.sites: dict[str, Site] = {site.id: site for site in estate.sites}
        self.devices: dict[str, Device] = {d.id: d for d in estate.devices}
        self.lines: dict[str, Line] = {line.id: line for line in estate.lines}
        self.gateways: dict[str, VpnGateway] = {g.id: g for g in estate.vpn_gateways}
        self.teams: dict[str, Team] = {team.id: team for team in estate.teams}
        self.rooms: dict[str, Room] = {room.id: room for room in estate.rooms}
        self.rooms_on: dict[str, list[Room]] = {}
        for room in estate.rooms:
            for id in room.switches:
                self.rooms_on.setdefault(id, []).append(room)
        self.polled = frozenset(d.id for d in estate.devices if d.poll)
        self.children: dict[str, list[str]] = {}
        self.lines_of: dict[str, list[Line]] = {}
        self.line_at: dict[tuple[str, str], Line] = {}
        self.tops: dict[str, list[str]] = {}
        self.polled_at: dict[str, list[str]] = {}
        self.ups_at: dict[str, list[str]] = {}
        self.powers: dict[str, list[str]] = {}
        self._ancestors: dict[str, tuple[str, ...]] = {}
        for line in estate.lines:
            self.lines_of.setdefault(line.site, []).append(line)
            self.line_at[line.device, line.port] = line
        for device in estate.devices:
            for parent in device.above:
                self.children.setdefault(parent, []).append(device.id)
            if device.poll:
                self.polled_at.setdefault(device.site, []).append(device.id)
            for feed in device.powered_by:
                self.powers.setdefault(feed, []).append(device.id)
            if device.role == "ups":
                self.ups_at.setdefault(device.site, []).append(device.id)
            inside = [
                above
                for above in device.above
                if above in self.devices and self.devices[above].site == device.site
            ]
            if device.poll and not inside:
                self.tops.setdefault(device.site, []).append(device.id)

    def is_end_known(self, subject: Mapping[str, str]) -> bool:
        """Whether it is known what the port of `subject` leads to."""
        place = (subject.get("device", ""), subject.get("port", ""))
        return place in self.graph.leads_to or place in self.line_at

    def devices_called(self, name: str) -> list[str]:
        """The devices with that id, name or address, in capitals or not."""
        return self._called.get(name.casefold(), []) if name else []

    @functools.cached_property
    def _called(self) -> dict[str, list[str]]:
        called: dict[str, list[str]] = {}
        for device in self.devices.values():
            names = {device.id, device.name, str(device.address)} - {""}
            for name in {name.casefold() for name in names}:
                called.setdefault(name, []).append(device.id)
        return called

    def is_of(self, estate: Estate, topology: TopologyGraph) -> bool:
        """Whether it was made from these: an index takes a while to make."""
        return estate is self.estate and (topology.links, topology.discovered) == (
            self.topology.links,
            self.topology.discovered,
        )

    def ancestors(self, device: str) -> tuple[str, ...]:
        """The devices above `device` on any way, nearest first. A loop of parents ends
        where it began."""
        ancestors = self._ancestors.get(device)
        if ancestors is None:
            above = self._above(device)
            for other in above:
                above += [id for id in self._above(other) if id not in (*above, device)]
            ancestors = self._ancestors[device] = tuple(above)
        return ancestors

    def only_ways(self, device: str) -> tuple[str, ...]:
        """Those of its ancestors that every way to it passes, nearest first."""
        ancestors = self.ancestors(device)
        return tuple(id for id in ancestors if not self._is_passed(device, id))

    def _is_passed(self, device: str, passed: str) -> bool:
        """Whether a way from `device` to the top avoids `passed`."""
        visited, todo = {device}, [device]
        while todo:
            above = self._above(todo.pop())
            if not above:
                return True
            further = [id for id in above if id != passed and id not in visited]
            visited.update(further)
            todo += further
        return False

    def _above(self, device: str) -> list[str]:
        known = self.devices.get(device)
        return [id for id in known.above if id != device] if known else []

    def feeds(self, device: str) -> list[str]:
        """What gives power to `device`: what the estate names, or else every UPS at its
        site."""
        known = self.devices.get(device)
        if known is None:
            return []
        return list(known.powered_by) or self.ups_at.get(known.site, [])

    def below(self, device: str) -> set[str]:
        """Every device below `device`, without itself."""
        below: set[str] = set()
        todo = list(self.children.get(device, ()))
        while todo:
            child = todo.pop()
            if child not in below and child != device:
                below.add(child)
                todo += self.children.get(child, ())
        return below

    def is_open(self, site: str, now_ms: int) -> bool:
        """Whether `site` is within its business hours."""
        return is_open(self.hours(site), now_ms)

    def hours(self, site: str) -> OpeningHours:
        """The business hours of `site`; the defaults if it is unknown."""
        known = self.sites.get(site)
        return OpeningHours() if known is None else known.hours

    def knows(self, subject: dict[str, str]) -> bool:
        """False if `subject` names something that is no longer in the estate."""
        if subject.get("by") == "team" and subject.get("group") not in self.teams:
            return False
        for tag, known in (
            ("device", self.devices),
            ("line", self.lines),
            ("gateway", self.gateways),
            ("room", self.rooms),
            ("team", self.teams),
            ("site", self.sites),
        ):
            if subject.get(tag) and subject[tag] not in known:
                return False
        device = subject.get("device")
        return not device or device in self.polled
