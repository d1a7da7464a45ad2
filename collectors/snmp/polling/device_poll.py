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
from collectors.estate.estate_model import Device, Line
from collectors.ping import Echoes, Pinged
from collectors.snmp.polling import device_findings
from collectors.snmp.polling.counter_rates import CounterSample, Moment, elapsed
from collectors.snmp.polling.device_condition import DeviceCondition
from collectors.snmp.polling.device_health import HealthPoll
from collectors.snmp.polling.device_state import DeviceState
from collectors.snmp.polling.expected_ports import outlook
from collectors.snmp.polling.neighbour_monitor import NeighbourMonitor
from collectors.snmp.polling.neighbour_rows import NeighbourView, NoNeighbours
from collectors.snmp.polling.poll_rows import (
    ExpectedPorts,
    PortSample,
    assess,
    device_row,
)
from collectors.snmp.polling.port_table import PortTable
from collectors.snmp.session import oids
from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.engine_discovery import agent_answers
from collectors.snmp.session.poll_budget import PollBudget
from collectors.snmp.session.session import Failed, RetryPolicy, Session
from collectors.snmp.snmp_config import SnmpConfig
from collectors.snmp.tables.device_tags import DeviceTags
from probes.wire.clock import MonotonicClock, WallClock
from probes.wire.failure import Outcome

_log = structlog.get_logger()
# The device said nothing; others may have said that there is no way to it.
_SILENT = (Outcome.TIMEOUT, Outcome.UNREACHABLE, Outcome.NO_NETWORK)
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
    """Polls one device. Not to be called again before it has returned.

    `monotonic_s` counts seconds: no rate goes by the wall clock (`now_ms`).
    """

    def __init__(
        self,
        config: SnmpConfig,
        device: Device,
        lines: tuple[Line, ...],
        credential: Credential,
        session: Session,
        learnt: DeviceState,
        now_ms: WallClock,
        health: HealthPoll | None = None,
        around: NeighbourView | None = None,
        pinged: Pinged | None = None,
        monotonic_s: MonotonicClock = time.monotonic,
    ) -> None:
        self.device, self._lines = device, lines
        self._config, self._credential = config, credential
        self._session, self._learnt, self._now_ms = session, learnt, now_ms
        self._place = DeviceTags(device.id, device.site, device.role)
        self._condition, self._pinged = DeviceCondition(health), pinged
        self._around = around or NoNeighbours()
        self._retry_policy = RetryPolicy.with_backoff(config.timeout_s, config.tries)
        self._table = PortTable(config.period_s, now_ms, monotonic_s)
        self._hearing = NeighbourMonitor(
            config, learnt, self._around, now_ms, monotonic_s
        )
        self._outlook = ExpectedPorts()
        # Of the ports that the outlook was made for.
        self._ports = self._table.ports
        self._seen: dict[str, CounterSample] = {}
        # When the counters in `_seen` were read.
        self._seen_ms = float("-inf")
        self._moment: Moment | None = None
        self._outcome: Outcome | None = None
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
        return self._table.learnt

    def close(self) -> None:
        self._session.close()

    def speak(self, credential: Credential, session: Session) -> None:
        """Goes on with another credential, in a session that has it."""
        self._session.close()
        self._credential, self._session = credential, session
        self._table.forget()

    @property
    def engine_id(self) -> bytes:
        """Of version 3; empty where none is known."""
        return self._session.get_engine_id()

    def port_name(self, if_index: int) -> str | None:
        """The name of the port with that ifIndex, as last learnt."""
        return self._table.name_of(if_index)

    def adopt(self, device: Device, lines: tuple[Line, ...]) -> None:
        """Takes over what the estate now says of the same device."""
        self.device, self._lines = device, lines
        self._place = DeviceTags(device.id, device.site, device.role)
        self._look_out()

    async def poll(self, late_ms: float, on_retry: Callable[[], None]) -> Polled:
        """One poll. `on_retry` is called when the device first lets us wait."""
        started = time.monotonic()
        session, counts = self._session, self._session.counts
        packets, retries = counts.packets, counts.retries
        session.on_retry = on_retry
        # Who did not answer last time is asked once: it is not worth more.
        session.retry_policy = (
            RetryPolicy((self._config.timeout_s,)) if self.dead else self._retry_policy
        )
        budget = PollBudget(self._config.budget_s)
        snmp = DeviceSession(session, budget, self._learnt.limits)
        answered: list[PortSample] = []
        batches: list[Batch] = []
        echoes: Echoes | None = None
        outcome, detail = Outcome.OK, ""
        try:
            batches += await self._ask(snmp, answered)
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
            if self._table.ports is not self._ports:
                self._look_out()
            found = assess(self._place, reading, before, self._outlook, received_ms)
            batches = found.batches + batches
            fields = self._remember(reading, soon)
            fields |= {"ports_up": found.ports_up, "ports_down": found.ports_down}
            batches += await self._condition.read(snmp, self._place, reading.time_ms)
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
                packets=counts.packets - packets,
                retries=counts.retries - retries,
                late_ms=late_ms,
                **fields,
            ),
        )
        return Polled(
            batches, outcome, up, counts.packets - packets, counts.retries - retries
        )

    async def _anybody(self) -> tuple[bool, Echoes | None]:
        """Where SNMP is silent: whether an agent is there, and what ICMP says now."""
        speaks = agent_answers(
            str(self.device.address), self.device.port, self._config.timeout_s
        )
        if self._pinged is None:
            return await speaks, None
        return await asyncio.gather(speaks, self._pinged.ask())

    async def _ask(
        self, snmp: DeviceSession, answered: list[PortSample]
    ) -> list[Batch]:
        """Fills `answered`; the rows of who is heard, now and then. Raises `Failed`."""
        await self._table.read(snmp, answered, self._retry_policy)
        if not self._hearing.due:
            return []
        heard = await self._hearing.listen(
            snmp, self._place, self._table.ports, answered
        )
        self._look_out()
        return heard

    def _findings(self, time_ms: int) -> list[Batch]:
        engine = device_findings.of_engine(self.engine_id, self.engine_shared_with)
        values = device_findings.of_values(
            self._session.unreadable.by_oid, self.port_name
        )
        found = {
            **self._table.findings,
            **self._condition.findings,
            **engine,
            **values,
        }
        batch = device_findings.rows(self._place, time_ms, found, self._found)
        self._found = found
        return [] if batch is None else [batch]

    def _look_out(self) -> None:
        self._ports = self._table.ports
        self._outlook = outlook(
            self.device,
            self._lines,
            self._ports,
            self._learnt.neighbours,
            self._around.uplinks(self.device.id),
        )

    def _remember(
        self, reading: PortSample, soon: bool
    ) -> dict[str, float | int | None]:
        """Keeps this poll for the next; the fields of the device row it gives.

        `soon`: too soon after the last for rates, which then come over both intervals.
        """
        before, now = self._moment, reading.moment
        gone = elapsed(before, now) if before is not None else None
        self._moment = now
        if gone is not None and gone.restarted:
            self._seen.clear()
            soon = False
            self._condition.forget()
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


def _joined(readings: list[PortSample]) -> PortSample:
    """All requests of a poll as one; its time is that of the first answer."""
    first = readings[0]
    return PortSample(
        first.time_ms,
        first.moment,
        [watch for each in readings for watch in each.watches],
        [seen for each in readings for seen in each.seen],
    )
