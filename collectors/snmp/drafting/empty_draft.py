"""Explains why the draft of a profile has no reading. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from collectors.few_names import few_names
from collectors.snmp.drafting.mib_objects import MibObject, Objects
from collectors.snmp.drafting.object_meaning import meaning
from collectors.snmp.session.session import Value
from probes.wire.counted_text import counted

_MOST_NAMED = 5


def explain_empty(
    objects: Objects, values: Mapping[str, Mapping[str, Value]] | None
) -> Iterator[str]:
    """Yield comments of a profile: how many objects there are, and what each group of
    them lacks, the largest first."""
    found = [
        each
        for each in objects.values()
        if each.kind in ("scalar", "column") and (values is None or each.oid in values)
    ]
    if not found:
        yield "# The MIBs name no value that the device has, so there is no reading."
        return
    groups: dict[str, list[str]] = {}
    for each in found:
        groups.setdefault(_lack(each), []).append(each.name)
    yield (
        f"# The MIBs name {counted(len(found), 'object')} that the device has, and "
        "none is certain to be a reading:"
    )
    for lack, names in sorted(groups.items(), key=lambda group: -len(group[1])):
        yield f"# - {lack} ({len(names)}): {few_names(names, _MOST_NAMED)}"
    yield "# Write a table for those that are: docs/profiles.md says how."


def _lack(found: MibObject) -> str:
    if meaning(found) is not None:
        return "values that fit no likely scale of what they measure"
    if found.labels:
        return "settings, or states that do not say what is well"
    base = found.base.upper()
    if base.startswith("COUNTER"):
        return "counters"
    if any(kind in base for kind in ("INTEGER", "UNSIGNED", "GAUGE")):
        return "numbers without a unit or a name that says what they measure"
    return "texts, addresses or times"
