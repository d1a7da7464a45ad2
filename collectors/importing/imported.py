"""Imported estate entries, and how they compare with the existing estate. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from collectors.estate.estate_loader import build
from collectors.estate.estate_model import Device, Estate, Line, Role, Site
from collectors.estate.estate_text import id_from_name, items_with_value, one_line, toml
from probes.wire.counted_text import counted

Entry = dict[str, Any]
SKIP = "skip"
# Our role for words in another system's role name; the first match counts.
_ROLES: tuple[tuple[str, Role], ...] = (
    (r"firewall|\bfw\b|\bngfw\b|utm", "firewall"),
    (r"controller|\bwlc\b", "controller"),
    (r"access[\W_]*point|\bw?aps?\b|wireless|wifi|wi-fi", "access_point"),
    (r"\bups\b|uninterruptible|power", "ups"),
    (r"environment|temperature|sensor", "environment"),
    (r"switch|\bsw\b|distribution|access|\bcore\b|spine|leaf|aggregation", "switch"),
    (r"router|\bcpe\b|\bwan\b|gateway|\bpe\b|network", "router"),
    (r"probe", "probe"),
)


_OPTIONAL = {
    section: {
        name for name, field in model.model_fields.items() if not field.is_required()
    }
    for section, model in (("sites", Site), ("devices", Device), ("lines", Line))
}


class Imported(msgspec.Struct):
    """Entries for each section of the estate, in the estate's own keys.

    `incomplete`: (section, entry) that lack a required value; written as comments.
    `notes`: sentences by (section, id). `remarks`: sentences about what was left out.
    """

    sites: list[Entry] = []
    devices: list[Entry] = []
    lines: list[Entry] = []
    incomplete: list[tuple[str, Entry]] = []
    notes: dict[tuple[str, str], list[str]] = {}
    remarks: list[str] = []

    def add_note(self, section: str, id: str, text: str) -> None:
        """Add a sentence to be written as a comment above that entry."""
        self.notes.setdefault((section, id), []).append(text)


class MergeResult(msgspec.Struct):
    """`new`: entries that the estate does not have. `differences`: a sentence for each
    entry that the estate has with other values. `missing`: ids of devices that only the
    estate has. `same`: the number of equal devices."""

    new: Imported
    differences: list[str] = []
    missing: list[str] = []
    same: int = 0


def map_role(name: str, mapping: Mapping[str, str]) -> str:
    """Map another system's role name to a role of the estate, or to `skip`.

    `mapping`, by slug or name in lower case, comes first; then words in the name.
    """
    plain = name.strip().lower()
    for key in (plain, id_from_name(plain)):
        if key in mapping:
            return mapping[key]
    return next((role for words, role in _ROLES if re.search(words, plain)), "other")


def coordinates(latitude: object, longitude: object) -> Entry:
    """Return both keys for an entry of a site, or none if they are no place on Earth.

    Systems give numbers or their texts, and 0, 0 (in the Atlantic) if nobody set them.
    """
    try:
        north, east = float(str(latitude)), float(str(longitude))
    except ValueError:
        return {}
    if not (abs(north) <= 90 and abs(east) <= 180) or north == east == 0:
        return {}
    return {"latitude": north, "longitude": east}


def merge(imported: Imported, estate: Estate, source: str) -> MergeResult:
    """Return what is new or different in `imported`. The estate is never changed."""
    new = Imported(
        incomplete=imported.incomplete,
        notes=imported.notes,
        remarks=list(imported.remarks),
    )
    merged = MergeResult(new)
    renamed = _merge_sites(imported, estate, new, merged, source)
    by_address = {(str(d.address), d.port): d for d in estate.devices}
    by_id = {d.id: d for d in estate.devices}
    known_ids: dict[str, str] = {}
    for entry in imported.devices:
        endpoint = (str(entry["address"]), int(entry.get("port") or 161))
        known = by_address.get(endpoint) or by_id.get(entry["id"])
        entry["site"] = renamed.get(entry.get("site") or "", entry.get("site"))
        if known is None:
            new.devices.append(entry)
            continue
        known_ids[entry["id"]] = known.id
        current = known.model_dump(mode="json")
        # Credential names are local to each side, so they are not compared.
        differences = [
            f"{key} {current.get(key)!r}, {source} has {value!r}"
            for key, value in entry.items()
            if key not in ("id", "name", "credentials", "parent")
            and value is not None
            and str(current.get(key)) != str(value)
        ]
        if differences:
            merged.differences.append(f"{known.id}: {'; '.join(differences)}")
        else:
            merged.same += 1
    for entry in (*new.devices, *imported.lines):
        for key in ("parent", "device"):
            if entry.get(key) in known_ids:
                entry[key] = known_ids[entry[key]]
    _merge_lines(imported, estate, new, merged, renamed)
    matched = set(known_ids.values())
    merged.missing = [d.id for d in estate.devices if d.id not in matched]
    drop_invalid(new, estate)
    return merged


def drop_invalid(new: Imported, estate: Estate) -> None:
    """Remove from `new` everything the estate's validation refuses, with a note each.

    An optional key is removed alone; otherwise the whole entry becomes a comment. The
    next round finds what refers to that entry. Problems of the estate itself are left.
    """
    sections = {"sites": new.sites, "devices": new.devices, "lines": new.lines}
    current = estate.model_dump(mode="json")
    while True:
        entries = {
            section: [
                *current[section],
                *(dict(items_with_value(entry)) for entry in sections[section]),
            ]
            for section in sections
        }
        _, problems = build(entries)
        invalid: dict[tuple[str, int], list[tuple[str, str]]] = {}
        for path, message in problems:
            section, at, key = _split_path(path)
            if section in sections and (at := at - len(current[section])) >= 0:
                invalid.setdefault((section, at), []).append((key, message))
        if not invalid:
            return
        for (section, at), messages in sorted(invalid.items(), reverse=True):
            entry = sections[section][at]
            for key, message in messages:
                new.add_note(section, entry["id"], f"{key} {message}")
            if all(key in entry and key in _OPTIONAL[section] for key, _ in messages):
                for key, _ in messages:
                    entry.pop(key, None)
            else:
                new.incomplete.append((section, sections[section].pop(at)))


def _split_path(path: str) -> tuple[str, int, str]:
    """Split `devices[3].hours.opens` into ("devices", 2, "hours")."""
    match = re.match(r"(\w+)\[(\d+)\](?:\.(\w+))?", path)
    return (match[1], int(match[2]) - 1, match[3] or "") if match else (path, -1, "")


def _merge_sites(
    imported: Imported,
    estate: Estate,
    new: Imported,
    merged: MergeResult,
    source: str,
) -> dict[str, str]:
    """Add the new sites to `new`; return the estate's id of each known one."""
    ids = {site.id for site in estate.sites}
    by_name = {site.name.strip().lower(): site.id for site in estate.sites}
    renamed: dict[str, str] = {}
    for entry in imported.sites:
        id = entry["id"] if entry["id"] in ids else None
        id = id or by_name.get(str(entry.get("name", "")).strip().lower())
        if id is None:
            new.sites.append(entry)
            continue
        renamed[entry["id"]] = id
        known = next(site for site in estate.sites if site.id == id)
        more = set(entry.get("subnets", ())) - set(map(str, known.subnets))
        if more:
            merged.differences.append(
                f"site {id}: it has no subnet {', '.join(sorted(more))}"
            )
        if known.latitude is None and "latitude" in entry:
            merged.differences.append(
                f"site {id}: it has no coordinates, {source} has latitude = "
                f"{entry['latitude']}, longitude = {entry['longitude']}"
            )
    return renamed


def _merge_lines(
    imported: Imported,
    estate: Estate,
    new: Imported,
    merged: MergeResult,
    renamed: dict[str, str],
) -> None:
    by_ref = {line.circuit_ref: line for line in estate.lines if line.circuit_ref}
    ids = {line.id for line in estate.lines}
    for entry in imported.lines:
        entry["site"] = renamed.get(entry["site"], entry["site"])
        known = by_ref.get(str(entry.get("circuit_ref")))
        if known is None and entry["id"] not in ids:
            new.lines.append(entry)
            continue
        if known is not None:
            for key in ("down_mbps", "up_mbps", "supplier"):
                if entry.get(key) not in (None, getattr(known, key)):
                    merged.differences.append(
                        f"line {known.id}: {key} {getattr(known, key)!r}, not "
                        f"{entry[key]!r}"
                    )


def as_toml(imported: Imported) -> str:
    """Return tables to append to the estate, with comments for what was left out."""
    notes: dict[str, dict[str, list[str]]] = {}
    for (section, id), texts in imported.notes.items():
        notes.setdefault(section, {})[id] = texts
    parts = [
        toml(section, entries, notes.get(section, {}))
        for section, entries in (
            ("sites", imported.sites),
            ("devices", imported.devices),
            ("lines", imported.lines),
        )
        if entries
    ]
    for section, entry in imported.incomplete:
        table = toml(section, [entry], notes.get(section, {}))
        parts.append(
            "".join(f"# {line}".rstrip() + "\n" for line in table.splitlines())
        )
    if imported.remarks:
        parts.append(
            "".join(f"# {one_line(sentence)}\n" for sentence in imported.remarks)
        )
    return "\n".join(parts)


def as_diff(merged: MergeResult) -> str:
    """Return one line for each change: `+` new, `~` different, `-` only here."""
    new = merged.new
    lines = [f"+ site {e['id']} ({e.get('name', '')})" for e in new.sites]
    lines += [
        f"+ device {e['id']} at {e['address']}, site {e.get('site') or '?'}"
        for e in new.devices
    ]
    lines += [f"+ line {e['id']} ({e.get('supplier', '')})" for e in new.lines]
    lines += [f"? {section[:-1]} {e['id']}" for section, e in new.incomplete]
    lines += [f"~ {sentence}" for sentence in merged.differences]
    lines += [f"- device {id}" for id in merged.missing]
    return "".join(f"{line}\n" for line in lines)


def summary(merged: MergeResult, source: str) -> list[str]:
    """Return sentences that sum up the import."""
    new = merged.new
    sentences = [
        f"new: {counted(len(new.sites), 'site')}, "
        f"{counted(len(new.devices), 'device')}, {counted(len(new.lines), 'line')}; "
        f"in the estate already: {counted(merged.same, 'device')}"
    ]
    if new.incomplete:
        sentences.append(
            f"{counted(len(new.incomplete), 'is', 'are')} incomplete: see the comments"
        )
    if merged.differences:
        sentences.append(
            f"{counted(len(merged.differences), 'differs', 'differ')} (--diff lists "
            "them): the values in the estate were kept"
        )
    if merged.missing:
        sentences.append(
            f"not in {source}: {counted(len(merged.missing), 'device')} of the estate"
        )
    return [*sentences, *_shorten(new.remarks)]


def _shorten(sentences: Sequence[str], limit: int = 30) -> Iterable[str]:
    yield from sentences[:limit]
    if len(sentences) > limit:
        more = counted(len(sentences) - limit, "more like this", "more like these")
        yield f"and {more}"
