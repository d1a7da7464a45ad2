"""The objects of MIB modules, as far as a draft needs them: names, types, units."""

from __future__ import annotations

import gzip
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import msgspec

from collectors.snmp.drafting.unit_words import hint_word

# The files of a folder of facts, made from many MIB modules: a line for each object,
# with these columns separated by tabs.
FACTS_COLUMNS = ("oid", "name", "module", "kind", "syntax", "units", "hint", "index")
# Base types of numbers that may fall, and of all numbers.
GAUGES = {"Integer32", "INTEGER", "Gauge32", "Unsigned32"}
NUMBERS = GAUGES | {"Counter32", "Counter64"}
_FACTS_FILES = ("*.tsv.gz", "*.tsv")


class MibObject(msgspec.Struct, frozen=True):
    """One object. `kind`: scalar, column, table, node or notification.

    `syntax`: the base type, then `:TC` or an enumeration (`INTEGER 1=up 2=down`).
    `hint`: `scale=0.1`, `unit=celsius` and others, as found in texts. `index`: of a
    table, the names of its index columns.
    """

    oid: str
    name: str
    module: str = ""
    kind: str = ""
    syntax: str = ""
    units: str = ""
    hint: str = ""
    index: str = ""

    @property
    def base(self) -> str:
        """The first word of the base type, without a textual convention."""
        return self.syntax.split(":")[0].split(" ")[0]

    @property
    def labels(self) -> dict[int, str]:
        """The enumeration: label by number."""
        pairs = (word.partition("=") for word in self.syntax.split(" ")[1:])
        return {
            int(number): label
            for number, equals, label in pairs
            if equals and number.lstrip("-").isdecimal() and label
        }

    @property
    def table(self) -> str:
        """The OID of a column's table entry."""
        return self.oid.rpartition(".")[0]


Objects = Mapping[str, MibObject]


class FactsError(ValueError):
    """MIB facts cannot be read; the text is one sentence."""


def is_facts_folder(folder: Path) -> bool:
    return any(True for pattern in _FACTS_FILES for _ in folder.glob(pattern))


def read_facts(folder: Path, below: Collection[str]) -> dict[str, MibObject]:
    """Return the objects below the OIDs `below`, from the facts in `folder`."""
    prefixes = tuple(f"{oid}." for oid in below)
    objects: dict[str, MibObject] = {}
    for pattern in _FACTS_FILES:
        for file in sorted(folder.glob(pattern)):
            for line in _lines(file):
                if line.startswith(prefixes):
                    cells = line.rstrip("\n").split("\t")
                    objects[cells[0]] = MibObject(*cells[: len(FACTS_COLUMNS)])
    return with_kilovolt_amps(objects)


def with_kilovolt_amps(objects: Objects) -> dict[str, MibObject]:
    """Return the objects, with the unit kVA where the MIB means it.

    Facts have one word for VA and kVA. It is kVA if the same table has a power in
    kilowatts with the same scale: that is the active power of the same thing.
    """
    in_kilowatts = {
        (each.table, hint_word(each.hint, "scale"))
        for each in objects.values()
        if hint_word(each.hint, "unit") == "kilowatt"
    }

    def corrected(each: MibObject) -> MibObject:
        scale = hint_word(each.hint, "scale")
        if hint_word(each.hint, "unit") != "volt-amp" or not scale or each.units:
            return each
        if (each.table, scale) not in in_kilowatts:
            return each
        hint = each.hint.replace("unit=volt-amp", "unit=kilovolt-amp")
        return msgspec.structs.replace(each, hint=hint)

    return {oid: corrected(each) for oid, each in objects.items()}


def _lines(file: Path) -> Iterator[str]:
    opened = gzip.open if file.suffix == ".gz" else open
    try:
        with opened(file, "rt", encoding="utf-8") as stream:
            yield from stream
    except (OSError, UnicodeDecodeError) as error:
        raise FactsError(f"{file}: {error}") from None


def find_object(objects: Objects, instance: str) -> MibObject | None:
    """Return the scalar or column that `instance` belongs to."""
    oid = instance
    while "." in oid:
        oid = oid.rpartition(".")[0]
        found = objects.get(oid)
        if found is not None:
            return found if found.kind in ("scalar", "column") else None
    return None
