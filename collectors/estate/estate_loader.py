"""Reads the estate from TOML and CSV and checks it as a whole.

The path is a TOML file, or a folder with `*.toml` files and CSV files named after their
section (`sites.csv`, `devices.csv`, `lines.csv` …). The first row of a CSV file has the
keys. `;` separates several values in one cell. An empty cell means that the key is not
set.
"""

from __future__ import annotations

import contextlib
import csv
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from collectors.config_errors import (
    dotted,
    encoding_error,
    entry_lines,
    explain,
    line_of,
)
from collectors.estate.estate_model import Estate, Site
from collectors.estate.site_assignment import assign, contradictions
from probes.wire.catalogue import did_you_mean
from probes.wire.home_ranges import common_at_home

_LISTS = {
    "subnets",
    "locations",
    "names",
    "parents",
    "uplink_ports",
    "powered_by",
    "ports",
    "devices",
    "days",
}
_SECTIONS = tuple(name for name in Estate.model_fields if name != "places")


class EstateError(ValueError):
    """The estate cannot be used; `findings` has one sentence for each problem."""

    def __init__(self, findings: list[str]) -> None:
        super().__init__("\n".join(findings))
        self.findings = findings


def load(path: Path) -> Estate:
    """Reads the estate at `path`. Raises `EstateError` with every problem in it."""
    entries: dict[str, Any] = {}
    origins: dict[str, list[str]] = {section: [] for section in _SECTIONS}
    findings: list[str] = []
    for source in _sources(path):
        try:
            if source.suffix == ".csv":
                _add_csv(source, entries, origins, findings)
            else:
                _add_toml(source, entries, origins, findings)
        except OSError as error:
            findings.append(f"{source}: cannot be read: {error.strerror}")
        except UnicodeDecodeError as error:
            findings.append(f"{source}:{encoding_error(error)}")
    if findings:
        raise EstateError(findings)
    unassigned = _assign_sites(entries)
    estate, problems = build(entries)
    if estate is None:
        raise EstateError(
            [
                f"{_origin(name, origins, path)}: {name} {problem}"
                f"{unassigned.get(name, '')}"
                for name, problem in problems
            ]
        )
    return estate


def build(entries: Mapping[str, Any]) -> tuple[Estate | None, list[tuple[str, str]]]:
    """Builds the estate from entries by section.

    Returns None and the problems if that fails: pairs of a dotted path
    (`devices[3].parent`, counted from 1) and a sentence.
    """
    try:
        estate = Estate.model_validate(entries)
    except ValidationError as error:
        return None, list(explain(error, Estate))
    broken = list(_broken_references(estate))
    return (None, broken) if broken else (estate, [])


def warnings(estate: Estate) -> list[str]:
    """Returns a sentence for each setting that is allowed but misleading."""
    sentences = list(contradictions(estate.sites, estate.devices))
    for site in estate.sites:
        for subnet in site.subnets:
            common = common_at_home(subnet)
            if common is not None:
                sentences.append(
                    f"site {site.id}: subnet {subnet} is also common in homes "
                    f"({common}): a subnet alone cannot tell the office from a home "
                    "there; use a beacon (places.beacon_url)"
                )
    beacon = estate.places.beacon_url
    if beacon and not beacon.lower().startswith("https://"):
        sentences.append(
            f"places.beacon_url is {beacon!r}, expected https://…: without a "
            "certificate any sign-in page could answer for it, so agents do not ask it"
        )
    sites_with_line = {line.site for line in estate.lines}
    for site in estate.sites:
        if site.id not in sites_with_line and any(
            d.site == site.id for d in estate.devices
        ):
            sentences.append(
                f"site {site.id} has devices but no line: no use of a line is shown"
            )
    return [*sentences, *_unpolled_rooms(estate)]


def _unpolled_rooms(estate: Estate) -> Iterator[str]:
    polled = {device.id: device for device in estate.devices if device.poll}
    for room in estate.rooms:
        for device in room.all_devices:
            if device not in polled:
                yield (
                    f"room {room.id}: {device} is not polled (poll = false), so "
                    "nothing is known of it before or during an event"
                )
        for device, port in room.places:
            if device in polled and not polled[device].snmp:
                yield (
                    f"room {room.id}: {device} is only pinged (snmp = false), so "
                    f"nothing is known of its port {port}"
                )


def _sources(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix in (".toml", ".csv"))
        if not files:
            raise EstateError([f"{path}: no .toml and no .csv file in this folder"])
        return files
    if not path.exists():
        raise EstateError([f"{path}: no such file"])
    return [path]


def _add_toml(
    source: Path,
    entries: dict[str, Any],
    origins: dict[str, list[str]],
    findings: list[str],
) -> None:
    text = source.read_text(encoding="utf-8")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        findings.append(f"{source}: is not valid TOML: {error}")
        return
    for section, value in document.items():
        if section in _SECTIONS and isinstance(value, list):
            lines = entry_lines(text, section)
            for index, entry in enumerate(value):
                entries.setdefault(section, []).append(entry)
                line = lines[index] if index < len(lines) else None
                origins[section].append(f"{source}:{line}" if line else str(source))
        elif section == "places":
            entries[section] = value
        else:
            line = line_of(text, (section,))
            hint = did_you_mean(section, Estate.model_fields)
            findings.append(
                f"{source}:{line or 1}: unknown section {section!r}, expected "
                f"[[{']], [['.join(_SECTIONS)}]] or [places]{hint}"
            )


def _add_csv(
    source: Path,
    entries: dict[str, Any],
    origins: dict[str, list[str]],
    findings: list[str],
) -> None:
    section = source.stem
    if section not in _SECTIONS:
        findings.append(
            f"{source}: expected a CSV file named after its section: "
            f"{', '.join(_SECTIONS)}{did_you_mean(section, _SECTIONS)}"
        )
        return
    # utf-8-sig: spreadsheets write a byte order mark at the start of a CSV file.
    with source.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        for row in reader:
            if None in row:
                findings.append(
                    f"{source}:{reader.line_num}: more cells than the first row"
                )
                continue
            entries.setdefault(section, []).append(_entry(row))
            origins[section].append(f"{source}:{reader.line_num}")


def _entry(row: dict[str, str]) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    for key, cell in row.items():
        text = (cell or "").strip()
        if not text:
            continue
        if key in _LISTS:
            entry[key] = _split_cell(text)
        elif key.startswith("hours."):
            name = key.removeprefix("hours.")
            hours = entry.setdefault("hours", {})
            hours[name] = _split_cell(text) if name in _LISTS else text
        else:
            entry[key] = text
    return entry


def _split_cell(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


def _assign_sites(entries: dict[str, Any]) -> dict[str, str]:
    """Sets the site of devices that have none.

    Returns the reason, by dotted path, for each device that matches no site. Other
    problems are found by the model later.
    """
    sites = []
    for entry in entries.get("sites", []):
        with contextlib.suppress(ValidationError):
            sites.append(Site.model_validate(entry))
    reasons: dict[str, str] = {}
    for index, entry in enumerate(entries.get("devices", [])):
        if not isinstance(entry, dict) or "site" in entry:
            continue
        try:
            address = ip_address(str(entry.get("address", "")))
        except ValueError:
            continue
        assigned = assign(
            sites, address, name=str(entry.get("name") or entry.get("id"))
        )
        if assigned.site is not None:
            entry["site"] = assigned.site
        else:
            reasons[dotted(("devices", index, "site"))] = f": {assigned.why}"
    return reasons


def _origin(name: str, origins: dict[str, list[str]], path: Path) -> str:
    """Returns file and line of the entry of a dotted path (counted from 1)."""
    section, _, rest = name.partition("[")
    index = rest.partition("]")[0]
    known = origins.get(section, [])
    if index.isdecimal() and int(index) <= len(known):
        return known[int(index) - 1]
    return str(path)


def _broken_references(estate: Estate) -> Iterator[tuple[str, str]]:
    for section in _SECTIONS:
        counts = Counter(entry.id for entry in getattr(estate, section))
        for index, entry in enumerate(getattr(estate, section)):
            if counts[entry.id] > 1:
                yield dotted((section, index, "id")), f"{entry.id!r} is used twice"
    wanted = {
        "site": ("sites", "site"),
        "device": ("devices", "device"),
        "parent": ("devices", "device"),
    }
    ids = {section: {e.id for e in getattr(estate, section)} for section in _SECTIONS}
    for section in _SECTIONS:
        for index, entry in enumerate(getattr(estate, section)):
            for key, (target, noun) in wanted.items():
                name = getattr(entry, key, None)
                if name is not None and name not in ids[target]:
                    yield (
                        dotted((section, index, key)),
                        f"is {name!r}, but no {noun} has that id"
                        f"{did_you_mean(name, ids[target])}",
                    )
    for index, device in enumerate(estate.devices):
        for key in ("parents", "powered_by"):
            for name in getattr(device, key):
                if name not in ids["devices"]:
                    yield (
                        dotted(("devices", index, key)),
                        f"names {name!r}, but no device has that id"
                        f"{did_you_mean(name, ids['devices'])}",
                    )
    yield from _broken_rooms(estate, ids["devices"])
    parents = {device.id: device.above for device in estate.devices}
    for index, device in enumerate(estate.devices):
        above = list(device.above)
        for id in above:
            above += [other for other in parents.get(id, ()) if other not in above]
        if device.id in above:
            yield (
                dotted(("devices", index, "parents" if device.parents else "parent")),
                f"makes {device.id!r} its own ancestor",
            )
    taken: dict[tuple[str, int], str] = {}
    for index, device in enumerate(estate.devices):
        endpoint = (str(device.address), device.port)
        if endpoint in taken:
            yield (
                dotted(("devices", index, "address")),
                f"{endpoint[0]} port {endpoint[1]} is also that of {taken[endpoint]!r}",
            )
        taken[endpoint] = device.id
    ends: dict[tuple[str, str], str] = {}
    for index, line in enumerate(estate.lines):
        end = (line.device, line.port)
        if end in ends:
            yield (
                dotted(("lines", index, "port")),
                f"{line.port} of {line.device} already ends line {ends[end]!r}",
            )
        ends[end] = line.id


def _broken_rooms(estate: Estate, devices: set[str]) -> Iterator[tuple[str, str]]:
    called: dict[tuple[str, str], str] = {}
    for index, room in enumerate(estate.rooms):
        named = [("ports", device) for device, _ in room.places]
        for key, name in [*named, *(("devices", device) for device in room.devices)]:
            if name not in devices:
                yield (
                    dotted(("rooms", index, key)),
                    f"names {name!r}, but no device has that id"
                    f"{did_you_mean(name, devices)}",
                )
        for name in {name.casefold(): name for name in room.names}.values():
            # The same name at two sites is usual: a location names the site, too.
            other = called.setdefault((room.site, name.casefold()), room.id)
            if other != room.id:
                yield (
                    dotted(("rooms", index, "names")),
                    f"names {name!r}, which is also {other!r} at the same site: an "
                    "event there could be in either",
                )
