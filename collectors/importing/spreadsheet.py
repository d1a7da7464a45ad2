"""Imports devices and sites from a spreadsheet saved as CSV, under many column names.

A row with an address is a device; a row with a site's name, and perhaps its networks,
is a site. Reads commas, semicolons or tabs, in UTF-8, UTF-16 or Windows-1252.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import get_args

from collectors.csv_sheet import NotCsv, SheetRow, read_sheet
from collectors.estate.estate_model import MAX_GROUP_NAME, Estate, Role
from collectors.estate.estate_text import id_from_name, unique_ids
from collectors.estate.site_assignment import assign
from collectors.importing.imported import (
    SKIP,
    Entry,
    Imported,
    coordinates,
    map_role,
)
from collectors.importing.rest_client import SourceError
from probes.wire.catalogue import did_you_mean

# Our column names, and the names found elsewhere (letters and digits only).
_COLUMN_NAMES = {
    "name": "name device devicename hostname host sysname systemname switch node label",
    "address": "address ip ipaddress ipv4 ipv4address ipv6 mgmtip managementip "
    "mgmtaddress managementaddress primaryip hostip deviceip mgmt management",
    "site": "site sitename location building office premises place",
    "role": "role type devicetype devicerole category kind class function",
    "parent": "parent uplink uplinkdevice upstream dependson dependency",
    "port": "port snmpport udpport",
    "credentials": "credentials credential snmpcredential snmpprofile profile",
    "subnets": "subnets subnet network networks prefix prefixes cidr range lan",
    "latitude": "latitude lat",
    "longitude": "longitude lon lng long",
    "district": "district area ward locality region",
    "kind": "sitetype sitekind buildingtype",
    "id": "id towpathid estateid",
    "secret": "community snmpcommunity readcommunity rocommunity password snmppassword "
    "authpassword privpassword authkey privkey secret",
}
_COLUMNS = {word: key for key, words in _COLUMN_NAMES.items() for word in words.split()}


def read_rows(path: Path) -> Sequence[SheetRow]:
    """Read the rows. Raises `SourceError` if the file is not CSV or no column is
    known."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        sheet = read_sheet(raw, _COLUMNS)
    except NotCsv as error:
        raise SourceError(f"{path}:{error}") from None
    if not sheet.columns & {"address", "site", "subnets"}:
        headings = ", ".join(sheet.headings[:8])
        raise SourceError(
            f"{path}: none of its columns ({headings}) is known; "
            "expected such as name, address, site, role, parent, subnets"
            f"{did_you_mean(headings, _COLUMN_NAMES)}"
        )
    return sheet.rows


def to_estate(
    rows: Iterable[SheetRow],
    path: Path,
    estate: Estate,
    roles: Mapping[str, str] = {},
    new_sites: bool = False,
) -> Imported:
    """Convert rows to estate entries, with a remark for each bad row. Pure.

    With `new_sites`, unknown site names become sites.
    """
    result = Imported()
    sites = {site.id: site.id for site in estate.sites}
    sites |= {site.name.strip().lower(): site.id for site in estate.sites}
    devices: list[tuple[SheetRow, Entry]] = []
    secret_lines: list[int] = []
    for row in rows:
        place = f"{path}:{row.line}"
        if "secret" in row:
            secret_lines.append(row.line)
        if "address" not in row:
            _add_site(row, place, sites, result)
            continue
        device = _device_entry(row, place, sites, estate, roles, new_sites, result)
        if device is not None:
            devices.append((row, device))
    used_ids = {id_from_name(row["id"]) for row, _ in devices if "id" in row}
    without_id = [(row, entry) for row, entry in devices if "id" not in row]
    names = [(row.get("name") or e["address"], e["address"]) for row, e in without_id]
    new_ids = iter(unique_ids(names, used_ids))
    ids: dict[str, str] = {d.id: d.id for d in estate.devices}
    for row, entry in devices:
        entry["id"] = id_from_name(row["id"]) if "id" in row else next(new_ids)
        for text in (entry["id"], row.get("name", "").lower(), entry["address"]):
            ids.setdefault(text, entry["id"])
    for row, entry in devices:
        _set_parent(row, entry, f"{path}:{row.line}", ids, result)
        if entry.get("site"):
            result.devices.append(entry)
        else:
            result.incomplete.append(("devices", entry))
    if secret_lines:
        result.remarks.append(
            f"{path}: the communities and passwords (line {secret_lines[0]}"
            f"{' and others' if len(secret_lines) > 1 else ''}) were left out: secrets "
            "do not belong in the estate, put them into the credentials file"
        )
    return result


def _device_entry(
    row: SheetRow,
    place: str,
    sites: dict[str, str],
    estate: Estate,
    roles: Mapping[str, str],
    new_sites: bool,
    result: Imported,
) -> Entry | None:
    text = row["address"].partition("/")[0]
    try:
        address = ip_address(text)
    except ValueError:
        result.remarks.append(
            f"{place}: {text!r} is not an IP address such as 10.1.2.3"
        )
        return None
    port = row.get("port", "161")
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        result.remarks.append(f"{place}: port {port!r} is not within 1 to 65535")
        return None
    role = "switch"
    if "role" in row:
        known = get_args(Role)
        plain = row["role"].strip().lower().replace(" ", "_")
        role = plain if plain in known else map_role(row["role"], roles)
        if role == "other" and plain not in (*known, *roles):
            hint = did_you_mean(plain, known)
            result.remarks.append(
                f"{place}: role {row['role']!r} is imported as other{hint}"
            )
    if role == SKIP:
        return None
    site: str | None
    if "site" in row:
        site = sites.get(row["site"].lower()) or sites.get(id_from_name(row["site"]))
        if site is None and new_sites:
            site = _create_site(row["site"], sites, result)
        elif site is None:
            hint = did_you_mean(row["site"].lower(), sites)
            result.remarks.append(
                f"{place}: no site is called {row['site']!r}{hint}; --new-sites "
                "creates sites for unknown names"
            )
    else:
        site = assign(estate.sites, address, name=row.get("name", "")).site
        if site is None:
            result.remarks.append(
                f"{place}: the row has no site, and no rule gives one"
            )
    return {
        "id": "",
        "name": row.get("name", ""),
        "site": site,
        "address": str(address),
        "port": int(port) if port != "161" else None,
        "role": role,
        "credentials": row.get("credentials"),
    }


def _add_site(
    row: SheetRow, place: str, sites: dict[str, str], result: Imported
) -> None:
    name = row.get("site") or row.get("name")
    if not name:
        result.remarks.append(f"{place}: neither an address nor the name of a site")
        return
    subnets = []
    for text in re.split(r"[;,\s]+", row.get("subnets", "")):
        if not text:
            continue
        try:
            subnets.append(str(ip_network(text, strict=False)))
        except ValueError:
            result.remarks.append(
                f"{place}: {text!r} is not a network such as 10.1.0.0/16"
            )
    known = sites.get(name.lower())
    if known is None:
        known = _create_site(name, sites, result, row.get("id", ""))
    place_on_map = coordinates(row.get("latitude"), row.get("longitude"))
    if not place_on_map and ("latitude" in row or "longitude" in row):
        result.remarks.append(
            f"{place}: its coordinates are left out, expected degrees such as 52.6386 "
            "and -1.1317"
        )
    more = place_on_map | {
        key: row[key][:MAX_GROUP_NAME] for key in ("district", "kind") if row.get(key)
    }
    for entry in result.sites:
        if entry["id"] == known:
            entry["subnets"] = [*entry.get("subnets", ()), *subnets]
            entry |= more
            return
    # A site that the estate has already: the merge reports new networks.
    result.sites.append({"id": known, "name": name, "subnets": subnets} | more)


def _create_site(
    name: str, sites: dict[str, str], result: Imported, preferred_id: str = ""
) -> str:
    (id,) = unique_ids([(preferred_id or name, name)], set(sites.values()))
    sites[name.lower()] = sites[id] = id
    result.sites.append({"id": id, "name": name})
    return id


def _set_parent(
    row: SheetRow,
    entry: Entry,
    place: str,
    ids: Mapping[str, str],
    result: Imported,
) -> None:
    name = row.get("parent")
    if not name:
        return
    parent = ids.get(name.lower()) or ids.get(id_from_name(name))
    if parent is None:
        hint = did_you_mean(name.lower(), ids)
        result.remarks.append(f"{place}: no device is called {name!r}{hint}")
    elif parent == entry["id"]:
        result.remarks.append(f"{place}: {name!r} cannot be its own parent")
    else:
        entry["parent"] = parent
