"""A table of a draft: its columns and items, and how its rows are called. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from collectors.snmp.drafting.draft_names import take_unused, to_key
from collectors.snmp.drafting.mib_objects import MibObject, Objects
from collectors.snmp.drafting.typed_values import index_of
from collectors.snmp.profiles.label_severity import split_words

_IF_NAME = "1.3.6.1.2.1.31.1.1.1.1"
_NAME_WORDS = ("name", "descr", "description", "label", "tag", "location")


class TableDraft(msgspec.Struct):
    """A table, or scalars with the same parent.

    `unless`: tables that replace this one. `choices`: by section, items of which one is
    enough.
    """

    name: str
    base: str
    is_scalar: bool
    columns: dict[str, str] = {}
    items: dict[str, list[str]] = {}
    unless: tuple[str, ...] = ()
    choices: dict[str, list[str]] = {}
    all_columns: dict[str, str] = {}

    def lines(self) -> Iterator[str]:
        yield f"  {self.name}:"
        yield f"    base: {self.base}"
        if self.is_scalar:
            yield "    scalar: true"
        if self.unless:
            yield f"    unless: [{', '.join(self.unless)}]"
        pairs = (f"{name}: {place}" for name, place in self.columns.items())
        yield f"    columns: {{{', '.join(pairs)}}}"
        for section, items in self.items.items():
            yield f"    {section}:"
            for item in items:
                yield f"      - {item}"


def named_columns(
    columns: Mapping[str, str], items: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Return the columns that the items name."""
    used = " ".join(item for each in items.values() for item in each)
    return {k: at for k, at in columns.items() if re.search(rf"\b{k}\b", used)}


def describe(naming: Sequence[str], subject: str, own: str, is_scalar: bool) -> str:
    if is_scalar:
        words = to_capital(f"{subject} {own}".strip())
        return words if words[:1].isalpha() else f'"{words}"'
    texts = [f"{template} {own}".strip() for template in naming]
    texts.append(to_capital(f"{subject} {{index}} {own}".strip()))
    quoted = ", ".join(f'"{each}"' for each in texts)
    return f"[{quoted}]" if len(texts) > 1 else quoted


def to_capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def name_templates(
    table: TableDraft, members: Sequence[MibObject], objects: Objects
) -> list[str]:
    """Add the columns that name a row, and return how to use them."""
    for column in members:
        said = split_words(column.name)
        if said[-1] in _NAME_WORDS and "STRING" in column.syntax and not column.labels:
            key = take_unused("name", set(table.columns))
            table.columns = {key: last_arc(column.oid), **table.columns}
            return [f"{{{key}}}"]
    index = index_of(table.base, objects).split(",")
    if re.search(r"(?i)if_?index$|portifindex$", index[0]):
        place = _IF_NAME if len(index) == 1 else f'{{oid: {_IF_NAME}, index: "0"}}'
        table.columns["port_name"] = place
        return ["{port_name}"]
    return []


def table_name(parent: str, members: Sequence[MibObject], objects: Objects) -> str:
    holder = objects.get(parent if members[0].kind == "scalar" else parent[:-2])
    if holder is not None:
        said = [w for w in split_words(holder.name) if w not in ("table", "entry")]
    else:
        said = split_words(members[0].name)
    return to_key(said[-3:])


def subject_of(members: Sequence[MibObject], shared: int, objects: Objects) -> str:
    """Return what the rows are: the words that all columns share, or the table's."""
    said = split_words(members[0].name)[:shared]
    said = [w for w in said if w != "table" and len(w) > 1 and not w.isdigit()]
    if not said and members[0].kind == "column":
        return table_name(members[0].table, members, objects).replace("_", " ")
    return " ".join(said[-2:] if len(said) > 2 else said[-1:])


def shared_words(names: Sequence[Sequence[str]]) -> int:
    """Return how many first words all names share, leaving each at least one."""
    least = min(len(name) for name in names) - 1
    count = 0
    while count < least and len({name[count] for name in names}) == 1:
        count += 1
    return count


def last_arc(oid: str) -> str:
    return oid.rpartition(".")[2]
