"""The health of one device: sensors, processors, memory, storage, radios, IP SLA tests.

Which readings there are is discovered from its profiles now and then. In between, only
the instances found are requested, each as often as its profile asks for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import structlog

from collectors.batch import Batch
from collectors.snmp.polling.device_findings import of_refused
from collectors.snmp.polling.health_rows import (
    inventory_rows,
    reading_rows,
    severity,
)
from collectors.snmp.polling.reading_slots import ReadingSlots
from collectors.snmp.polling.riding_values import RidingValues
from collectors.snmp.profiles import (
    IdentityFacts,
    MatchedRow,
    ProfileReader,
    Profiles,
    find_rows,
    read_profiles,
    to_readings,
)
from collectors.snmp.profiles.apply import REFUSED
from collectors.snmp.profiles.device_evidence import DeviceEvidence
from collectors.snmp.profiles.identity import complete_identity, identify, read_system
from collectors.snmp.profiles.readings import RefusedColumn, Sensor
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.read_progress import ReadProgress
from collectors.snmp.session.session import Failed, Value
from collectors.snmp.tables.device_tags import DeviceTags
from collectors.snmp.tables.entities import (
    merge_entities,
    parse_entities,
    read_entities,
)
from collectors.snmp.tables.ip_sla import IpSla
from probes.wire.clock import MonotonicClock

_log = structlog.get_logger()
# How long a discovery is good for; a restart of the device ends it sooner.
DISCOVER_S = 3600.0
# What each poll may spend on health. A discovery that needs longer continues in the
# next poll.
_BUDGET_S = 20.0
# Part of the slots that discoveries may use: ports come first.
_DISCOVERIES_SHARE = 0.5
# A poll comes a little early or late: what is due within this time is read now.
_SOON_S = 10.0
# Readings that take longer never hold up the ports.
_QUICK_S = 0.5


class HealthReader:
    """Reads the health of one device. If too many of `slots` are used, discovery
    waits for a later poll. `port_name`, which names an
    ifIndex, is set by the owner of the port table."""

    def __init__(
        self,
        profiles: Profiles,
        slots: ReadingSlots,
        monotonic_s: MonotonicClock = time.monotonic,
    ) -> None:
        self._profiles, self._slots = profiles, slots
        self._monotonic_s = monotonic_s
        self._ip_sla = IpSla()
        self._rows: list[MatchedRow] | None = None
        # When readings are due next, by their interval in seconds.
        self._due_s: dict[float, float] = {}
        self._discover_at_s = 0.0
        # Sensors that were bad when last read, by OID. What became so is watched,
        # by name: they are read with every poll until they are well.
        self._bad: set[str] | None = None
        self._watched: dict[str, str] = {}
        # Of a discovery that is not finished.
        self._reader: ProfileReader | None = None
        self._progress = ReadProgress()
        # Readings that were due, and are not read to the end.
        self._unread: list[MatchedRow] | None = None
        self._unread_progress = ReadProgress()
        # Readings that came quickly in a request of their own may ride in others.
        self._may_ride = False
        # Implausible values when last read, by the instance that they come from.
        self._refused: dict[str, list[RefusedColumn]] = {}
        self.port_name: Callable[[int], str | None] = lambda if_index: None

    @property
    def findings(self) -> dict[str, str]:
        """What is wrong with the values."""
        return of_refused(
            column for columns in self._refused.values() for column in columns
        )

    @property
    def is_unfinished(self) -> bool:
        """True if a discovery goes on in the next poll."""
        return self._reader is not None

    @property
    def is_due(self) -> bool:
        """True if the next poll has something to read."""
        now_s = self._monotonic_s()
        return (
            self._unread is not None
            or now_s >= self._discover_at_s
            or any(now_s >= at_s - _SOON_S for at_s in self._due_s.values())
        )

    def forget(self) -> None:
        """Discovers again at the next poll, because the device restarted."""
        self._discover_at_s, self._reader, self._unread = 0.0, None, None

    def read_again(self) -> None:
        """Reads everything at the next poll, because the device reported a change."""
        self._due_s = dict.fromkeys(self._due_s, self._monotonic_s())

    def start_riding(self) -> RidingValues:
        """What is due and may ride in a request of this poll; call `end_riding`."""
        now_s = self._monotonic_s()
        if (
            not self._may_ride
            or self._unread is not None
            or now_s >= self._discover_at_s
        ):
            return RidingValues()
        self._unread, self._unread_progress = self._due_rows(now_s), ReadProgress()
        return RidingValues(
            {
                oid: row.row.raw(column)
                for row in self._unread
                for column, oid in row.live.items()
            }
        )

    def end_riding(self, riding: RidingValues) -> None:
        """Keeps what came, for `poll`, which reads the rest."""
        self._unread_progress.values |= riding.values
        if riding.was_sent:
            self._may_ride = riding.took_s is not None and riding.took_s < _QUICK_S

    async def poll(
        self, snmp: DeviceSession, tags: DeviceTags, time_ms: int
    ) -> list[Batch]:
        """The rows that are due. A failure is logged; the rows of ports still count."""
        batches: list[Batch] = []
        try:
            batches += await self.read(snmp, tags, time_ms)
            if not snmp.is_v1:
                within = snmp.with_budget(snmp.budget.at_most(_BUDGET_S))
                batches += await self._ip_sla.poll(within, tags, time_ms)
        except Failed as failed:
            _log.info(
                "health_not_read",
                device=tags.device,
                outcome=failed.outcome.value,
                error=failed.detail,
            )
        return batches

    async def read(
        self, snmp: DeviceSession, tags: DeviceTags, time_ms: int
    ) -> list[Batch]:
        """The readings that are due. Raises `Failed` if the device stops answering."""
        now_s = self._monotonic_s()
        if (
            now_s >= self._discover_at_s
            and self._unread is None
            and self._slots.has_room(_DISCOVERIES_SHARE, snmp.is_slow)
        ):
            with self._slots.take(snmp.is_slow):
                return await self._discover(snmp, tags, time_ms)
        if self._unread is None:
            self._unread = self._due_rows(now_s)
            self._unread_progress = ReadProgress()
        rows = self._unread
        within = _within(snmp, self._unread_progress)
        has_ridden = bool(self._unread_progress.values)
        try:
            fresh = await within.get_all(
                list({oid for row in rows for oid in row.live.values()})
            )
        except Failed as failed:
            self._may_ride = False
            if within.goes_on(failed):
                return []
            self._unread = None
            raise
        self._unread = None
        if fresh and not has_ridden:
            self._may_ride = self._monotonic_s() - now_s < _QUICK_S
        return self._batches(tags, time_ms, rows, fresh) if fresh else []

    def _due_rows(self, now_s: float) -> list[MatchedRow]:
        """The readings that are due now; when they are due next."""
        if self._rows is None:
            return []
        due = {every for every, at_s in self._due_s.items() if now_s >= at_s - _SOON_S}
        # Sensors of one name are told apart only if all of them are read.
        watched = set(self._watched.values())
        rows = [row for row in self._rows if row.every_s in due or row.descr in watched]
        for every_s in due:
            self._due_s[every_s] = max(self._due_s[every_s] + every_s, now_s)
        return rows

    async def _discover(
        self, snmp: DeviceSession, tags: DeviceTags, time_ms: int
    ) -> list[Batch]:
        if self._reader is None:
            if self._rows is not None:
                snmp.limits.try_refused()
            self._progress = ReadProgress()
            self._reader = ProfileReader(snmp)
        reader = self._reader
        snmp = reader.snmp = _within(snmp, self._progress)
        try:
            system = await reader.read_once("system", lambda: read_system(snmp))
            identity = identify(system)
            evidence = DeviceEvidence(reader, identity)
            profiles = await self._profiles.find_for_device(evidence)
            rows = find_rows(profiles, await read_profiles(reader, profiles))
            parts = parse_entities(
                await reader.read_once("entities", lambda: read_entities(snmp))
            )
            parts = merge_entities(parts, to_readings(rows)["entities"])
            facts = IdentityFacts(reader, evidence.object_id, evidence.descr, parts)
            identity = await complete_identity(
                identity, profiles, facts, evidence.enterprises
            )
        except Failed as failed:
            if snmp.goes_on(failed):
                # `reader` keeps what was read: the next poll continues from there.
                return []
            self._reader = None
            self._discover_at_s = self._monotonic_s() + DISCOVER_S / 12
            raise
        self._rows, self._reader = rows, None
        self._refused.clear()
        now_s = self._monotonic_s()
        self._discover_at_s = now_s + DISCOVER_S
        self._due_s = {row.every_s: now_s + row.every_s for row in rows}
        return [
            *self._batches(tags, time_ms, rows, None),
            *inventory_rows(tags, time_ms, identity.with_chassis(parts), len(parts)),
        ]

    def _batches(
        self,
        tags: DeviceTags,
        time_ms: int,
        rows: Sequence[MatchedRow],
        fresh: Mapping[str, Value] | None,
    ) -> list[Batch]:
        """The batches of `rows`; implausible values are kept for `findings`."""
        sections = to_readings(rows, fresh)
        for row in rows:
            self._refused.pop(row.oid, None)
        for refused in sections[REFUSED]:
            self._refused.setdefault(refused.oid, []).append(refused)
        self._watch({row.oid: row.descr for row in rows}, sections["sensors"])
        return reading_rows(tags, time_ms, sections, self.port_name)

    def _watch(self, read: Mapping[str, str], sensors: Sequence[Sensor]) -> None:
        """Watches the sensors that became bad. Those that were bad from the start,
        such as parts that are not fitted, are not news. `read`: OID → name."""
        bad = {sensor.oid for sensor in sensors if severity(sensor)}
        if self._bad is not None:
            self._watched |= {o: read[o] for o in (bad & read.keys()) - self._bad}
        for oid in read.keys() - bad:
            self._watched.pop(oid, None)
        self._bad = bad | ((self._bad or set()) - read.keys())


def _within(snmp: DeviceSession, progress: ReadProgress) -> DeviceSession:
    """The session for what one poll may spend on health."""
    return snmp.with_budget(snmp.budget.at_most(_BUDGET_S)).with_progress(progress)
