"""Converts NetBox's circuits to lines of the estate. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from collectors.estate.estate_text import unique_ids
from collectors.importing.imported import Entry, Imported
from collectors.importing.netbox_objects import (
    ABSENT,
    NetBoxData,
    Object,
    choice_value,
    clean_text,
    get_site_id,
)
from probes.wire.numbers import finite

_KBPS_PER_MBPS = 1000


def add_lines(
    data: NetBoxData,
    location_sites: Mapping[int, int],
    sites: Mapping[int, str],
    devices: Mapping[int, Entry],
    result: Imported,
) -> None:
    """Add a line for each circuit that ends at an imported site; a line that lacks a
    required value becomes a comment.

    `location_sites`: site id by location id, both NetBox's. `sites` and `devices`:
    their estate ids and entries by NetBox id.
    """
    ends: dict[int, list[Object]] = {}
    for end in data.terminations:
        circuit = end.get("circuit")
        if isinstance(circuit, Mapping) and isinstance(circuit.get("id"), int):
            ends.setdefault(circuit["id"], []).append(end)
    names = [(str(c.get("cid") or ""), str(c.get("id"))) for c in data.circuits]
    for circuit, id in zip(data.circuits, unique_ids(names), strict=True):
        label = f"circuit {clean_text(circuit.get('cid')) or circuit.get('id')}"
        status = choice_value(circuit.get("status"))
        if status in (*ABSENT, "offline"):
            result.remarks.append(f"{label} is {status}")
            continue
        number = circuit.get("id")
        circuit_ends = sorted(
            ends.get(number if isinstance(number, int) else 0, ()),
            key=lambda end: str(end.get("term_side")),
        )
        ends_at_sites = [
            (end, site)
            for end in circuit_ends
            if (
                site := get_site_id(
                    end, "termination_type", "termination", location_sites
                )
            )
        ]
        ends_at_sites = [(end, site) for end, site in ends_at_sites if site in sites]
        if not ends_at_sites:
            result.remarks.append(f"{label} ends at no site")
            continue
        _add_line(circuit, id, ends_at_sites, sites, devices, data.paths, result)


def _add_line(
    circuit: Object,
    id: str,
    ends_at_sites: Sequence[tuple[Object, int]],
    sites: Mapping[int, str],
    devices: Mapping[int, Entry],
    paths: Mapping[int, Sequence[Object]],
    result: Imported,
) -> None:
    # A circuit between two sites serves the Z side; the A side is where it comes from.
    end, site = ends_at_sites[-1]
    peers = (_find_peer(end, devices, paths) for end, _ in ends_at_sites[::-1])
    device, port = next((peer for peer in peers if peer is not None), (None, ""))
    speed = _to_mbps(end.get("port_speed"))
    down = _to_mbps(circuit.get("commit_rate")) or speed
    up = _to_mbps(end.get("upstream_speed")) or down
    provider = circuit.get("provider")
    entry: Entry = {
        "id": id,
        "site": sites[site],
        "circuit_ref": clean_text(circuit.get("cid")),
        "supplier": clean_text(provider.get("name"))
        if isinstance(provider, Mapping)
        else "",
        "contract_end": clean_text(circuit.get("termination_date"))[:10],
        "down_mbps": down,
        "up_mbps": up,
        "device": device["id"] if device else None,
        "port": port,
    }
    if device is not None and device["site"] != sites[site]:
        entry["far_end"] = True
    missing = [key for key in ("down_mbps", "device", "port") if not entry[key]]
    if missing:
        result.add_note("lines", id, f"NetBox does not give its {', '.join(missing)}")
        result.incomplete.append(("lines", entry))
    else:
        result.lines.append(entry)


def _find_peer(
    end: Object, devices: Mapping[int, Entry], paths: Mapping[int, Sequence[Object]]
) -> tuple[Entry, str] | None:
    """Return the device and port at the other end of the termination's cable, or at the
    end of the path of cables behind it."""
    peers = end.get("link_peers")
    if not isinstance(peers, list):
        peers = [end.get("link_peer")]
    number = end.get("id")
    for path in paths.get(number if isinstance(number, int) else 0, ()):
        steps = path.get("path")
        # The path starts at the termination, so its last node is the far end.
        for nodes in reversed(steps) if isinstance(steps, list) else ():
            peers += nodes if isinstance(nodes, list) else [nodes]
    for peer in peers:
        device = peer.get("device") if isinstance(peer, Mapping) else None
        number = device.get("id") if isinstance(device, Mapping) else None
        if isinstance(number, int) and number in devices:
            return devices[number], clean_text(peer.get("name"))
    return None


def _to_mbps(kbps: Any) -> float | None:
    if not isinstance(kbps, int | float) or isinstance(kbps, bool):
        return None
    if finite(kbps) is None or kbps <= 0:
        return None
    mbps = kbps / _KBPS_PER_MBPS
    return int(mbps) if mbps == int(mbps) else mbps
