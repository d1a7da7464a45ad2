"""What profiles may read from a table: sensors, processors, memory and others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from collectors.snmp.profiles.profile_types import (
    Pattern,
    Raw,
    SensorClass,
    Severity,
    Texts,
    to_tuple,
)
from collectors.strict_model import StrictModel


def _to_state(value: Any) -> Any:
    """Accept `up` alone, or `[up, ok]`."""
    if isinstance(value, str):
        return (value, "unknown")
    return tuple(value) if isinstance(value, list) else value


State = Annotated[tuple[str, Severity], BeforeValidator(_to_state)]
States = dict[Raw, State]
Condition = Annotated[
    tuple[Raw, ...] | Pattern,
    BeforeValidator(lambda v: v if isinstance(v, str | list | tuple) else (v,)),
]


class Item(StrictModel):
    """`when` and `unless`: by column, the values it must (or must not) have, or a
    pattern. Items with one value also have `find`, a pattern for its place in a text.
    """

    descr: Texts = ()
    when: dict[str, Condition] = Field(default_factory=dict)
    unless: dict[str, Condition] = Field(default_factory=dict)
    skip: Annotated[tuple[Raw, ...], BeforeValidator(to_tuple)] = ()

    def named_columns(self) -> Iterator[tuple[str, str]]:
        """Yield (key, column) for each column that the item uses."""
        for word in ("when", "unless"):
            for column in getattr(self, word):
                yield word, column


class LimitColumns(StrictModel):
    """Limits as numbers in the sensor's unit, as columns, or from a function of
    `row_functions.LIMITS`.

    Columns are scaled as the value is, or by their own divisor (and in milliwatts, even
    if the value is not). `skip`: values that mean that no limit is set.
    """

    low: float | str | None = None
    low_warn: float | str | None = None
    high_warn: float | str | None = None
    high: float | str | None = None
    divisor: float | None = Field(default=None, gt=0)
    milliwatts: bool = False
    skip: Annotated[tuple[Raw, ...], BeforeValidator(to_tuple)] = ()
    function: str | None = None


Divisors = Annotated[
    tuple[Annotated[float, Field(gt=0)], ...],
    Field(min_length=1),
    BeforeValidator(to_tuple),
]


class SensorRule(Item):
    """One sensor for each row: value = raw · multiplier / divisor + add, or a function.

    `divisor`: a number, or several of which the one counts with which all rows show
    what such sensors usually do (`usual`, if not what their class does). If that is
    none, or more than one, nothing is shown. `described`: the first divisor is that of
    the MIB's description, and counts if it fits, even if others fit too. `one_scale`:
    all rules of the profile that have it, and the same class, have the same scale.
    `milliwatts`: the value is optical power, shown in dBm. `once`: left out if a sensor
    with its class, index and description was found before. `port`: the columns that may
    have its ifIndex, or `index`.
    """

    class_: SensorClass = Field(alias="class")
    of: str = "value"
    unit: str | None = None
    divisor: Divisors = (1.0,)
    multiplier: float = 1
    add: float = 0
    milliwatts: bool = False
    find: Pattern | None = None
    function: str | None = None
    states: str | States | None = None
    limits: LimitColumns = LimitColumns()
    within: tuple[float, float] | None = None
    usual: tuple[float, float] | None = None
    described: bool = False
    one_scale: bool = False
    once: bool = False
    port: Texts = ()

    def named_columns(self) -> Iterator[tuple[str, str]]:
        yield from super().named_columns()
        yield "of", self.of
        for limit in (
            self.limits.low,
            self.limits.low_warn,
            self.limits.high_warn,
            self.limits.high,
        ):
            if isinstance(limit, str):
                yield "limits", limit
        for port in self.port:
            if port != "index":
                yield "port", port


class ProcessorRule(Item):
    """Usage in per cent; `idle` if the device gives the unused share."""

    of: str = "value"
    divisor: float = Field(default=1, gt=0)
    multiplier: float = 1
    idle: bool = False
    find: Pattern | None = None
    function: str | None = None

    def named_columns(self) -> Iterator[tuple[str, str]]:
        yield from super().named_columns()
        yield "of", self.of


class MemoryRule(Item):
    """Two of used, free and total, or `used_pct` or `free_pct` alone.

    `unit_bytes`: the size of one unit, as a number or a column. `reclaimable`: columns
    of memory that counts as used but can be freed, such as caches.
    """

    used: str | None = None
    free: str | None = None
    total: str | None = None
    used_pct: str | None = None
    free_pct: str | None = None
    unit_bytes: int | str = 1
    reclaimable: Texts = ()

    @model_validator(mode="after")
    def _enough(self) -> MemoryRule:
        sizes = sum(size is not None for size in (self.used, self.free, self.total))
        if sizes < 2 and self.used_pct is None and self.free_pct is None:
            raise ValueError("two of used, free, total, or used_pct or free_pct")
        return self

    def named_columns(self) -> Iterator[tuple[str, str]]:
        yield from super().named_columns()
        for word in ("used", "free", "total", "used_pct", "free_pct", "unit_bytes"):
            column = getattr(self, word)
            if isinstance(column, str):
                yield word, column
        for column in self.reclaimable:
            yield "reclaimable", column


class WirelessRule(Item):
    """A wireless reading. `aggregate`: one reading for the whole table (the sum, the
    number of rows, or the first row); with `group`, one for each value of that
    column. `within`: a value outside it is left out."""

    class_: Literal[
        "ap-count",
        "capacity",
        "ccq",
        "channel",
        "clients",
        "distance",
        "error-rate",
        "error-ratio",
        "errors",
        "frequency",
        "mse",
        "noise-floor",
        "power",
        "quality",
        "rate",
        "rsrp",
        "rsrq",
        "rssi",
        "sinr",
        "snr",
        "ssr",
        "utilization",
        "xpi",
    ] = Field(alias="class")
    of: str = "value"
    divisor: float = Field(default=1, gt=0)
    multiplier: float = 1
    add: float = 0
    find: Pattern | None = None
    function: str | None = None
    within: tuple[float, float] | None = None
    aggregate: Literal["sum", "count", "first"] | None = None
    group: str | None = None

    @model_validator(mode="after")
    def _groups_are_added_up(self) -> WirelessRule:
        if self.group is not None and self.aggregate is None:
            raise ValueError("group needs aggregate: sum, count or first")
        return self

    def named_columns(self) -> Iterator[tuple[str, str]]:
        yield from super().named_columns()
        yield "of", self.of
        if self.group is not None:
            yield "group", self.group


class VlanRule(Item):
    """`id`: a column, or `index` for its last arc. `instead`: use only these VLANs,
    because the device's Q-BRIDGE tables count something other than VLAN ids."""

    id: str = "index"
    name: str | None = None
    of: str = "name"
    instead: bool = False

    def named_columns(self) -> Iterator[tuple[str, str]]:
        yield from super().named_columns()
        yield "of", self.of
        if self.id != "index":
            yield "id", self.id
        if self.name is not None:
            yield "name", self.name


class EntityRule(Item):
    """A part that ENTITY-MIB does not have. `index`: the arcs that number it, as a
    slice, for tables that number all parts of the device."""

    of: str
    class_: str = Field(alias="class")
    index: str = ":"
    name: str | None = None
    model: str | None = None
    serial: str | None = None

    def named_columns(self) -> Iterator[tuple[str, str]]:
        yield from super().named_columns()
        for word in ("of", "name", "model", "serial"):
            column = getattr(self, word)
            if column is not None:
                yield word, column


class TransceiverRule(Item):
    """A module in a port; `port`: a column with its ifIndex, or `index`."""

    of: str
    port: Texts = ("index",)
    type: str | None = None
    vendor: str | None = None
    model: str | None = None
    serial: str | None = None
    wavelength: str | None = None

    def named_columns(self) -> Iterator[tuple[str, str]]:
        yield from super().named_columns()
        for word in ("of", "type", "vendor", "model", "serial", "wavelength"):
            column = getattr(self, word)
            if column is not None:
                yield word, column
        for port in self.port:
            if port != "index":
                yield "port", port
