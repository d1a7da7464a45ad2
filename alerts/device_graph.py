"""`DeviceGraph`: which device is reached through which, and what explains that several
do not answer. Pure.

Links come from the estate's parents and from what neighbours report (LLDP, CDP). Which
way is "up" need not be known: what answers is reached by Towpath, so of devices that do
not answer, only one with a link to a device that does is a cause. The others have lost
every way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from collectors.estate.estate_model import Device, Estate
from collectors.topology import TopologyGraph
from collectors.topology.dominators import distances, dominators


class DeviceGraph:
    """The links of one estate.

    `leads_to`: (device, port) → the device at the other end. `ways_out`: devices from
    which a line leads to a place that the estate does not name. `exits`: site → the
    devices by which it is joined to others. `strays`: those of which only the site is
    known.
    """

    def __init__(self, estate: Estate, topology: TopologyGraph) -> None:
        self._devices = {device.id: device for device in estate.devices}
        self.links: dict[str, set[str]] = {id: set() for id in self._devices}
        self.leads_to: dict[tuple[str, str], str] = {}
        self.ways_out: set[str] = set()
        self.exits: dict[str, set[str]] = {}
        self.strays: set[str] = set()
        self._unpolled = frozenset(d.id for d in estate.devices if not d.poll)
        self._explained: dict[object, dict[str, tuple[str, ...]]] = {}
        for link in topology.links:
            if link.a in self.links and link.b in self.links:
                self._join(link.a, link.b)
                for port_a, port_b in link.ports:
                    self.leads_to[link.a, port_a] = link.b
                    self.leads_to[link.b, port_b] = link.a
        self._add_parents(topology)
        self._add_exits(estate)

    def ports_to(self, device: str, other: str) -> list[str]:
        """The ports of `device` that lead to `other`, if a neighbour reported them."""
        return sorted(
            port
            for (place, port), far in self.leads_to.items()
            if place == device and far == other and port
        )

    def explain(
        self, down: Collection[str], cut: Collection[tuple[str, str]] = ()
    ) -> Mapping[str, tuple[str, ...]]:
        """Each device of `down` → the devices of `down` that would have to answer for
        it to be reached: itself if Towpath gets as far as its neighbour.

        `cut`: devices of `down` with a neighbour that is no way to them any more.
        Several only if every way to it is cut by another fault.
        """
        key = frozenset(down), frozenset(cut)
        if key not in self._explained:
            # One cycle asks with and without what was cut.
            while len(self._explained) > 1:
                del self._explained[next(iter(self._explained))]
            self._explained[key] = self._find_causes(*key)
        return self._explained[key]

    def _find_causes(
        self, down: frozenset[str], cut: frozenset[tuple[str, str]]
    ) -> dict[str, tuple[str, ...]]:
        causes: dict[str, tuple[str, ...]] = {}
        # What is not polled may have failed or not: it is on the way, never the cause.
        dark = (down | self._unpolled) & self.links.keys()
        rest = set(down & dark)
        while rest:
            part = {min(rest)}
            todo = list(part)
            while todo:
                joined = self.links[todo.pop()] & dark - part
                part |= joined
                todo += joined
            rest -= part
            edges = {device: self.links[device] & part for device in part}
            firsts = self._first_of(part, dark, cut)
            above = dominators(edges, firsts)
            roots = tuple(sorted(firsts & down))
            for device in part & down:
                first = current = device
                while (nearest := above.get(current)) is not None:
                    current = nearest
                    first = current if current in down else first
                # Cut off by two faults at once: either would have to be mended.
                alone = current in firsts or not roots
                causes[device] = (first,) if alone else roots
        return causes

    def _first_of(
        self, part: set[str], dark: frozenset[str], cut: frozenset[tuple[str, str]]
    ) -> set[str]:
        """The devices of a connected part that Towpath would reach first."""
        ends = {(device, o) for device in part for o in self.links[device] - dark}
        # If all ways into the part are cut, one of them is the fault.
        beside = {device for device, _ in ends - cut or ends}
        # If none is linked to a device that answers, Towpath enters at one with
        # a line, or at one without a parent in the part.
        tops = {
            device
            for device in part - self.strays
            if part.isdisjoint(self._devices[device].above)
        }
        return beside or part & self.ways_out or tops or {min(part)}

    def _join(self, a: str, b: str) -> None:
        self.links[a].add(b)
        self.links[b].add(a)

    def _add_parents(self, topology: TopologyGraph) -> None:
        """Adds parents of the estate file. One that neighbours show to be further away
        is not a link: what lies between may fail while the parent answers."""
        heard = {device: set(others) for device, others in self.links.items()}
        parts = {id: n for n, part in enumerate(_parts(heard)) for id in part}
        for device in self._devices.values():
            if device.id in topology.discovered and not device.parents:
                continue
            for parent in self.links.keys() & set(device.above):
                apart = parts[device.id] != parts[parent]
                if apart or parent in heard[device.id]:
                    self._join(device.id, parent)

    def _add_exits(self, estate: Estate) -> None:
        """Joins what has no link to the ways out of its site: it is somewhere behind
        these."""
        sites: dict[str, list[Device]] = {}
        for device in estate.devices:
            sites.setdefault(device.site, []).append(device)
        lines: dict[str, set[str]] = {}
        far: dict[str, set[str]] = {}
        for line in estate.lines:
            ends = far if line.far_end else lines
            if line.device in self.links:
                ends.setdefault(line.site, set()).add(line.device)
        for site, devices in sites.items():
            ids = {device.id for device in devices}
            leaving = {id for id in ids if self.links[id] - ids}
            line_ends = lines.get(site, set()) & ids
            exits = leaving | line_ends
            if not exits:
                exits = {d.id for d in devices if d.role in ("router", "firewall")}
                for id in exits:
                    for other in far.get(site, ()):
                        self._join(id, other)
            if not leaving:
                self.ways_out |= line_ends
            self.exits[site] = exits
            if exits:
                self._join_strays(ids, exits)

    def _join_strays(self, ids: set[str], exits: set[str]) -> None:
        """Joins every part of a site that has no link to its exits."""
        inside = {id: self.links[id] & ids for id in ids}
        joined = set(distances(inside, exits))
        for part in _parts({id: inside[id] for id in ids - joined}):
            tops = {id for id in part if part.isdisjoint(self._devices[id].above)}
            for top in sorted(tops or part):
                self.strays.add(top)
                for exit in exits:
                    self._join(top, exit)


def _parts(edges: Mapping[str, Collection[str]]) -> list[set[str]]:
    """The connected parts of a graph."""
    parts: list[set[str]] = []
    rest = set(edges)
    while rest:
        part = set(distances(edges, [min(rest)]))
        parts.append(part)
        rest -= part
    return parts
