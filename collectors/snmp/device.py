"""One device, polled again and again: what was learnt of it, and its last counters.

Nothing here raises for what a device does: a poll ends in rows, and a poll that failed
is a row that says why.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection

import msgspec
import structlog

from collectors.batch import Batch
from collectors.estate.model import Device, Line
from collectors.ping import Echoes, Pinged
from collectors.snmp import findings, interfaces, oids, plan
from collectors.snmp.config import SnmpConfig
from collectors.snmp.credentials import Credential
from collectors.snmp.expected import outlook
from collectors.snmp.health import Health
from collectors.snmp.heard import Alone, Around, heard_rows, of_note
from collectors.snmp.interfaces import Columns, Port
from collectors.snmp.ip_sla import IpSla
from collectors.snmp.knock import agent_answers
from collectors.snmp.memory import Learnt
from collectors.snmp.neighbours import neighbours, read_neighbours
from collectors.snmp.poll import (
    Outlook,
    Place,
    Reading,
    Renumbered,
    assess,
    device_row,
    read_answer,
)
from collectors.snmp.rates import OPER, Moment, Seen, elapsed
from collectors.snmp.session import Failed, Patience, Session, Value
from collectors.snmp.text import text, whole
from collectors.snmp.walk import Budget, get_some
from probes.failure import Outcome

_log = structlog.get_logger()
_SCALARS = [oids.SYS_UP_TIME, oids.IF_NUMBER, oids.IF_TABLE_LAST_CHANGE]
# The device said nothing; others may have said that there is no way to it.
_SILENT = (Outcome.TIMEOUT, Outcome.UNREACHABLE)
_MS_PER_DAY = 86_400_000
_RELEARN_S = 300.0
# Of a period. Agents answer from a cache of some seconds: what they count in it would
# be a spike over a shorter interval, as between two polls when we have just started.
_SHORTEST_INTERVAL = 0.5


class Polled(msgspec.Struct, frozen=True):
    """How one poll ended."""

    batches: list[Batch]
    outcome: Outcome
    up: bool
    packets: int
    retries: int


class DevicePoll:
    """Polls one device. Not to be called again before it has returned."""

    def __init__(
        self,
        config: SnmpConfig,
        device: Device,
        lines: tuple[Line, ...],
        credential: Credential,
        session: Session,
        learnt: Learnt,
        now_ms: Callable[[], int],
        health: Health | None = None,
        around: Around | None = None,
        pinged: Pinged | None = None,
    ) -> None:
        self.device, self._lines = device, lines
        self._config, self._credential = config, credential
        self._session, self._learnt, self._now_ms = session, learnt, now_ms
        self._place = Place(device.id, device.site, device.role)
        self._health, self._pinged = health, pinged
        self._around = around or Alone()
        self._ip_sla = IpSla()
        self._patience = Patience.of(config.timeout_s, config.tries)
        self._plan: plan.Plan | None = None
        self._watches: list[plan.Watch] = []
        # As last read: `plan.NAMES` only.
        self._names: Columns = {}
        self._scalars: dict[str, Value] = {}
        self._ports: list[Port] = []
        self._outlook = Outlook()
        self._heard: list[Batch] = []
        self._seen: dict[str, Seen] = {}
        # When the counters in `_seen` were read.
        self._seen_ms = float("-inf")
        self._moment: Moment | None = None
        # The last moment known good within what was learnt: a restart ends it.
        self._guard: Moment | None = None
        self._learnt_s = 0.0
        self._slow_at = 0
        self._neighbours_due_s = 0.0
        self._unheard: dict[str, int] = {}
        self._outcome: Outcome | None = None
        self._port_findings: dict[str, str] = {}
        # Of the last poll.
        self._found: dict[str, str] = {}
        # Which other devices have the same engine id, as far as the poller knows.
        self.engine_shared_with: Collection[str] = ()

    @property
    def dead(self) -> bool:
        """True where the last poll had no answer."""
        return self._outcome is not None and self._moment is None

    @property
    def learnt(self) -> bool:
        """True where its tables were read and it is known what to ask."""
        return self._plan is not None

    def close(self) -> None:
        self._session.close()

    def speak(self, credential: Credential, session: Session) -> None:
        """Goes on with another credential, in a session that has it."""
        self._session.close()
        self._credential, self._session = credential, session
        # Another view of the same device may show other things.
        self._plan = None

    @property
    def engine_id(self) -> bytes:
        """Of version 3; empty where none is known."""
        return self._session.get_engine_id()

    def port_name(self, if_index: int) -> str | None:
        """The name of the port with that ifIndex, as last learnt."""
        for port in self._ports:
            if port.if_index == if_index:
                return port.key
        return None

    def adopt(self, device: Device, lines: tuple[Line, ...]) -> None:
        """Takes over what the estate now says of the same device."""
        self.device, self._lines = device, lines
        self._place = Place(device.id, device.site, device.role)
        self._look_out()

    async def poll(self, late_ms: float, on_silence: Callable[[], None]) -> Polled:
        """One poll. `on_silence` is called when the device first lets us wait."""
        started = time.monotonic()
        session, tally = self._session, self._session.tally
        packets, retries = tally.packets, tally.retries
        session.on_silence = on_silence
        # Who did not answer last time is asked once: it is not worth more.
        session.patience = (
            Patience((self._config.timeout_s,)) if self.dead else self._patience
        )
        answered: list[Reading] = []
        batches: list[Batch] = []
        echoes: Echoes | None = None
        outcome, detail = Outcome.OK, ""
        try:
            await self._ask(answered, Budget(self._config.budget_s))
        except Failed as failed:
            outcome, detail = failed.outcome, failed.detail
            if outcome in _SILENT and not answered:
                speaks, echoes = await self._anybody()
                if speaks:
                    outcome = Outcome.AUTH_FAILED
                    detail = "speaks SNMP, but does not take this credential from here"
        except Exception as error:  # noqa: BLE001 - one device never ends the poller
            _log.exception("poll_failed", device=self.device.id)
            outcome, detail = Outcome.BAD_ANSWER, repr(error)
        up = bool(answered)
        if echoes is None and self._pinged is not None:
            echoes = self._pinged.take()
        received_ms = self._now_ms()
        fields: dict[str, float | int | None] = {}
        time_ms = received_ms
        if answered:
            reading = _joined(answered)
            time_ms = reading.time_ms
            least_ms = _SHORTEST_INTERVAL * self._config.period_s * 1000
            soon = reading.moment.own_ms - self._seen_ms < least_ms
            before = {} if soon else self._seen
            found = assess(self._place, reading, before, self._outlook, received_ms)
            batches += found.batches + self._heard
            self._heard = []
            fields = self._remember(reading, soon)
            fields |= {"ports_up": found.ports_up, "ports_down": found.ports_down}
            batches += await self._healthy(reading.time_ms)
            batches += self._findings(reading.time_ms)
        else:
            self._moment = None
        self._say(outcome, detail)
        batches.insert(
            0,
            device_row(
                self._place,
                time_ms,
                received_ms,
                outcome,
                up,
                echoes,
                duration_ms=(time.monotonic() - started) * 1000,
                packets=tally.packets - packets,
                retries=tally.retries - retries,
                late_ms=late_ms,
                **fields,
            ),
        )
        return Polled(
            batches, outcome, up, tally.packets - packets, tally.retries - retries
        )

    async def _anybody(self) -> tuple[bool, Echoes | None]:
        """Where SNMP is silent: whether an agent is there, and what ICMP says now."""
        speaks = agent_answers(
            str(self.device.address), self.device.port, self._config.timeout_s
        )
        if self._pinged is None:
            return await speaks, None
        return await asyncio.gather(speaks, self._pinged.ask())

    async def _ask(self, answered: list[Reading], budget: Budget) -> None:
        """Fills `answered`, an entry a request; what came before a failure stays."""
        current = self._plan
        first = None
        if current is not None:
            first = await self._one(current.asks[0], budget)
        if current is None or first is None:
            if current is None:
                # Small and first: a dead device costs this and no more.
                answered.append(await self._alive())
            self._session.patience = self._patience
            current = await self._learn(budget)
            first = await self._one(current.asks[0], budget)
            if first is None:
                raise Failed(Outcome.BAD_ANSWER, "its ports change while being read")
        answered.append(first)
        self._session.patience = self._patience
        for ask in current.asks[1:]:
            reading = await self._one(ask, budget)
            if reading is None:
                # Learnt again next time; the ports of this request have no row.
                self._plan = None
                break
            answered.append(reading)
        await self._slowly(current, answered, budget)
        if self._plan is current and self._learnt.stamina.varbinds > current.varbinds:
            self._pack()

    async def _alive(self) -> Reading:
        answer = await self._session.get([oids.SYS_UP_TIME])
        return Reading(self._now_ms(), _moment(answer), [], [])

    async def _one(self, ask: plan.Ask, budget: Budget) -> Reading | None:
        """One request of the plan; None where what was learnt is no longer true."""
        stamina = self._learnt.stamina
        answer = await get_some(self._session, ask.oids, stamina, budget)
        moment, time_ms = _moment(answer), self._now_ms()
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
        return Reading(time_ms, moment, watches, seen)

    async def _healthy(self, time_ms: int) -> list[Batch]:
        """Sensors and their like: what goes wrong here leaves the ports' rows alone."""
        if self._health is None:
            return []
        session, stamina = self._session, self._learnt.stamina
        version = self._credential.version
        try:
            batches = await self._health.poll(
                session, version, stamina, self._place, time_ms
            )
            if version != "1":
                batches += await self._ip_sla.poll(
                    session, stamina, self._place, time_ms
                )
            return batches
        except Failed as failed:
            _log.info(
                "health_not_read",
                device=self.device.id,
                outcome=failed.outcome.value,
                detail=failed.detail,
            )
            return []

    def _findings(self, time_ms: int) -> list[Batch]:
        engine = findings.of_engine(self.engine_id, self.engine_shared_with)
        found = {**self._port_findings, **engine}
        batch = findings.rows(self._place, time_ms, found, self._found)
        self._found = found
        return [] if batch is None else [batch]

    def _relearn_if_old(self) -> None:
        if time.monotonic() - self._learnt_s > _RELEARN_S:
            self._plan = None

    async def _learn(self, budget: Budget) -> plan.Plan:
        """Reads the tables and makes the plan. Raises `Failed`."""
        session, stamina = self._session, self._learnt.stamina
        version = self._credential.version
        self._scalars = await get_some(session, _SCALARS, stamina, budget)
        columns = await interfaces.read_columns(
            session,
            (*interfaces.SLOW, *plan.FAST_COLUMNS),
            version,
            stamina,
            budget,
            whole(self._scalars.get(oids.IF_NUMBER)),
        )
        self._ports = interfaces.ports(columns)
        self._watches = plan.watch(self._ports, columns, self._scalars)
        self._names = {name: columns.get(name, {}) for name in plan.NAMES}
        self._port_findings = findings.of_ports(self._watches, self._config.period_s)
        self._learnt_s = time.monotonic()
        self._guard = None
        self._look_out()
        return self._pack()

    def _pack(self) -> plan.Plan:
        self._plan = plan.pack(
            self._watches,
            self._names,
            self._scalars,
            self._credential.version,
            self._learnt.stamina,
        )
        self._slow_at = 0
        return self._plan

    async def _slowly(
        self, current: plan.Plan, answered: list[Reading], budget: Budget
    ) -> None:
        """Names and aliases a few at a time; neighbours now and then."""
        for _ in range(current.slow_per_poll):
            if not current.slow:
                break
            ask = current.slow[self._slow_at % len(current.slow)]
            self._slow_at += 1
            answer = await get_some(self._session, ask, self._learnt.stamina, budget)
            self._renamed(answer)
        if time.monotonic() >= self._neighbours_due_s:
            self._neighbours_due_s = time.monotonic() + self._config.neighbours_s
            await self._hear(answered, budget)

    def _renamed(self, answer: dict[str, Value]) -> None:
        for oid, value in answer.items():
            column, _, index = oid.rpartition(".")
            if column not in self._names:
                continue
            if self._names[column].get(int(index)) == value:
                continue
            self._names[column][int(index)] = value
            if column == oids.IF_ALIAS:
                self._ports = [
                    msgspec.structs.replace(port, alias=text(value))
                    if port.if_index == int(index)
                    else port
                    for port in self._ports
                ]
                self._look_out()
            else:
                self._plan = None

    async def _hear(self, answered: list[Reading], budget: Budget) -> None:
        """Remembers behind which ports a switch or an access point is heard.

        A port that is down keeps its neighbour for a while: that it is not heard is
        then the very thing to tell. A port that is up and hears nobody has been
        plugged otherwise.
        """
        try:
            found = await read_neighbours(self._session, self._learnt.stamina, budget)
        except Failed as failed:
            if failed.outcome is Outcome.TIMEOUT:
                raise
            return
        now_ms = self._now_ms()
        known = of_note(self.device.id, neighbours(found, self._ports), self._around)
        self._heard = heard_rows(self._place, found, known, now_ms)
        heard = {each.local_port for each in known}
        up = {
            watch.port.key
            for reading in answered
            for watch, seen in zip(reading.watches, reading.seen, strict=True)
            if seen.values[OPER] == oids.UP
        }
        kept = self._learnt.neighbours
        keep_ms = self._config.remember_neighbours_days * _MS_PER_DAY
        for key in heard:
            kept[key] = now_ms
            self._unheard.pop(key, None)
        for key in set(kept) - heard:
            # LLDP is slow to speak after a link has come up: three rounds.
            if key in up:
                self._unheard[key] = self._unheard.get(key, 0) + 1
            if self._unheard.get(key, 0) >= 3 or now_ms - kept[key] > keep_ms:
                del kept[key]
                self._unheard.pop(key, None)
        self._look_out()

    def _look_out(self) -> None:
        self._outlook = outlook(
            self.device,
            self._lines,
            self._ports,
            self._learnt.neighbours,
            self._around.uplinks(self.device.id),
        )

    def _remember(self, reading: Reading, soon: bool) -> dict[str, float | int | None]:
        """Keeps this poll for the next; the fields of the device row it gives.

        `soon`: too soon after the last for rates, which then come over both intervals.
        """
        before, now = self._moment, reading.moment
        gone = elapsed(before, now) if before is not None else None
        self._moment = now
        if gone is not None and gone.restarted:
            self._seen.clear()
            soon = False
            if self._health is not None:
                self._health.forget()
        if not soon:
            self._seen_ms = now.own_ms
            for watch, seen in zip(reading.watches, reading.seen, strict=True):
                self._seen[watch.port.key] = seen
        return {
            "uptime_s": None if now.ticks is None else now.ticks / oids.TICKS_PER_S,
            "restarted": int(gone is not None and gone.restarted),
            "own_clock": int(now.ticks is None),
        }

    def _say(self, outcome: Outcome, detail: str) -> None:
        """Logs once a change of state."""
        if outcome is self._outcome:
            return
        if outcome is not Outcome.OK:
            _log.warning(
                "device_not_polled",
                device=self.device.id,
                outcome=outcome.value,
                detail=detail,
            )
        elif self._outcome is not None:
            _log.info("device_polled_again", device=self.device.id)
        self._outcome = outcome


def _moment(answer: dict[str, Value]) -> Moment:
    ticks = answer.get(oids.SYS_UP_TIME)
    return Moment(ticks if isinstance(ticks, int) else None, time.monotonic() * 1000)


def _joined(readings: list[Reading]) -> Reading:
    """All requests of a poll as one; its time is that of the first answer."""
    first = readings[0]
    return Reading(
        first.time_ms,
        first.moment,
        [watch for each in readings for watch in each.watches],
        [seen for each in readings for seen in each.seen],
    )
