"""Rows whose names have every character that means something to a regular expression,
an address, InfluxQL or Grafana. Ids are letters, digits, dots, dashes and underscores
(`collectors.estate`), so only what people and devices name is awkward."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from probes.wire.sample import Sample

NAMES = (
    "50% & more? a=b#1",
    "a b",
    'it\'s "quoted"',
    "C:\\dir\\",
    "(a|b)[c]*.+^$",
    "é中文 ü",
    "${site} $port",
    "Trunked-1+2",
    "/slash/",
    "%2F%26",
    "a,b;c",
    "{x}",
    ".*",
    "<b>bold</b>",
)
_TAGS = frozenset(
    {"port", "sensor", "radio", "neighbour", "service", "target", "supplier"}
)
# Names that are Towpath's own begin with these.
_OWN = ("PoE", "Stack")
_OWN_GROUPS = frozenset({"provider", "vpn"})


def awkward_rows(rows: Iterable[Sample]) -> Iterator[Sample]:
    """Yields `rows` with other names; the same name has the same one each time."""
    given: dict[tuple[str, str], str] = {}

    def other(kind: str, name: str) -> str:
        if (kind, name) not in given:
            n = sum(of == kind for of, _ in given)
            more = n // len(NAMES)
            given[kind, name] = NAMES[n % len(NAMES)] + (f" {more}" if more else "")
        return given[kind, name]

    for row in rows:
        tags, fields = dict(row.tags), dict(row.fields)
        for tag in _TAGS & tags.keys():
            if tags[tag] and not tags[tag].startswith(_OWN):
                tags[tag] = other(tag, tags[tag])
        if tags.get("by") in _OWN_GROUPS and tags["group"] not in ("down", "absent"):
            tags["group"] = other("group", tags["group"])
        if "label" in tags:
            tags["label"] = f"{other('site', tags['site'])} ({tags['site']})"
        if isinstance(fields.get("name"), str):
            fields["name"] = other(row.measurement, str(fields["name"]))
        yield msgspec.structs.replace(row, tags=tags, fields=fields)
