"""`towpath topology`: the graph as tables for a person, as JSON, as Graphviz. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Console

from collectors.estate.estate_model import Estate
from collectors.json_text import json_text
from collectors.terminal_tables import add, table
from collectors.topology.site_graph import Graph, Link


def of_site(found: Graph, estate: Estate, site: str) -> Graph:
    """What touches the devices of `site`; all of it where that is the empty text."""
    if not site:
        return found
    here = {device.id for device in estate.devices if device.site == site}
    return Graph(
        tuple(link for link in found.links if here & {link.a, link.b}),
        {id: parent for id, parent in found.parents.items() if id in here},
        found.discovered & here,
        {id: ports for id, ports in found.uplinks.items() if id in here},
        tuple(each for each in found.unknown if each.device in here),
        found.findings,
    )


def show(found: Graph, estate: Estate, console: Console) -> None:
    """Tables: who hangs on whom, the links, and who is not in the estate."""
    hangs = table("Devices", "device", "site", "hangs on", "by", "uplink ports")
    linked = _linked(found.links) | found.parents.keys() | set(found.parents.values())
    for device in sorted(estate.devices, key=lambda d: (d.site, d.id)):
        if device.id in linked:
            add(
                hangs,
                device.id,
                device.site,
                found.parents.get(device.id, ""),
                _by(found, device.id),
                ", ".join(found.uplinks.get(device.id, device.uplink_ports)),
            )
    if hangs.row_count:
        console.print(hangs)
    links = table("Links", "device", "port", "port", "device", "heard")
    for link in found.links:
        for mine, other in link.ports or (("", ""),):
            heard = "both ways" if link.agreed else "one way"
            add(links, link.a, mine, other, link.b, heard)
    if links.row_count:
        console.print(links)
    unknown = table("Not in the estate", "device", "port", "hears", "at", "by")
    for each in found.unknown:
        add(
            unknown,
            each.device,
            each.port,
            each.name or each.chassis,
            each.address,
            each.protocol,
        )
    if unknown.row_count:
        console.print(unknown)
    for finding in found.findings:
        console.print(finding, highlight=False, markup=False)
    if not (linked or found.unknown):
        console.print(
            "nobody is heard yet: LLDP or CDP may be off, or the poller has not run "
            "for ten minutes"
        )


def as_json(found: Graph, estate: Estate) -> str:
    """One object: devices, links, unknown, findings."""
    return json_text(
        {
            "devices": [
                {
                    "id": device.id,
                    "site": device.site,
                    "parent": found.parents.get(device.id),
                    "parent_by": _by(found, device.id) or None,
                    "uplink_ports": list(
                        found.uplinks.get(device.id, device.uplink_ports)
                    ),
                }
                for device in estate.devices
            ],
            "links": [
                {
                    "a": link.a,
                    "b": link.b,
                    "ports": [list(pair) for pair in link.ports],
                    "agreed": link.agreed,
                }
                for link in found.links
            ],
            "unknown": [
                {
                    "device": each.device,
                    "port": each.port,
                    "name": each.name or None,
                    "address": each.address or None,
                    "chassis": each.chassis or None,
                    "protocol": each.protocol,
                }
                for each in found.unknown
            ],
            "findings": list(found.findings),
        },
        indent=2,
    )


def as_dot(found: Graph, estate: Estate) -> str:
    """For `dot -Tsvg`: sites as boxes, links that both ends tell as full lines."""
    lines = ["graph towpath {", "  rankdir=TB; node [shape=box];"]
    linked = _linked(found.links)
    sites: dict[str, list[str]] = {}
    for device in estate.devices:
        if device.id in linked:
            sites.setdefault(device.site, []).append(device.id)
    names: Mapping[str, str] = {site.id: site.name for site in estate.sites}
    for site, ids in sorted(sites.items()):
        lines.append(f"  subgraph {_quoted('cluster ' + site)} {{")
        lines.append(f"    label={_quoted(names.get(site, site))};")
        lines += [f"    {_quoted(id)};" for id in sorted(ids)]
        lines.append("  }")
    for link in found.links:
        label = "\n".join(" to ".join(filter(None, pair)) for pair in link.ports)
        style = "solid" if link.agreed else "dashed"
        lines.append(
            f"  {_quoted(link.a)} -- {_quoted(link.b)} "
            f"[label={_quoted(label)}, style={style}];"
        )
    return "\n".join([*lines, "}", ""])


def _by(found: Graph, device: str) -> str:
    if device in found.discovered:
        return "neighbours"
    return "estate" if device in found.parents else ""


def _linked(links: Iterable[Link]) -> set[str]:
    return {id for link in links for id in (link.a, link.b)}


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
