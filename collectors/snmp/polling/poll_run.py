"""Polls one device once: picks the credential, returns the rows or the reason."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection

from collectors.batch import Batch
from collectors.failure_log import FailureLog
from collectors.snmp.polling.device_health import HealthReader
from collectors.snmp.polling.device_poll import DevicePoll, PollSettings
from collectors.snmp.polling.device_state import DeviceStates
from collectors.snmp.polling.poll_rows import device_row
from collectors.snmp.polling.poll_schedule import PollTarget
from collectors.snmp.polling.poll_stats import PollStats
from collectors.snmp.polling.reading_slots import ReadingSlots
from collectors.snmp.profiles import load
from collectors.snmp.session.credentials import Credential, CredentialError, Credentials
from collectors.snmp.session.session import RetryPolicy
from collectors.snmp.session.sessions import Sessions
from collectors.snmp.snmp_config import SnmpConfig
from collectors.snmp.tables.device_tags import DeviceTags
from collectors.topology import TopologyView
from probes.wire.clock import WallClock
from probes.wire.failure import Outcome


class PollRunner:
    """Runs the polls of all devices; `stats` counts how they end."""

    def __init__(
        self,
        config: SnmpConfig,
        credentials: Credentials,
        sessions: Sessions,
        states: DeviceStates,
        topology: TopologyView,
        stats: PollStats,
        now_ms: WallClock,
    ) -> None:
        self._config, self._credentials = config, credentials
        self._sessions, self._states = sessions, states
        self._topology, self._stats = topology, stats
        self._slots = ReadingSlots()
        self._settings = PollSettings(config, now_ms, topology, self._slots)
        self._engine_ids = EngineIds()
        self._failures = FailureLog("device_not_polled", level="warning")
        self._profiles = load(config.profiles)

    async def run(
        self,
        target: PollTarget,
        late_ms: float,
        on_retry: Callable[[], None],
        at_most_s: float,
    ) -> list[Batch]:
        """The rows of one poll, which takes `at_most_s`. `on_retry` is called if the
        device does not answer the first request in time."""
        self._slots.record_start(late_ms)
        device, credentials = target.device, target.credentials
        if not device.snmp:
            return [await self._ping_only(target)]
        if credentials.is_resting(time.monotonic()):
            rows = [self._not_polled(target, Outcome.AUTH_FAILED)]
            return rows + target.poll.refusal_rows() if target.poll else rows
        if target.poll is None or target.credential_name != credentials.name:
            try:
                credential = self._credentials.get(credentials.name)
            except CredentialError as error:
                self._failures.failed(str(error), device.id, device=device.id)
                return [self._not_polled(target, Outcome.NOT_CONFIGURED)]
            target.poll = self._open(target, credential)
            target.credential_name = credentials.name
        result = await target.poll.poll(late_ms, on_retry, at_most_s)
        if engine_id := target.poll.engine_id:
            target.poll.same_engine_id = self._engine_ids.others(device.id, engine_id)
        for batch in result.batches:
            self._topology.add(batch)
        self._stats.count(result.outcome, result.up, result.retries)
        self._stats.packets += result.packets
        credentials.record(result.outcome, result.up, time.monotonic())
        self._states.get(device.id).credential = credentials.last_good
        if not target.is_learnt and target.poll.is_learnt:
            target.is_learnt = True
            self._stats.learnt += 1
        return result.batches

    def close(self, target: PollTarget) -> None:
        """Closes the session of a target that is polled no more."""
        self._engine_ids.remove(target.device.id)
        self._failures.recovered(target.device.id)
        if target.poll is not None:
            with contextlib.suppress(Exception):
                target.poll.close()

    def _open(self, target: PollTarget, credential: Credential) -> DevicePoll:
        device, config = target.device, self._config
        session = self._sessions.open(
            str(device.address),
            device.port,
            credential,
            RetryPolicy.with_backoff(config.timeout_s, config.tries),
        )
        if target.poll is not None:
            target.poll.change_session(session)
            return target.poll
        return DevicePoll(
            self._settings,
            device,
            target.uses,
            session,
            self._states.get(device.id),
            HealthReader(self._profiles, self._slots),
            target.pinged,
            self._states.ports_file(device.id),
        )

    async def _ping_only(self, target: PollTarget) -> Batch:
        """The row of a device that is not polled by SNMP: only ICMP echoes."""
        echoes = None
        if target.pinged is not None:
            echoes = target.pinged.read_result()
            if echoes is None or not echoes.answered:
                # It is new, or it may be down: look again.
                echoes = await target.pinged.probe()
        if echoes is None:
            outcome = Outcome.NOT_PERMITTED
        else:
            outcome = Outcome.OK if echoes.answered else Outcome.TIMEOUT
        ok = outcome is Outcome.OK
        self._stats.count(outcome, ok)
        now_ms = self._settings.now_ms()
        return device_row(_tags(target), now_ms, now_ms, outcome, ok, echoes)

    def _not_polled(self, target: PollTarget, outcome: Outcome) -> Batch:
        """The row of a device that was sent no SNMP request this time."""
        self._stats.count(outcome, up=False)
        echoes = target.pinged.read_result() if target.pinged is not None else None
        now_ms = self._settings.now_ms()
        return device_row(_tags(target), now_ms, now_ms, outcome, False, echoes)


class EngineIds:
    """Which devices have which engine id (version 3): each should have its own."""

    def __init__(self) -> None:
        self._devices: dict[bytes, set[str]] = {}

    def others(self, device: str, engine_id: bytes) -> Collection[str]:
        """Records that `device` has `engine_id`; returns which others have it too."""
        devices = self._devices.setdefault(engine_id, set())
        if device not in devices:
            self.remove(device)
            devices.add(device)
        return devices - {device}

    def remove(self, device: str) -> None:
        for devices in self._devices.values():
            devices.discard(device)


def _tags(target: PollTarget) -> DeviceTags:
    return DeviceTags.of(target.device)
