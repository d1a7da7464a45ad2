"""One turn of one device: by which credential it is asked, or why not, and its rows."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

import structlog

from collectors.batch import Batch
from collectors.snmp.polling.device_health import HealthPoll
from collectors.snmp.polling.device_poll import DevicePoll
from collectors.snmp.polling.device_state import DeviceStates
from collectors.snmp.polling.engine_ids import EngineIds
from collectors.snmp.polling.poll_rows import device_row
from collectors.snmp.polling.poll_stats import PollStats
from collectors.snmp.polling.poll_target import PollTarget
from collectors.snmp.profiles import load
from collectors.snmp.session.credentials import Credential, CredentialError, Credentials
from collectors.snmp.session.session import RetryPolicy
from collectors.snmp.session.sessions import Sessions
from collectors.snmp.snmp_config import SnmpConfig
from collectors.snmp.tables.device_tags import DeviceTags
from collectors.topology import TopologyView
from probes.wire.clock import WallClock
from probes.wire.failure import Outcome

_log = structlog.get_logger()
# Devices that are asked for all they have (`HealthPoll`): many packets each, no hurry.
_LEARNING_AT_ONCE = 8


class PollRuns:
    """What the turns of all devices share; `stats` counts how they end."""

    def __init__(
        self,
        config: SnmpConfig,
        credentials: Credentials,
        sessions: Sessions,
        memory: DeviceStates,
        surroundings: TopologyView,
        stats: PollStats,
        now_ms: WallClock,
    ) -> None:
        self._config, self._credentials = config, credentials
        self._sessions, self._memory = sessions, memory
        self._surroundings, self._stats = surroundings, stats
        self._now_ms = now_ms
        self._engines = EngineIds()
        self._profiles = load(config.profiles)
        self._learning = asyncio.Semaphore(_LEARNING_AT_ONCE)

    async def take(
        self, job: PollTarget, late_ms: float, on_retry: Callable[[], None]
    ) -> list[Batch]:
        """The rows of one turn. `on_retry` is called when it first lets us wait."""
        device, choice = job.device, job.choice
        if not device.snmp:
            return [await self._pinged_only(job)]
        if choice.is_resting(time.monotonic()):
            return [self._unasked(job, Outcome.AUTH_FAILED)]
        if job.poll is None or job.speaks != choice.name:
            try:
                credential = self._credentials.get(choice.name)
            except CredentialError as error:
                if not job.told:
                    _log.warning(
                        "device_not_polled", device=device.id, detail=str(error)
                    )
                    job.told = True
                return [self._unasked(job, Outcome.NOT_CONFIGURED)]
            job.poll = self._open(job, credential)
            job.speaks = choice.name
        polled = await job.poll.poll(late_ms, on_retry)
        if engine := job.poll.engine_id:
            job.poll.engine_shared_with = self._engines.others(device.id, engine)
        for batch in polled.batches:
            self._surroundings.add(batch)
        self._stats.count(polled.outcome, polled.up, polled.retries)
        self._stats.packets += polled.packets
        choice.took(polled.outcome, polled.up, time.monotonic())
        self._memory.of(device.id).credential = choice.good
        if not job.learnt and job.poll.learnt:
            job.learnt = True
            self._stats.learnt += 1
        return polled.batches

    def end(self, job: PollTarget) -> None:
        """No more turns for it."""
        self._engines.forget(job.device.id)
        if job.poll is not None:
            with contextlib.suppress(Exception):
                job.poll.close()

    def _open(self, job: PollTarget, credential: Credential) -> DevicePoll:
        device, config = job.device, self._config
        session = self._sessions.open(
            str(device.address),
            device.port,
            credential,
            RetryPolicy.with_backoff(config.timeout_s, config.tries),
        )
        if job.poll is not None:
            job.poll.speak(credential, session)
            return job.poll
        return DevicePoll(
            config,
            device,
            job.lines,
            credential,
            session,
            self._memory.of(device.id),
            self._now_ms,
            HealthPoll(self._profiles, self._learning),
            self._surroundings,
            job.pinged,
        )

    async def _pinged_only(self, job: PollTarget) -> Batch:
        """The row of a device that has no SNMP for us: an echo is all there is."""
        echoes = None
        if job.pinged is not None:
            echoes = job.pinged.take()
            if echoes is None or not echoes.answered:
                # It has just been added, or it is worth another look.
                echoes = await job.pinged.ask()
        if echoes is None:
            outcome = Outcome.NOT_PERMITTED
        else:
            outcome = Outcome.OK if echoes.answered else Outcome.TIMEOUT
        ok = outcome is Outcome.OK
        self._stats.count(outcome, ok)
        now_ms = self._now_ms()
        return device_row(_place(job), now_ms, now_ms, outcome, ok, echoes)

    def _unasked(self, job: PollTarget, outcome: Outcome) -> Batch:
        """The row of a device that SNMP did not ask this time."""
        self._stats.count(outcome, up=False)
        echoes = job.pinged.take() if job.pinged is not None else None
        now_ms = self._now_ms()
        return device_row(_place(job), now_ms, now_ms, outcome, False, echoes)


def _place(job: PollTarget) -> DeviceTags:
    return DeviceTags(job.device.id, job.device.site, job.device.role)
