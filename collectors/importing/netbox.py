"""NetBox (REST API of versions 3 and 4): sites, locations, prefixes, devices, circuits.

Circuits become lines: the provider, the commit rate (else the port speed) towards the
site, the upstream speed (else the same) from it, and the interface at the other end of
the termination's cable. Of a virtual chassis the master is the device.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from ipaddress import ip_interface, ip_network
from typing import Any

import msgspec

from collectors.estate.entries import unique_ids
from collectors.importing.found import SKIP, Entry, Found, role_of
from collectors.importing.rest import Api, Trouble
from probes.numbers import finite

Object = Mapping[str, Any]
_PATHS = {
    "sites": "/api/dcim/sites/?limit=200",
    "locations": "/api/dcim/locations/?limit=500",
    "prefixes": "/api/ipam/prefixes/?limit=500",
    "devices": "/api/dcim/devices/?limit=200",
    "chassis": "/api/dcim/virtual-chassis/?limit=200",
    "circuits": "/api/circuits/circuits/?limit=200",
    "terminations": "/api/circuits/circuit-terminations/?limit=200",
}
_AT_ONCE = 4
# Not there yet, or no longer: not ours to poll.
_ABSENT = (
    "planned",
    "staged",
    "inventory",
    "decommissioning",
    "retired",
    "deprovisioning",
)
_KBPS_PER_MBPS = 1000


class Read(msgspec.Struct):
    """What the API answered, a list of objects each."""

    sites: list[Object] = []
    locations: list[Object] = []
    prefixes: list[Object] = []
    devices: list[Object] = []
    chassis: list[Object] = []
    circuits: list[Object] = []
    terminations: list[Object] = []
    paths: dict[int, list[Object]] = {}


def headers(token: str) -> dict[str, str]:
    """Tokens of version 4.5 begin with `nbt_` and are bearers."""
    kind = "Bearer" if token.startswith("nbt_") else "Token"
    return {"Authorization": f"{kind} {token}"}


async def read(api: Api, done: Any = None) -> Read:
    """Everything, all lists at once. A token that may not see circuits is no reason to
    go without devices. Raises `Trouble`."""
    answers: dict[str, list[Object]] = {}

    async def one(name: str, path: str) -> None:
        answers[name] = []
        try:
            async for each in api.pages(path):
                answers[name].append(each)
        except Trouble as trouble:
            if name in ("sites", "devices") or trouble.status not in (403, 404):
                raise
        if done is not None:
            done()

    # The first alone: a wrong token or address is one sentence, not seven.
    await one("sites", _PATHS["sites"])
    await asyncio.gather(*(one(n, p) for n, p in _PATHS.items() if n != "sites"))
    found = Read(
        sites=answers["sites"],
        locations=answers["locations"],
        prefixes=answers["prefixes"],
        devices=answers["devices"],
        chassis=answers["chassis"],
        circuits=answers["circuits"],
        terminations=answers["terminations"],
    )
    await _follow_cables(api, found)
    return found


async def _follow_cables(api: Api, found: Read) -> None:
    """Where a termination's cable ends at a patch panel, the path behind it."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> None:
        path = f"/api/circuits/circuit-terminations/{number}/paths/"
        async with slots:
            try:
                paths = await api.get(path)
            except Trouble as trouble:
                if trouble.status not in (403, 404):
                    raise
                return
        if isinstance(paths, list):
            found.paths[number] = [each for each in paths if isinstance(each, Mapping)]

    await asyncio.gather(
        *(
            one(end["id"])
            for end in found.terminations
            if isinstance(end.get("id"), int)
            and end.get("cable")
            and end.get("link_peers_type") not in (None, "dcim.interface")
        )
    )


def found(read: Read, roles: Mapping[str, str] = {}) -> Found:
    """What it all means for an estate. Pure."""
    result = Found()
    homes = _sites_of_locations(read)
    sites = _sites(read, homes, result)
    devices = _devices(read, sites, roles, result)
    _circuits(read, homes, sites, devices, result)
    return result


def _sites_of_locations(read: Read) -> dict[int, int]:
    """The number of the site that each location (a building, a floor) is in."""
    homes: dict[int, int] = {}
    for location in read.locations:
        site = location.get("site")
        here, there = (
            location.get("id"),
            site.get("id") if isinstance(site, Mapping) else None,
        )
        if isinstance(here, int) and isinstance(there, int):
            homes[here] = there
    return homes


def _sites(read: Read, homes: Mapping[int, int], result: Found) -> dict[int, str]:
    """Adds the sites; their ids in the estate by NetBox's."""
    known = [site for site in read.sites if isinstance(site.get("id"), int)]
    named = [(str(s.get("slug") or s.get("name") or ""), str(s["id"])) for s in known]
    ids = {s["id"]: id for s, id in zip(known, unique_ids(named), strict=True)}
    subnets: dict[int, list[str]] = {}
    for prefix in read.prefixes:
        status = _value(prefix.get("status"))
        if status in ("deprecated", "container"):
            continue
        where = _site_of(prefix, "scope_type", "scope", homes)
        if where is None:
            if prefix.get("scope_type"):
                scope = str(prefix["scope_type"]).rpartition(".")[2]
                result.said.append(
                    f"prefix {prefix.get('prefix')} is of a {scope}, not of one site"
                )
            continue
        try:
            network = ip_network(str(prefix.get("prefix")), strict=False)
        except ValueError:
            result.said.append(f"prefix {prefix.get('prefix')!r} is no network")
            continue
        subnets.setdefault(where, []).append(str(network))
    for site in known:
        if _value(site.get("status")) in _ABSENT:
            result.said.append(f"site {site.get('name')} is {_value(site['status'])}")
            ids.pop(site["id"])
            continue
        entry: Entry = {
            "id": ids[site["id"]],
            "name": _text(site.get("name")) or ids[site["id"]],
            "subnets": sorted(set(subnets.get(site["id"], ()))),
        }
        result.sites.append(entry)
    return ids


def _devices(
    read: Read, sites: Mapping[int, str], roles: Mapping[str, str], result: Found
) -> dict[int, Entry]:
    """Adds the devices; their entries by NetBox's id, members of a virtual chassis by
    that of their master."""
    stacks = {c["id"]: c for c in read.chassis if isinstance(c.get("id"), int)}
    stacked: dict[int, list[Object]] = {}
    single: list[Object] = []
    for device in read.devices:
        stack = device.get("virtual_chassis")
        if isinstance(stack, Mapping) and isinstance(stack.get("id"), int):
            stacked.setdefault(stack["id"], []).append(device)
        elif isinstance(device.get("id"), int):
            single.append(device)
    wanted = [(device, [device], _text(device.get("name"))) for device in single]
    for number, members in sorted(stacked.items()):
        stack = stacks.get(number) or members[0]["virtual_chassis"]
        master = _master(stack, members)
        name = _text(stack.get("name")) or _text(master.get("name"))
        wanted.append((master, members, name))
    rows: list[tuple[Entry, list[Object], str]] = []
    for device, members, name in wanted:
        made = _device(device, members, name, sites, roles, result)
        if made is not None:
            rows.append((made, members, name or str(device.get("display") or "")))
    ids = unique_ids([(name, entry["address"]) for entry, _, name in rows])
    by_number: dict[int, Entry] = {}
    for (entry, members, _), id in zip(rows, ids, strict=True):
        entry["id"] = id
        result.devices.append(entry)
        by_number |= {each["id"]: entry for each in members if "id" in each}
        if len(members) > 1:
            result.note("devices", id, f"a virtual chassis of {len(members)}")
    return by_number


def _master(stack: Object, members: Sequence[Object]) -> Object:
    """The chassis' master; where none is said, the first with an address."""
    master = stack.get("master")
    number = master.get("id") if isinstance(master, Mapping) else None
    with_address = [each for each in members if _address(each)]
    return next(
        (each for each in members if each.get("id") == number and _address(each)),
        with_address[0] if with_address else members[0],
    )


def _device(
    device: Object,
    members: Sequence[Object],
    name: str,
    sites: Mapping[int, str],
    roles: Mapping[str, str],
    result: Found,
) -> Entry | None:
    shown = name or _text(device.get("display")) or f"device {device.get('id')}"
    status = _value(device.get("status"))
    if status in _ABSENT:
        result.said.append(f"{shown} is {status}")
        return None
    # Version 3 says device_role, version 4 role.
    role = device.get("role") or device.get("device_role")
    role = role if isinstance(role, Mapping) else {}
    slug = str(role.get("slug") or role.get("name") or "")
    meant = role_of(slug, roles)
    if meant == SKIP:
        return None
    address = _address(device)
    if address is None:
        result.said.append(f"{shown} has no primary address")
        return None
    site = device.get("site")
    number = site.get("id") if isinstance(site, Mapping) else None
    home = sites.get(number) if isinstance(number, int) else None
    if home is None:
        result.said.append(f"{shown} is at a site that is not taken over")
        return None
    return {
        "id": "",
        "name": name,
        "site": home,
        "address": address,
        "role": meant,
    }


def _circuits(
    read: Read,
    homes: Mapping[int, int],
    sites: Mapping[int, str],
    devices: Mapping[int, Entry],
    result: Found,
) -> None:
    ends: dict[int, list[Object]] = {}
    for end in read.terminations:
        circuit = end.get("circuit")
        if isinstance(circuit, Mapping) and isinstance(circuit.get("id"), int):
            ends.setdefault(circuit["id"], []).append(end)
    named = [(str(c.get("cid") or ""), str(c.get("id"))) for c in read.circuits]
    for circuit, id in zip(read.circuits, unique_ids(named), strict=True):
        shown = f"circuit {_text(circuit.get('cid')) or circuit.get('id')}"
        status = _value(circuit.get("status"))
        if status in (*_ABSENT, "offline"):
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
            if (s := _site_of(e, "termination_type", "termination", homes))
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
    result: Found,
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
        "circuit_ref": _text(circuit.get("cid")),
        "supplier": _text(provider.get("name"))
        if isinstance(provider, Mapping)
        else "",
        "contract_end": _text(circuit.get("termination_date"))[:10],
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
            return devices[number], _text(peer.get("name"))
    return None


def _site_of(
    thing: Object, kind: str, target: str, homes: Mapping[int, int]
) -> int | None:
    """The site's number. Version 3 gives `site`; 4.2 and later give a kind and a
    target, which may be a location in the site. None for wider scopes (a region)."""
    site = thing.get("site")
    if isinstance(site, Mapping):
        return site.get("id") if isinstance(site.get("id"), int) else None
    there = thing.get(target)
    number = (
        there.get("id") if isinstance(there, Mapping) else thing.get(f"{target}_id")
    )
    if not isinstance(number, int):
        return None
    if thing.get(kind) == "dcim.location":
        return homes.get(number)
    return number if thing.get(kind) == "dcim.site" else None


def _address(device: Object) -> str | None:
    for key in ("primary_ip4", "primary_ip", "primary_ip6"):
        found = device.get(key)
        if isinstance(found, Mapping):
            try:
                return str(ip_interface(str(found.get("address"))).ip)
            except ValueError:
                continue
    return None


def _mbps(kbps: Any) -> float | None:
    if not isinstance(kbps, int | float) or isinstance(kbps, bool):
        return None
    if finite(kbps) is None or kbps <= 0:
        return None
    mbps = kbps / _KBPS_PER_MBPS
    return int(mbps) if mbps == int(mbps) else mbps


def _value(choice: Any) -> str:
    """A choice as its word: `{"value": "active", …}`, or plain."""
    if isinstance(choice, Mapping):
        choice = choice.get("value")
    return str(choice or "").lower()


def _text(value: Any) -> str:
    return " ".join(str(value).split()) if value not in (None, "") else ""
