"""From columns to readings: which rows a profile finds, and what they say. Pure.

`find` runs once, on what was walked; `measure` then turns the same rows with fresh
values into readings, so that a poll asks for a few instances and walks nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from collectors.snmp.profiles.functions import FUNCTIONS
from collectors.snmp.profiles.items import (
    MemoryRule,
    ProcessorRule,
    SensorRule,
    States,
    TransceiverRule,
    VlanRule,
    WirelessRule,
)
from collectors.snmp.profiles.load import Profile
from collectors.snmp.profiles.model import Column, Table, filled, placeholders
from collectors.snmp.profiles.readings import (
    Mempool,
    Processor,
    Sensor,
    Storage,
    Transceiver,
    Wireless,
)
from collectors.snmp.profiles.row import Row, number, part, says
from collectors.snmp.profiles.words import EVERY_S, UNITS
from collectors.snmp.session import Value
from collectors.snmp.text import whole
from collectors.snmp.vlans import Vlan

# By column OID, what was walked: row index -> value.
Columns = Mapping[str, Mapping[str, Value]]
Reading = Sensor | Processor | Mempool | Storage | Wireless | Transceiver | Vlan

# A sum of percentages, or a rounding, may pass 100 by a little.
_FULL_PCT = 100.0


class Found(msgspec.Struct, frozen=True):
    """One row that an item of a profile was found on.

    `live` are the instances whose values change, by column; `row` has all as walked.
    """

    profile: str
    section: str
    rule: Any
    states: States
    descr: str
    oid: str
    row: Row
    live: dict[str, str]
    every_s: float


def find(profiles: Iterable[Profile], columns: Columns) -> list[Found]:
    """All that the profiles, the most particular first, find in `columns`.

    Of one instance read as the same class by several, the first counts; so it does of
    pools of memory that two MIBs call the same.
    """
    found: list[Found] = []
    taken: set[tuple[str, str, str]] = set()
    pools: dict[tuple[str, str], str] = {}
    for profile in profiles:
        for table in profile.body.tables.values():
            for section, _, rule in table.items:
                for each in _on(profile, table, section, rule, columns):
                    key = (section, _kind(rule), each.oid)
                    if key in taken:
                        continue
                    if section in ("memory", "storage"):
                        owner = pools.setdefault((section, each.descr), profile.name)
                        if owner != profile.name:
                            continue
                    taken.add(key)
                    found.append(each)
    return found


def _kind(rule: Any) -> str:
    """What is read of an instance: a class; a figure of a table is another thing."""
    if isinstance(rule, WirelessRule):
        return f"{rule.class_} {rule.aggregate} {rule.group}"
    return getattr(rule, "class_", "")


def _on(
    profile: Profile, table: Table, section: str, rule: Any, columns: Columns
) -> Iterator[Found]:
    key = key_column(rule)
    live = live_columns(rule, table)
    states = getattr(rule, "states", None) or {}
    if isinstance(states, str):
        states = profile.body.states[states]
    oid = table.oid(key)
    for place, index in enumerate(columns.get(oid, {}), 1):
        instances = _instances(table, index, columns)
        cells = {
            name: columns.get(base, {}).get(at)
            for name, (base, at) in instances.items()
        }
        row = Row(index, cells)
        if not _holds(rule, row, key):
            continue
        yield Found(
            profile=profile.name,
            section=section,
            rule=rule,
            states=states,
            descr=_described(rule, row, place, section),
            oid=f"{oid}.{index}",
            row=row,
            live={n: ".".join(instances[n]) for n in live if cells[n] is not None},
            every_s=EVERY_S[table.every],
        )


def key_column(rule: Any) -> str:
    """The column whose rows an item is found on."""
    if isinstance(rule, MemoryRule):
        given = (rule.used, rule.used_pct, rule.free, rule.free_pct, rule.total)
        return next(each for each in given if each is not None)
    return str(rule.of)


def live_columns(rule: Any, table: Table) -> list[str]:
    """The columns whose values change from poll to poll."""
    if isinstance(rule, MemoryRule):
        given = (rule.used, rule.used_pct, rule.free, rule.free_pct, rule.total)
        return [*(each for each in given if each is not None), *rule.reclaimable]
    if isinstance(rule, VlanRule | TransceiverRule):
        return []
    return [rule.of]


def _instances(
    table: Table, index: str, columns: Columns
) -> dict[str, tuple[str, str]]:
    """By column name, (column OID, row index)."""
    found: dict[str, tuple[str, str]] = {}
    later: list[tuple[str, Column]] = []
    for name, column in table.columns.items():
        if column.by is not None:
            later.append((name, column))
        else:
            found[name] = (table.oid(name), column.row(index))
    for name, column in later:
        base, at = found.get(str(column.by), ("", ""))
        pointer = columns.get(base, {}).get(at)
        found[name] = (table.oid(name), Column.pointed(pointer))
    return found


def _holds(rule: Any, row: Row, key: str) -> bool:
    value = row.raw(key)
    if value is None or says(value, rule.skip):
        return False
    if any(not says(row.raw(name), wanted) for name, wanted in rule.when.items()):
        return False
    return not any(says(row.raw(name), wanted) for name, wanted in rule.unless.items())


def _described(rule: Any, row: Row, place: int, section: str) -> str:
    """The first description whose columns all say something."""
    words = {"index": row.index, "row": str(place)}
    words |= {f"index{n}": arc for n, arc in enumerate(row.index.split(".")[:6])}
    for each in rule.descr:
        needed = {
            name: words.get(name) or row.text(name) or "" for name in placeholders(each)
        }
        if all(needed.values()):
            return filled(each, needed).strip()
    name = getattr(rule, "class_", section).rstrip("s").replace("_", " ")
    return f"{name} {row.index}"


def measure(found: Found, fresh: Mapping[str, Value] | None = None) -> Reading | None:
    """What `found` says with the values `fresh` by instance, or as it was walked."""
    row = found.row
    if fresh is not None:
        row = row.fresh(
            {n: fresh[oid] for n, oid in found.live.items() if oid in fresh}
        )
        if any(oid not in fresh for oid in found.live.values()):
            return None
        if not _holds(found.rule, row, key_column(found.rule)):
            return None
    return _MEASURES[found.section](found, row)


def _sensor(found: Found, row: Row) -> Sensor | None:
    rule: SensorRule = found.rule
    unit = rule.unit if rule.unit is not None else UNITS[rule.class_]
    if_index = None
    if rule.port is not None:
        at = row.arc(-1) if rule.port == "index" else row.number(rule.port)
        if_index = None if at is None else int(at)
    value = _said(rule, row)
    if rule.class_ == "state":
        state, severity, plain = _state(value, found.states)
        if state is None:
            return None
        return Sensor(
            "state",
            found.descr,
            found.oid,
            row.index,
            value=plain,
            state=state,
            severity=severity,
            if_index=if_index,
        )
    plain = number(value)
    if plain is None:
        return None
    scaled = _scaled(rule, plain)
    if rule.within is not None and not rule.within[0] <= scaled <= rule.within[1]:
        return None
    return Sensor(
        rule.class_,
        found.descr,
        found.oid,
        row.index,
        value=scaled,
        unit=unit,
        low=_limit(rule, row, rule.limits.low),
        low_warn=_limit(rule, row, rule.limits.low_warn),
        high_warn=_limit(rule, row, rule.limits.high_warn),
        high=_limit(rule, row, rule.limits.high),
        if_index=if_index,
    )


def _said(rule: Any, row: Row) -> Value | None:
    """What the row has for the item: its column, a part of its text, a function's."""
    if rule.function is not None:
        return FUNCTIONS[rule.function](row)
    if rule.find is not None:
        return part(rule.find, row.text(rule.of) or "")
    return row.raw(rule.of)


def _scaled(rule: Any, raw: float) -> float:
    value = raw * rule.multiplier / rule.divisor + getattr(rule, "add", 0)
    # 0.1 + 0.2: twelve digits are more than any sensor has.
    return float(f"{value:.12g}")


def _limit(rule: SensorRule, row: Row, limit: float | str | None) -> float | None:
    if limit is None or isinstance(limit, int | float):
        return limit
    raw = row.number(limit)
    return None if raw is None else _scaled(rule, raw)


def _state(value: Value | None, states: States) -> tuple[str | None, str, float | None]:
    """(meaning, severity, the number if it is one)"""
    if value is None:
        return None, "unknown", None
    said = Row("", {"": value}).text("")
    plain = number(value) if isinstance(value, int | float) else None
    if plain is None and said is not None and said.isdigit():
        plain = float(said)
    for key, (meaning, severity) in states.items():
        same = key == plain if isinstance(key, int) else _same(key, said)
        if same:
            return meaning, severity, plain
    return said, "unknown", plain


def _same(key: str, said: str | None) -> bool:
    return said is not None and key.casefold() == said.casefold()


def _processor(found: Found, row: Row) -> Processor | None:
    rule: ProcessorRule = found.rule
    plain = number(_said(rule, row))
    if plain is None:
        return None
    usage = _scaled(rule, plain)
    return Processor(found.descr, _FULL_PCT - usage if rule.idle else usage)


def _pool(found: Found, row: Row) -> tuple[float, int | None, int | None] | None:
    """(used per cent, used octets, all octets)"""
    rule: MemoryRule = found.rule
    unit = (
        row.number(rule.unit_bytes)
        if isinstance(rule.unit_bytes, str)
        else rule.unit_bytes
    ) or 1
    used, free, total = (
        _size(row, name) for name in (rule.used, rule.free, rule.total)
    )
    if total is None and used is not None and free is not None:
        total = used + free
    if used is None and total is not None and free is not None:
        used = total - free
    if used is not None:
        spare = sum(_size(row, name) or 0 for name in rule.reclaimable)
        used = used - spare if spare <= used else used
    share = None
    if rule.used_pct is not None:
        share = row.number(rule.used_pct)
    elif rule.free_pct is not None:
        left = row.number(rule.free_pct)
        share = None if left is None else _FULL_PCT - left
    if share is None:
        if used is None or not total:
            return None
        share = _FULL_PCT * used / total
    return (
        share,
        None if used is None else int(used * unit),
        None if total is None else int(total * unit),
    )


def _size(row: Row, name: str | None) -> float | None:
    """Sizes are never negative: some agents give large ones as signed 32 bits."""
    raw = None if name is None else row.number(name)
    return raw if raw is None or raw >= 0 else raw + 2**32


def _mempool(found: Found, row: Row) -> Mempool | None:
    pool = _pool(found, row)
    return None if pool is None else Mempool(found.descr, *pool)


def _storage(found: Found, row: Row) -> Storage | None:
    pool = _pool(found, row)
    return None if pool is None else Storage(found.descr, *pool)


def _wireless(found: Found, row: Row) -> Wireless | None:
    rule: WirelessRule = found.rule
    if rule.aggregate == "count":
        return Wireless(rule.class_, found.descr, row.index, 1.0)
    plain = number(_said(rule, row))
    if plain is None:
        return None
    return Wireless(rule.class_, found.descr, row.index, _scaled(rule, plain))


def _vlan(found: Found, row: Row) -> Vlan | None:
    rule: VlanRule = found.rule
    try:
        if rule.id == "index":
            id = row.arc(-1)
        else:
            said = row.number(rule.id)
            id = -1 if said is None else int(said)
    except (IndexError, ValueError):
        return None
    name = None if rule.name is None else row.text(rule.name)
    return Vlan(id, name) if 1 <= id <= 4094 else None


def _transceiver(found: Found, row: Row) -> Transceiver | None:
    rule: TransceiverRule = found.rule
    at = row.arc(-1) if rule.port == "index" else whole(row.raw(rule.port))
    words = {
        name: row.text(column)
        for name in ("type", "vendor", "model", "serial")
        if (column := getattr(rule, name)) is not None
    }
    length = None if rule.wavelength is None else row.number(rule.wavelength)
    if not any(words.values()):
        return None
    return Transceiver(at, **words, wavelength=length or None)


_MEASURES = {
    "sensors": _sensor,
    "processors": _processor,
    "memory": _mempool,
    "storage": _storage,
    "wireless": _wireless,
    "vlans": _vlan,
    "transceivers": _transceiver,
}


def readings(
    found: Iterable[Found], fresh: Mapping[str, Value] | None = None
) -> dict[str, list[Any]]:
    """By section, what all say; figures for whole tables are added up."""
    shown: dict[str, list[Any]] = {section: [] for section in _MEASURES}
    sums: dict[tuple[int, str | None], Wireless] = {}
    for each in found:
        reading = measure(each, fresh)
        if reading is None:
            continue
        if isinstance(reading, Wireless) and each.rule.aggregate is not None:
            _add_up(sums, each, reading)
            continue
        shown[each.section].append(reading)
    shown["wireless"] += sums.values()
    return shown


def _add_up(
    sums: dict[tuple[int, str | None], Wireless], found: Found, reading: Wireless
) -> None:
    """One figure for the whole table, or for each value of the column `group`."""
    rule: WirelessRule = found.rule
    group = None if rule.group is None else found.row.text(rule.group)
    key = (id(rule), group)
    before = sums.get(key)
    if before is not None:
        total = before.value + reading.value
        sums[key] = msgspec.structs.replace(before, value=total)
    elif rule.group is None:
        descr = rule.descr[0] if rule.descr else "all"
        sums[key] = Wireless(reading.class_, descr, "0", reading.value)
    else:
        sums[key] = reading
