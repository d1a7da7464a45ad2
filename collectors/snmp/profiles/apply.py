"""Finds the rows that profiles describe, and converts them to readings. Pure.

`find_rows` runs once, on the walked columns. `measure` then converts the same rows with
fresh values, so that a poll reads a few instances and walks nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import msgspec

from collectors.snmp.profiles.code_evidence import find_codes, skip_codes
from collectors.snmp.profiles.drafted_rows import KnownRows, SettledColumns
from collectors.snmp.profiles.items import ProcessorRule, SensorRule, WirelessRule
from collectors.snmp.profiles.matched_rows import (
    MatchedRow,
    key_column,
    live_columns,
    meets_conditions,
)
from collectors.snmp.profiles.measure import measure, raw_value
from collectors.snmp.profiles.profile_loader import Profile
from collectors.snmp.profiles.profile_model import (
    SECTIONS,
    Table,
    fill_placeholders,
    find_placeholders,
)
from collectors.snmp.profiles.profile_types import EVERY_S
from collectors.snmp.profiles.readings import RefusedColumn, Wireless
from collectors.snmp.profiles.row import ProfileRow
from collectors.snmp.profiles.scale_evidence import (
    with_certain_share,
    with_shared_scale,
)
from collectors.snmp.session.session import Value
from collectors.snmp.tables.quantities import SENSORS

# The walked values, by column OID and row index.
Columns = Mapping[str, Mapping[str, Value]]
REFUSED = "refused"
_OF_WHOLE_DEVICES = ("processors", "memory", "wireless")
# The printable signs of ASCII.
_FIRST_SIGN, _LAST_SIGN = 32, 126


def find_rows(profiles: Sequence[Profile], columns: Columns) -> list[MatchedRow]:
    """Return the rows that the profiles find in `columns`, most specific profile first.

    If several profiles read one instance as the same class, the first counts; likewise
    for memory pools of the same name in two MIBs. A sensor with `once` is left out if
    one with its class, index and description was found before.

    Tables that were drafted from MIBs alone come last, and only with what no profile
    of known devices decides about or shows.
    """
    matches: list[MatchedRow] = []
    taken: dict[tuple[str, str, str], set[tuple[str, str | None]]] = {}
    pools: dict[tuple[str, str], str] = {}
    named: set[tuple[str, str, str]] = set()
    settled, known = SettledColumns(profiles, columns), KnownRows()
    codes = find_codes(profiles, columns)
    # What a device has once, and classes of readings of its radios: drafts add nothing
    # to what known profiles found of them.
    enough: set[tuple[str, str]] = set()
    for profile in sorted(profiles, key=lambda profile: profile.head.drafted):
        tables, is_drafted = profile.body.tables, profile.head.drafted
        is_known = not (is_drafted or profile.is_general)
        for table in tables.values():
            if not is_needed(table, tables, columns):
                continue
            for section, _, rule in table.items:
                if not columns.get(table.oid(key_column(rule))):
                    continue
                kind = (section, getattr(rule, "class_", ""))
                if is_drafted and (kind in enough or settled.include(table, rule)):
                    continue
                rows: Iterable[MatchedRow] = _match_rows(
                    profile, table, section, rule, columns
                )
                if is_drafted and section == "sensors":
                    rows = settled.select(known.select(rows))
                chosen: list[MatchedRow] = []
                for matched in rows:
                    key = (section, _kind_of_reading(rule), matched.oid)
                    # A text may hold several values: one profile says which.
                    part = (profile.name, getattr(rule, "find", None))
                    if not _is_free(part, taken.setdefault(key, set())):
                        continue
                    if section in ("memory", "storage"):
                        owner = pools.setdefault((section, matched.descr), profile.name)
                        if owner != profile.name:
                            continue
                    if isinstance(rule, SensorRule):
                        name = (rule.class_, matched.row.index, matched.descr)
                        if rule.once and name in named:
                            continue
                        named.add(name)
                    taken[key].add(part)
                    chosen.append(matched)
                    if is_known:
                        known.add(matched)
                if chosen and is_known and section in _OF_WHOLE_DEVICES:
                    enough.add(kind)
                matches += chosen if profile.is_general else skip_codes(chosen, codes)
    return matches


def _is_free(part: tuple[str, str | None], taken: Set[tuple[str, str | None]]) -> bool:
    """Return True if no profile has read the instance, or this one other parts."""
    name, find = part
    return not taken or (
        find is not None
        and part not in taken
        and all(other == name and found is not None for other, found in taken)
    )


def _kind_of_reading(rule: Any) -> str:
    """Return what is read from an instance: a class, and for a total of a table also
    its aggregate and group."""
    if isinstance(rule, WirelessRule):
        return f"{rule.class_} {rule.aggregate} {rule.group}"
    return getattr(rule, "class_", "")


def _match_rows(
    profile: Profile, table: Table, section: str, rule: Any, columns: Columns
) -> Iterator[MatchedRow]:
    key = key_column(rule)
    live = live_columns(rule, table)
    states = getattr(rule, "states", None) or {}
    if isinstance(states, str):
        states = profile.body.states.get(states, {})
    oid = table.oid(key)
    rows = _select_rows(table, rule, columns)
    if isinstance(rule, SensorRule) and rule.class_ != "state":
        if profile.head.drafted and rule.within is None:
            quantity = SENSORS[rule.class_]
            limits = (quantity.least, quantity.most)
            rule = rule.model_copy(update={"within": limits})
        raws = [raw_value(rule, row) for _, _, row in rows]
        rule = with_shared_scale(rule, raws, _same_scale(profile, rule, columns))
        if rule is None:
            return
        rows = [each for each in rows if meets_conditions(rule, each[2], key)]
    elif isinstance(rule, ProcessorRule) and profile.head.drafted:
        rule = with_certain_share(rule, (raw_value(rule, row) for _, _, row in rows))
        if rule is None:
            return
    for place, at, row in rows:
        yield MatchedRow(
            profile=profile.name,
            section=section,
            rule=rule,
            states=states,
            descr=_describe(rule, row, place, section),
            oid=f"{oid}.{row.index}",
            row=row,
            live={n: ".".join(at[n]) for n in live if row.raw(n) is not None},
            every_s=EVERY_S[table.every],
        )


def _select_rows(
    table: Table, rule: Any, columns: Columns
) -> list[tuple[int, dict[str, tuple[str, str]], ProfileRow]]:
    """Return the rows that meet the rule's conditions: their place in the table, where
    their cells are, and the cells."""
    key = key_column(rule)
    rows = []
    for place, index in enumerate(columns.get(table.oid(key), {}), 1):
        at = locate_cells(table, index, columns)
        cells = {name: columns.get(base, {}).get(i) for name, (base, i) in at.items()}
        row = ProfileRow(index, cells)
        if meets_conditions(rule, row, key):
            rows.append((place, at, row))
    return rows


def _same_scale(
    profile: Profile, rule: SensorRule, columns: Columns
) -> list[Value | None]:
    """Return the raw values of all rules whose scale is that of `rule`."""
    if not rule.one_scale:
        return []
    return [
        raw_value(other, row)
        for table in profile.body.tables.values()
        for other in table.sensors
        if other.one_scale and other.class_ == rule.class_
        for _, _, row in _select_rows(table, other, columns)
    ]


def is_needed(table: Table, tables: Mapping[str, Table], columns: Columns) -> bool:
    """Return False if another table of the profile has rows that replace this table, or
    lacks rows that it needs."""
    if any(_count_rows(tables[other], columns) for other in table.unless):
        return False
    return all(
        _count_rows(tables[other], columns) >= least
        for other, least in table.least.items()
    )


def _count_rows(table: Table, columns: Columns) -> int:
    """Return the number of rows of the item of `table` that has the most."""
    keys = (table.oid(key_column(item)) for _, _, item in table.items)
    return max((len(columns.get(key, ())) for key in keys), default=0)


def locate_cells(
    table: Table, index: str, columns: Columns
) -> dict[str, tuple[str, str]]:
    """Return (column OID, row index) by column name; the index is empty if no value
    points to a row."""
    cells: dict[str, tuple[str, str]] = {}
    for name, column in table.columns.items():
        if column.by is not None:
            base, at = cells[column.by]
            pointer = columns.get(base, {}).get(at)
            cells[name] = (table.oid(name), column.row_of_value(pointer))
        else:
            cells[name] = (table.oid(name), column.row_index(index))
    return cells


def text_of_index(index: str) -> str | None:
    """Return the text that an index spells in ASCII, with its length before or not."""
    arcs = [int(arc) for arc in index.split(".")]
    if arcs[0] == len(arcs) - 1:
        arcs = arcs[1:]
    is_text = bool(arcs) and all(_FIRST_SIGN <= arc <= _LAST_SIGN for arc in arcs)
    return bytes(arcs).decode("ascii") if is_text else None


def _describe(rule: Any, row: ProfileRow, place: int, section: str) -> str:
    """Return the first description whose columns all have a text."""
    words = {"index": row.index, "row": str(place)}
    words |= {f"index{n}": arc for n, arc in enumerate(row.index.split(".")[:10])}
    words["index_text"] = text_of_index(row.index) or ""
    for template in rule.descr:
        needed = {
            name: words.get(name) or row.text(name) or ""
            for name in find_placeholders(template)
        }
        if all(needed.values()):
            return fill_placeholders(template, needed).strip()
    name = getattr(rule, "class_", section).rstrip("s").replace("_", " ")
    return f"{name} {row.index}"


def to_readings(
    matches: Iterable[MatchedRow], fresh: Mapping[str, Value] | None = None
) -> dict[str, list[Any]]:
    """Return the readings by section, with totals for whole tables. Implausible values
    are under `REFUSED`."""
    shown: dict[str, list[Any]] = {section: [] for section in (*SECTIONS, REFUSED)}
    sums: dict[tuple[int, str | None], Wireless] = {}
    for matched in matches:
        reading = measure(matched, fresh)
        if reading is None:
            continue
        if isinstance(reading, RefusedColumn):
            shown[REFUSED].append(reading)
            continue
        if isinstance(reading, Wireless) and matched.rule.aggregate is not None:
            _aggregate(sums, matched, reading)
            continue
        shown[matched.section].append(reading)
    shown["wireless"] += sums.values()
    return shown


def _aggregate(
    sums: dict[tuple[int, str | None], Wireless], matched: MatchedRow, reading: Wireless
) -> None:
    """Add a reading to the total of its table, or of its group in the table."""
    rule: WirelessRule = matched.rule
    group = None if rule.group is None else matched.row.text(rule.group)
    key = (id(rule), group)
    before = sums.get(key)
    if before is not None:
        if rule.aggregate == "first":
            return
        total = before.value + reading.value
        sums[key] = msgspec.structs.replace(before, value=total)
    elif rule.group is None:
        descr = rule.descr[0] if rule.descr else "all"
        sums[key] = Wireless(reading.class_, descr, "0", reading.value)
    else:
        sums[key] = reading
