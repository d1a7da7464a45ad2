"""Output of `towpath topology`: tables, JSON or Graphviz. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Console

from collectors.estate.estate_model import Estate
from collectors.json_text import json_text
from collectors.natural_order import natural_order
from collectors.terminal_tables import TerminalTable
from collectors.topology.site_graph import Link, TopologyGraph


def restrict_to_site(graph: TopologyGraph, estate: Estate, site: str) -> TopologyGraph:
    """Return the part of the graph that touches `site`; all of it if `site` is
    empty."""
    if not site:
        return graph
    here = {device.id for device in estate.devices if device.site == site}
    return TopologyGraph(
        tuple(link for link in graph.links if here & {link.a, link.b}),
        {id: parent for id, parent in graph.parents.items() if id in here},
        graph.discovered & here,
        {id: ports for id, ports in graph.uplinks.items() if id in here},
        tuple(neighbour for neighbour in graph.unknown if neighbour.device in here),
        graph.findings,
    )


def show(graph: TopologyGraph, estate: Estate, console: Console) -> None:
    """Print tables of devices with their parents, of links, and of unknown
    neighbours."""
    devices = TerminalTable(
        "Devices", "device", "site", "parent", "source", "uplink ports"
    )
    linked = (
        _linked_devices(graph.links)
        | graph.parents.keys()
        | set(graph.parents.values())
    )
    for device in sorted(
        estate.devices, key=lambda d: (natural_order(d.site), natural_order(d.id))
    ):
        if device.id in linked:
            devices.add_row(
                device.id,
                device.site,
                graph.parents.get(device.id, ""),
                _parent_source(graph, device.id),
                ", ".join(graph.uplinks.get(device.id, device.uplink_ports)),
            )
    if devices.row_count:
        console.print(devices)
    links = TerminalTable("Links", "device", "port", "port", "device", "seen")
    for link in graph.links:
        for port_a, port_b in link.ports or (("", ""),):
            seen = "both ways" if link.both_ways else "one way"
            links.add_row(link.a, port_a, port_b, link.b, seen)
    if links.row_count:
        console.print(links)
    unknown = TerminalTable(
        "Not in the estate", "device", "port", "neighbour", "address", "protocol"
    )
    for neighbour in graph.unknown:
        unknown.add_row(
            neighbour.device,
            neighbour.port,
            neighbour.name or neighbour.chassis,
            neighbour.address,
            neighbour.protocol,
        )
    if unknown.row_count:
        console.print(unknown)
    for finding in graph.findings:
        console.print(finding, highlight=False, markup=False)
    if not (linked or graph.unknown):
        console.print(
            "no neighbours yet: LLDP or CDP may be off, or the poller has run for less "
            "than ten minutes"
        )


def as_json(graph: TopologyGraph, estate: Estate) -> str:
    """Return one JSON object with devices, links, unknown and findings."""
    return json_text(
        {
            "devices": [
                {
                    "id": device.id,
                    "site": device.site,
                    "parent": graph.parents.get(device.id),
                    "parent_by": _parent_source(graph, device.id) or None,
                    "uplink_ports": list(
                        graph.uplinks.get(device.id, device.uplink_ports)
                    ),
                }
                for device in estate.devices
            ],
            "links": [
                {
                    "a": link.a,
                    "b": link.b,
                    "ports": [list(pair) for pair in link.ports],
                    "agreed": link.both_ways,
                }
                for link in graph.links
            ],
            "unknown": [
                {
                    "device": neighbour.device,
                    "port": neighbour.port,
                    "name": neighbour.name or None,
                    "address": neighbour.address or None,
                    "chassis": neighbour.chassis or None,
                    "protocol": neighbour.protocol,
                }
                for neighbour in graph.unknown
            ],
            "findings": list(graph.findings),
        },
        indent=2,
    )


def as_dot(graph: TopologyGraph, estate: Estate) -> str:
    """Return Graphviz text: sites as boxes, one-way links as dashed lines."""
    lines = ["graph towpath {", "  rankdir=TB; node [shape=box];"]
    linked = _linked_devices(graph.links)
    sites: dict[str, list[str]] = {}
    for device in estate.devices:
        if device.id in linked:
            sites.setdefault(device.site, []).append(device.id)
    names: Mapping[str, str] = {site.id: site.name for site in estate.sites}
    for site, ids in sorted(sites.items()):
        lines.append(f"  subgraph {_quote('cluster ' + site)} {{")
        lines.append(f"    label={_quote(names.get(site, site))};")
        lines += [f"    {_quote(id)};" for id in sorted(ids)]
        lines.append("  }")
    for link in graph.links:
        label = "\n".join(" to ".join(filter(None, pair)) for pair in link.ports)
        style = "solid" if link.both_ways else "dashed"
        lines.append(
            f"  {_quote(link.a)} -- {_quote(link.b)} "
            f"[label={_quote(label)}, style={style}];"
        )
    return "\n".join([*lines, "}", ""])


def _parent_source(graph: TopologyGraph, device: str) -> str:
    if device in graph.discovered:
        return "neighbours"
    return "estate" if device in graph.parents else ""


def _linked_devices(links: Iterable[Link]) -> set[str]:
    return {id for link in links for id in (link.a, link.b)}


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
