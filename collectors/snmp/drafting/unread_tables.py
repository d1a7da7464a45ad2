"""Which parts of a device's enterprise tree no profile reads. Pure."""

from __future__ import annotations

from collections.abc import Container, Mapping

import msgspec

from collectors.snmp.drafting.mib_objects import Objects, find_object
from collectors.snmp.session import oids
from collectors.snmp.session.octet_text import text
from collectors.snmp.session.session import Value

_MOST_GROUPS = 40
_LONGEST_EXAMPLE = 40


class UnreadTable(msgspec.Struct, frozen=True):
    """OID of a table, of scalars with one parent, or of a part of the tree without a
    name; how many values it has, and one of them."""

    oid: str
    name: str
    values: int
    example: str


def find_unread(
    values: Mapping[str, Value], read: Container[str], objects: Objects
) -> list[UnreadTable]:
    """Return what `values` has beyond the columns in `read`.

    Named objects are grouped by table. Others are grouped by their OID, as finely as
    there are not too many groups.
    """
    named: dict[str, list[str]] = {}
    nameless: list[str] = []
    for instance in values:
        if _is_read(instance, read):
            continue
        found = find_object(objects, instance)
        if found is None:
            nameless.append(instance)
        else:
            named.setdefault(found.table, []).append(instance)
    groups = {oid: (_name(oid, objects), members) for oid, members in named.items()}
    groups |= {oid: ("", members) for oid, members in _split(nameless).items()}
    return [
        UnreadTable(oid, name, len(members), _example(values, members))
        for oid, (name, members) in sorted(
            groups.items(), key=lambda g: oids.parts(g[0])
        )
    ]


def _is_read(instance: str, read: Container[str]) -> bool:
    oid = instance
    while "." in oid:
        oid = oid.rpartition(".")[0]
        if oid in read:
            return True
    return False


def _name(oid: str, objects: Objects) -> str:
    holder = objects.get(oid.rpartition(".")[0]) or objects.get(oid)
    return "" if holder is None else f"{holder.module}::{holder.name}"


def _split(instances: list[str]) -> dict[str, list[str]]:
    """Group OIDs by their first arcs; the largest group is split until there are enough
    groups, or nothing is left to split."""
    groups = {_shared(instances): instances} if instances else {}
    while len(groups) < _MOST_GROUPS:
        largest = max(groups, key=lambda oid: len(groups[oid]), default="")
        if not largest or len(groups[largest]) < _MOST_GROUPS:
            break
        depth = largest.count(".") + 2
        parts: dict[str, list[str]] = {}
        for instance in groups[largest]:
            parts.setdefault(".".join(instance.split(".")[:depth]), []).append(instance)
        if len(parts) == 1:
            break
        del groups[largest]
        for members in parts.values():
            groups[_shared(members)] = members
    return groups


def _shared(instances: list[str]) -> str:
    """Return the arcs that all instances begin with, without the last of any."""
    first, last = (
        min(instances, key=oids.parts).split("."),
        max(instances, key=oids.parts).split("."),
    )
    count = 0
    while count < min(len(first), len(last)) - 1 and first[count] == last[count]:
        count += 1
    return ".".join(first[:count])


def _example(values: Mapping[str, Value], members: list[str]) -> str:
    texts = (text(values[member]) for member in members)
    return next((t for t in texts if t), "")[:_LONGEST_EXAMPLE]
