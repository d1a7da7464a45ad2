"""LibreNMS (API v0): devices, their locations as sites, their SNMP credentials apart.

Credentials are secrets: the same for many devices, they get a name each, which is all
that the estate holds. Those that are configured here already keep their name.
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
from collectors.estate.estate_text import id_of, toml_tables, unique_ids
from collectors.estate.site_assignment import assign
from collectors.importing.imported import SKIP, Entry, Imported, role_of
from collectors.importing.rest_client import Api, Trouble
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
# What a device is, where its type says little: by operating system.
_BY_OS = {"network": "switch", "server": "other", "printer": "other"}


class LibreNmsData(msgspec.Struct):
    """What the API answered."""

    devices: list[Object] = []
    locations: list[Object] = []


def headers(token: str) -> dict[str, str]:
    return {"X-Auth-Token": token}


async def read(api: Api) -> LibreNmsData:
    """All devices and locations. Raises `Trouble`."""
    devices = await listed(api, "/api/v0/devices?type=all", "devices")
    return LibreNmsData(
        devices, await listed(api, "/api/v0/resources/locations", "locations")
    )


async def listed(api: Api, path: str, key: str) -> list[Object]:
    """The list `key` of an answer; empty where the API says by 404 that it has none."""
    try:
        body = await api.get(path)
    except Trouble as trouble:
        # Its own words in JSON, where a web server's page would be none.
        if trouble.status == 404 and isinstance(trouble.body, dict):
            return []
        raise
    rows = body.get(key) if isinstance(body, dict) else None
    if not isinstance(rows, list):
        raise Trouble(f"LibreNMS: {path} has no list of {key}: is that its address?")
    return [each for each in rows if isinstance(each, dict)]


def found(
    read: LibreNmsData,
    estate: Estate,
    known: Credentials,
    roles: Mapping[str, str] = {},
    resolve: Callable[[str], str | None] = lambda host: None,
) -> tuple[Imported, dict[str, Credential]]:
    """What it means for an estate, and the credentials that are new here, by name.

    `resolve` turns host names into addresses where LibreNMS does not say one.
    """
    result = Imported()
    kept = [each for each in read.devices if _wanted(each, result)]
    names, fresh = _credentials(kept, known, result)
    sites = _sites(kept, read.locations, estate, result)
    rows: list[tuple[Object, Entry]] = []
    for device in kept:
        made = _device(device, names, sites, roles, resolve, result)
        if made is not None:
            rows.append((device, made))
    wanted = [(_name(device), entry["address"]) for device, entry in rows]
    by_host: dict[str, str] = {}
    for (device, entry), id in zip(rows, unique_ids(wanted), strict=True):
        entry["id"] = id
        by_host[str(device.get("hostname"))] = id
        if device.get("ignore") in (1, "1", True):
            result.note("devices", id, "LibreNMS ignores its alerts")
    for device, entry in rows:
        parents = str(device.get("dependency_parent_hostname") or "").split(",")
        there = [by_host.get(p.strip(), p.strip()) for p in parents if p.strip()]
        # Two parents are redundancy: then it hangs on neither.
        if len(there) == 1 and there[0] != entry["id"]:
            entry["parent"] = there[0]
        section = result.devices if entry["site"] else result.wanting
        section.append(entry if entry["site"] else ("devices", entry))  # type: ignore[arg-type]
    homes = {entry["site"] for _, entry in rows}
    result.sites = [site for site in result.sites if site["id"] in homes]
    used = {entry.get("credentials") for _, entry in rows}
    return result, {name: each for name, each in fresh.items() if name in used}


def without_credentials(found: Imported, names: Collection[str]) -> None:
    """Leave out credentials of these names, with a note each, as nobody keeps them."""
    entries = [("devices", entry) for entry in found.devices]
    for section, entry in (*entries, *found.wanting):
        if entry.get("credentials") in names:
            name = entry.pop("credentials")
            found.note(section, entry["id"], f"credentials {name} were not kept")


def write_credentials(path: Path, fresh: Mapping[str, Credential]) -> None:
    """A file that only its owner can read, as `snmp.credentials_file` reads it. An old
    one is not written over: `Trouble`."""
    tables = {
        name: {
            key: value
            for key, value in msgspec.structs.asdict(each).items()
            if value and (value, key) not in (("none", "auth"), ("none", "priv"))
        }
        for name, each in fresh.items()
    }
    for table in tables.values():
        if table["version"] != "3" or "priv" not in table:
            table.pop("key_expansion", None)
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Trouble(
            f"{path} is there already: name a new file, then put it into yours"
        ) from None
    except OSError as error:
        raise Trouble(f"{path}: cannot be written: {error.strerror}") from None
    with os.fdopen(made, "w", encoding="utf-8") as file:
        # An umask cannot widen it, but a folder's default ACL could.
        os.fchmod(file.fileno(), 0o600)
        file.write(toml_tables(tables))


def _wanted(device: Object, result: Imported) -> bool:
    if device.get("disabled") in (1, "1", True):
        result.said.append(f"{_name(device)} is disabled in LibreNMS: left out")
        return False
    return True


def _device(
    device: Object,
    names: Mapping[int, str],
    sites: Mapping[int, str | None],
    roles: Mapping[str, str],
    resolve: Callable[[str], str | None],
    result: Imported,
) -> Entry | None:
    address = address_of(device) or resolve(str(device.get("hostname") or ""))
    if address is None:
        result.said.append(f"{_name(device)} has no address that can be found")
        return None
    number = _number(device)
    kind = str(device.get("type") or "")
    meant = roles.get(kind.lower()) or _role(device, kind, roles)
    if meant == SKIP:
        return None
    transport = str(device.get("transport") or "udp")
    if not transport.startswith("udp"):
        result.said.append(f"{_name(device)} is asked over {transport}: here over udp")
    entry: Entry = {
        "id": "",
        "name": str(device.get("sysName") or device.get("hostname") or ""),
        "site": sites.get(number),
        "address": address,
        "port": _port(device, result),
        "role": meant,
        "credentials": names.get(number),
    }
    if device.get("snmp_disable") in (1, "1", True):
        # LibreNMS then only pings it.
        entry["snmp"] = False
        entry.pop("credentials")
    elif number not in names:
        result.said.append(f"{_name(device)} has no SNMP credential in LibreNMS")
    return entry


def _port(device: Object, result: Imported) -> int | None:
    """The UDP port if it is not 161; a number, or a number as text."""
    given = str(device.get("port") or "161").strip()
    if given.isdecimal() and 1 <= int(given) <= 65535:
        return int(given) if int(given) != 161 else None
    result.said.append(
        f"{_name(device)}: port {given!r} is left out, expected 1 to 65535"
    )
    return None


def _role(device: Object, kind: str, roles: Mapping[str, str]) -> str:
    said = " ".join(str(device.get(k) or "") for k in ("hardware", "os", "features"))
    if kind in _BY_OS:
        by_words = role_of(said, {})
        if kind != "network" or by_words in ("other", "ups"):
            return _BY_OS[kind]
        return by_words
    return role_of(kind, roles)


def address_of(device: Object) -> str | None:
    """The address it is asked at: what overrides it, its host name if it is one, and
    what LibreNMS has resolved."""
    for key in ("overwrite_ip", "hostname", "ip"):
        try:
            return str(ip_address(str(device.get(key) or "").strip()))
        except ValueError:
            continue
    return None


def _sites(
    devices: Sequence[Object],
    locations: Sequence[Object],
    estate: Estate,
    result: Imported,
) -> dict[int, str | None]:
    """The site of each device (by its number): by the estate's rules, else its location
    made a site."""
    by_number = {each.get("id"): each.get("location") for each in locations}
    placed: dict[int, str | None] = {}
    texts: dict[int, str] = {}
    for device in devices:
        said = device.get("location") or by_number.get(device.get("location_id"))
        text = " ".join(str(said or "").split())
        address = address_of(device)
        if address is not None:
            site = assign(estate.sites, ip_address(address), text, _name(device)).site
            placed[_number(device)] = site
        if placed.get(_number(device)) is None and text:
            texts[_number(device)] = text
        elif placed.get(_number(device)) is None:
            result.said.append(f"{_name(device)} has no location, and no rule fits it")
    fresh = sorted(set(texts.values()))
    taken = {site.id for site in estate.sites}
    ids = dict(zip(fresh, unique_ids([(t, t) for t in fresh], taken), strict=True))
    for text, site_id in ids.items():
        pattern = "^" + re.escape(text).replace("\\ ", " ") + "$"
        result.sites.append({"id": site_id, "name": text, "locations": [pattern]})
    return placed | {number: ids[text] for number, text in texts.items()}


def _credentials(
    devices: Sequence[Object], known: Credentials, result: Imported
) -> tuple[dict[int, str], dict[str, Credential]]:
    """(names by the device's number, those that are new). The commonest first, so
    that names stay the same from one import to the next."""
    held: dict[int, Credential] = {}
    for device in devices:
        if device.get("snmp_disable") in (1, "1", True):
            continue
        try:
            made = credential_of(device)
        except CredentialError as error:
            # Says which device; `credential()` never repeats a secret.
            result.said.append(str(error))
            continue
        if made is not None:
            held[_number(device)] = made
    here = {known.get(name): name for name in known}
    counts = Counter(each for each in held.values() if each not in here)
    first = {each: n for n, each in reversed(list(enumerate(held.values())))}
    order = sorted(counts, key=lambda each: (-counts[each], first[each]))
    names = dict(here)
    number = 1
    for each in order:
        while f"librenms-{number}" in known:
            number += 1
        names[each] = f"librenms-{number}"
        number += 1
    return (
        {at: names[each] for at, each in held.items()},
        {names[each]: each for each in order},
    )


def credential_of(device: Object) -> Credential | None:
    """What LibreNMS asks it with; None where it says nothing. `CredentialError`."""
    version = str(device.get("snmpver") or "v2c").lower()
    if version in ("v1", "v2c"):
        community = str(device.get("community") or "")
        if not community:
            return None
        return credential(_name(device), {"version": version, "community": community})
    given: dict[str, str] = {"version": "3", "user": str(device.get("authname") or "")}
    level = str(device.get("authlevel") or "").lower()
    if not given["user"]:
        return None
    if level in ("authnopriv", "authpriv"):
        said = str(device.get("authalgo") or "SHA").lower()
        given["auth"] = _AUTH.get(said, said)
        given["auth_password"] = str(device.get("authpass") or "")
    if level == "authpriv":
        said = str(device.get("cryptoalgo") or "AES").lower()
        given["priv"] = _PRIV.get(said, said)
        given["priv_password"] = str(device.get("cryptopass") or "")
        if said.endswith("-c"):
            given["key_expansion"] = "cisco"
    return credential(_name(device), given)


def _number(device: Object) -> int:
    number = str(device.get("device_id") or "")
    return int(number) if number.isdigit() else -1


def _name(device: Object) -> str:
    said = device.get("sysName") or device.get("hostname") or device.get("device_id")
    text = str(said or "")
    return text if id_of(text) else str(device.get("hostname") or text)
