"""What is read of a device by its profiles. None is "the device does not say"."""

from __future__ import annotations

import msgspec


class Sensor(msgspec.Struct, frozen=True, rename={"class_": "class"}):
    """One sensor: `value` after scaling, in `unit`; the limits likewise.

    A state has the number the device gave as `value`, its meaning as `state`, and what
    that means for a person as `severity`: ok, warning, critical, unknown.
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
    """What is plugged into a port. `if_index` None: which port cannot be told."""

    if_index: int | None
    type: str | None = None
    vendor: str | None = None
    model: str | None = None
    serial: str | None = None
    wavelength: float | None = None


class RefusedColumn(msgspec.Struct, frozen=True, rename={"class_": "class"}):
    """A value that nothing of its class can have, scaled: no reading is made of it."""

    section: str
    class_: str
    descr: str
    oid: str
    index: str
    value: float | None
