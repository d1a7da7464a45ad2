"""Readings of a device's health as rows of the journal. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from collectors.batch import Batch, Column, Schema
from collectors.server_measurements import (
    INVENTORY,
    MEMORY,
    PROCESSOR,
    SENSOR,
    STORAGE,
    WIRELESS,
)
from collectors.snmp.polling.power_source import on_battery
from collectors.snmp.profiles.identity import Identity
from collectors.snmp.profiles.readings import Mempool, Sensor, Storage
from collectors.snmp.tables.device_tags import DeviceTags
from probes.wire.catalogue import Measurement

SEVERITIES = {"ok": 0, "warning": 1, "critical": 2}
_SECTIONS: tuple[tuple[str, Measurement], ...] = (
    ("sensors", SENSOR),
    ("processors", PROCESSOR),
    ("memory", MEMORY),
    ("storage", STORAGE),
    ("wireless", WIRELESS),
)


def reading_rows(
    tags: DeviceTags,
    time_ms: int,
    sections: Mapping[str, Sequence[Any]],
    port_name: Callable[[int], str | None] = lambda if_index: None,
) -> list[Batch]:
    """The batches of readings, by section. `port_name` names an ifIndex."""
    batches: list[Batch] = []
    for section, measurement in _SECTIONS:
        readings = sections[section]
        values = _distinct([_VALUES[section](reading) for reading in readings])
        if measurement is SENSOR:
            # The port only describes a sensor, so names must differ without it.
            values = [
                ((*own, _port_of(sensor, port_name)), *fields)
                for sensor, (own, *fields) in zip(readings, values, strict=True)
            ]
        batches += _batch(tags, time_ms, measurement, values)
    return batches


def _port_of(sensor: Sensor, port_name: Callable[[int], str | None]) -> str:
    if sensor.if_index is None:
        return ""
    return port_name(sensor.if_index) or ""


def inventory_rows(
    tags: DeviceTags, time_ms: int, identity: Identity, parts: int
) -> list[Batch]:
    values = (
        (),
        "",
        tags.name or None,
        identity.vendor,
        identity.os,
        identity.hardware,
        identity.version,
        identity.serial,
        parts,
    )
    return _batch(tags, time_ms, INVENTORY, [values])


def severity(sensor: Sensor) -> int | None:
    """0 normal, 1 warning, 2 critical, by its state or its limits; None: not known."""
    if sensor.state is not None:
        return SEVERITIES.get(sensor.severity or "")
    value = sensor.value
    limits = (sensor.low, sensor.low_warn, sensor.high_warn, sensor.high)
    if value is None or all(limit is None for limit in limits):
        return None
    low, low_warn, high_warn, high = limits
    if (high is not None and value > high) or (low is not None and value < low):
        return 2
    if (high_warn is not None and value > high_warn) or (
        low_warn is not None and value < low_warn
    ):
        return 1
    return 0


def _distinct(values: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Adds the index to names that several readings of a class share."""
    names = Counter(value[0] for value in values)
    return [
        (
            (*name[:-1], f"{name[-1]} ({index})") if names[name] > 1 else name,
            index,
            *fields,
        )
        for name, index, *fields in values
    ]


def _batch(
    tags: DeviceTags,
    time_ms: int,
    measurement: Measurement,
    values: Sequence[tuple[Any, ...]],
) -> list[Batch]:
    """`values` are (own tags, index, fields…)."""
    if not values:
        return []
    n = len(values)
    own = len(measurement.tags) - 3
    columns: tuple[Column, ...] = (
        [time_ms] * n,
        [tags.device] * n,
        [tags.site] * n,
        [tags.role] * n,
        *([value[0][at] for value in values] for at in range(own)),
        *([value[2 + at] for value in values] for at in range(len(measurement.fields))),
    )
    source = f"poll/{tags.device}"
    return [Batch(source, time_ms, Schema.of(measurement), columns)]


def _sensor(sensor: Sensor) -> tuple[Any, ...]:
    return (
        (sensor.class_, sensor.descr),
        sensor.index,
        sensor.value,
        sensor.state,
        severity(sensor),
        on_battery(sensor),
        sensor.low if sensor.low is not None else sensor.low_warn,
        sensor.high if sensor.high is not None else sensor.high_warn,
    )


def _pool(pool: Mempool | Storage) -> tuple[Any, ...]:
    return ((pool.descr,), "", pool.used_pct / 100, pool.used_bytes, pool.total_bytes)


_VALUES: dict[str, Any] = {
    "sensors": _sensor,
    "processors": lambda part: ((part.descr,), "", part.usage_pct / 100),
    "memory": _pool,
    "storage": _pool,
    "wireless": lambda radio: ((radio.class_, radio.descr), radio.index, radio.value),
}
