"""Drafts the tables of all makers again, from a folder of MIB facts:
`.venv/bin/python tests/mib_tables.py [FACTS]` (else `../shared/mibs`).

It writes `collectors/snmp/profiles/mib_tables/`: for each enterprise number, what the
names, units and enumerations of its MIBs say for certain. What recordings have shown
beyond that is in `data/mib_corrections.yaml`: units, scales and enumerations that MIBs
do not state, or state wrongly, by OID.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
import services
import yaml

from collectors.snmp.drafting.mib_objects import MibObject, read_facts
from collectors.snmp.drafting.profile_draft import DraftHead, draft_profile
from collectors.snmp.profiles.identity import ENTERPRISES
from collectors.snmp.profiles.profile_loader import shipped_files
from collectors.snmp.tables.vendors import VENDORS

FACTS = services.SHARED / "mibs"
FOLDER = shipped_files()[-1].parent
_CORRECTIONS = Path(__file__).parent / "data" / "mib_corrections.yaml"
# Of no maker: reserved, and Net-SNMP's, which the profiles of standard MIBs read.
_NO_MAKERS = {0, 2021, 8072}
_SUFFIX = "-mib"
_MOST_MODULES = 6
_WIDTH = 86


def read_makers(
    facts: Path, numbers: Iterable[int] = ()
) -> dict[int, dict[str, MibObject]]:
    """Return the objects of these makers, or of all, by enterprise number and OID,
    corrected."""
    roots = [f"{ENTERPRISES}{number}" for number in numbers]
    makers: dict[int, dict[str, MibObject]] = {}
    for oid, mib_object in read_facts(
        facts, roots or [ENTERPRISES.rstrip(".")]
    ).items():
        number = int(oid.removeprefix(ENTERPRISES).split(".")[0])
        makers.setdefault(number, {})[oid] = mib_object
    corrections: Mapping[str, Mapping[str, str]] = yaml.safe_load(
        _CORRECTIONS.read_text(encoding="utf-8")
    )
    for oid, fields in corrections.items():
        objects = makers.get(int(oid.removeprefix(ENTERPRISES).split(".")[0]), {})
        if oid in objects:
            objects[oid] = msgspec.structs.replace(objects[oid], **fields)
    return makers


def draft_maker(number: int, objects: Mapping[str, MibObject]) -> str | None:
    """Return the profile with a maker's tables, or None if nothing is certain."""
    root = f"{ENTERPRISES}{number}"
    draft = draft_profile(DraftHead("", root), objects)
    head, _, body = draft.partition("---\n")
    if not re.search(r"^(tables|identity):", body, re.MULTILINE):
        return None
    head = head.removeprefix("# \n").replace("match:", f"root: {root}\nmatch:")
    title = _title(objects, body)
    return f"{title}drafted: true\n{head}---\n{body}"


def _title(objects: Mapping[str, MibObject], body: str) -> str:
    """Return the comment that names the MIBs which most tables come from."""
    bases = {oid.strip() for oid in re.findall(r"base: ([\d.]+)", body)}
    modules = Counter(o.module for o in objects.values() if o.table in bases)
    names = [name for name, _ in modules.most_common()]
    several = f"{', '.join(names[:_MOST_MODULES])}" or "the maker's MIBs"
    if len(names) > _MOST_MODULES:
        several += f" and {len(names) - _MOST_MODULES} more"
    text = (
        f"Tables of {several}, drafted from MIBs by tests/mib_tables.py, for all "
        "devices that have them. Scales that a MIB does not state are chosen by "
        "evidence."
    )
    lines = textwrap.wrap(text, _WIDTH, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in lines)


def name_files(numbers: Iterable[int], existing: Iterable[Path]) -> dict[int, str]:
    """Return the name of each maker's file: what it is now, else the maker's, with the
    number if it has several."""
    names = {number: file.name for file in existing for number in _numbers(file)}
    for number in sorted(numbers):
        if number not in names:
            maker = VENDORS.get(number, "maker")
            slug = re.sub(r"[^a-z0-9]+", "-", maker.lower()).strip("-")
            plain = f"{slug}{_SUFFIX}.yaml"
            is_free = slug != "maker" and plain not in names.values()
            names[number] = plain if is_free else f"{slug}-{number}{_SUFFIX}.yaml"
    return names


def _numbers(file: Path) -> Iterator[int]:
    found = re.search(rf"^root: {ENTERPRISES}(\d+)$", file.read_text(), re.MULTILINE)
    if found:
        yield int(found[1])


def draft_makers(facts: Path, numbers: Iterable[int] = ()) -> dict[str, str]:
    """Return the text of each maker's file by name."""
    makers = read_makers(facts, numbers)
    names = name_files(makers.keys() - _NO_MAKERS, FOLDER.glob("*.yaml"))
    drafts = {n: draft_maker(n, makers[n]) for n in sorted(makers) if n in names}
    return {names[n]: draft for n, draft in drafts.items() if draft is not None}


def main(arguments: list[str]) -> None:
    drafts = draft_makers(Path(arguments[0]) if arguments else FACTS)
    for file in FOLDER.glob("*.yaml"):
        if file.name not in drafts:
            file.unlink()
    for name, draft in drafts.items():
        (FOLDER / name).write_text(draft, encoding="utf-8")
    print(f"{len(drafts)} files in {FOLDER}")


if __name__ == "__main__":
    main(sys.argv[1:])
