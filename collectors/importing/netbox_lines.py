"""NetBox's circuits as lines of the estate. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from collectors.estate.estate_text import unique_ids
from collectors.importing.imported import Entry, Imported
from collectors.importing.netbox_objects import (
    ABSENT,
    NetBoxData,
    Object,
    site_of,
    text_of,
    value_of,
)
from probes.wire.numbers import finite

_KBPS_PER_MBPS = 1000


def add_lines(
    read: NetBoxData,
    homes: Mapping[int, int],
    sites: Mapping[int, str],
    devices: Mapping[int, Entry],
    result: Imported,
) -> None:
    """Adds a line for each circuit that ends at a site that is taken over; one that
    lacks something is left as a comment.

    `homes`: the site of each location, by NetBox's ids; `sites` and `devices`: what
    they are in the estate.
    """
    ends: dict[int, list[Object]] = {}
    for end in read.terminations:
        circuit = end.get("circuit")
        if isinstance(circuit, Mapping) and isinstance(circuit.get("id"), int):
            ends.setdefault(circuit["id"], []).append(end)
    named = [(str(c.get("cid") or ""), str(c.get("id"))) for c in read.circuits]
    for circuit, id in zip(read.circuits, unique_ids(named), strict=True):
        shown = f"circuit {text_of(circuit.get('cid')) or circuit.get('id')}"
        status = value_of(circuit.get("status"))
        if status in (*ABSENT, "offline"):
            result.said.append(f"{shown} is {status}")
            continue
        number = circuit.get("id")
        mine = sorted(
            ends.get(number if isinstance(number, int) else 0, ()),
            key=lambda end: str(end.get("term_side")),
        )
        placed = [
            (e, s)
            for e in mine
            if (s := site_of(e, "termination_type", "termination", homes))
        ]
        placed = [(end, site) for end, site in placed if site in sites]
        if not placed:
            result.said.append(f"{shown} ends at no site")
            continue
        _line(circuit, id, placed, sites, devices, read.paths, result)


def _line(
    circuit: Object,
    id: str,
    placed: Sequence[tuple[Object, int]],
    sites: Mapping[int, str],
    devices: Mapping[int, Entry],
    paths: Mapping[int, Sequence[Object]],
    result: Imported,
) -> None:
    # A circuit between two sites serves the second: A is where it comes from.
    end, site = placed[-1]
    peers = (_peer(each, devices, paths) for each, _ in placed[::-1])
    device, port = next((peer for peer in peers if peer is not None), (None, ""))
    speed = _mbps(end.get("port_speed"))
    down = _mbps(circuit.get("commit_rate")) or speed
    up = _mbps(end.get("upstream_speed")) or down
    provider = circuit.get("provider")
    entry: Entry = {
        "id": id,
        "site": sites[site],
        "circuit_ref": text_of(circuit.get("cid")),
        "supplier": text_of(provider.get("name"))
        if isinstance(provider, Mapping)
        else "",
        "contract_end": text_of(circuit.get("termination_date"))[:10],
        "down_mbps": down,
        "up_mbps": up,
        "device": device["id"] if device else None,
        "port": port,
    }
    if device is not None and device["site"] != sites[site]:
        entry["far_end"] = True
    lacks = [key for key in ("down_mbps", "device", "port") if not entry[key]]
    if lacks:
        result.note("lines", id, f"NetBox does not say its {', '.join(lacks)}")
        result.wanting.append(("lines", entry))
    else:
        result.lines.append(entry)


def _peer(
    end: Object, devices: Mapping[int, Entry], paths: Mapping[int, Sequence[Object]]
) -> tuple[Entry, str] | None:
    """The device and port at the other end of the termination's cable, or of the path
    of cables behind it."""
    peers = end.get("link_peers")
    if not isinstance(peers, list):
        peers = [end.get("link_peer")]
    number = end.get("id")
    for path in paths.get(number if isinstance(number, int) else 0, ()):
        steps = path.get("path")
        # From the termination outwards: the last is the end.
        for nodes in reversed(steps) if isinstance(steps, list) else ():
            peers += nodes if isinstance(nodes, list) else [nodes]
    for peer in peers:
        device = peer.get("device") if isinstance(peer, Mapping) else None
        number = device.get("id") if isinstance(device, Mapping) else None
        if isinstance(number, int) and number in devices:
            return devices[number], text_of(peer.get("name"))
    return None


def _mbps(kbps: Any) -> float | None:
    if not isinstance(kbps, int | float) or isinstance(kbps, bool):
        return None
    if finite(kbps) is None or kbps <= 0:
        return None
    mbps = kbps / _KBPS_PER_MBPS
    return int(mbps) if mbps == int(mbps) else mbps
