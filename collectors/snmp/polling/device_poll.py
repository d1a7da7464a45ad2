"""One device over its polls: its ports, its neighbours, its health, its last counters.

Nothing here raises for what a device does. A poll always ends in rows; if it failed,
the device's row gives the reason.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection
from pathlib import Path

import msgspec
import structlog

from collectors.batch import Batch
from collectors.estate.estate_model import Device
from collectors.ping import EchoResult, PingTarget
from collectors.snmp.polling import device_findings
from collectors.snmp.polling.counter_rates import CounterSample, Moment, elapsed
from collectors.snmp.polling.device_health import HealthReader
from collectors.snmp.polling.device_state import DeviceState
from collectors.snmp.polling.expected_ports import (
    ExpectedPorts,
    PortUses,
    expected_ports,
)
from collectors.snmp.polling.neighbour_monitor import (
    EmptyTopology,
    NeighbourMonitor,
    NeighbourTopology,
)
from collectors.snmp.polling.poll_rows import (
    PollAnswer,
    device_row,
    join_answers,
    port_rows,
)
from collectors.snmp.polling.port_table import PortTable
from collectors.snmp.polling.reading_slots import ReadingSlots
from collectors.snmp.polling.riding_values import RidingValues
from collectors.snmp.polling.silent_device import look_for_agent, reading_time_s
from collectors.snmp.session import oids
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.poll_budget import PollBudget
from collectors.snmp.session.session import Failed, RetryPolicy, Session
from collectors.snmp.snmp_config import SnmpConfig
from collectors.snmp.tables.device_tags import DeviceTags
from probes.wire.clock import MonotonicClock, WallClock
from probes.wire.failure import Outcome

_log = structlog.get_logger()
# Part of a period. Agents answer from a cache of some seconds. What they count in that
# time would be a spike over a shorter interval, as between two polls after our start.
_SHORTEST_INTERVAL = 0.5
# Part of a poll's time for ports and neighbours, so that a slow device has some left
# for its sensors; and part of that for ports if neighbours are due.
_PORTS_SHARE, _BESIDE_NEIGHBOURS_SHARE = 0.75, 0.6


class PollSettings(msgspec.Struct, frozen=True):
    """What the polls of all devices share.

    `monotonic_s` counts seconds; no rate uses the wall clock (`now_ms`).
    """

    config: SnmpConfig
    now_ms: WallClock
    topology: NeighbourTopology = EmptyTopology()
    slots: ReadingSlots | None = None
    monotonic_s: MonotonicClock = time.monotonic


class PollResult(msgspec.Struct, frozen=True):
    """How one poll ended."""

    batches: list[Batch]
    outcome: Outcome
    up: bool
    packets: int
    retries: int


class DevicePoll:
    """Polls one device. Do not call `poll` again before it has returned."""

    def __init__(
        self,
        settings: PollSettings,
        device: Device,
        uses: PortUses,
        session: Session,
        state: DeviceState,
        health: HealthReader | None = None,
        pinged: PingTarget | None = None,
        ports_file: Path | None = None,
    ) -> None:
        config = settings.config
        self._config, self._now_ms = config, settings.now_ms
        self._monotonic_s = settings.monotonic_s
        self._topology = settings.topology
        self._device, self._uses = device, uses
        self._tags = DeviceTags.of(device)
        self._session, self._state = session, state
        session.answer_time = state.answer_time
        self._health, self._pinged = health, pinged
        if health is not None:
            health.port_name = self.port_name
        self._retry_policy = RetryPolicy.with_backoff(config.timeout_s, config.tries)
        self._ports = PortTable(
            config.period_s, self._now_ms, self._monotonic_s, settings.slots, ports_file
        )
        self._neighbours = NeighbourMonitor(
            config, state, settings.topology, settings.now_ms, settings.monotonic_s
        )
        self._expected = ExpectedPorts()
        # What the engineers call the ports, by port key, for those that have it.
        self.descriptions: dict[str, str] = {}
        # The ports that these two were made for.
        self._expected_of = self._ports.ports
        # The last samples by port key, and when they were read.
        self._samples: dict[str, CounterSample] = {}
        self._samples_ms = float("-inf")
        # When it last answered, however long ago: what tells that it restarted since.
        self._moment: Moment | None = None
        # It did not answer the last poll.
        self.is_silent = False
        # How long the last poll was allowed to read.
        self._reading_s = config.budget_s
        self._outcome: Outcome | None = None
        # Findings of the last poll.
        self._findings: dict[str, str] = {}
        # Why the device refused the credential last time.
        self._refusal = ""
        # Other devices with the same engine id, as far as the poller knows.
        self.same_engine_id: Collection[str] = ()

    @property
    def is_learnt(self) -> bool:
        """True if the tables were read, so that it is known what to request."""
        return self._ports.is_learnt

    @property
    def engine_id(self) -> bytes:
        """The agent's engine id (version 3); empty if it is not known."""
        return self._session.get_engine_id()

    def read_health_again(self) -> None:
        """Reads all sensors at the next poll, because the device reported a change."""
        if self._health is not None:
            self._health.read_again()

    def port_name(self, if_index: int) -> str | None:
        """The name of the port with that ifIndex, as last read."""
        return self._ports.name_of(if_index)

    def close(self) -> None:
        self._session.close()

    def change_session(self, session: Session) -> None:
        """Continues in another session, which has another credential."""
        self._session.close()
        self._session = session
        session.answer_time = self._state.answer_time
        self._ports.forget()

    def update(self, device: Device, uses: PortUses) -> None:
        """Applies what the estate now has for the same device."""
        self._device, self._uses = device, uses
        self._tags = DeviceTags.of(device)
        self._update_expected()

    async def poll(
        self,
        late_ms: float,
        on_retry: Callable[[], None],
        at_most_s: float = math.inf,
    ) -> PollResult:
        """One poll, which ends within `at_most_s`. `on_retry` is called if the device
        does not answer in time."""
        started = time.monotonic()
        session, counts = self._session, self._session.counts
        packets, retries = counts.packets, counts.retries
        session.on_retry = on_retry
        # A device that was silent last time is sent one request: more is not worth it.
        # Its answer may take as long as those to all the tries of a poll.
        session.retry_policy = (
            self._retry_policy.as_one_try(self._config.period_s / 2)
            if self.is_silent
            else self._retry_policy
        )
        if self._is_slow:
            # Such a poll waits most of the time.
            on_retry()
        whole = PollBudget(at_most_s, monotonic_s=self._monotonic_s)
        self._reading_s = reading_time_s(self._config, at_most_s)
        budget = PollBudget(self._reading_s, monotonic_s=self._monotonic_s)
        snmp = DeviceSession(session, budget, self._state.limits)
        answers: list[PollAnswer] = []
        batches: list[Batch] = []
        echoes: EchoResult | None = None
        outcome, reason = Outcome.OK, ""
        try:
            batches += await self._read(snmp, answers)
        except Failed as failed:
            if not answers:
                on_retry()
                failed, echoes = await look_for_agent(
                    failed,
                    self._device,
                    session.credential,
                    self._pinged,
                    self._config.timeout_s,
                    whole.left_s,
                )
            outcome, reason = failed.outcome, failed.detail
        except Exception as error:  # noqa: BLE001 - one device never ends the poller
            _log.exception("poll_failed", device=self._device.id, error=repr(error))
            outcome, reason = Outcome.BAD_ANSWER, repr(error)
        if echoes is None and self._pinged is not None:
            echoes = self._pinged.read_result()
        received_ms = self._now_ms()
        fields: dict[str, float | int | None] = {}
        time_ms = received_ms
        self.is_silent = not answers
        if answers:
            answer = join_answers(answers)
            time_ms = answer.time_ms
            rows, fields = self._port_rows(answer, received_ms)
            batches = rows + batches
            if self._health is not None:
                batches += await self._health.poll(snmp, self._tags, time_ms)
            batches += self._finding_rows(time_ms)
        elif outcome is Outcome.AUTH_FAILED:
            self._refusal = reason
            batches += self.refusal_rows()
        self._log_change(outcome, reason)
        packets, retries = counts.packets - packets, counts.retries - retries
        row = device_row(
            self._tags,
            time_ms,
            received_ms,
            outcome,
            bool(answers),
            echoes,
            duration_ms=(time.monotonic() - started) * 1000,
            packets=packets,
            retries=retries,
            late_ms=late_ms,
            **fields,
        )
        return PollResult([row, *batches], outcome, bool(answers), packets, retries)

    async def _read(
        self, snmp: DeviceSession, answers: list[PollAnswer]
    ) -> list[Batch]:
        """Fills `answers`; returns the rows of neighbours, if they are due.

        Raises `Failed`.
        """
        if self._health is not None and self._health.is_due:
            snmp = snmp.with_share(_PORTS_SHARE)
        is_due = self._neighbours.is_due and self._ports.is_learnt
        share = _BESIDE_NEIGHBOURS_SHARE if is_due else 1.0
        within = snmp.with_share(share)
        riding = RidingValues() if self._health is None else self._health.start_riding()
        try:
            await self._ports.read(within, answers, self._retry_policy, riding)
        finally:
            if self._health is not None:
                self._health.end_riding(riding)
        if not self._neighbours.is_due or not self._ports.is_learnt:
            return []
        rows = await self._neighbours.read(snmp, self._tags, self._ports.ports, answers)
        self._update_expected()
        return rows

    @property
    def _is_slow(self) -> bool:
        return self._state.answer_time.is_longer_than(self._config.timeout_s)

    def _port_rows(
        self, answer: PollAnswer, received_ms: int
    ) -> tuple[list[Batch], dict[str, float | int | None]]:
        """The rows of ports and lines, and fields of the device's row.

        Too soon after the last poll there are no rates. They come with the next poll,
        over both intervals.
        """
        shortest_ms = _SHORTEST_INTERVAL * self._config.period_s * 1000
        too_soon = answer.moment.own_ms - self._samples_ms < shortest_ms
        before = {} if too_soon else self._samples
        if self._ports.ports is not self._expected_of:
            self._update_expected()
        rows = port_rows(
            self._tags,
            answer,
            before,
            self._expected,
            received_ms,
            self.descriptions,
        )
        restarted = self._keep(answer, too_soon)
        ticks = answer.moment.ticks
        # Ports that were not reached are neither up nor down.
        all_reached = self._ports.all_reached
        return rows.batches, {
            "uptime_s": None if ticks is None else ticks / oids.TICKS_PER_S,
            # Without sysUpTime it is not known.
            "restarted": None if ticks is None else int(restarted),
            "own_clock": int(ticks is None),
            "ports_up": rows.ports_up if all_reached else None,
            "ports_down": rows.ports_down if all_reached else None,
        }

    def _keep(self, answer: PollAnswer, too_soon: bool) -> bool:
        """Keeps the samples for the next poll; True if the device restarted."""
        before, now = self._moment, answer.moment
        restarted = before is not None and elapsed(before, now).restarted
        self._moment = now
        if restarted:
            self._samples.clear()
            self._neighbours.forget()
            if self._health is not None:
                self._health.forget()
        if restarted or not too_soon:
            self._samples_ms = now.own_ms
            for plan, sample in zip(answer.plans, answer.samples, strict=True):
                self._samples[plan.port.key] = sample
        return restarted

    def refusal_rows(self) -> list[Batch]:
        """The finding of a device that refuses its credential, while it does."""
        findings = device_findings.of_refusal(self._refusal)
        self._findings |= findings
        batch = device_findings.rows(self._tags, self._now_ms(), findings)
        return [] if batch is None else [batch]

    def _finding_rows(self, time_ms: int) -> list[Batch]:
        self._refusal = ""
        unreadable = self._session.unreadable.by_oid
        findings = {
            **self._ports.findings,
            **({} if self._health is None else self._health.findings),
            **device_findings.of_engine_id(self.engine_id, self.same_engine_id),
            **device_findings.of_unreadable(unreadable, self.port_name),
            **self._slow_findings(),
        }
        batch = device_findings.rows(self._tags, time_ms, findings, self._findings)
        self._findings = findings
        return [] if batch is None else [batch]

    def _slow_findings(self) -> dict[str, str]:
        """What this poll did not reach, because each answer takes long."""
        health, ports = self._health, self._ports
        expected_s = self._state.answer_time.expected_s
        unread = device_findings.unread_tables(
            ports.unread,
            self._neighbours.is_unfinished,
            health is not None and health.is_unfinished,
        )
        return {
            **device_findings.of_unread_tables(unread, expected_s),
            **device_findings.of_ports_in_turn(
                ports.reached, len(ports.ports), expected_s, self._reading_s
            ),
        }

    def _update_expected(self) -> None:
        self._expected_of = self._ports.ports
        self._expected = expected_ports(
            self._device,
            self._uses,
            self._expected_of,
            self._state.neighbours,
            self._topology.uplinks(self._device.id),
            self._ports.unread is None,
        )
        if self._config.port_descriptions:
            self.descriptions = {
                port.key: port.description
                for port in self._expected_of
                if port.description
            }

    def _log_change(self, outcome: Outcome, reason: str) -> None:
        """Logs the outcome once, when it changes."""
        if outcome is self._outcome:
            return
        if outcome is not Outcome.OK:
            _log.warning(
                "device_not_polled",
                device=self._device.id,
                outcome=outcome.value,
                error=reason,
            )
        elif self._outcome is not None:
            _log.info("device_polled_again", device=self._device.id)
        self._outcome = outcome
