"""Devices and sites from a spreadsheet saved as CSV, whatever its columns are called.

A row with an address is a device; one with a site's name and perhaps its networks is a
site. Commas, semicolons or tabs; UTF-8, or what Windows writes.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import get_args

from collectors.estate.estate_model import Estate, Role
from collectors.estate.estate_text import id_of, unique_ids
from collectors.estate.site_assignment import assign
from collectors.importing.imported import SKIP, Entry, Imported, role_of
from collectors.importing.rest_client import Trouble
from probes.wire.catalogue import did_you_mean

# By what each is called elsewhere, letters and digits only.
_CALLED = {
    "name": "name device devicename hostname host sysname systemname switch node label",
    "address": "address ip ipaddress ipv4 ipv4address ipv6 mgmtip managementip "
    "mgmtaddress managementaddress primaryip hostip deviceip mgmt management",
    "site": "site sitename location building office premises place",
    "role": "role type devicetype devicerole category kind class function",
    "parent": "parent uplink uplinkdevice upstream dependson dependency",
    "port": "port snmpport udpport",
    "credentials": "credentials credential snmpcredential snmpprofile profile",
    "subnets": "subnets subnet network networks prefix prefixes cidr range lan",
    "id": "id towpathid estateid",
    "secret": "community snmpcommunity readcommunity rocommunity password snmppassword "
    "authpassword privpassword authkey privkey secret",
}
_COLUMNS = {word: key for key, words in _CALLED.items() for word in words.split()}


class SpreadsheetRow(dict[str, str]):
    """One row by our names of columns; `line` is where it begins in the file."""

    line = 0


def read(path: Path) -> list[SpreadsheetRow]:
    """The rows, under our names. `Trouble` where the file is none, or no column of it
    is known."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise Trouble(f"{path}: cannot be read: {error.strerror}") from None
    text = _decoded(raw)
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        heads = next(reader, [])
        names = [_COLUMNS.get(re.sub(r"[^a-z0-9]", "", h.lower())) for h in heads]
        if "address" not in names and "site" not in names and "subnets" not in names:
            raise Trouble(
                f"{path}: none of its columns ({', '.join(heads[:8])}) is known; "
                "expected such as name, address, site, role, parent, subnets"
                f"{did_you_mean(first, _CALLED)}"
            )
        rows = []
        for cells in reader:
            row = SpreadsheetRow()
            row.line = reader.line_num
            for name, cell in zip(names, cells, strict=False):
                if name is not None and cell.strip() and name not in row:
                    row[name] = " ".join(cell.split())
            if row:
                rows.append(row)
    except csv.Error as error:
        raise Trouble(f"{path}:{reader.line_num}: {error}") from None
    return rows


def found(
    rows: Iterable[SpreadsheetRow],
    path: Path,
    estate: Estate,
    roles: Mapping[str, str] = {},
    new_sites: bool = False,
) -> Imported:
    """What the rows mean for an estate; for each that is wrong a sentence with its
    line. Sites nobody knows are made where `new_sites` says so. Pure."""
    result = Imported()
    sites = {site.id: site.id for site in estate.sites}
    sites |= {site.name.strip().lower(): site.id for site in estate.sites}
    devices: list[tuple[SpreadsheetRow, Entry]] = []
    secrets: list[int] = []
    for row in rows:
        where = f"{path}:{row.line}"
        if "secret" in row:
            secrets.append(row.line)
        if "address" not in row:
            _add_site(row, where, sites, result)
            continue
        made = _device(row, where, sites, estate, roles, new_sites, result)
        if made is not None:
            devices.append((row, made))
    taken = {id_of(row["id"]) for row, _ in devices if "id" in row}
    nameless = [(row, entry) for row, entry in devices if "id" not in row]
    named = [(row.get("name") or e["address"], e["address"]) for row, e in nameless]
    made_ids = iter(unique_ids(named, taken))
    called: dict[str, str] = {d.id: d.id for d in estate.devices}
    for row, entry in devices:
        entry["id"] = id_of(row["id"]) if "id" in row else next(made_ids)
        for text in (entry["id"], row.get("name", "").lower(), entry["address"]):
            called.setdefault(text, entry["id"])
    for row, entry in devices:
        _parent(row, entry, f"{path}:{row.line}", called, result)
        if entry.get("site"):
            result.devices.append(entry)
        else:
            result.wanting.append(("devices", entry))
    if secrets:
        result.said.append(
            f"{path}: the communities and passwords (line {secrets[0]}"
            f"{' and others' if len(secrets) > 1 else ''}) were left out: secrets are "
            "never in the estate, put them into the credentials file"
        )
    return result


def _device(
    row: SpreadsheetRow,
    where: str,
    sites: dict[str, str],
    estate: Estate,
    roles: Mapping[str, str],
    new_sites: bool,
    result: Imported,
) -> Entry | None:
    said = row["address"].partition("/")[0]
    try:
        address = ip_address(said)
    except ValueError:
        result.said.append(f"{where}: {said!r} is no IP address, such as 10.1.2.3")
        return None
    port = row.get("port", "161")
    if not port.isdigit() or not 1 <= int(port) <= 65535:
        result.said.append(f"{where}: port {port!r} is not within 1 to 65535")
        return None
    role = "switch"
    if "role" in row:
        known = get_args(Role)
        plain = row["role"].strip().lower().replace(" ", "_")
        role = plain if plain in known else role_of(row["role"], roles)
        if role == "other" and plain not in (*known, *roles):
            hint = did_you_mean(plain, known)
            result.said.append(f"{where}: role {row['role']!r} is taken as other{hint}")
    if role == SKIP:
        return None
    site: str | None
    if "site" in row:
        site = sites.get(row["site"].lower()) or sites.get(id_of(row["site"]))
        if site is None and new_sites:
            site = _new_site(row["site"], sites, result)
        elif site is None:
            hint = did_you_mean(row["site"].lower(), sites)
            result.said.append(
                f"{where}: no site is called {row['site']!r}{hint}; --new-sites makes "
                "sites of names nobody knows"
            )
    else:
        site = assign(estate.sites, address, name=row.get("name", "")).site
        if site is None:
            result.said.append(f"{where}: it names no site, and no rule gives one")
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
    row: SpreadsheetRow, where: str, sites: dict[str, str], result: Imported
) -> None:
    name = row.get("site") or row.get("name")
    if not name:
        result.said.append(f"{where}: neither an address nor the name of a site")
        return
    subnets = []
    for text in re.split(r"[;,\s]+", row.get("subnets", "")):
        if not text:
            continue
        try:
            subnets.append(str(ip_network(text, strict=False)))
        except ValueError:
            result.said.append(f"{where}: {text!r} is no network, such as 10.1.0.0/16")
    known = sites.get(name.lower())
    if known is None:
        known = _new_site(name, sites, result, row.get("id", ""))
    for entry in result.sites:
        if entry["id"] == known:
            entry["subnets"] = [*entry.get("subnets", ()), *subnets]
            return
    # One the estate has: shown as different where its networks are.
    result.sites.append({"id": known, "name": name, "subnets": subnets})


def _new_site(
    name: str, sites: dict[str, str], result: Imported, wanted: str = ""
) -> str:
    (made,) = unique_ids([(wanted or name, name)], set(sites.values()))
    sites[name.lower()] = sites[made] = made
    result.sites.append({"id": made, "name": name})
    return made


def _parent(
    row: SpreadsheetRow,
    entry: Entry,
    where: str,
    called: Mapping[str, str],
    result: Imported,
) -> None:
    said = row.get("parent")
    if not said:
        return
    parent = called.get(said.lower()) or called.get(id_of(said))
    if parent is None:
        hint = did_you_mean(said.lower(), called)
        result.said.append(f"{where}: no device is called {said!r}{hint}")
    elif parent == entry["id"]:
        result.said.append(f"{where}: {said!r} cannot be its own parent")
    else:
        entry["parent"] = parent


def _decoded(raw: bytes) -> str:
    """UTF-8 (with or without its mark), UTF-16 with one, else Windows' Latin."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", "replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")
