"""The site graph: links, parents, uplinks, and what does not fit. Pure.

A device's parent is the nearest one that every way to it goes through: whoever has two
ways hangs on neither, but on where they meet. So a parent that is down always explains
a child that is, and a ring or a pair of cores explains nothing wrongly.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from collectors.estate.estate_model import Device, Estate
from collectors.topology.device_matching import Directory, short
from collectors.topology.dominators import distances, dominators
from collectors.topology.sighting import Sighting, Who

_WAYS_OUT = ("router", "firewall")


class Link(msgspec.Struct, frozen=True):
    """Two devices that hear each other, or one the other. `ports` are the cables
    between them, (port of `a`, port of `b`), empty where an end is not known: several
    are a bundle or parallel. `agreed`: both ends said so."""

    a: str
    b: str
    ports: tuple[tuple[str, str], ...]
    agreed: bool


class UnknownNeighbour(msgspec.Struct, frozen=True):
    """Somebody heard who is not in the estate."""

    device: str
    port: str
    name: str
    address: str
    chassis: str
    protocol: str


class Graph(msgspec.Struct, frozen=True):
    """`parents` are those of the estate, and where it names none those that were
    discovered (`discovered`); `uplinks`, by device, the ports that lead towards the
    way out; `findings` a sentence each."""

    links: tuple[Link, ...] = ()
    parents: Mapping[str, str] = {}
    discovered: frozenset[str] = frozenset()
    uplinks: Mapping[str, tuple[str, ...]] = {}
    unknown: tuple[UnknownNeighbour, ...] = ()
    findings: tuple[str, ...] = ()


def graph(
    estate: Estate,
    sightings: Iterable[Sighting],
    who: Mapping[str, Who],
    directory: Directory | None = None,
) -> Graph:
    """What the sightings make of the estate; `directory` where it is made already."""
    devices = {device.id: device for device in estate.devices}
    directory = directory or Directory(estate.devices, who)
    unknown: list[UnknownNeighbour] = []
    said: dict[tuple[str, str], list[Sighting]] = {}
    for seen in sightings:
        if seen.device not in devices:
            continue
        other, _ = directory.find(seen)
        if other is None:
            unknown.append(_unknown(seen))
        elif other != seen.device:
            said.setdefault((seen.device, other), []).append(seen)
    pairs = sorted({(min(pair), max(pair)) for pair in said})
    links = [
        Link(
            a,
            b,
            _cables(said.get((a, b), ()), said.get((b, a), ())),
            (a, b) in said and (b, a) in said,
        )
        for a, b in pairs
    ]
    edges: dict[str, set[str]] = {}
    for link in links:
        edges.setdefault(link.a, set()).add(link.b)
        edges.setdefault(link.b, set()).add(link.a)
    findings: list[str] = []
    parents, discovered, away = _parents(estate, devices, edges, findings)
    findings += _one_sided(links, said, who)
    return Graph(
        tuple(links),
        parents,
        frozenset(discovered),
        _uplinks(links, parents, away),
        tuple(sorted(set(unknown), key=lambda u: (u.device, u.port, u.name))),
        tuple(findings),
    )


def with_parents(estate: Estate, found: Graph) -> Estate:
    """The estate with the discovered parents where it names none."""
    if not found.discovered:
        return estate
    devices = tuple(
        device.model_copy(update={"parent": found.parents[device.id]})
        if device.id in found.discovered
        else device
        for device in estate.devices
    )
    return estate.model_copy(update={"devices": devices})


def _parents(
    estate: Estate,
    devices: Mapping[str, Device],
    heard: Mapping[str, Collection[str]],
    findings: list[str],
) -> tuple[dict[str, str], set[str], dict[str, int]]:
    """(parents, whose was discovered, links to the way out). The estate's word is a
    link like any other."""
    parents = {d.id: d.parent for d in estate.devices if d.parent is not None}
    edges = {id: set(others) for id, others in heard.items()}
    for id, parent in parents.items():
        edges.setdefault(id, set()).add(parent)
        edges.setdefault(parent, set()).add(id)
    roots = _roots(estate, devices, edges, parents, findings)
    above = dominators(edges, roots)
    for id, parent in parents.items():
        found = above.get(id)
        if id in heard and parent not in heard[id] and not _is_above(parent, id, above):
            behind = f"it is heard behind {found}" if found else "nobody hears it there"
            findings.append(
                f"{id}: the estate says it hangs on {parent}, but {behind}; the "
                "estate's word counts"
            )
    discovered: set[str] = set()
    for id in sorted(above):
        found = above[id]
        if id in parents or found is None:
            continue
        if _would_ring(id, found, parents):
            findings.append(
                f"{id}: it is heard behind {found}, which by the estate hangs on "
                "it: no parent is taken from that"
            )
            continue
        parents[id] = found
        discovered.add(id)
    return parents, discovered, distances(edges, roots)


def _roots(
    estate: Estate,
    devices: Mapping[str, Device],
    edges: Mapping[str, Collection[str]],
    parents: Mapping[str, str],
    findings: list[str],
) -> set[str]:
    """Where the ways out are: the device a line ends on, else routers and firewalls,
    else whom the estate calls the parent of others; for each part of the graph."""
    lined = {line.device for line in estate.lines if not line.far_end}
    roots: set[str] = set()
    todo = set(edges)
    while todo:
        part = set(distances(edges, [min(todo)]))
        todo -= part
        choices = (
            part & lined,
            {id for id in part if devices[id].role in _WAYS_OUT},
            {parents[id] for id in part if id in parents},
        )
        chosen = next((choice for choice in choices if choice), set())
        if not chosen:
            some = ", ".join(sorted(part)[:5])
            findings.append(
                f"{some}{' …' if len(part) > 5 else ''}: no line ends there, none is a "
                "router or firewall, and the estate names no parent: which way out "
                "they have is not known"
            )
        for id in chosen:
            # Whom the estate hangs on another is reached through that.
            while id in parents:
                id = parents[id]
            roots.add(id)
    return roots


def _uplinks(
    links: Sequence[Link], parents: Mapping[str, str], away: Mapping[str, int]
) -> dict[str, tuple[str, ...]]:
    """The ports that lead to whoever is nearer to the way out."""
    found: dict[str, set[str]] = {}
    for link in links:
        for near, far, side in ((link.a, link.b, 1), (link.b, link.a, 0)):
            nearer = near in away and away[near] < away.get(far, 0)
            if parents.get(far) == near or (nearer and parents.get(near) != far):
                ports = {pair[side] for pair in link.ports if pair[side]}
                found.setdefault(far, set()).update(ports)
    return {device: tuple(sorted(ports)) for device, ports in sorted(found.items())}


def _cables(
    of_a: Sequence[Sighting], of_b: Sequence[Sighting]
) -> tuple[tuple[str, str], ...]:
    """The cables between two devices, each once, from what either says.

    Each knows its own ports; of the other's it has a text, which may be another name
    (`GigabitEthernet1/0/1` for `Gi1/0/1`) or a MAC address, or one of each protocol.
    """
    ours, theirs = _texts(of_a), _texts(of_b)
    cables: list[tuple[str, str]] = []
    for mine in list(ours):
        for other in theirs:
            if _meant(other, ours[mine]) or _meant(mine, theirs[other]):
                cables.append((mine, other))
                del ours[mine], theirs[other]
                break
    if len(ours) == len(theirs) == 1:
        cables.append((next(iter(ours)), next(iter(theirs))))
    else:
        cables += [(mine, _best(texts)) for mine, texts in ours.items()]
        cables += [(_best(texts), other) for other, texts in theirs.items()]
    return tuple(sorted(cables))


def _texts(sightings: Sequence[Sighting]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for seen in sorted(sightings, key=lambda each: each.port):
        texts = found.setdefault(seen.port, [])
        texts += [t for t in (seen.remote_port, seen.remote_port_descr) if t]
    return found


def _meant(port: str, texts: Sequence[str]) -> bool:
    return any(same_port(port, text) for text in texts)


def _best(texts: Sequence[str]) -> str:
    """The text most like a name."""
    return next((text for text in texts if ":" not in text), texts[0] if texts else "")


def same_port(a: str, b: str) -> bool:
    """True where two texts name one port: equal, or `Gi1/0/1` for
    `GigabitEthernet1/0/1`."""
    if a.lower() == b.lower():
        return True
    letters = [_letters(text) for text in (a, b)]
    numbers = [
        text[len(head) :].strip() for text, head in zip((a, b), letters, strict=True)
    ]
    first, second = sorted((each.strip().lower() for each in letters), key=len)
    return (
        numbers[0] == numbers[1] != ""
        and first != ""
        and second.startswith(first[:2])
        and (second.startswith(first) or first[0] == second[0])
    )


def _letters(text: str) -> str:
    at = next((n for n, c in enumerate(text) if c.isdigit()), len(text))
    return text[:at]


def _one_sided(
    links: Sequence[Link],
    said: Collection[tuple[str, str]],
    who: Mapping[str, Who],
) -> Iterable[str]:
    for link in links:
        if link.agreed:
            continue
        hears, silent = (
            (link.a, link.b) if (link.a, link.b) in said else (link.b, link.a)
        )
        # Who was never asked cannot be expected to hear.
        if silent in who:
            yield (
                f"{hears} hears {silent}, which does not hear {hears}: the protocol is "
                f"off at one end, or something between keeps it back"
            )


def _is_above(parent: str, id: str, above: Mapping[str, str | None]) -> bool:
    at: str | None = above.get(id)
    while at is not None:
        if at == parent:
            return True
        at = above.get(at)
    return False


def _would_ring(id: str, parent: str, parents: Mapping[str, str]) -> bool:
    at: str | None = parent
    while at is not None and at != id:
        at = parents.get(at)
    return at is not None


def _unknown(seen: Sighting) -> UnknownNeighbour:
    return UnknownNeighbour(
        seen.device,
        seen.port,
        short(seen.remote_name) and seen.remote_name,
        seen.remote_address,
        seen.remote_chassis,
        seen.protocol,
    )
