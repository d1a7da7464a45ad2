"""The tables of a draft that read radios: of access points, modems and radio links.
Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from collectors.snmp.drafting.draft_names import take_unused, to_key
from collectors.snmp.drafting.mib_objects import MibObject, Objects
from collectors.snmp.drafting.radio_meaning import RadioObject, kind_of, radios_of
from collectors.snmp.drafting.table_draft import (
    TableDraft,
    last_arc,
    name_templates,
    shared_words,
    table_name,
    to_capital,
)
from collectors.snmp.drafting.typed_values import index_of
from collectors.snmp.profiles.label_severity import split_words

_SECTION = "wireless"
# Columns with which `channel_mhz` tells 6 GHz from the others, if they are texts.
_BANDS = {"band", "radioband", "frequencyband", "phytype"}
# A frequency without a unit: by the number of its digits, MHz, kHz or Hz.
_BY_DIGITS = (
    ("'^[2-7][0-9]{3}$'", 1),
    ("'^([2-7][0-9]{6}|[1-8][0-9]{7})$'", 1000),
    ("'^([2-7][0-9]{9}|[1-8][0-9]{10})$'", 1_000_000),
)
_UNSIGNED_NOISE = (
    ("'^([3-9][0-9]|1[0-2][0-9])$'", "multiplier: -1"),
    ("'^(1[3-9][0-9]|2[0-2][0-9])$'", "add: -256"),
)
# Arcs that a MAC address has in an index.
_MAC_ARCS = 6


def radio_tables(
    base: str, members: Sequence[MibObject], objects: Objects, used: set[str]
) -> Iterator[TableDraft]:
    """Yield the tables that read the radios of these columns or scalars. What is set is
    read only from devices that lack what there is now."""
    holder = None
    if members[0].kind == "column":
        holder = objects.get(base.rpartition(".")[0])
    radios = radios_of(members, holder)
    now = {kind_of(radio) for radio in radios.values() if radio.is_now}
    parts: tuple[dict[str, RadioObject], ...] = ({}, {}, {})
    for oid, radio in radios.items():
        is_rival = kind_of(radio) in now
        parts[(1 if radio.is_now else 2) if is_rival else 0][oid] = radio
    name = f"{table_name(base, members, objects)}_radio"
    rival = ""
    for part in parts:
        if not part:
            continue
        table = _fill_table(base, members, part, objects)
        table.name = take_unused(name, used)
        table.unless = (rival,) if part is parts[2] and rival else ()
        rival = table.name
        yield table


def _fill_table(
    base: str,
    members: Sequence[MibObject],
    radios: Mapping[str, RadioObject],
    objects: Objects,
) -> TableDraft:
    table = TableDraft("", base, members[0].kind == "scalar")
    keys = _add_columns(table, radios, objects)
    naming = [] if table.is_scalar else _naming(table, members, objects)
    table.items[_SECTION] = [
        item
        for oid, radio in radios.items()
        for item in _items(radio, keys[oid], _descr(oid, radios, objects, naming))
    ]
    return table


def _add_columns(
    table: TableDraft, radios: Mapping[str, RadioObject], objects: Objects
) -> dict[str, str]:
    """Add the columns of the readings, and return their names by OID."""
    keys: dict[str, str] = {}
    taken = {"band", "channel"}
    for oid, radio in radios.items():
        if radio.is_channel and "channel" not in table.columns:
            # The name that `channel_mhz` expects.
            keys[oid] = "channel"
        else:
            keys[oid] = take_unused(to_key(split_words(objects[oid].name)[-2:]), taken)
        table.columns[keys[oid]] = last_arc(oid)
    return keys


def _naming(
    table: TableDraft, members: Sequence[MibObject], objects: Objects
) -> list[str]:
    """Add the columns that name a radio, and return how to use them."""
    if "channel" in table.columns:
        for member in members:
            is_text = "STRING" in member.syntax and not member.labels
            if is_text and "".join(split_words(member.name)[-2:]) in _BANDS:
                table.columns["band"] = last_arc(member.oid)
                break
    own = name_templates(table, members, objects)
    if own:
        return own
    index = index_of(table.base, objects).split(",")
    if len(index) != 2:
        is_text = any("STRING" in each.syntax for each in _named(index[0], objects))
        return ["{index_text}"] if len(index) == 1 and is_text else []
    name = _name_of_owner(index[0], objects)
    if name is None:
        return []
    is_mac = re.search(r"(?i)mac|addr|bssid", index[0]) is not None
    arc = _MAC_ARCS if is_mac else 1
    table.columns["owner"] = f'{{oid: {name.oid}, index: ":-1"}}'
    return [f"{{owner}} radio {{index{arc}}}"]


def _named(name: str, objects: Objects) -> Iterator[MibObject]:
    return (each for each in objects.values() if each.name == name)


def _name_of_owner(index: str, objects: Objects) -> MibObject | None:
    """Return the column with the names of the access points, which have this index."""
    for holder in objects.values():
        if holder.kind != "table" or holder.index.split(" (")[0] != index:
            continue
        entry = f"{holder.oid}.1."
        for oid, column in objects.items():
            is_name = oid.startswith(entry) and split_words(column.name)[-1] == "name"
            if is_name and "STRING" in column.syntax:
                return column
    return None


def _descr(
    oid: str,
    radios: Mapping[str, RadioObject],
    objects: Objects,
    naming: Sequence[str],
) -> str:
    """Return what the reading is called: the radio, and what tells it from others of
    its class."""
    is_scalar = objects[oid].kind == "scalar"
    shared = shared_words([split_words(objects[each].name) for each in radios])
    words = split_words(objects[oid].name)
    several = Counter(radio.class_ for radio in radios.values())
    own = " ".join(words[shared:])
    if is_scalar:
        own = own if len(radios) > 1 and own[:1].isalpha() else " ".join(words[-3:])
        return f'"{to_capital(own)}"'
    own = own if several[radios[oid].class_] > 1 else ""
    texts = [f"{name} {own}".strip() for name in (*naming, "Radio {index}")]
    quoted = ", ".join(f'"{text}"' for text in texts)
    return f"[{quoted}]" if len(texts) > 1 else quoted


def _items(radio: RadioObject, key: str, descr: str) -> Iterator[str]:
    parts = [f"class: {radio.class_}", f"of: {key}"]
    least, most = radio.within
    within = [f"within: [{least:g}, {most:.12g}]", f"descr: {descr}"]
    if radio.is_channel and key == "channel":
        # Some give the frequency itself.
        when = f"when: {{{key}: {_BY_DIGITS[0][0]}}}"
        yield f"{{{', '.join([*parts, when, within[1]])}}}"
        parts.append("function: channel_mhz")
    elif radio.is_channel:
        parts[0] = "class: channel"
        within[0] = "within: [1, 233]"
    elif not radio.divisor:
        for digits, divisor in _BY_DIGITS:
            scale = [f"divisor: {divisor}"] if divisor > 1 else []
            when = f"when: {{{key}: {digits}}}"
            yield f"{{{', '.join([*parts, *scale, when, within[-1]])}}}"
        return
    if radio.class_ == "noise-floor":
        # Some give it without the sign, or in eight bits.
        for digits, way in _UNSIGNED_NOISE:
            when = f"when: {{{key}: {digits}}}"
            yield f"{{{', '.join([*parts, way, when, *within])}}}"
    if radio.divisor != 1:
        parts.append(f"divisor: {radio.divisor:g}")
    if radio.multiplier != 1:
        parts.append(f"multiplier: {radio.multiplier:.12g}")
    yield f"{{{', '.join([*parts, *within])}}}"
