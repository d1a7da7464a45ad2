"""What a device profile may say. `catalog/*.yaml` are written in these words.

A file has two documents: a head that says which devices it is for, read for every
device, and what to read of them, read for those alone. `docs/profiles.md` explains
each word with an example.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from collectors.snmp.profiles.items import (
    Item,
    MemoryRule,
    ProcessorRule,
    SensorRule,
    States,
    TransceiverRule,
    VlanRule,
    WirelessRule,
)
from collectors.snmp.profiles.profile_types import (
    ABSOLUTE,
    WORD,
    Every,
    Oid,
    Oids,
    Pattern,
    Patterns,
    Raw,
    Texts,
    to_tuple,
)
from collectors.strict_model import StrictModel
from probes.wire.catalogue import did_you_mean


class OidAnswer(StrictModel):
    """An instance that must be there, and what it must say."""

    oid: Oid
    find: Pattern | None = None


class Match(StrictModel):
    """All that is given must hold; `object_id` and `descr` each by any of several."""

    object_id: Oids = ()
    descr: Patterns = ()
    not_descr: Patterns = ()
    answers: OidAnswer | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Match:
        if not self.object_id and not self.descr:
            raise ValueError("object_id or descr: one of them must be given")
        return self


class Head(StrictModel):
    """Which devices the profile is for; `match: any`, kept as none, is for all.

    `own_arcs`: the first so many arcs of sysObjectID are OWN in the body, of makers
    that have the same MIB under each model.
    """

    os: str | None = None
    vendor: str | None = None
    own_arcs: int | None = Field(default=None, ge=7)
    match: Annotated[
        tuple[Match, ...], BeforeValidator(lambda v: () if v == "any" else v)
    ]


class Source(StrictModel):
    """Where one fact of identity may stand: one of the first five, then refined.

    `find` takes the first group of a regular expression, `lookup` a word for a value;
    `means` is the word for whatever was found.
    """

    descr: Pattern | None = None
    oid: Oid | None = None
    column: Oid | None = None
    entity: Literal["model", "serial", "software", "descr", "name"] | None = None
    object_id: dict[Oid, str] | None = None
    text: str | None = None
    join: tuple[Source, ...] = ()
    by: str = " "
    find: Pattern | None = None
    lookup: dict[Raw, str] | None = None
    means: str | None = None
    prefix: str = ""

    @model_validator(mode="after")
    def _one_place(self) -> Source:
        given = [
            self.descr,
            self.oid,
            self.column,
            self.entity,
            self.object_id,
            self.text,
            self.join or None,
        ]
        if sum(each is not None for each in given) != 1:
            raise ValueError("one of descr, oid, column, entity, object_id, text, join")
        return self


Sources = Annotated[tuple[Source, ...], BeforeValidator(to_tuple)]


class IdentityRules(StrictModel):
    """By fact, where it may stand: the first that says something counts."""

    vendor: Sources = ()
    os: Sources = ()
    hardware: Sources = ()
    version: Sources = ()
    serial: Sources = ()


class ProfileColumn(StrictModel):
    """A column of the table, or of another whose row this row's index or value tells.

    `index`: which arcs of this row's index, as a slice (`0`, `1:`, `:-1`); `by`: the
    column here, named above it, whose value is the index there; `tail`: arcs that
    follow either; `instance`: one row for all.
    """

    oid: Oid
    index: str | None = None
    by: str | None = None
    tail: Oid | None = None
    instance: str | None = None

    @property
    def is_elsewhere(self) -> bool:
        """True where its rows are not this table's."""
        ways = (self.index, self.by, self.tail, self.instance)
        return any(each is not None for each in ways)

    @model_validator(mode="after")
    def _one_way(self) -> ProfileColumn:
        if sum(each is not None for each in (self.index, self.by, self.instance)) > 1:
            raise ValueError("one of index, by, instance")
        if self.index is not None:
            try:
                to_slice(self.index)
            except ValueError:
                raise ValueError(
                    f"index {self.index!r}: a slice such as 0, 1: or :-1"
                ) from None
        return self

    def row_index(self, index: str) -> str:
        """The row there for the row `index` here, where `by` does not tell."""
        if self.instance is not None:
            return self.instance
        if self.index is not None:
            index = ".".join(index.split(".")[to_slice(self.index)])
        return index if self.tail is None else f"{index}.{self.tail}"

    def row_of_value(self, value: int | bytes | str | float | None) -> str:
        """The row there that the cell `value` points at; empty for none."""
        if value is None:
            return ""
        if isinstance(value, bytes):
            value = value.decode("ascii", "replace").strip()
        at = value.lstrip(".") if isinstance(value, str) else f"{value:.0f}"
        # An instance of ifIndex, as entAliasMapping has it, is a row of ifTable.
        at = at.removeprefix("1.3.6.1.2.1.2.2.1.1.")
        return at if self.tail is None else f"{at}.{self.tail}"


def to_slice(text: str) -> slice:
    """`0` as the first arc of an index, `1:` as all after it, `:-1` as all but one."""
    first, colon, last = text.partition(":")
    if not colon:
        at = int(first)
        return slice(at, at + 1 or None)
    return slice(int(first) if first else None, int(last) if last else None)


def _to_column(value: object) -> object:
    return value if isinstance(value, dict | ProfileColumn) else {"oid": value}


class Table(StrictModel):
    """Columns by name: relative to `base`, or a whole OID, or of another table.

    `scalar`: the columns are scalars, their instance is 0. `every`: how often what
    changes is read. `unless`: tables above, where one has rows this is not read;
    `least`: by table above, how many rows it must have for this to mean something.
    """

    base: Oid | None = None
    scalar: bool = False
    unless: Texts = ()
    least: dict[str, int] = Field(default_factory=dict)
    every: Every = "5m"
    columns: dict[str, Annotated[ProfileColumn, BeforeValidator(_to_column)]] = Field(
        min_length=1
    )
    sensors: tuple[SensorRule, ...] = ()
    processors: tuple[ProcessorRule, ...] = ()
    memory: tuple[MemoryRule, ...] = ()
    storage: tuple[MemoryRule, ...] = ()
    wireless: tuple[WirelessRule, ...] = ()
    vlans: tuple[VlanRule, ...] = ()
    transceivers: tuple[TransceiverRule, ...] = ()

    @property
    def items(self) -> Iterator[tuple[str, int, Item]]:
        """(section, place in it, item)"""
        for section in SECTIONS:
            for at, item in enumerate(getattr(self, section)):
                yield section, at, item

    def oid(self, name: str) -> str:
        """The whole OID of the column `name`, without instance."""
        number = self.columns[name].oid
        if self.base is None or ABSOLUTE.match(number):
            return number
        return f"{self.base}.{number}"

    @model_validator(mode="after")
    def _columns_are_known(self) -> Table:
        for section, at, item in self.items:
            for word, column in item.named_columns():
                arc = word in ("when", "unless") and column in INDEXWORDS
                if column not in self.columns and not arc:
                    raise ValueError(
                        f"{section}[{at}].{word}: no column {column!r}"
                        f"{did_you_mean(column, self.columns)}"
                    )
            for text in item.descr:
                for column in find_placeholders(text):
                    if column not in self.columns and column not in INDEXWORDS:
                        raise ValueError(
                            f"{section}[{at}].descr: no column {column!r}"
                            f"{did_you_mean(column, self.columns)}"
                        )
        at_of = {name: at for at, name in enumerate(self.columns)}
        for name, column_ in self.columns.items():
            if not WORD.fullmatch(name):
                raise ValueError(f"columns: {name!r} is no word of small letters")
            by = column_.by
            if by is not None and by not in list(self.columns)[: at_of[name]]:
                raise ValueError(f"columns.{name}.by: no column {by!r} above it")
            if self.base is None and not ABSOLUTE.match(self.oid(name)):
                raise ValueError(f"columns.{name}: a whole OID, or a base")
        return self


class Body(StrictModel):
    """What is read of the devices a profile is for."""

    identity: IdentityRules = IdentityRules()
    states: dict[str, States] = Field(default_factory=dict)
    tables: dict[str, Table] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _tables_are_known(self) -> Body:
        above: list[str] = []
        for name, table in self.tables.items():
            named = [("unless", each) for each in table.unless]
            for word, other in [*named, *(("least", each) for each in table.least)]:
                if other not in above:
                    raise ValueError(
                        f"tables.{name}.{word}: no table {other!r} above it"
                        f"{did_you_mean(other, above)}"
                    )
            above.append(name)
        return self

    @model_validator(mode="after")
    def _states_are_known(self) -> Body:
        for name, table in self.tables.items():
            for at, sensor in enumerate(table.sensors):
                if isinstance(sensor.states, str) and sensor.states not in self.states:
                    raise ValueError(
                        f"tables.{name}.sensors[{at}].states: no states "
                        f"{sensor.states!r}{did_you_mean(sensor.states, self.states)}"
                    )
        return self


SECTIONS = (
    "sensors",
    "processors",
    "memory",
    "storage",
    "wireless",
    "vlans",
    "transceivers",
)
# Besides columns, a description may name the row: its index, its n-th arc, its place.
INDEXWORDS = {"index", "row", *(f"index{n}" for n in range(10))}
_PLACEHOLDER = re.compile(r"\{([a-z0-9_]+)\}")


def find_placeholders(text: str) -> list[str]:
    return _PLACEHOLDER.findall(text)


def fill_placeholders(text: str, words: dict[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda found: words[found[1]], text)
