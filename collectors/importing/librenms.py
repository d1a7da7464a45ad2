"""Imports devices, locations and SNMP credentials from LibreNMS (API v0).

Locations become sites. Credentials are secrets, so they are kept apart: the estate
holds only a name for each distinct credential. Credentials that are already configured
here keep their name.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec

from collectors.estate.estate_model import Estate
from collectors.estate.estate_text import id_from_name, toml_tables, unique_ids
from collectors.estate.site_assignment import assign
from collectors.importing.imported import (
    SKIP,
    Entry,
    Imported,
    coordinates,
    map_role,
)
from collectors.importing.rest_client import RestClient, SourceError
from collectors.snmp.session.credentials import (
    Credential,
    CredentialError,
    Credentials,
    credential,
)

Object = Mapping[str, Any]
_AUTH = {
    "md5": "md5",
    "sha": "sha1",
    "sha-224": "sha224",
    "sha-256": "sha256",
    "sha-384": "sha384",
    "sha-512": "sha512",
}
_PRIV = {
    "des": "des",
    "aes": "aes128",
    "aes-128": "aes128",
    "aes-192": "aes192",
    "aes-256": "aes256",
    "aes-192-c": "aes192",
    "aes-256-c": "aes256",
}
# Roles for device types that say little; `network` may still be refined by hardware.
_ROLE_BY_TYPE = {"network": "switch", "server": "other", "printer": "other"}


class LibreNmsData(msgspec.Struct):
    """The lists that the API returned."""

    devices: list[Object] = []
    locations: list[Object] = []


def headers(token: str) -> dict[str, str]:
    return {"X-Auth-Token": token}


async def fetch(api: RestClient) -> LibreNmsData:
    """Fetch all devices and locations. Raises `SourceError`."""
    devices = await fetch_list(api, "/api/v0/devices?type=all", "devices")
    locations = await fetch_list(api, "/api/v0/resources/locations", "locations")
    return LibreNmsData(devices, locations)


async def fetch_list(api: RestClient, path: str, key: str) -> list[Object]:
    """Fetch the list `key` at `path`; empty if the API answers 404 (it has none)."""
    try:
        body = await api.get(path)
    except SourceError as error:
        # LibreNMS sends JSON with its 404; a web server at a wrong address sends HTML.
        if error.status == 404 and isinstance(error.body, dict):
            return []
        raise
    rows = body.get(key) if isinstance(body, dict) else None
    if not isinstance(rows, list):
        raise SourceError(
            f"LibreNMS: {path} has no list of {key}: is that its address?"
        )
    return [row for row in rows if isinstance(row, dict)]


def to_estate(
    data: LibreNmsData,
    estate: Estate,
    known: Credentials,
    roles: Mapping[str, str] = {},
    resolve: Callable[[str], str | None] = lambda host: None,
) -> tuple[Imported, dict[str, Credential]]:
    """Convert LibreNMS' data to estate entries and new credentials (by name).

    `resolve` looks up the address of a host name if LibreNMS gives none.
    """
    result = Imported()
    enabled = [device for device in data.devices if _is_enabled(device, result)]
    names, new_credentials = _name_credentials(enabled, known, result)
    sites = _assign_sites(enabled, data.locations, estate, result)
    rows: list[tuple[Object, Entry]] = []
    for device in enabled:
        entry = _device_entry(device, names, sites, roles, resolve, result)
        if entry is not None:
            rows.append((device, entry))
    names_and_addresses = [
        (_device_name(device), entry["address"]) for device, entry in rows
    ]
    ids = unique_ids(names_and_addresses)
    id_by_host: dict[str, str] = {}
    for (device, entry), id in zip(rows, ids, strict=True):
        entry["id"] = id
        id_by_host[str(device.get("hostname"))] = id
        if device.get("ignore") in (1, "1", True):
            result.add_note("devices", id, "LibreNMS ignores its alerts")
    for device, entry in rows:
        hosts = str(device.get("dependency_parent_hostname") or "").split(",")
        parents = [id_by_host.get(h.strip(), h.strip()) for h in hosts if h.strip()]
        # Two parents mean redundancy, so the device depends on neither alone.
        if len(parents) == 1 and parents[0] != entry["id"]:
            entry["parent"] = parents[0]
        if entry["site"]:
            result.devices.append(entry)
        else:
            result.incomplete.append(("devices", entry))
    used_sites = {entry["site"] for _, entry in rows}
    result.sites = [site for site in result.sites if site["id"] in used_sites]
    used = {entry.get("credentials") for _, entry in rows}
    return result, {
        name: secret for name, secret in new_credentials.items() if name in used
    }


def drop_credentials(imported: Imported, names: Collection[str]) -> None:
    """Remove these credential names from the entries, with a note on each."""
    entries = [("devices", entry) for entry in imported.devices]
    for section, entry in (*entries, *imported.incomplete):
        if entry.get("credentials") in names:
            name = entry.pop("credentials")
            imported.add_note(section, entry["id"], f"credentials {name} were not kept")


def write_credentials(path: Path, credentials: Mapping[str, Credential]) -> None:
    """Write a new file for `snmp.credentials_file`, readable only by its owner.

    Raises `SourceError` if the file exists already.
    """
    tables = {
        name: {
            key: value
            for key, value in msgspec.structs.asdict(secret).items()
            if value and (value, key) not in (("none", "auth"), ("none", "priv"))
        }
        for name, secret in credentials.items()
    }
    for table in tables.values():
        if table["version"] != "3" or "priv" not in table:
            table.pop("key_expansion", None)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SourceError(
            f"{path} exists already: name a new file, then merge it into yours"
        ) from None
    except OSError as error:
        raise SourceError(f"{path}: cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        # A umask cannot widen the mode, but the folder's default ACL could.
        os.fchmod(file.fileno(), 0o600)
        file.write(toml_tables(tables))


def _is_enabled(device: Object, result: Imported) -> bool:
    if device.get("disabled") in (1, "1", True):
        result.remarks.append(
            f"{_device_name(device)} is disabled in LibreNMS: left out"
        )
        return False
    return True


def _device_entry(
    device: Object,
    names: Mapping[int, str],
    sites: Mapping[int, str | None],
    roles: Mapping[str, str],
    resolve: Callable[[str], str | None],
    result: Imported,
) -> Entry | None:
    address = device_address(device) or resolve(str(device.get("hostname") or ""))
    if address is None:
        result.remarks.append(
            f"{_device_name(device)} has no address that can be found"
        )
        return None
    number = _device_id(device)
    kind = str(device.get("type") or "")
    role = roles.get(kind.lower()) or _guess_role(device, kind, roles)
    if role == SKIP:
        return None
    transport = str(device.get("transport") or "udp")
    if not transport.startswith("udp"):
        result.remarks.append(
            f"{_device_name(device)} is polled over {transport} there, over udp here"
        )
    entry: Entry = {
        "id": "",
        "name": str(device.get("sysName") or device.get("hostname") or ""),
        "site": sites.get(number),
        "address": address,
        "port": _parse_port(device, result),
        "role": role,
        "credentials": names.get(number),
    }
    if device.get("snmp_disable") in (1, "1", True):
        # LibreNMS only pings such a device.
        entry["snmp"] = False
        entry.pop("credentials")
    elif number not in names:
        result.remarks.append(
            f"{_device_name(device)} has no SNMP credential in LibreNMS"
        )
    return entry


def _parse_port(device: Object, result: Imported) -> int | None:
    """Return the UDP port unless it is 161. LibreNMS gives a number or its text."""
    given = str(device.get("port") or "161").strip()
    if given.isdecimal() and 1 <= int(given) <= 65535:
        return int(given) if int(given) != 161 else None
    result.remarks.append(
        f"{_device_name(device)}: port {given!r} is left out, expected 1 to 65535"
    )
    return None


def _guess_role(device: Object, kind: str, roles: Mapping[str, str]) -> str:
    text = " ".join(str(device.get(k) or "") for k in ("hardware", "os", "features"))
    if kind in _ROLE_BY_TYPE:
        role = map_role(text, {})
        if kind != "network" or role in ("other", "ups"):
            return _ROLE_BY_TYPE[kind]
        return role
    return map_role(kind, roles)


def device_address(device: Object) -> str | None:
    """Return the address LibreNMS polls: the override, the host name if that is an
    address, or the address LibreNMS resolved. None if there is none."""
    for key in ("overwrite_ip", "hostname", "ip"):
        try:
            return str(ip_address(str(device.get(key) or "").strip()))
        except ValueError:
            continue
    return None


def _assign_sites(
    devices: Sequence[Object],
    locations: Sequence[Object],
    estate: Estate,
    result: Imported,
) -> dict[int, str | None]:
    """Return the site of each device by its LibreNMS id.

    The estate's rules come first; otherwise the device's location becomes a site.
    """
    location_names = {row.get("id"): row.get("location") for row in locations}
    places = {
        " ".join(str(row.get("location") or "").split()): coordinates(
            row.get("lat"), row.get("lng")
        )
        for row in locations
    }
    sites: dict[int, str | None] = {}
    new_locations: dict[int, str] = {}
    for device in devices:
        id, name = _device_id(device), _device_name(device)
        location = device.get("location") or location_names.get(
            device.get("location_id")
        )
        location = " ".join(str(location or "").split())
        address = device_address(device)
        if address is not None:
            sites[id] = assign(estate.sites, ip_address(address), location, name).site
        if sites.get(id) is None and location:
            new_locations[id] = location
        elif sites.get(id) is None:
            result.remarks.append(f"{name} has no location, and no rule fits it")
    names = sorted(set(new_locations.values()))
    used_ids = {site.id for site in estate.sites}
    new_ids = unique_ids([(name, name) for name in names], used_ids)
    site_ids = dict(zip(names, new_ids, strict=True))
    for name, site_id in site_ids.items():
        pattern = "^" + re.escape(name).replace("\\ ", " ") + "$"
        entry: Entry = {"id": site_id, "name": name, "locations": [pattern]}
        result.sites.append(entry | places.get(name, {}))
    return sites | {id: site_ids[name] for id, name in new_locations.items()}


def _name_credentials(
    devices: Sequence[Object], known: Credentials, result: Imported
) -> tuple[dict[int, str], dict[str, Credential]]:
    """Return (credential name by LibreNMS id, new credentials by name).

    New names are numbered from the most used credential down, so that they stay the
    same from one import to the next.
    """
    by_device: dict[int, Credential] = {}
    for device in devices:
        if device.get("snmp_disable") in (1, "1", True):
            continue
        try:
            secret = device_credential(device)
        except CredentialError as error:
            # The text names the device; `credential()` never repeats a secret.
            result.remarks.append(str(error))
            continue
        if secret is not None:
            by_device[_device_id(device)] = secret
    names = {known.get(name): name for name in known}
    counts = Counter(secret for secret in by_device.values() if secret not in names)
    first_use = {
        secret: at for at, secret in reversed(list(enumerate(by_device.values())))
    }
    new = sorted(counts, key=lambda secret: (-counts[secret], first_use[secret]))
    number = 1
    for secret in new:
        while f"librenms-{number}" in known:
            number += 1
        names[secret] = f"librenms-{number}"
        number += 1
    return (
        {id: names[secret] for id, secret in by_device.items()},
        {names[secret]: secret for secret in new},
    )


def device_credential(device: Object) -> Credential | None:
    """Return the SNMP credential LibreNMS uses, or None if it has none.

    Raises `CredentialError` if the credential is unusable.
    """
    version = str(device.get("snmpver") or "v2c").lower()
    if version in ("v1", "v2c"):
        community = str(device.get("community") or "")
        if not community:
            return None
        return credential(
            _device_name(device), {"version": version, "community": community}
        )
    given: dict[str, str] = {"version": "3", "user": str(device.get("authname") or "")}
    level = str(device.get("authlevel") or "").lower()
    if not given["user"]:
        return None
    if level in ("authnopriv", "authpriv"):
        algorithm = str(device.get("authalgo") or "SHA").lower()
        given["auth"] = _AUTH.get(algorithm, algorithm)
        given["auth_password"] = str(device.get("authpass") or "")
    if level == "authpriv":
        algorithm = str(device.get("cryptoalgo") or "AES").lower()
        given["priv"] = _PRIV.get(algorithm, algorithm)
        given["priv_password"] = str(device.get("cryptopass") or "")
        if algorithm.endswith("-c"):
            given["key_expansion"] = "cisco"
    return credential(_device_name(device), given)


def _device_id(device: Object) -> int:
    number = str(device.get("device_id") or "")
    return int(number) if number.isdecimal() else -1


def _device_name(device: Object) -> str:
    name = device.get("sysName") or device.get("hostname") or device.get("device_id")
    name = str(name or "")
    return name if id_from_name(name) else str(device.get("hostname") or name)
