"""What an import brought, and how it stands to the estate there is. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from collectors.estate.estate_loader import build
from collectors.estate.estate_model import Device, Estate, Line, Role, Site
from collectors.estate.estate_text import given, id_of, one_line, toml

Entry = dict[str, Any]
SKIP = "skip"
# What others call roles, by words in theirs; the first that is there.
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
    """Entries for each section, in the estate's own keys. `wanting` are entries that
    lack something needed (they are written as comments); `notes` sentences by section
    and id; `said` sentences about what was left out."""

    sites: list[Entry] = []
    devices: list[Entry] = []
    lines: list[Entry] = []
    wanting: list[tuple[str, Entry]] = []
    notes: dict[tuple[str, str], list[str]] = {}
    said: list[str] = []

    def note(self, section: str, id: str, text: str) -> None:
        """Add a sentence that is written as a comment above that entry."""
        self.notes.setdefault((section, id), []).append(text)


class MergeResult(msgspec.Struct):
    """`fresh` is what the estate does not have; `differs` how those differ that it
    has, a sentence each; `missing` what it has and the other does not."""

    fresh: Imported
    differs: list[str] = []
    missing: list[str] = []
    same: int = 0


def role_of(name: str, mapping: Mapping[str, str]) -> str:
    """A role of the estate for what another calls one, or `skip`; `mapping` (by its
    slug or name, in small letters) first."""
    plain = name.strip().lower()
    for key in (plain, id_of(plain)):
        if key in mapping:
            return mapping[key]
    return next((role for words, role in _ROLES if re.search(words, plain)), "other")


def merge(found: Imported, estate: Estate, source: str) -> MergeResult:
    """What is new in `found`. Nothing the estate says is ever changed."""
    fresh = Imported(wanting=found.wanting, notes=found.notes, said=list(found.said))
    merged = MergeResult(fresh)
    renamed = _sites(found, estate, fresh, merged)
    by_address = {(str(d.address), d.port): d for d in estate.devices}
    by_id = {d.id: d for d in estate.devices}
    called: dict[str, str] = {}
    met: set[str] = set()
    for entry in found.devices:
        where = (str(entry["address"]), int(entry.get("port") or 161))
        known = by_address.get(where) or by_id.get(entry["id"])
        entry["site"] = renamed.get(entry.get("site") or "", entry.get("site"))
        if known is None:
            fresh.devices.append(entry)
            continue
        called[entry["id"]] = known.id
        met.add(known.id)
        there = known.model_dump(mode="json")
        # Names of credentials are each side's own.
        differences = [
            f"{key} {there.get(key)!r}, {source} says {value!r}"
            for key, value in entry.items()
            if key not in ("id", "name", "credentials", "parent")
            and value is not None
            and str(there.get(key)) != str(value)
        ]
        if differences:
            merged.differs.append(f"{known.id}: {'; '.join(differences)}")
        else:
            merged.same += 1
    for entry in (*fresh.devices, *found.lines):
        for key in ("parent", "device"):
            if entry.get(key) in called:
                entry[key] = called[entry[key]]
    _lines(found, estate, fresh, merged, renamed)
    merged.missing = [d.id for d in estate.devices if d.id not in met]
    leave_out_unsound(fresh, estate)
    return merged


def leave_out_unsound(fresh: Imported, estate: Estate) -> None:
    """Leave out of `fresh` whatever the estate would be refused for, with a note each.

    A key that may be left out goes alone; otherwise the whole entry becomes a comment.
    What refers to that entry is then found in the next round. Problems that the estate
    has itself are not touched.
    """
    sections = {
        "sites": fresh.sites,
        "devices": fresh.devices,
        "lines": fresh.lines,
    }
    here = estate.model_dump(mode="json")
    while True:
        entries = {
            section: [
                *here[section],
                *(dict(given(entry)) for entry in sections[section]),
            ]
            for section in sections
        }
        _, problems = build(entries)
        wrong: dict[tuple[str, int], list[tuple[str, str]]] = {}
        for path, says in problems:
            section, at, key = _parts(path)
            if section in sections and (at := at - len(here[section])) >= 0:
                wrong.setdefault((section, at), []).append((key, says))
        if not wrong:
            return
        for (section, at), found in sorted(wrong.items(), reverse=True):
            entry = sections[section][at]
            for key, says in found:
                fresh.note(section, entry["id"], f"{key} {says}")
            if all(key in entry and key in _OPTIONAL[section] for key, _ in found):
                for key, _ in found:
                    entry.pop(key, None)
            else:
                fresh.wanting.append((section, sections[section].pop(at)))


def _parts(path: str) -> tuple[str, int, str]:
    """`devices[3].hours.opens` → ("devices", 2, "hours")."""
    match = re.match(r"(\w+)\[(\d+)\](?:\.(\w+))?", path)
    return (match[1], int(match[2]) - 1, match[3] or "") if match else (path, -1, "")


def _sites(
    found: Imported, estate: Estate, fresh: Imported, merged: MergeResult
) -> dict[str, str]:
    """Adds the new sites; the other's ids of those that are here under another."""
    ids = {site.id for site in estate.sites}
    by_name = {site.name.strip().lower(): site.id for site in estate.sites}
    renamed: dict[str, str] = {}
    for entry in found.sites:
        here = entry["id"] if entry["id"] in ids else None
        here = here or by_name.get(str(entry.get("name", "")).strip().lower())
        if here is None:
            fresh.sites.append(entry)
            continue
        renamed[entry["id"]] = here
        known = next(site for site in estate.sites if site.id == here)
        more = set(entry.get("subnets", ())) - set(map(str, known.subnets))
        if more:
            merged.differs.append(
                f"site {here}: it has no subnet {', '.join(sorted(more))}"
            )
    return renamed


def _lines(
    found: Imported,
    estate: Estate,
    fresh: Imported,
    merged: MergeResult,
    renamed: dict[str, str],
) -> None:
    by_ref = {line.circuit_ref: line for line in estate.lines if line.circuit_ref}
    ids = {line.id for line in estate.lines}
    for entry in found.lines:
        entry["site"] = renamed.get(entry["site"], entry["site"])
        known = by_ref.get(str(entry.get("circuit_ref")))
        if known is None and entry["id"] not in ids:
            fresh.lines.append(entry)
            continue
        if known is not None:
            for key in ("down_mbps", "up_mbps", "supplier"):
                if entry.get(key) not in (None, getattr(known, key)):
                    merged.differs.append(
                        f"line {known.id}: {key} {getattr(known, key)!r}, not "
                        f"{entry[key]!r}"
                    )


def as_toml(found: Imported) -> str:
    """Tables to put behind the estate; what was left out is a comment each."""
    notes: dict[str, dict[str, list[str]]] = {}
    for (section, id), texts in found.notes.items():
        notes.setdefault(section, {})[id] = texts
    parts = [
        toml(section, entries, notes.get(section, {}))
        for section, entries in (
            ("sites", found.sites),
            ("devices", found.devices),
            ("lines", found.lines),
        )
        if entries
    ]
    for section, entry in found.wanting:
        table = toml(section, [entry], notes.get(section, {}))
        parts.append(
            "".join(f"# {line}".rstrip() + "\n" for line in table.splitlines())
        )
    if found.said:
        parts.append("".join(f"# {one_line(sentence)}\n" for sentence in found.said))
    return "\n".join(parts)


def as_diff(merged: MergeResult) -> str:
    """`+` new, `~` different, `-` not there; a line each."""
    fresh = merged.fresh
    lines = [f"+ site {e['id']} ({e.get('name', '')})" for e in fresh.sites]
    lines += [
        f"+ device {e['id']} at {e['address']}, site {e.get('site') or '?'}"
        for e in fresh.devices
    ]
    lines += [f"+ line {e['id']} ({e.get('supplier', '')})" for e in fresh.lines]
    lines += [f"? {section[:-1]} {e['id']}" for section, e in fresh.wanting]
    lines += [f"~ {sentence}" for sentence in merged.differs]
    lines += [f"- device {id}" for id in merged.missing]
    return "".join(f"{line}\n" for line in lines)


def summary(merged: MergeResult, source: str) -> list[str]:
    """Sentences for a person."""
    fresh = merged.fresh
    said = [
        f"new: {len(fresh.sites)} sites, {len(fresh.devices)} devices, "
        f"{len(fresh.lines)} lines; {merged.same} devices are here already"
    ]
    if fresh.wanting:
        said.append(f"{len(fresh.wanting)} want something first, as the comments say")
    if merged.differs:
        said.append(
            f"{len(merged.differs)} differ (--diff lists them): what the estate says "
            "was kept"
        )
    if merged.missing:
        said.append(f"{len(merged.missing)} devices of the estate are not in {source}")
    return [*said, *_grouped(fresh.said)]


def _grouped(said: Sequence[str], most: int = 30) -> Iterable[str]:
    yield from said[:most]
    if len(said) > most:
        yield f"and {len(said) - most} more like these"
