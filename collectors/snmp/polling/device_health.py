"""How a device is, beside its ports: sensors, processors, memory, disks, radios, parts.

What there is to read is worked out now and then by its profiles (`learn`); in between,
only the instances found are asked again, each as often as its profile says.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
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
from collectors.snmp.polling.device_findings import of_refused
from collectors.snmp.polling.power_source import on_battery
from collectors.snmp.profiles import (
    MatchedRow,
    ProfileReader,
    Profiles,
    Sayings,
    find,
    read,
    readings,
)
from collectors.snmp.profiles.apply import REFUSED
from collectors.snmp.profiles.identity import Identity, identify, named, read_system
from collectors.snmp.profiles.readings import Mempool, RefusedColumn, Sensor, Storage
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.octet_text import text
from collectors.snmp.session.poll_budget import PollBudget
from collectors.snmp.session.session import Failed, Value
from collectors.snmp.tables.device_tags import DeviceTags
from collectors.snmp.tables.entities import entities, read_entities
from probes.wire.catalogue import Measurement
from probes.wire.clock import MonotonicClock
from probes.wire.failure import Outcome

# How long what was learnt is believed; a restart ends it sooner.
LEARN_S = 3600.0
# Of a device's time, what learning may take of one poll; it goes on in the next.
_LEARN_BUDGET_S = 10.0
SEVERITIES = {"ok": 0, "warning": 1, "critical": 2}
# A poll comes a little early or late: what is due in this is read now.
_SOON_S = 10.0
_SECTIONS: tuple[tuple[str, Measurement], ...] = (
    ("sensors", SENSOR),
    ("processors", PROCESSOR),
    ("memory", MEMORY),
    ("storage", STORAGE),
    ("wireless", WIRELESS),
)


class HealthPoll:
    """What one device is asked of its health. `gate` bounds how many learn at once:
    where it is taken, learning waits for a later poll."""

    def __init__(
        self,
        profiles: Profiles,
        gate: asyncio.Semaphore,
        monotonic_s: MonotonicClock = time.monotonic,
    ) -> None:
        self._profiles, self._gate, self._monotonic_s = profiles, gate, monotonic_s
        self._found: list[MatchedRow] | None = None
        self._due_s: dict[float, float] = {}
        self._learn_at_s = 0.0
        self._reader: ProfileReader | None = None
        # By instance, what no reading was made of when it was last read.
        self._refused: dict[str, list[RefusedColumn]] = {}

    @property
    def findings(self) -> dict[str, str]:
        """What the values leave to be said."""
        return of_refused(each for some in self._refused.values() for each in some)

    def forget(self) -> None:
        """The device restarted, or its ports changed: what was learnt may not hold."""
        self._learn_at_s, self._reader = 0.0, None

    async def poll(
        self,
        snmp: DeviceSession,
        place: DeviceTags,
        now_ms: int,
    ) -> list[Batch]:
        """The rows that are due. Raises `Failed` where the device fell silent."""
        now_s = self._monotonic_s()
        if now_s >= self._learn_at_s and not self._gate.locked():
            async with self._gate:
                return await self._learn(snmp, place, now_ms)
        if self._found is None:
            return []
        due = {e for e, at_s in self._due_s.items() if now_s >= at_s - _SOON_S}
        asked = [each for each in self._found if each.every_s in due]
        for every_s in due:
            self._due_s[every_s] = max(self._due_s[every_s] + every_s, now_s)
        instances = list({oid for each in asked for oid in each.live.values()})
        if not instances:
            return []
        snmp = snmp.with_budget(PollBudget(_LEARN_BUDGET_S))
        fresh = await snmp.get_all(instances)
        return self._rows(place, now_ms, asked, fresh)

    async def _learn(
        self,
        snmp: DeviceSession,
        place: DeviceTags,
        now_ms: int,
    ) -> list[Batch]:
        reader = self._reader
        if reader is None:
            snmp = snmp.with_budget(PollBudget(_LEARN_BUDGET_S))
            reader = self._reader = ProfileReader(snmp)
        else:
            snmp = snmp.with_budget(reader.snmp.budget.renewed(_LEARN_BUDGET_S))
            reader.snmp = snmp
        try:
            system = await reader.once("system", lambda: read_system(snmp))
            who = identify(system)

            async def ask(oid: str) -> str | None:
                return text(await reader.instance(oid))

            chosen = await self._profiles.of(who.sys_object_id, who.sys_descr, ask)
            found = find(chosen, await read(reader, chosen))
            parts = entities(await reader.once("entities", lambda: read_entities(snmp)))
            sayings = Sayings(reader, who.sys_object_id, who.sys_descr, parts)
            who = (await named(who, chosen, sayings)).with_chassis(parts)
        except Failed as failed:
            if failed.outcome is Outcome.BUDGET_SPENT and not snmp.budget.full:
                # What was read is kept: the next poll goes on from there.
                return []
            self._reader = None
            self._learn_at_s = self._monotonic_s() + LEARN_S / 12
            raise
        self._found, self._reader = found, None
        self._refused.clear()
        now_s = self._monotonic_s()
        self._learn_at_s = now_s + LEARN_S
        self._due_s = {each.every_s: now_s + each.every_s for each in found}
        return [
            *self._rows(place, now_ms, found, None),
            *_batch(place, now_ms, INVENTORY, [_inventory(who, len(parts))]),
        ]

    def _rows(
        self,
        place: DeviceTags,
        time_ms: int,
        found: Sequence[MatchedRow],
        fresh: Mapping[str, Value] | None,
    ) -> list[Batch]:
        """The batches of what `found` says now; what is refused becomes a finding."""
        said = readings(found, fresh)
        for each in found:
            self._refused.pop(each.oid, None)
        for refused in said[REFUSED]:
            self._refused.setdefault(refused.oid, []).append(refused)
        return rows(place, time_ms, said)


def rows(
    place: DeviceTags, time_ms: int, said: Mapping[str, Sequence[Any]]
) -> list[Batch]:
    """The batches of readings by section. Pure."""
    batches: list[Batch] = []
    for section, measurement in _SECTIONS:
        values = [_ROWS[section](each) for each in said[section]]
        batches += _batch(place, time_ms, measurement, _distinct(values))
    return batches


def _distinct(values: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Names that several readings of a class share get their index behind them."""
    tags = Counter(value[0] for value in values)
    return [
        ((*tag[:-1], f"{tag[-1]} ({index})") if tags[tag] > 1 else tag, index, *fields)
        for tag, index, *fields in values
    ]


def _batch(
    place: DeviceTags,
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
        [place.device] * n,
        [place.site] * n,
        [place.role] * n,
        *([value[0][at] for value in values] for at in range(own)),
        *([value[2 + at] for value in values] for at in range(len(measurement.fields))),
    )
    source = f"poll/{place.device}"
    return [Batch(source, time_ms, Schema.of(measurement), columns)]


def severity(sensor: Sensor) -> int | None:
    """0 well, 1 warning, 2 critical, by its state or its limits; None: not known."""
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


def _sensor(each: Sensor) -> tuple[Any, ...]:
    return (
        (each.class_, each.descr),
        each.index,
        each.value,
        each.state,
        severity(each),
        on_battery(each),
        each.low if each.low is not None else each.low_warn,
        each.high if each.high is not None else each.high_warn,
    )


def _pool(each: Mempool | Storage) -> tuple[Any, ...]:
    return (
        (each.descr,),
        "",
        each.used_pct / 100,
        each.used_bytes,
        each.total_bytes,
    )


def _inventory(who: Identity, parts: int) -> tuple[Any, ...]:
    return (
        (),
        "",
        who.vendor,
        who.os,
        who.hardware,
        who.version,
        who.serial,
        parts,
    )


_ROWS: dict[str, Any] = {
    "sensors": _sensor,
    "processors": lambda each: ((each.descr,), "", each.usage_pct / 100),
    "memory": _pool,
    "storage": _pool,
    "wireless": lambda each: ((each.class_, each.descr), each.index, each.value),
}
