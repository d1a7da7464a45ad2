"""Reads the columns of a device that its profiles use: each once, scalars together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from collectors.snmp.profiles.apply import (
    Columns,
    is_needed,
    locate_cells,
)
from collectors.snmp.profiles.drafted_rows import SettledColumns
from collectors.snmp.profiles.empty_ranges import EmptyRanges
from collectors.snmp.profiles.items import Item
from collectors.snmp.profiles.matched_rows import key_column
from collectors.snmp.profiles.profile_loader import Profile
from collectors.snmp.profiles.profile_model import Source, Table, find_placeholders
from collectors.snmp.profiles.row import extract
from collectors.snmp.session import oids
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.octet_text import text
from collectors.snmp.session.session import Failed, Value
from collectors.snmp.tables.entities import Entity, device_parts, without_placeholder

_SCALAR = "0"
# 1.3.6.1.4.1.N
_MAKER_ARCS = 7
_Result = TypeVar("_Result")


class ProfileReader:
    """Reads cells of one device by column OID and row index, each only once."""

    def __init__(self, snmp: DeviceSession) -> None:
        self.snmp = snmp
        self._walked: set[str] = set()
        self._asked: set[str] = set()
        self.columns: dict[str, dict[str, Value]] = {}
        # Columns that the agent did not answer, or answered wrongly.
        self.unread: dict[str, str] = {}
        self._known: dict[str, Any] = {}
        self._has: dict[str, bool] = {}
        # By the OID of a maker.
        self._empty: dict[str, EmptyRanges] = {}

    async def read_once(
        self, name: str, read: Callable[[], Awaitable[_Result]]
    ) -> _Result:
        """Return the result of the first successful call of `read`."""
        if name not in self._known:
            self._known[name] = await read()
        value: _Result = self._known[name]
        return value

    async def read_column(self, oid: str) -> Mapping[str, Value]:
        """Return the whole column, walked once. Raises `Failed` if the device is
        gone."""
        if oid not in self._walked:
            try:
                rows = await self.snmp.walk(oid)
            except Failed as failed:
                await self._skip(oid, failed)
                rows = {}
            self._walked.add(oid)
            cells = self.columns.setdefault(oid, {})
            for instance, value in rows.items():
                cells[oids.tail(instance, oid)] = value
        return self.columns.get(oid, {})

    async def read_columns(self, wanted: Iterable[str]) -> None:
        """Walk columns of a maker's table. After one without rows, a GETNEXT shows
        which others have none: tables may have hundreds. Raises `Failed` if the device
        is gone."""
        is_empty = False
        for oid in sorted(wanted, key=oids.parts):
            holds = self._ranges(oid).holds(oid)
            if holds is None and is_empty:
                try:
                    holds = await self._look_after(oid)
                except Failed as failed:
                    # That says nothing about the others.
                    await self._skip(oid, failed)
                    holds = False
            if holds is False:
                self._walked.add(oid)
            else:
                is_empty = not await self.read_column(oid)

    async def has_rows(self, base: str) -> bool:
        """Return whether there is anything under `base`, by one GETNEXT.

        Raises `Failed` if the device is gone.
        """
        if base not in self._has:
            try:
                self._has[base] = await self.snmp.has_rows(base)
            except Failed as failed:
                # Unknown, so its columns are tried.
                await self._skip(base, failed)
                self.unread.pop(base, None)
                self._has[base] = True
        return self._has[base]

    async def holds_table(self, base: str) -> bool:
        """Return whether there is anything under `base`, a table or column of a maker:
        by one GETNEXT, or none if an earlier one went past it or into it.

        Raises `Failed` if the device is gone.
        """
        if base in self._has:
            return self._has[base]
        ranges = self._ranges(base)
        known = ranges.holds(base)
        if known is not None:
            return known
        try:
            self._has[base] = await self._look_after(base)
        except Failed as failed:
            # Some agents do not answer at the end of their tree.
            await self._skip(base, failed)
            self.unread.pop(base, None)
            ranges.add(base, "")
            self._has[base] = False
        return self._has[base]

    def is_known_absent(self, oid: str) -> bool:
        """Return True if an earlier answer shows that there is nothing at this OID."""
        return self._ranges(oid).covers(oid)

    def _ranges(self, oid: str) -> EmptyRanges:
        return self._empty.setdefault(_maker_of(oid), EmptyRanges())

    async def _look_after(self, base: str) -> bool:
        """Return whether there is anything under `base`, by one GETNEXT."""
        following = await self.snmp.next_oid(_maker_of(base), base)
        self._ranges(base).add(base, following)
        return oids.under(following, base)

    async def read_cells(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Read the cells (column OID, row index) that were not read yet."""
        missing: list[str] = []
        for oid, index in dict.fromkeys(wanted):
            instance = f"{oid}.{index}"
            if not index or oid in self._walked or instance in self._asked:
                continue
            if self.snmp.is_v1:
                # A v1 agent refuses a whole GET for one missing instance.
                await self.read_column(oid)
            else:
                missing.append(instance)
        if not missing:
            return
        bases = {oid for oid, _ in wanted}
        try:
            answer = await self.snmp.get_all(missing)
        except Failed as failed:
            await self._skip(missing[0], failed)
            answer = {}
        self._asked.update(missing)
        for instance, value in answer.items():
            base = next((b for b in _prefixes(instance) if b in bases), None)
            if base is not None:
                self.columns.setdefault(base, {})[oids.tail(instance, base)] = value

    async def read_instance(self, oid: str) -> Value | None:
        """Return one instance, by its whole OID."""
        base, _, index = oid.rpartition(".")
        if self.is_known_absent(oid):
            return None
        await self.read_cells([(base, index)])
        return self.columns.get(base, {}).get(index)

    async def _skip(self, oid: str, failed: Failed) -> None:
        """Record a broken column, which does not affect the others; raise the failure
        if the device is silent."""
        await self.snmp.pass_over(oid, failed)
        self.unread[oid] = failed.detail


def _maker_of(oid: str) -> str:
    return ".".join(oid.split(".")[:_MAKER_ARCS])


def _prefixes(oid: str) -> Iterable[str]:
    while "." in oid:
        oid = oid.rpartition(".")[0]
        yield oid


async def read_profiles(reader: ProfileReader, profiles: Sequence[Profile]) -> Columns:
    """Read all columns that the profiles need. Raises `Failed`."""
    absent = await _find_absent(reader, profiles)
    tables = [table for p in profiles for table in p.body.tables.values()]
    scalars = [
        (table.oid(name), _SCALAR)
        for table in tables
        if table.scalar and id(table) not in absent
        for name, column in table.columns.items()
        if not column.is_elsewhere
    ]
    await reader.read_cells([*scalars, *await _find_facts(reader, profiles)])
    for is_drafted in (False, True):
        settled = SettledColumns(profiles if is_drafted else (), reader.columns)
        for profile in profiles:
            if profile.head.drafted != is_drafted:
                continue
            for table in profile.body.tables.values():
                if id(table) in absent:
                    continue
                items = [i for _, _, i in table.items if not settled.include(table, i)]
                if items and is_needed(table, profile.body.tables, reader.columns):
                    if profile.is_family and not table.scalar:
                        await reader.read_columns(
                            {table.oid(key_column(item)) for item in items}
                        )
                    await _read_table(reader, table, items)
    return reader.columns


async def _find_absent(reader: ProfileReader, profiles: Sequence[Profile]) -> set[int]:
    """Return the identities of the families' tables that the device does not have.

    Families have hundreds of tables: in the order of their OIDs, a GETNEXT answers for
    all tables up to the next one that is there.
    """
    asked = {
        id(table): table.base
        for profile in profiles
        if profile.is_family
        for table in profile.body.tables.values()
        if table.base is not None and _is_below(table, table.base)
    }
    absent = set()
    for key, base in sorted(asked.items(), key=lambda pair: oids.parts(pair[1])):
        if not await reader.holds_table(base):
            absent.add(key)
    return absent


async def _find_facts(
    reader: ProfileReader, profiles: Sequence[Profile]
) -> list[tuple[str, str]]:
    """Return the cells with the facts of the identity, of families without those that
    the device certainly lacks."""
    facts = []
    for profile in profiles:
        wanted = {source.oid for source in _sources(profile) if source.oid is not None}
        # In the order of their OIDs, a GETNEXT answers for all up to the next one.
        for oid in sorted(wanted, key=oids.parts):
            column, _, index = oid.rpartition(".")
            if profile.is_family and (
                reader.is_known_absent(oid)
                # After the instance itself, a GETNEXT would pass over it.
                or (reader.snmp.is_v1 and not await reader.holds_table(column))
            ):
                continue
            facts.append((column, index))
    return facts


def _is_below(table: Table, base: str) -> bool:
    """Return True if all columns that rows are found by are below `base`."""
    keys = {table.oid(key_column(item)) for _, _, item in table.items}
    return base.count(".") >= _MAKER_ARCS and all(oids.under(key, base) for key in keys)


async def _read_table(
    reader: ProfileReader, table: Table, items: Sequence[Item]
) -> None:
    """Read the key columns of `items`, then the other cells of the rows that exist."""
    keys = {table.oid(key_column(item)) for item in items}
    if (
        table.base is not None
        and not table.scalar
        and len(keys) > 1
        and all(oids.under(key, table.base) for key in keys)
        and not await reader.has_rows(table.base)
    ):
        return
    needed: dict[str, set[str]] = {}
    for item in items:
        key = table.oid(key_column(item))
        rows = {_SCALAR: None} if table.scalar else dict(await reader.read_column(key))
        names = _needed_columns(table, item)
        for index in rows:
            needed.setdefault(index, set()).update(names)
    # One pass for each level of columns whose values give the rows of others.
    for _ in range(_count_depth(table)):
        await reader.read_cells(
            [
                at
                for index, names in needed.items()
                for name, at in locate_cells(table, index, reader.columns).items()
                if name in names
            ]
        )


def _count_depth(table: Table) -> int:
    """Return how many passes it takes until the row of every column is known."""
    depths: dict[str, int] = {}
    for name, column in table.columns.items():
        depths[name] = 1 if column.by is None else depths[column.by] + 1
    return max(depths.values())


def _needed_columns(table: Table, item: object) -> list[str]:
    """Return the columns that an item needs."""
    limits = getattr(getattr(item, "limits", None), "function", None)
    if getattr(item, "function", None) is not None or limits is not None:
        return list(table.columns)
    named = [column for _, column in item.named_columns()]  # type: ignore[attr-defined]
    for template in item.descr:  # type: ignore[attr-defined]
        named += find_placeholders(template)
    named = [name for name in named if name in table.columns]
    for name in named:
        by = table.columns[name].by
        if by is not None and by not in named:
            named.append(by)
    return list(dict.fromkeys(named))


def _sources(profile: Profile) -> Iterable[Source]:
    rules = profile.body.identity
    todo = [*rules.vendor, *rules.os, *rules.hardware, *rules.version, *rules.serial]
    while todo:
        source = todo.pop()
        todo += source.join
        yield source


class IdentityFacts:
    """Reads the facts of a device's identity from their sources."""

    def __init__(
        self,
        reader: ProfileReader,
        object_id: str | None,
        descr: str | None,
        entities: Sequence[Entity],
    ) -> None:
        self._reader, self._object_id, self._descr = reader, object_id, descr
        self._entities = device_parts(entities)

    async def read_first(self, sources: Iterable[Source]) -> str | None:
        """Return the value of the first source that has one. Raises `Failed`."""
        for source in sources:
            if value := without_placeholder(await self._read(source)):
                return value
        return None

    async def _read(self, source: Source) -> str | None:
        if source.join:
            parts = [await self._read(part) for part in source.join]
            value: str | None = source.by.join(part for part in parts if part)
        else:
            value = await self._read_unrefined(source)
        if value is not None and source.find is not None:
            value = extract(source.find, value)
        if value is not None and source.lookup is not None:
            words = {str(key): word for key, word in source.lookup.items()}
            value = words.get(value)
        if value is not None and source.means is not None:
            return source.means
        value = (value or "").strip()
        return f"{source.prefix}{value}" if value else None

    async def _read_unrefined(self, source: Source) -> str | None:
        if source.descr is not None:
            return extract(source.descr, self._descr or "")
        if source.oid is not None:
            return without_placeholder(
                text(await self._reader.read_instance(source.oid))
            )
        if source.column is not None:
            if self._reader.is_known_absent(source.column):
                return None
            column = await self._reader.read_column(source.column)
            texts = (without_placeholder(text(value)) for value in column.values())
            return next((value for value in texts if value), None)
        if source.entity is not None:
            values = (
                without_placeholder(getattr(entity, source.entity))
                for entity in self._entities
            )
            return next((value for value in values if value), None)
        if source.object_id is not None:
            own = self._object_id or ""
            names = (source.object_id.get(oid) for oid in (own, *_prefixes(own)))
            return next((name for name in names if name is not None), None)
        return source.text
