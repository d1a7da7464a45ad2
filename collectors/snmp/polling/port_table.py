"""The ports of one device: the tables are read once, the counters at every poll.

Each poll sends the fast requests of the plan (`request_plan`) and a few of the slow
ones. The tables are read again after a restart, or if ports or their names change.

A slow agent needs several polls for its tables. The ports that are read so far are
polled meanwhile. If the fast requests do not fit into one poll, they are sent in turn.
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from collectors.snmp.polling import device_findings, request_plan
from collectors.snmp.polling.counter_rates import Moment, elapsed
from collectors.snmp.polling.learnt_ports import PortMemory
from collectors.snmp.polling.poll_rows import PollAnswer, Renumbered, read_answer
from collectors.snmp.polling.reading_slots import ReadingSlots
from collectors.snmp.polling.riding_values import RidingValues
from collectors.snmp.polling.unanswered_cells import UnansweredCells
from collectors.snmp.session import oids
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.octet_text import as_int, text
from collectors.snmp.session.read_progress import ReadProgress
from collectors.snmp.session.session import Failed, RetryPolicy, Value
from collectors.snmp.tables import interfaces
from collectors.snmp.tables.interfaces import Columns, Port, PortCells
from probes.wire.clock import MonotonicClock, WallClock
from probes.wire.failure import Outcome

_SCALARS = [oids.SYS_UP_TIME, oids.IF_NUMBER, oids.IF_TABLE_LAST_CHANGE]
_COLUMNS = tuple(dict.fromkeys((*interfaces.SLOW, *request_plan.FAST_COLUMNS)))
_REREAD_S = 300.0
# Part of a poll's time that is used for tables if some ports are known already, so that
# these are polled too; and if none is.
_TABLES_SHARE, _FIRST_TABLES_SHARE = 0.75, 0.85
# A slow agent is requested names and aliases at least every so many polls.
_MAX_POLLS_WITHOUT_SLOW = 10


class _Reading:
    """The reading of the tables, over as many polls as it takes."""

    def __init__(self) -> None:
        self.progress, self.cells = ReadProgress(), PortCells()


class PortTable:
    """What is known of a device's ports. If `slots` have no room, the reading of the
    tables waits for a later poll."""

    def __init__(
        self,
        period_s: float,
        now_ms: WallClock,
        monotonic_s: MonotonicClock = time.monotonic,
        slots: ReadingSlots | None = None,
        file: Path | None = None,
    ) -> None:
        self._slots = slots or ReadingSlots()
        self._memory = PortMemory(file, _COLUMNS, now_ms, monotonic_s)
        self._period_s = period_s
        self._now_ms, self._monotonic_s = now_ms, monotonic_s
        # None if the tables must be read (again).
        self._plan: request_plan.Plan | None = None
        self._port_plans: list[request_plan.PortPlan] = []
        # The columns of `request_plan.NAMES` as last read.
        self._names: Columns = {}
        self._scalars: dict[str, Value] = {}
        # Replaced by another list whenever a port changes.
        self.ports: list[Port] = []
        self._name_by_index: dict[int, str] = {}
        self.findings: dict[str, str] = {}
        # The last answer since the tables were read: a restart after it shows.
        self._last_moment: Moment | None = None
        self._read_s = 0.0
        self._next_fast = self._next_slow = self._polls_without_slow = 0
        # None if the tables are read to the end.
        self._reading: _Reading | None = None
        self._unanswered = UnansweredCells()
        # How many ports the last poll had to request.
        self._requested = 0
        # How many of them it reached; None if all.
        self.reached: int | None = None
        # What rides in the last request of this poll.
        self._riding = RidingValues()
        # The most that ever wanted to ride.
        self._reserve = request_plan.NO_RESERVE

    @property
    def is_learnt(self) -> bool:
        """True if the tables were read, so that it is known what to request."""
        return self._plan is not None and self._reading is None

    @property
    def unread(self) -> tuple[int, int] | None:
        """If the last poll did not know all ports: how many it knew, of how many."""
        ports = len(self._port_plans)
        if self._reading is not None:
            if not self._reading.progress.values:
                # It has not begun.
                return None
            return self._requested, len(self._reading.cells.indexes)
        return None if self._requested >= ports else (self._requested, ports)

    @property
    def all_reached(self) -> bool:
        """True if the last poll reached all ports of the device."""
        return self.is_learnt and self.unread is None and self.reached is None

    def forget(self) -> None:
        """Makes the next poll read the tables again."""
        self._plan = self._reading = None

    def name_of(self, if_index: int) -> str | None:
        """The name of the port with that ifIndex, as last read."""
        return self._name_by_index.get(if_index)

    async def read(
        self,
        snmp: DeviceSession,
        answers: list[PollAnswer],
        retry_policy: RetryPolicy,
        riding: RidingValues,
    ) -> None:
        """Adds an answer per request to `answers`; those before a failure stay. The
        last request has `riding` too, if it has room.

        After the first answer the session uses `retry_policy`. Raises `Failed`.
        """
        self._riding = riding
        reserve = request_plan.Reserve(*map(max, riding.reserve, self._reserve))
        if reserve != self._reserve:
            self._reserve = reserve
            if self._plan is not None:
                self._pack(snmp)
        plan = self._plan
        first = None
        self.reached, self._requested = None, 0
        if plan is None:
            # One small request first: a device that is down costs no more.
            answers.append(await self._get_uptime(snmp))
            plan = self._recall(snmp, answers[-1].moment)
        if plan is not None:
            first = await self._get(snmp, plan, 0)
        if plan is None or first is None:
            self._start_reading(answers[-1].moment if plan is None else None)
            snmp.session.retry_policy = retry_policy
            if not self._slots.has_room(is_slow=snmp.is_slow):
                self._plan, self._port_plans = None, []
                if not answers:
                    answers.append(await self._get_uptime(snmp))
                return
            with self._slots.take(snmp.is_slow):
                plan = await self._read_tables(snmp, _FIRST_TABLES_SHARE)
            if self._reading is not None and not self._port_plans:
                return
            first = await self._get(snmp, plan, 0)
            if first is None:
                raise Failed(Outcome.BAD_ANSWER, "its ports change while being read")
        elif self._reading is not None and self._slots.has_room(is_slow=snmp.is_slow):
            snmp.session.retry_policy = retry_policy
            # What is read now is polled from the next poll on.
            share = _TABLES_SHARE if self._port_plans else _FIRST_TABLES_SHARE
            with self._slots.take(snmp.is_slow):
                await self._read_tables(snmp, share)
        answers.append(first)
        self._requested = sum(len(request.plans) for request in plan.fast)
        snmp.session.retry_policy = retry_policy
        self._polls_without_slow += 1
        slow_first = self._polls_without_slow > _MAX_POLLS_WITHOUT_SLOW
        try:
            if slow_first:
                await self._read_slow(snmp, plan)
            await self._read_fast(snmp, plan, answers)
            if not slow_first:
                await self._read_slow(snmp, plan)
        except Failed as failed:
            if not snmp.goes_on(failed):
                raise
        if self._plan is plan and snmp.limits.varbinds > plan.varbinds:
            self._pack(snmp)

    async def _read_fast(
        self,
        snmp: DeviceSession,
        plan: request_plan.Plan,
        answers: list[PollAnswer],
    ) -> None:
        """The requests after the first. Those that do not fit into this poll are the
        first ones of the next."""
        rest = len(plan.fast) - 1
        self.reached = sum(len(answer.plans) for answer in answers)
        for n in range(rest):
            at = (self._next_fast + n) % rest
            try:
                answer = await self._get(snmp, plan, 1 + at)
            except Failed:
                self._next_fast = at
                raise
            if answer is None:
                # The tables are read again next time; these ports have no row now.
                self.forget()
                break
            answers.append(answer)
            self.reached += len(answer.plans)
        self._next_fast, self.reached = 0, None

    def _moment(self, values: dict[str, Value]) -> Moment:
        ticks = values.get(oids.SYS_UP_TIME)
        ticks = ticks if isinstance(ticks, int) else None
        return self._memory.see(Moment(ticks, self._monotonic_s() * 1000))

    async def _get_uptime(self, snmp: DeviceSession) -> PollAnswer:
        values = await snmp.get_some([oids.SYS_UP_TIME, *self._memory.oids])
        self._memory.object_id = values.get(oids.SYS_OBJECT_ID)
        return PollAnswer(self._now_ms(), self._moment(values), [], [])

    async def _get(
        self, snmp: DeviceSession, plan: request_plan.Plan, at: int
    ) -> PollAnswer | None:
        """One fast request of the plan; None if the tables must be read again."""
        request = plan.fast[at]
        slow: tuple[str, ...] = ()
        if at == len(plan.fast) - 1 and not plan.slow_per_poll:
            slow = self._slow_request(plan)
            values = await self._get_last(snmp, plan, (*request.oids, *slow))
        else:
            values = await snmp.get_some(request.oids)
        names = {oid: values.pop(oid) for oid in slow if oid in values}
        moment, time_ms = self._moment(values), self._now_ms()
        last = self._last_moment
        if last is not None and elapsed(last, moment).restarted:
            return None
        for scalar in (oids.IF_NUMBER, oids.IF_TABLE_LAST_CHANGE):
            is_other = values.get(scalar) != self._scalars.get(scalar)
            if is_other and scalar in request.oids:
                return None
        self._last_moment = moment
        incomplete = len(values) < len(request.oids)
        if incomplete and self._monotonic_s() - self._read_s > _REREAD_S:
            # A port or a column is gone. Use what is there, and read the tables again,
            # but not at every poll: some agents always leave something out.
            self.forget()
        try:
            plans, samples = read_answer(request, values, moment)
        except Renumbered:
            return None
        if slow:
            await self._keep_slow(snmp, plan, names)
        return PollAnswer(time_ms, moment, plans, samples)

    async def _get_last(
        self, snmp: DeviceSession, plan: request_plan.Plan, oids: tuple[str, ...]
    ) -> dict[str, Value]:
        """The last request of a poll, with what rides in it."""
        riding = self._riding
        if not riding.fits(plan.reserve) or not riding.is_apart_from(oids):
            return await snmp.get_some(oids)
        riding.was_sent = True
        began_s = self._monotonic_s()
        values = await snmp.get_some((*oids, *riding.oids))
        riding.keep(values, self._monotonic_s() - began_s)
        return values

    def _start_reading(self, moment: Moment | None) -> None:
        """Starts to read the tables, or goes on if the device was only silent since.

        `moment` is that of its first answer; None if its ports have changed.
        """
        last = self._last_moment
        restarted = moment is None or (
            last is not None and elapsed(last, moment).restarted
        )
        if self._reading is None or restarted:
            self._reading = _Reading()
        self._last_moment = moment

    async def _read_tables(
        self, snmp: DeviceSession, share: float
    ) -> request_plan.Plan:
        """Goes on reading the tables for that part of the poll's time, and makes the
        plan of what is read so far. Raises `Failed`."""
        reading = self._reading
        assert reading is not None
        within = snmp.with_share(share).with_progress(reading.progress)
        try:
            self._scalars = scalars = await within.get_some(_SCALARS)
            await interfaces.read_columns(
                within, _COLUMNS, as_int(scalars.get(oids.IF_NUMBER)), reading.cells
            )
        except Failed as failed:
            if not within.goes_on(failed):
                if failed.outcome is not Outcome.TIMEOUT:
                    self.forget()
                raise
        else:
            self._reading = None
            unanswered = reading.progress.unanswered
            cells = reading.cells.instances(unanswered, _COLUMNS)
            self._unanswered.replace(cells, self._monotonic_s())
            in_doubt = bool(cells or snmp.session.unreadable.by_oid)
            self._memory.remember(in_doubt, scalars, reading.cells.columns)
        self._keep(reading.cells)
        return self._pack(snmp)

    def _recall(self, snmp: DeviceSession, now: Moment) -> request_plan.Plan | None:
        """The plan of the tables that were read before Towpath restarted, if any."""
        learnt = self._memory.recall(now.ticks)
        if learnt is None:
            return None
        self._scalars, self._last_moment = learnt.scalars, now
        self._keep(PortCells(learnt.columns, learnt.indexes, len(learnt.indexes)))
        return self._pack(snmp)

    def _keep(self, cells: PortCells) -> None:
        """Keeps the ports as far as they are read."""
        read = set(cells.indexes[: cells.read])
        # Names are unique among all ports, not only among those.
        ports = interfaces.parse_ports(cells.columns)
        self.ports = [port for port in ports if port.if_index in read]
        self._name_by_index = {port.if_index: port.key for port in self.ports}
        self._port_plans = request_plan.port_plans(
            self.ports, cells.columns, self._scalars
        )
        self._names = {name: cells.columns.get(name, {}) for name in request_plan.NAMES}
        self.findings = device_findings.of_ports(self._port_plans, self._period_s)
        self._read_s = self._monotonic_s()

    def _pack(self, snmp: DeviceSession) -> request_plan.Plan:
        self._plan = request_plan.pack(
            self._port_plans,
            self._names,
            self._scalars,
            request_plan.answer_octets(
                snmp.session.credential, snmp.session.get_engine_id()
            ),
            snmp.limits.varbinds,
            may_ride=not snmp.is_v1,
            reserve=self._reserve,
        )
        self._next_slow = 0
        return self._plan

    async def _read_slow(self, snmp: DeviceSession, plan: request_plan.Plan) -> None:
        """Names and aliases, a few at a time."""
        self._polls_without_slow = 0
        for n in range(plan.slow_per_poll):
            request = self._slow_request(plan)
            if n == plan.slow_per_poll - 1:
                names = await self._get_last(snmp, plan, request)
            else:
                names = await snmp.get_some(request)
            await self._keep_slow(snmp, plan, names)

    def _slow_request(self, plan: request_plan.Plan) -> tuple[str, ...]:
        """The next of the slow requests; empty if there is none."""
        return plan.slow[self._next_slow % len(plan.slow)] if plan.slow else ()

    async def _keep_slow(
        self, snmp: DeviceSession, plan: request_plan.Plan, names: dict[str, Value]
    ) -> None:
        self._update_names(names)
        self._next_slow += 1
        if self._next_slow % len(plan.slow) == 0:
            await self._retry_unreadable(snmp)
        if await self._unanswered.answer(snmp, self._monotonic_s()):
            self.forget()

    async def _retry_unreadable(self, snmp: DeviceSession) -> None:
        """Requests unreadable values once a round, in case the device is repaired."""
        unreadable = [
            oid
            for oid in snmp.session.unreadable.by_oid
            if oid.rpartition(".")[0] in _COLUMNS
        ][: snmp.limits.varbinds]
        if unreadable and await snmp.get_some(unreadable):
            self.forget()

    def _update_names(self, values: dict[str, Value]) -> None:
        for oid, value in values.items():
            column, _, index = oid.rpartition(".")
            if column not in self._names:
                continue
            if self._names[column].get(int(index)) == value:
                continue
            self._names[column][int(index)] = value
            if column == oids.IF_ALIAS:
                self.ports = [
                    msgspec.structs.replace(port, alias=text(value))
                    if port.if_index == int(index)
                    else port
                    for port in self.ports
                ]
            else:
                self.forget()
