"""Imports sites, prefixes, devices and circuits from NetBox 3 or 4 (REST API).

A circuit becomes a line. Its download rate is the commit rate, or else the port speed;
its upload rate is the upstream speed, or else the same. Its port is the interface at
the other end of the termination's cable. A virtual chassis is one device: its master.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from ipaddress import ip_interface, ip_network

from collectors.estate.estate_model import MAX_GROUP_NAME
from collectors.estate.estate_text import unique_ids
from collectors.importing.imported import (
    SKIP,
    Entry,
    Imported,
    coordinates,
    map_role,
)
from collectors.importing.netbox_lines import add_lines
from collectors.importing.netbox_objects import (
    ABSENT,
    NetBoxData,
    Object,
    choice_value,
    clean_text,
    get_site_id,
)
from collectors.importing.rest_client import RestClient, SourceError

__all__ = ["NetBoxData", "fetch", "headers", "to_estate"]
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
    """Return the authorization header; tokens of NetBox 4.5 (`nbt_…`) are bearers."""
    kind = "Bearer" if token.startswith("nbt_") else "Token"
    return {"Authorization": f"{kind} {token}"}


async def fetch(api: RestClient) -> NetBoxData:
    """Fetch all lists. Raises `SourceError`.

    Lists other than sites and devices stay empty if the token may not read them.
    """
    answers: dict[str, list[Object]] = {}

    async def fetch_list(name: str, path: str) -> None:
        answers[name] = []
        try:
            async for row in api.pages(path):
                answers[name].append(row)
        except SourceError as error:
            if name in ("sites", "devices") or error.status not in (403, 404):
                raise

    # Sites first and alone, so that a wrong token or address is reported once.
    await fetch_list("sites", _PATHS["sites"])
    await asyncio.gather(
        *(fetch_list(name, path) for name, path in _PATHS.items() if name != "sites")
    )
    data = NetBoxData(
        sites=answers["sites"],
        locations=answers["locations"],
        prefixes=answers["prefixes"],
        devices=answers["devices"],
        chassis=answers["chassis"],
        circuits=answers["circuits"],
        terminations=answers["terminations"],
    )
    await _fetch_cable_paths(api, data)
    return data


async def _fetch_cable_paths(api: RestClient, data: NetBoxData) -> None:
    """Fetch the whole path of each termination whose cable ends at a patch panel."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def fetch_paths(termination: int) -> None:
        url_path = f"/api/circuits/circuit-terminations/{termination}/paths/"
        async with slots:
            try:
                paths = await api.get(url_path)
            except SourceError as error:
                if error.status not in (403, 404):
                    raise
                return
        if isinstance(paths, list):
            data.paths[termination] = [
                path for path in paths if isinstance(path, Mapping)
            ]

    await asyncio.gather(
        *(
            fetch_paths(end["id"])
            for end in data.terminations
            if isinstance(end.get("id"), int)
            and end.get("cable")
            and end.get("link_peers_type") not in (None, "dcim.interface")
        )
    )


def to_estate(data: NetBoxData, roles: Mapping[str, str] = {}) -> Imported:
    """Convert NetBox's data to estate entries. Pure."""
    result = Imported()
    location_sites = _map_locations_to_sites(data)
    sites = _add_sites(data, location_sites, result)
    devices = _add_devices(data, sites, roles, result)
    add_lines(data, location_sites, sites, devices, result)
    return result


def _map_locations_to_sites(data: NetBoxData) -> dict[int, int]:
    """Return the site's NetBox id for each location (a building, a floor)."""
    location_sites: dict[int, int] = {}
    for location in data.locations:
        site = location.get("site")
        id = location.get("id")
        site_id = site.get("id") if isinstance(site, Mapping) else None
        if isinstance(id, int) and isinstance(site_id, int):
            location_sites[id] = site_id
    return location_sites


def _add_sites(
    data: NetBoxData, location_sites: Mapping[int, int], result: Imported
) -> dict[int, str]:
    """Add the sites to `result`; return their estate ids by NetBox id."""
    sites = [site for site in data.sites if isinstance(site.get("id"), int)]
    slugs = [(str(s.get("slug") or s.get("name") or ""), str(s["id"])) for s in sites]
    ids = {s["id"]: id for s, id in zip(sites, unique_ids(slugs), strict=True)}
    subnets: dict[int, list[str]] = {}
    for prefix in data.prefixes:
        status = choice_value(prefix.get("status"))
        if status in ("deprecated", "container"):
            continue
        site_id = get_site_id(prefix, "scope_type", "scope", location_sites)
        if site_id is None:
            if prefix.get("scope_type"):
                scope = str(prefix["scope_type"]).rpartition(".")[2]
                result.remarks.append(
                    f"prefix {prefix.get('prefix')} belongs to a {scope}, not to a site"
                )
            continue
        try:
            network = ip_network(str(prefix.get("prefix")), strict=False)
        except ValueError:
            result.remarks.append(f"prefix {prefix.get('prefix')!r} is not a network")
            continue
        subnets.setdefault(site_id, []).append(str(network))
    for site in sites:
        if choice_value(site.get("status")) in ABSENT:
            result.remarks.append(
                f"site {site.get('name')} is {choice_value(site['status'])}"
            )
            ids.pop(site["id"])
            continue
        entry: Entry = {
            "id": ids[site["id"]],
            "name": clean_text(site.get("name")) or ids[site["id"]],
            "district": _group_name(site.get("region")),
            "kind": _group_name(site.get("group")),
            "subnets": sorted(set(subnets.get(site["id"], ()))),
            **coordinates(site.get("latitude"), site.get("longitude")),
        }
        result.sites.append(entry)
    return ids


def _group_name(reference: object) -> str:
    """Returns the name of a site's region or group; empty if it has none."""
    named = reference if isinstance(reference, Mapping) else {}
    return clean_text(named.get("name"))[:MAX_GROUP_NAME]


def _add_devices(
    data: NetBoxData,
    sites: Mapping[int, str],
    roles: Mapping[str, str],
    result: Imported,
) -> dict[int, Entry]:
    """Add the devices to `result`; return their entries by NetBox id. All members of a
    virtual chassis map to the entry of their master."""
    stacks = {c["id"]: c for c in data.chassis if isinstance(c.get("id"), int)}
    stacked: dict[int, list[Object]] = {}
    single: list[Object] = []
    for device in data.devices:
        stack = device.get("virtual_chassis")
        if isinstance(stack, Mapping) and isinstance(stack.get("id"), int):
            stacked.setdefault(stack["id"], []).append(device)
        elif isinstance(device.get("id"), int):
            single.append(device)
    chosen = [(device, [device], clean_text(device.get("name"))) for device in single]
    for number, members in sorted(stacked.items()):
        stack = stacks.get(number) or members[0]["virtual_chassis"]
        master = _find_master(stack, members)
        name = clean_text(stack.get("name")) or clean_text(master.get("name"))
        chosen.append((master, members, name))
    rows: list[tuple[Entry, list[Object], str]] = []
    for device, members, name in chosen:
        entry = _device_entry(device, name, sites, roles, result)
        if entry is not None:
            rows.append((entry, members, name or str(device.get("display") or "")))
    ids = unique_ids([(name, entry["address"]) for entry, _, name in rows])
    entries: dict[int, Entry] = {}
    for (entry, members, _), id in zip(rows, ids, strict=True):
        entry["id"] = id
        result.devices.append(entry)
        entries |= {member["id"]: entry for member in members if "id" in member}
        if len(members) > 1:
            result.add_note("devices", id, f"a virtual chassis of {len(members)}")
    return entries


def _find_master(stack: Object, members: Sequence[Object]) -> Object:
    """Return the chassis' master if it has an address, else the first member that has
    one, else the first."""
    master = stack.get("master")
    id = master.get("id") if isinstance(master, Mapping) else None
    with_address = [member for member in members if _primary_address(member)]
    return next(
        (member for member in with_address if member.get("id") == id),
        with_address[0] if with_address else members[0],
    )


def _device_entry(
    device: Object,
    name: str,
    sites: Mapping[int, str],
    roles: Mapping[str, str],
    result: Imported,
) -> Entry | None:
    label = name or clean_text(device.get("display")) or f"device {device.get('id')}"
    status = choice_value(device.get("status"))
    if status in ABSENT:
        result.remarks.append(f"{label} is {status}")
        return None
    # `device_role` in NetBox 3, `role` in NetBox 4.
    role = device.get("role") or device.get("device_role")
    role = role if isinstance(role, Mapping) else {}
    slug = str(role.get("slug") or role.get("name") or "")
    estate_role = map_role(slug, roles)
    if estate_role == SKIP:
        return None
    address = _primary_address(device)
    if address is None:
        result.remarks.append(f"{label} has no primary address")
        return None
    site = device.get("site")
    number = site.get("id") if isinstance(site, Mapping) else None
    site_id = sites.get(number) if isinstance(number, int) else None
    if site_id is None:
        result.remarks.append(f"{label} is at a site that is not imported")
        return None
    return {
        "id": "",
        "name": name,
        "site": site_id,
        "address": address,
        "role": estate_role,
    }


def _primary_address(device: Object) -> str | None:
    for key in ("primary_ip4", "primary_ip", "primary_ip6"):
        primary = device.get(key)
        if isinstance(primary, Mapping):
            try:
                return str(ip_interface(str(primary.get("address"))).ip)
            except ValueError:
                continue
    return None
