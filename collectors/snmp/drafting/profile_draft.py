"""Drafts a device profile from the objects of MIBs, and from values if there are some.

Pure. A draft is a start: it wants to be read, and compared with the device.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from collectors.snmp.drafting.draft_names import StateNames, take_unused, to_key
from collectors.snmp.drafting.empty_draft import explain_empty
from collectors.snmp.drafting.identity_draft import identity_lines
from collectors.snmp.drafting.mib_objects import MibObject, Objects
from collectors.snmp.drafting.object_meaning import (
    MeasuredObject,
    ObjectMeaning,
    meaning,
)
from collectors.snmp.drafting.radio_draft import radio_tables
from collectors.snmp.drafting.sensor_draft import (
    are_of_optics,
    plain_state_item,
    sensor_items,
)
from collectors.snmp.drafting.state_meaning import (
    CodeStateObject,
    EnumeratedObject,
    TextStateObject,
)
from collectors.snmp.drafting.table_draft import (
    TableDraft,
    describe,
    last_arc,
    name_templates,
    named_columns,
    shared_words,
    subject_of,
    table_name,
    to_capital,
)
from collectors.snmp.drafting.typed_values import (
    MibIndex,
    TypedColumns,
    is_described_value,
    named_scalars,
    own_unit_items,
    texts_with_units,
    typed_columns,
    typed_items,
)
from collectors.snmp.drafting.usage_draft import (
    memory_items,
    processor_items,
    wireless_item,
)
from collectors.snmp.drafting.usage_meaning import (
    AmountObject,
    UsageObject,
    WirelessObject,
)
from collectors.snmp.profiles.label_severity import split_words
from collectors.snmp.session import oids
from collectors.snmp.session.session import Value

# The values of a scalar or column, by index.
Values = Mapping[str, Mapping[str, Value]]

_CELSIUS, _FAHRENHEIT = {"c", "celsius", "tempc"}, {"f", "fahrenheit", "tempf"}
_MOST_CHOICES = 4


class DraftHead(msgspec.Struct, frozen=True):
    """What the head of the draft states."""

    title: str
    object_id: str
    vendor: str | None = None
    os: str | None = None


def draft_profile(
    head: DraftHead, objects: Objects, values: Values | None = None
) -> str:
    """Return the text of a profile for the `objects` that mean something.

    With `values`, only objects that have some are used, and scales that no MIB states
    are chosen to fit them.
    """
    states = StateNames()
    tables = list(_draft_tables(objects, values, states))
    lines = [f"# {head.title}"]
    lines += [f"{key}: {v}" for key in ("vendor", "os") if (v := getattr(head, key))]
    lines += ["match:", f"  - object_id: {head.object_id}", "---"]
    lines += identity_lines(objects, values)
    if states.names:
        lines += ["states:", *states.lines(), ""]
    if tables:
        lines += ["tables:", *(line for table in tables for line in table.lines())]
    else:
        lines += explain_empty(objects, values)
    return "\n".join(lines).rstrip() + "\n"


def _draft_tables(
    objects: Objects, values: Values | None, states: StateNames
) -> Iterator[TableDraft]:
    parents: dict[str, list[MibObject]] = {}
    for each in objects.values():
        if each.kind in ("scalar", "column") and (values is None or each.oid in values):
            parents.setdefault(each.table, []).append(each)
    used: set[str] = set()
    mib_index = MibIndex.of(objects)
    for parent in sorted(parents, key=oids.parts):
        members = sorted(parents[parent], key=lambda each: oids.parts(each.oid))
        for is_scalar in (True, False):
            chosen = [m for m in members if (m.kind == "scalar") == is_scalar]
            if not chosen:
                continue
            meanings = {m.oid: found for m in chosen if (found := meaning(m))}
            _drop_fahrenheit(meanings, objects)
            typed = None if is_scalar else typed_columns(chosen, objects, mib_index)
            if typed is not None:
                for oid in [m.oid for m in chosen if is_described_value(m, meanings)]:
                    # A description that gives a unit means some of the rows.
                    del meanings[oid]
            if typed is not None and typed.value.oid in meanings:
                # A text beside a value that its name explains says no more.
                if typed.kind is None or typed.kind.labels:
                    del meanings[typed.value.oid]
                else:
                    typed = None
            texts = [] if is_scalar else texts_with_units(chosen, meanings)
            pairs = list(named_scalars(chosen, meanings)) if is_scalar else []
            if meanings or typed is not None or texts or pairs:
                table = TableDraft("", parent, is_scalar)
                _fill(table, chosen, meanings, objects, values, states)
                # What a value says itself comes first.
                for text in texts:
                    _add_texts(table, text, chosen, objects)
                for pair in pairs:
                    _add_pair(table, pair)
                if typed is not None:
                    _add_typed(table, typed, chosen, objects)
                if table.items or any(table.choices.values()):
                    table.name = take_unused(table_name(parent, chosen, objects), used)
                if table.items:
                    yield table
                yield from _choice_tables(table, used)
            yield from radio_tables(parent, chosen, objects, used)


def _drop_fahrenheit(meanings: dict[str, ObjectMeaning], objects: Objects) -> None:
    """Drop temperatures that are there in degrees Celsius, too."""
    temperatures = {
        oid: split_words(objects[oid].name)
        for oid, found in meanings.items()
        if getattr(found, "class_", "") == "temperature"
    }
    if any(words[-1] in _CELSIUS for words in temperatures.values()):
        for oid, words in temperatures.items():
            if words[-1] in _FAHRENHEIT:
                del meanings[oid]


def _fill(
    table: TableDraft,
    members: Sequence[MibObject],
    meanings: Mapping[str, ObjectMeaning],
    objects: Objects,
    values: Values | None,
    states: StateNames,
) -> None:
    shared = shared_words([split_words(m.name) for m in members])
    words = {m.oid: split_words(m.name)[shared:] or ["value"] for m in members}
    keys: dict[str, str] = {}
    for member in members:
        if member.oid in meanings:
            keys[member.oid] = take_unused(
                to_key(words[member.oid]), set(keys.values())
            )
    table.columns = {key: last_arc(oid) for oid, key in keys.items()}
    subject = subject_of(members, shared, objects)
    naming = [] if table.is_scalar else name_templates(table, members, objects)
    kinds = Counter(getattr(m, "class_", type(m).__name__) for m in meanings.values())
    usages: list[tuple[str, UsageObject | AmountObject]] = []
    is_optics = are_of_optics(members)
    for oid, found in meanings.items():
        key = keys[oid]
        kind = getattr(found, "class_", type(found).__name__)
        several = kinds[kind] > 1 or table.is_scalar
        own = " ".join(words[oid]) if several else ""
        descr = describe(naming, subject, own, table.is_scalar)
        match found:
            case MeasuredObject():
                own_values = (values or {}).get(oid, {})
                for item in sensor_items(
                    found, own_values, key, descr, objects[oid], is_optics
                ):
                    _add(table, "sensors", item)
            case TextStateObject() | CodeStateObject():
                _add(table, "sensors", plain_state_item(found, key, descr))
            case EnumeratedObject():
                name = states.name_of(found, words[oid])
                item = f"{{class: state, of: {key}, states: {name}, descr: {descr}}}"
                _add(table, "sensors", item)
            case WirelessObject():
                item = wireless_item(found, key, naming, own, table.is_scalar)
                _add(table, "wireless", item)
            case UsageObject() | AmountObject():
                usages.append((key, found))
    descr = describe(naming, subject, "", False)
    if table.is_scalar:
        descr = _thing(subject, "processor", {"cpu", "processor"})
    table.choices["processors"] = list(processor_items(usages, descr))
    descr = describe(naming, "memory", "", False)
    if table.is_scalar:
        descr = _thing(subject, "memory", {"memory", "mem", "ram"})
    table.choices["memory"] = list(memory_items(usages, descr))
    for section, choices in table.choices.items():
        if len(choices) == 1:
            _add(table, section, choices.pop())
    table.all_columns = dict(table.columns)
    table.columns = named_columns(table.columns, table.items)


def _choice_tables(table: TableDraft, taken: set[str]) -> Iterator[TableDraft]:
    """Yield a table for each way to read the processors or the memory, if there are
    several: each only if the device lacks those before."""
    for section, choices in table.choices.items():
        before: list[str] = []
        for item in choices[:_MOST_CHOICES]:
            items = {section: [item]}
            columns = named_columns(table.all_columns, items)
            name = take_unused(f"{table.name}_{section}", taken)
            yield TableDraft(
                name, table.base, table.is_scalar, columns, items, tuple(before)
            )
            before.append(name)


def _add_typed(
    table: TableDraft,
    typed: TypedColumns,
    members: Sequence[MibObject],
    objects: Objects,
) -> None:
    """Add the items of a column whose values another column says the kind of."""
    name, descr = _naming(table, members, objects)
    if typed.digits is not None:
        # The names that the function of such rows expects.
        table.columns["value"] = last_arc(typed.value.oid)
        table.columns |= typed.scaling_columns
    value = _column_key(table, typed.value)
    kind = f"index{typed.arc}"
    if typed.kind is not None:
        kind = _column_key(table, typed.kind)
    for item in typed_items(typed, value, kind, name, descr):
        _add(table, "sensors", item)


def _add_pair(table: TableDraft, pair: TypedColumns) -> None:
    """Add the items of a scalar whose kind and name another scalar gives."""
    if pair.kind is None:
        return
    value, name = _column_key(table, pair.value), _column_key(table, pair.kind)
    words = " ".join(split_words(pair.value.name)[:-1])
    descr = f'["{{{name}}}", {to_capital(words)}]'
    for item in typed_items(pair, value, name, name, descr):
        _add(table, "sensors", item)


def _add_texts(
    table: TableDraft,
    value: MibObject,
    members: Sequence[MibObject],
    objects: Objects,
) -> None:
    """Add the items of a column of texts with units."""
    name, descr = _naming(table, members, objects)
    for item in own_unit_items(_column_key(table, value), name, descr):
        _add(table, "sensors", item)


def _naming(
    table: TableDraft, members: Sequence[MibObject], objects: Objects
) -> tuple[str | None, str]:
    """Return the column that names the rows of values, and their description."""
    naming = [column for column in table.columns if column.startswith("name")]
    templates = [f"{{{naming[0]}}}"] if naming else []
    if not templates:
        templates = name_templates(table, members, objects)
        naming = [column for column in table.columns if column.startswith("name")]
    shared = shared_words([split_words(m.name) for m in members])
    subject = subject_of(members, shared, objects)
    return (naming[0] if naming else None), describe(templates, subject, "", False)


def _column_key(table: TableDraft, column: MibObject) -> str:
    """Return the name of a column, which is added if the table does not have it."""
    place = last_arc(column.oid) if column.table == table.base else column.oid
    known = [key for key, at in table.columns.items() if at == place]
    if known:
        return known[-1]
    key = take_unused(to_key(split_words(column.name)[-1:]), set(table.columns))
    table.columns[key] = place
    return key


def _add(table: TableDraft, section: str, item: str) -> None:
    table.items.setdefault(section, []).append(item)


def _thing(subject: str, what: str, said: set[str]) -> str:
    """Return what it is, after whose it is."""
    words = [word for word in subject.split() if word not in said]
    return to_capital(" ".join([*words, what]))
