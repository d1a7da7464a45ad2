"""The readings of a device. None means that the device does not give the value."""

from __future__ import annotations

import msgspec


class Sensor(msgspec.Struct, frozen=True, rename={"class_": "class"}):
    """One sensor, with value and limits in `unit`.

    A state sensor has the device's number as `value`, its meaning as `state`, and a
    `severity`: ok, warning, critical or unknown.
    """

    class_: str
    descr: str
    oid: str
    index: str
    value: float | None = None
    unit: str | None = None
    state: str | None = None
    severity: str | None = None
    low: float | None = None
    low_warn: float | None = None
    high_warn: float | None = None
    high: float | None = None
    if_index: int | None = None


class Processor(msgspec.Struct, frozen=True):
    descr: str
    usage_pct: float


class Mempool(msgspec.Struct, frozen=True):
    descr: str
    used_pct: float
    used_bytes: int | None = None
    total_bytes: int | None = None


class Storage(msgspec.Struct, frozen=True):
    descr: str
    used_pct: float
    used_bytes: int | None = None
    total_bytes: int | None = None


class Wireless(msgspec.Struct, frozen=True, rename={"class_": "class"}):
    class_: str
    descr: str
    index: str
    value: float


class Transceiver(msgspec.Struct, frozen=True):
    """A module in a port. `if_index` is None if the port is not known."""

    if_index: int | None
    type: str | None = None
    vendor: str | None = None
    model: str | None = None
    serial: str | None = None
    wavelength: float | None = None


class RefusedColumn(msgspec.Struct, frozen=True, rename={"class_": "class"}):
    """A scaled value outside the range of its class, which is not used as a reading."""

    section: str
    class_: str
    descr: str
    oid: str
    index: str
    value: float | None
