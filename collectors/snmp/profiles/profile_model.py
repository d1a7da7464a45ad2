"""The keys of a device profile (`catalog/*.yaml`).

A file has two documents: a head that selects the devices, read for every device, and a
body with what to read, parsed for the selected devices only. `docs/profiles.md`
explains each key with an example.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from collectors.snmp.profiles.items import (
    EntityRule,
    Item,
    MemoryRule,
    ProcessorRule,
    SensorRule,
    States,
    TransceiverRule,
    VlanRule,
    WirelessRule,
)
from collectors.snmp.profiles.label_severity import WORDS
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
    to_slice,
    to_tuple,
)
from collectors.strict_model import StrictModel
from probes.wire.catalogue import did_you_mean


def _to_inherited(value: object) -> object:
    """Accept one name, a list of names, or {name: OID}."""
    if isinstance(value, str):
        return {value: None}
    return dict.fromkeys(value) if isinstance(value, list) else value


class OidAnswer(StrictModel):
    """An instance that must exist, and a pattern for its text."""

    oid: Oid
    find: Pattern | None = None


class Match(StrictModel):
    """All given conditions must hold; one of several `object_id`, `descr` or `holds`
    suffices.

    `holds`: there is something below this OID. It counts only for devices whose
    sysObjectID says nothing about the maker, such as Net-SNMP's.
    """

    object_id: Oids = ()
    descr: Patterns = ()
    not_descr: Patterns = ()
    answers: OidAnswer | None = None
    holds: Oids = ()

    @model_validator(mode="after")
    def _is_given(self) -> Match:
        if not self.object_id and not self.descr and not self.holds:
            raise ValueError("object_id, descr or holds: one of them must be given")
        return self


class Head(StrictModel):
    """The devices that the profile is for.

    `match: any` means all, `match: inherited` those of the profiles that inherit it.
    `inherits`: other profiles that apply too, by name, and where their MIB is if that
    is not below their own `root`. `own_arcs`: this many first arcs of sysObjectID
    replace OWN in the body, for vendors that have the same MIB under each model.
    `drafted`: made from MIBs alone. Values that are not plausible say nothing about
    such a device, and are left out without a finding.
    """

    os: str | None = None
    vendor: str | None = None
    own_arcs: int | None = Field(default=None, ge=7)
    drafted: bool = False
    root: Oid | None = None
    inherits: Annotated[dict[str, Oid | None], BeforeValidator(_to_inherited)] = Field(
        default_factory=dict
    )
    scope: Literal["matched", "any", "inherited"] = "matched"
    match: tuple[Match, ...]

    @model_validator(mode="before")
    @classmethod
    def _to_scope(cls, head: Any) -> Any:
        if isinstance(head, dict) and head.get("match") in ("any", "inherited"):
            return {**head, "scope": head["match"], "match": ()}
        return head


class Source(StrictModel):
    """A possible source of one fact of the identity, and how to refine its value.

    `find`: a regular expression whose first group is the value. `lookup`: words by
    value. `means`: the word to use if there is any value. `no_maker`: only if nothing
    else than the agent names a maker, as a processor is no model of an appliance.
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
    no_maker: bool = False

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
        if sum(place is not None for place in given) != 1:
            raise ValueError("one of descr, oid, column, entity, object_id, text, join")
        return self


Sources = Annotated[tuple[Source, ...], BeforeValidator(to_tuple)]


class IdentityRules(StrictModel):
    """The sources of each fact; the first with a value counts."""

    vendor: Sources = ()
    os: Sources = ()
    hardware: Sources = ()
    version: Sources = ()
    serial: Sources = ()


class ProfileColumn(StrictModel):
    """A column of the table, or of another table with a related row.

    `index`: the arcs of this row's index that are the index there, as a slice (`0`,
    `1:`, `:-1`). `by`: a column listed above whose value is the index there. `tail`:
    arcs to append to either. `instance`: one row for all.
    """

    oid: Oid
    index: str | None = None
    by: str | None = None
    tail: Oid | None = None
    instance: str | None = None

    @property
    def is_elsewhere(self) -> bool:
        """Return True if its rows are in another table."""
        ways = (self.index, self.by, self.tail, self.instance)
        return any(way is not None for way in ways)

    @model_validator(mode="after")
    def _one_way(self) -> ProfileColumn:
        if sum(way is not None for way in (self.index, self.by, self.instance)) > 1:
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
        """Return the index there of the row `index` here, unless `by` gives it."""
        if self.instance is not None:
            return self.instance
        if self.index is not None:
            index = ".".join(index.split(".")[to_slice(self.index)])
        return index if self.tail is None else f"{index}.{self.tail}"

    def row_of_value(self, value: int | bytes | str | float | None) -> str:
        """Return the index there that the cell `value` points to; empty if none."""
        if value is None:
            return ""
        if isinstance(value, bytes):
            value = value.decode("ascii", "replace").strip()
        at = value.lstrip(".") if isinstance(value, str) else f"{value:.0f}"
        # entAliasMapping has instances of ifIndex: the row of ifTable is meant.
        at = at.removeprefix("1.3.6.1.2.1.2.2.1.1.")
        return at if self.tail is None else f"{at}.{self.tail}"


def _to_column(value: object) -> object:
    return value if isinstance(value, dict | ProfileColumn) else {"oid": value}


class Table(StrictModel):
    """Columns by name: relative to `base`, a whole OID, or in another table.

    `scalar`: the columns are scalars with instance 0. `every`: how often changing
    values are read. `unless`: tables above; if one has rows, this table is not read.
    `least`: by table above, the number of rows it needs for this table to be valid.
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
    entities: tuple[EntityRule, ...] = ()

    @property
    def items(self) -> Iterator[tuple[str, int, Item]]:
        """Yield (section, position, item)."""
        for section in SECTIONS:
            for at, item in enumerate(getattr(self, section)):
                yield section, at, item

    def oid(self, name: str) -> str:
        """Return the whole OID of the column `name`, without an instance."""
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
                raise ValueError(f"columns: {name!r} is not a word in lower case")
            by = column_.by
            if by is not None and by not in list(self.columns)[: at_of[name]]:
                raise ValueError(f"columns.{name}.by: no column {by!r} above it")
            if self.base is None and not ABSOLUTE.match(self.oid(name)):
                raise ValueError(f"columns.{name}: a whole OID, or a base")
        return self


class Body(StrictModel):
    """What to read from the devices of a profile."""

    identity: IdentityRules = IdentityRules()
    states: dict[str, States] = Field(default_factory=dict)
    tables: dict[str, Table] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _tables_are_known(self) -> Body:
        above: list[str] = []
        for name, table in self.tables.items():
            references = [("unless", other) for other in table.unless]
            references += [("least", other) for other in table.least]
            for key, other in references:
                if other not in above:
                    raise ValueError(
                        f"tables.{name}.{key}: no table {other!r} above it"
                        f"{did_you_mean(other, above)}"
                    )
            above.append(name)
        return self

    @model_validator(mode="after")
    def _states_are_known(self) -> Body:
        known = {WORDS, *self.states}
        for name, table in self.tables.items():
            for at, sensor in enumerate(table.sensors):
                if isinstance(sensor.states, str) and sensor.states not in known:
                    raise ValueError(
                        f"tables.{name}.sensors[{at}].states: no states "
                        f"{sensor.states!r}{did_you_mean(sensor.states, known)}"
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
    "entities",
)
# Besides columns, a description may use the row's index, its n-th arc, its position.
INDEXWORDS = {"index", "index_text", "row", *(f"index{n}" for n in range(10))}
_PLACEHOLDER = re.compile(r"\{([a-z0-9_]+)\}")


def find_placeholders(text: str) -> list[str]:
    return _PLACEHOLDER.findall(text)


def fill_placeholders(text: str, words: dict[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda placeholder: words[placeholder[1]], text)
