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

from collectors.estate.estate_text import unique_ids
from collectors.importing.imported import SKIP, Entry, Imported, role_of
from collectors.importing.netbox_lines import add_lines
from collectors.importing.netbox_objects import (
    ABSENT,
    NetBoxData,
    Object,
    site_of,
    text_of,
    value_of,
)
from collectors.importing.rest_client import Api, Trouble

__all__ = ["NetBoxData", "found", "headers", "read"]
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


def headers(token: str) -> dict[str, str]:
    """Tokens of version 4.5 begin with `nbt_` and are bearers."""
    kind = "Bearer" if token.startswith("nbt_") else "Token"
    return {"Authorization": f"{kind} {token}"}


async def read(api: Api, done: Any = None) -> NetBoxData:
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
    found = NetBoxData(
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


async def _follow_cables(api: Api, found: NetBoxData) -> None:
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


def found(read: NetBoxData, roles: Mapping[str, str] = {}) -> Imported:
    """What it all means for an estate. Pure."""
    result = Imported()
    homes = _sites_of_locations(read)
    sites = _sites(read, homes, result)
    devices = _devices(read, sites, roles, result)
    add_lines(read, homes, sites, devices, result)
    return result


def _sites_of_locations(read: NetBoxData) -> dict[int, int]:
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


def _sites(
    read: NetBoxData, homes: Mapping[int, int], result: Imported
) -> dict[int, str]:
    """Adds the sites; their ids in the estate by NetBox's."""
    known = [site for site in read.sites if isinstance(site.get("id"), int)]
    named = [(str(s.get("slug") or s.get("name") or ""), str(s["id"])) for s in known]
    ids = {s["id"]: id for s, id in zip(known, unique_ids(named), strict=True)}
    subnets: dict[int, list[str]] = {}
    for prefix in read.prefixes:
        status = value_of(prefix.get("status"))
        if status in ("deprecated", "container"):
            continue
        where = site_of(prefix, "scope_type", "scope", homes)
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
        if value_of(site.get("status")) in ABSENT:
            result.said.append(f"site {site.get('name')} is {value_of(site['status'])}")
            ids.pop(site["id"])
            continue
        entry: Entry = {
            "id": ids[site["id"]],
            "name": text_of(site.get("name")) or ids[site["id"]],
            "subnets": sorted(set(subnets.get(site["id"], ()))),
        }
        result.sites.append(entry)
    return ids


def _devices(
    read: NetBoxData,
    sites: Mapping[int, str],
    roles: Mapping[str, str],
    result: Imported,
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
    wanted = [(device, [device], text_of(device.get("name"))) for device in single]
    for number, members in sorted(stacked.items()):
        stack = stacks.get(number) or members[0]["virtual_chassis"]
        master = _master(stack, members)
        name = text_of(stack.get("name")) or text_of(master.get("name"))
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
    result: Imported,
) -> Entry | None:
    shown = name or text_of(device.get("display")) or f"device {device.get('id')}"
    status = value_of(device.get("status"))
    if status in ABSENT:
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


def _address(device: Object) -> str | None:
    for key in ("primary_ip4", "primary_ip", "primary_ip6"):
        found = device.get(key)
        if isinstance(found, Mapping):
            try:
                return str(ip_interface(str(found.get("address"))).ip)
            except ValueError:
                continue
    return None
