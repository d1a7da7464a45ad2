"""The ports of one device: learnt once, their counters read at every poll.

What is read is the plan's (`plan`): the fast requests, then a few of the slow ones.
What is no longer true (a restart, other ports, another name) is learnt again.
"""

from __future__ import annotations

import time

import msgspec

from collectors.snmp.polling import device_findings, request_plan
from collectors.snmp.polling.counter_rates import Moment, elapsed
from collectors.snmp.polling.poll_rows import PortSample, Renumbered, read_answer
from collectors.snmp.session import oids
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.octet_text import text, whole
from collectors.snmp.session.session import Failed, RetryPolicy, Value
from collectors.snmp.tables import interfaces
from collectors.snmp.tables.interfaces import Columns, Port
from probes.wire.clock import MonotonicClock, WallClock
from probes.wire.failure import Outcome

_SCALARS = [oids.SYS_UP_TIME, oids.IF_NUMBER, oids.IF_TABLE_LAST_CHANGE]
_COLUMNS = frozenset((*interfaces.SLOW, *request_plan.FAST_COLUMNS))
_RELEARN_S = 300.0


class PortTable:
    """What was learnt of a device's ports."""

    def __init__(
        self,
        period_s: float,
        now_ms: WallClock,
        monotonic_s: MonotonicClock = time.monotonic,
    ) -> None:
        self._period_s = period_s
        self._now_ms, self._monotonic_s = now_ms, monotonic_s
        self._plan: request_plan.Plan | None = None
        self._watches: list[request_plan.PortPlan] = []
        # As last read: `plan.NAMES` only.
        self._names: Columns = {}
        self._scalars: dict[str, Value] = {}
        # Another list whenever something about them is another.
        self.ports: list[Port] = []
        self.findings: dict[str, str] = {}
        # The last moment known good within what was learnt: a restart ends it.
        self._guard: Moment | None = None
        self._learnt_s = 0.0
        self._slow_at = 0

    @property
    def learnt(self) -> bool:
        """True where the tables were read and it is known what to ask."""
        return self._plan is not None

    def forget(self) -> None:
        """Makes the next poll read the tables again."""
        self._plan = None

    def name_of(self, if_index: int) -> str | None:
        """The name of the port with that ifIndex, as last learnt."""
        for port in self.ports:
            if port.if_index == if_index:
                return port.key
        return None

    async def read(
        self,
        snmp: DeviceSession,
        answered: list[PortSample],
        retry_policy: RetryPolicy,
    ) -> None:
        """Fills `answered`, an entry a request; what came before a failure stays.

        From the first answer on the session has `retry_policy`. Raises `Failed`.
        """
        current = self._plan
        first = None
        if current is not None:
            first = await self._one(snmp, current.asks[0])
        if current is None or first is None:
            if current is None:
                # Small and first: a dead device costs this and no more.
                answered.append(await self._alive(snmp))
            snmp.session.retry_policy = retry_policy
            current = await self._learn(snmp)
            first = await self._one(snmp, current.asks[0])
            if first is None:
                raise Failed(Outcome.BAD_ANSWER, "its ports change while being read")
        answered.append(first)
        snmp.session.retry_policy = retry_policy
        for ask in current.asks[1:]:
            reading = await self._one(snmp, ask)
            if reading is None:
                # Learnt again next time; the ports of this request have no row.
                self._plan = None
                break
            answered.append(reading)
        await self._read_slow(snmp, current)
        if self._plan is current and snmp.limits.varbinds > current.varbinds:
            self._pack(snmp)

    def _moment(self, answer: dict[str, Value]) -> Moment:
        ticks = answer.get(oids.SYS_UP_TIME)
        own_ms = self._monotonic_s() * 1000
        return Moment(ticks if isinstance(ticks, int) else None, own_ms)

    async def _alive(self, snmp: DeviceSession) -> PortSample:
        answer = await snmp.session.get([oids.SYS_UP_TIME])
        return PortSample(self._now_ms(), self._moment(answer), [], [])

    async def _one(
        self, snmp: DeviceSession, ask: request_plan.PlannedGet
    ) -> PortSample | None:
        """One request of the plan; None where what was learnt is no longer true."""
        answer = await snmp.get_some(ask.oids)
        moment, time_ms = self._moment(answer), self._now_ms()
        if self._guard is not None and elapsed(self._guard, moment).restarted:
            return None
        for scalar in (oids.IF_NUMBER, oids.IF_TABLE_LAST_CHANGE):
            if scalar in ask.oids and answer.get(scalar) != self._scalars.get(scalar):
                return None
        self._guard = moment
        if len(answer) < len(ask.oids):
            # A port or a column went away: take what is there, and learn again, but
            # not at every poll, for some agents always leave something out.
            self._relearn_if_old()
        try:
            watches, seen = read_answer(ask, answer, moment)
        except Renumbered:
            return None
        return PortSample(time_ms, moment, watches, seen)

    def _relearn_if_old(self) -> None:
        if self._monotonic_s() - self._learnt_s > _RELEARN_S:
            self._plan = None

    async def _learn(self, snmp: DeviceSession) -> request_plan.Plan:
        """Reads the tables and makes the plan. Raises `Failed`."""
        self._scalars = await snmp.get_some(_SCALARS)
        columns = await interfaces.read_columns(
            snmp,
            (*interfaces.SLOW, *request_plan.FAST_COLUMNS),
            whole(self._scalars.get(oids.IF_NUMBER)),
        )
        self.ports = interfaces.ports(columns)
        self._watches = request_plan.watch(self.ports, columns, self._scalars)
        self._names = {name: columns.get(name, {}) for name in request_plan.NAMES}
        self.findings = device_findings.of_ports(self._watches, self._period_s)
        self._learnt_s = self._monotonic_s()
        self._guard = None
        return self._pack(snmp)

    def _pack(self, snmp: DeviceSession) -> request_plan.Plan:
        self._plan = request_plan.pack(
            self._watches,
            self._names,
            self._scalars,
            snmp.session.version,
            snmp.limits.varbinds,
        )
        self._slow_at = 0
        return self._plan

    async def _read_slow(self, snmp: DeviceSession, current: request_plan.Plan) -> None:
        """Names and aliases, a few at a time."""
        for _ in range(current.slow_per_poll):
            if not current.slow:
                break
            ask = current.slow[self._slow_at % len(current.slow)]
            self._slow_at += 1
            answer = await snmp.get_some(ask)
            self._take_names(answer)
            if self._slow_at % len(current.slow) == 0:
                await self._read_faulty(snmp)

    async def _read_faulty(self, snmp: DeviceSession) -> None:
        """Asks again, once a round, for what could not be read: it may be mended."""
        faulty = [
            oid
            for oid in snmp.session.unreadable.by_oid
            if oid.rpartition(".")[0] in _COLUMNS
        ][: snmp.limits.varbinds]
        if faulty and await snmp.get_some(faulty):
            self._plan = None

    def _take_names(self, answer: dict[str, Value]) -> None:
        for oid, value in answer.items():
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
                self._plan = None
