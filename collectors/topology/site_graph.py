"""The topology graph: links, parents, uplinks, and contradictions. Pure.

A device's parent is the nearest device that every path to it passes. A device with two
paths depends on neither, but on the device where they meet. So a parent that is down
always explains a child that is down, and a ring or a pair of cores never explains too
much.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from collectors.estate.estate_model import Device, Estate
from collectors.natural_order import natural_order
from collectors.topology.device_matching import DeviceDirectory, short_name
from collectors.topology.dominators import distances, dominators
from collectors.topology.neighbour_records import DeviceNeighbour, LocalSystem

_WAYS_OUT = ("router", "firewall")


class Link(msgspec.Struct, frozen=True):
    """Two devices of which at least one reports the other.

    `ports`: the cables between them, (port of `a`, port of `b`), with empty text for an
    unknown end; more than one are a bundle or parallel links. `both_ways`: both devices
    report each other.
    """

    a: str
    b: str
    ports: tuple[tuple[str, str], ...]
    both_ways: bool


class UnknownNeighbour(msgspec.Struct, frozen=True):
    """A neighbour that is not in the estate."""

    device: str
    port: str
    name: str
    address: str
    chassis: str
    protocol: str


class TopologyGraph(msgspec.Struct, frozen=True):
    """`parents`: configured ones, and discovered ones (`discovered`) for devices
    without.

    `uplinks`: by device, the ports that lead towards the exit of its site. `findings`:
    sentences about what contradicts the estate.
    """

    links: tuple[Link, ...] = ()
    parents: Mapping[str, str] = {}
    discovered: frozenset[str] = frozenset()
    uplinks: Mapping[str, tuple[str, ...]] = {}
    unknown: tuple[UnknownNeighbour, ...] = ()
    findings: tuple[str, ...] = ()


def build_graph(
    estate: Estate,
    neighbours: Iterable[DeviceNeighbour],
    local_systems: Mapping[str, LocalSystem],
    directory: DeviceDirectory | None = None,
) -> TopologyGraph:
    """Build the graph; `directory` is built from the estate unless given."""
    devices = {device.id: device for device in estate.devices}
    directory = directory or DeviceDirectory(estate.devices, local_systems)
    unknown: list[UnknownNeighbour] = []
    reports: dict[tuple[str, str], list[DeviceNeighbour]] = {}
    for neighbour in neighbours:
        if neighbour.device not in devices:
            continue
        other, _ = directory.find(neighbour)
        if other is None:
            unknown.append(_to_unknown(neighbour))
        elif other != neighbour.device:
            reports.setdefault((neighbour.device, other), []).append(neighbour)
    pairs = sorted({(min(pair), max(pair)) for pair in reports})
    links = [
        Link(
            a,
            b,
            _match_cables(reports.get((a, b), ()), reports.get((b, a), ())),
            (a, b) in reports and (b, a) in reports,
        )
        for a, b in pairs
    ]
    edges: dict[str, set[str]] = {}
    for link in links:
        edges.setdefault(link.a, set()).add(link.b)
        edges.setdefault(link.b, set()).add(link.a)
    findings: list[str] = []
    parents, discovered, distance = _find_parents(estate, devices, edges, findings)
    findings += _describe_one_way_links(links, reports, local_systems)
    return TopologyGraph(
        tuple(links),
        parents,
        frozenset(discovered),
        _find_uplinks(links, parents, distance),
        tuple(
            sorted(
                set(unknown),
                key=lambda u: (natural_order(u.device), natural_order(u.port), u.name),
            )
        ),
        tuple(findings),
    )


def with_parents(estate: Estate, graph: TopologyGraph) -> Estate:
    """Return the estate with the discovered parents filled in."""
    if not graph.discovered:
        return estate
    devices = tuple(
        device.model_copy(update={"parent": graph.parents[device.id]})
        if device.id in graph.discovered
        else device
        for device in estate.devices
    )
    return estate.model_copy(update={"devices": devices})


def _find_parents(
    estate: Estate,
    devices: Mapping[str, Device],
    reported: Mapping[str, Collection[str]],
    findings: list[str],
) -> tuple[dict[str, str], set[str], dict[str, int]]:
    """Return (parents, devices whose parent was discovered, links to the exit).

    A configured parent counts as a link like any other. With several configured, the
    parent is the device where these ways meet.
    """
    configured = {d.id: d.above for d in estate.devices if d.above}
    edges = {id: set(others) for id, others in reported.items()}
    for id, above_it in configured.items():
        for parent in above_it:
            edges.setdefault(id, set()).add(parent)
            edges.setdefault(parent, set()).add(id)
    ways_up = {id: above_it[0] for id, above_it in configured.items()}
    roots = _find_roots(estate, devices, edges, ways_up, findings)
    parents = {
        id: above_it[0] for id, above_it in configured.items() if not above_it[1:]
    }
    above = dominators(edges, roots)
    for id, parent in parents.items():
        nearest = above.get(id)
        unconfirmed = id in reported and parent not in reported[id]
        if unconfirmed and not _is_above(parent, id, above):
            seen_at = (
                f"it is seen behind {nearest}" if nearest else "it is not seen there"
            )
            findings.append(
                f"{id}: its parent in the estate is {parent}, but {seen_at}; the "
                "estate's parent is used"
            )
    discovered: set[str] = set()
    for id in sorted(above):
        nearest = above[id]
        if id in parents or nearest is None:
            continue
        if _would_loop(id, nearest, parents):
            findings.append(
                f"{id}: it is seen behind {nearest}, which is its child in the estate: "
                "no parent was discovered"
            )
            continue
        parents[id] = nearest
        discovered.add(id)
    return parents, discovered, distances(edges, roots)


def _find_roots(
    estate: Estate,
    devices: Mapping[str, Device],
    edges: Mapping[str, Collection[str]],
    parents: Mapping[str, str],
    findings: list[str],
) -> set[str]:
    """Return the exits of each connected part of the graph: the devices on which a line
    ends, else routers and firewalls, else devices that are configured as parents."""
    line_ends = {line.device for line in estate.lines if not line.far_end}
    roots: set[str] = set()
    rest = set(edges)
    while rest:
        part = set(distances(edges, [min(rest)]))
        rest -= part
        choices = (
            part & line_ends,
            {id for id in part if devices[id].role in _WAYS_OUT},
            {parents[id] for id in part if id in parents},
        )
        chosen = next((choice for choice in choices if choice), set())
        if not chosen:
            some = ", ".join(sorted(part)[:5])
            findings.append(
                f"{some}{' …' if len(part) > 5 else ''}: the way out of the site is "
                "not known, because no line ends here, none is a router or firewall, "
                "and none has a parent"
            )
        for id in chosen:
            # A device with a configured parent is reached through that parent.
            while id in parents:
                id = parents[id]
            roots.add(id)
    return roots


def _find_uplinks(
    links: Sequence[Link], parents: Mapping[str, str], distance: Mapping[str, int]
) -> dict[str, tuple[str, ...]]:
    """Return the ports that lead to a device nearer to the exit."""
    uplinks: dict[str, set[str]] = {}
    for link in links:
        for near, far, side in ((link.a, link.b, 1), (link.b, link.a, 0)):
            nearer = near in distance and distance[near] < distance.get(far, 0)
            if parents.get(far) == near or (nearer and parents.get(near) != far):
                ports = {pair[side] for pair in link.ports if pair[side]}
                uplinks.setdefault(far, set()).update(ports)
    return {
        device: tuple(sorted(ports, key=natural_order))
        for device, ports in sorted(uplinks.items())
    }


def _match_cables(
    reports_of_a: Sequence[DeviceNeighbour], reports_of_b: Sequence[DeviceNeighbour]
) -> tuple[tuple[str, str], ...]:
    """Return the cables between two devices, each once, from the reports of both.

    Each device knows the names of its own ports. For the other's port it has a text,
    which may be another form of the name (`GigabitEthernet1/0/1` for `Gi1/0/1`) or a
    MAC address, and may differ between protocols.
    """
    rest_a, rest_b = _remote_ports(reports_of_a), _remote_ports(reports_of_b)
    cables: list[tuple[str, str]] = []
    for port_a in list(rest_a):
        for port_b in rest_b:
            if _matches_any(port_b, rest_a[port_a]) or _matches_any(
                port_a, rest_b[port_b]
            ):
                cables.append((port_a, port_b))
                del rest_a[port_a], rest_b[port_b]
                break
    if len(rest_a) == len(rest_b) == 1:
        cables.append((next(iter(rest_a)), next(iter(rest_b))))
    else:
        cables += [(port, _best_name(texts)) for port, texts in rest_a.items()]
        cables += [(_best_name(texts), port) for port, texts in rest_b.items()]
    return tuple(sorted(cables, key=lambda cable: tuple(map(natural_order, cable))))


def _remote_ports(reports: Sequence[DeviceNeighbour]) -> dict[str, list[str]]:
    """Return the texts for the remote port, by local port."""
    texts: dict[str, list[str]] = {}
    for report in sorted(reports, key=lambda report: report.port):
        remote = (report.remote_port, report.remote_port_descr)
        texts.setdefault(report.port, []).extend(text for text in remote if text)
    return texts


def _matches_any(port: str, texts: Sequence[str]) -> bool:
    return any(same_port(port, text) for text in texts)


def _best_name(texts: Sequence[str]) -> str:
    """Return the first text that is not a MAC address, else the first."""
    return next((text for text in texts if ":" not in text), texts[0] if texts else "")


def same_port(a: str, b: str) -> bool:
    """Return True if both texts name the same port: equal but for case, or a short form
    such as `Gi1/0/1` for `GigabitEthernet1/0/1`."""
    if a.lower() == b.lower():
        return True
    letters = [_leading_letters(text) for text in (a, b)]
    numbers = [
        text[len(head) :].strip() for text, head in zip((a, b), letters, strict=True)
    ]
    short, long = sorted((text.strip().lower() for text in letters), key=len)
    return (
        numbers[0] == numbers[1] != ""
        and short != ""
        and long.startswith(short[:2])
        and (long.startswith(short) or short[0] == long[0])
    )


def _leading_letters(text: str) -> str:
    at = next((n for n, c in enumerate(text) if c.isdigit()), len(text))
    return text[:at]


def _describe_one_way_links(
    links: Sequence[Link],
    reports: Collection[tuple[str, str]],
    local_systems: Mapping[str, LocalSystem],
) -> Iterable[str]:
    for link in links:
        if link.both_ways:
            continue
        reporter, silent = (
            (link.a, link.b) if (link.a, link.b) in reports else (link.b, link.a)
        )
        # A device that was never polled cannot report its neighbours.
        if silent in local_systems:
            yield (
                f"{reporter} has {silent} as a neighbour, but {silent} does not have "
                f"{reporter}: the protocol is off at one end, or a device between them "
                "drops its frames"
            )


def _is_above(parent: str, id: str, above: Mapping[str, str | None]) -> bool:
    at: str | None = above.get(id)
    while at is not None:
        if at == parent:
            return True
        at = above.get(at)
    return False


def _would_loop(id: str, parent: str, parents: Mapping[str, str]) -> bool:
    at: str | None = parent
    while at is not None and at != id:
        at = parents.get(at)
    return at is not None


def _to_unknown(neighbour: DeviceNeighbour) -> UnknownNeighbour:
    return UnknownNeighbour(
        neighbour.device,
        neighbour.port,
        short_name(neighbour.remote_name) and neighbour.remote_name,
        neighbour.remote_address,
        neighbour.remote_chassis,
        neighbour.protocol,
    )
