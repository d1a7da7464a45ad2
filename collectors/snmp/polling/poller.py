"""When each device is polled: `Poller`, the running part of this room.

Every device has its own phase within the period, from its id and so the same after a
restart: never all at second zero. A device is never polled twice at once: a poll that
is due while the last one runs is skipped and counted, not queued. Waiting for a silent
device takes no place from others.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog

from collectors.estate.estate_model import Device, Estate, Line
from collectors.file_limit import raise_file_limit
from collectors.journal import Append
from collectors.ping import Pinger
from collectors.snmp.polling.credential_choice import Choice, names_of
from collectors.snmp.polling.device_state import DeviceStates
from collectors.snmp.polling.poll_pacing import next_s, phase_s, spread_s
from collectors.snmp.polling.poll_run import PollRuns
from collectors.snmp.polling.poll_stats import OwnReport, PollStats, without_answered
from collectors.snmp.polling.poll_target import PollTarget, Slot
from collectors.snmp.polling.row_buffer import Gather
from collectors.snmp.session.credentials import Credentials
from collectors.snmp.session.sessions import Sessions
from collectors.snmp.snmp_config import SnmpConfig
from collectors.topology import TopologyView
from probes.wire.clock import WallClock, wall_ms

_log = structlog.get_logger()
_SAVE_S = 300.0


class Poller:
    """Polls the devices of the estate; rows go to `append`.

    `process` names it in its own samples, one every `report_s`.
    """

    def __init__(
        self,
        config: SnmpConfig,
        estate: Callable[[], Estate],
        credentials: Credentials,
        append: Append,
        process: str = "poll",
        now_ms: WallClock = wall_ms,
        report_s: float = 60.0,
        pinger: Pinger | None = None,
    ) -> None:
        self._config, self._estate = config, estate
        self._credentials, self._now_ms = credentials, now_ms
        self._report_s = report_s
        self.stats = PollStats()
        self._own = OwnReport(process, config.period_s)
        self._sessions = Sessions()
        self._pinger = pinger or Pinger(config.ping_s)
        self._memory = DeviceStates(config.state_file)
        self._surroundings = TopologyView(estate, now_ms=now_ms, in_thread=True)
        self._turns = PollRuns(
            config,
            credentials,
            self._sessions,
            self._memory,
            self._surroundings,
            self.stats,
            now_ms,
        )
        self._jobs: dict[str, PollTarget] = {}
        self._due: list[tuple[float, str, PollTarget]] = []
        self._slots = asyncio.Semaphore(config.at_once)
        self._known: Estate | None = None
        self._rows_out = Gather(append)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        raise_file_limit()
        await self._sessions.__aenter__()
        await self._rows_out.__aenter__()
        await self._pinger.__aenter__()
        self._task = asyncio.create_task(self._run(), name="poller")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._task is not None
        tasks = [self._task, *(j.task for j in self._jobs.values() if j.task)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for job in self._jobs.values():
            self._drop(job)
        self._jobs.clear()
        self._memory.save()
        await self._pinger.__aexit__(kind, error, trace)
        await self._rows_out.__aexit__(kind, error, trace)
        await self._surroundings.__aexit__(kind, error, trace)
        await self._sessions.__aexit__(kind, error, trace)

    @property
    def not_stored(self) -> int:
        """Batches that the journal did not take, since start."""
        return self._rows_out.lost

    def poll_soon(self, device: str) -> bool:
        """Polls a device out of turn (a trap spoke of it); False if it is unknown."""
        job = self._jobs.get(device)
        if job is None:
            return False
        if job.busy:
            job.again = True
        else:
            self._begin(job, time.monotonic())
        return True

    def port_name(self, device: str, if_index: int) -> str | None:
        """The port of that ifIndex, as far as the device has been polled."""
        job = self._jobs.get(device)
        if job is None or job.poll is None:
            return None
        return job.poll.port_name(if_index)

    async def _run(self) -> None:
        # Phases are of the wall clock, waiting is not: a clock step moves no poll.
        offset_s = time.time() - time.monotonic()
        report_s = time.monotonic() + self._report_s
        save_s = time.monotonic() + _SAVE_S
        while True:
            self._follow_estate(offset_s)
            now_s = time.monotonic()
            self._begin_due(now_s)
            if now_s >= report_s:
                report_s += self._report_s
                await self._report()
            if now_s >= save_s:
                save_s += _SAVE_S
                await asyncio.to_thread(self._memory.save)
            due_s = self._due[0][0] if self._due else now_s + 1.0
            # At most a second: the estate may have changed.
            await asyncio.sleep(min(max(due_s - time.monotonic(), 0.0), 1.0))

    def _begin_due(self, now_s: float) -> None:
        period_s = self._config.period_s
        while self._due and self._due[0][0] <= now_s:
            due_s, device, job = heapq.heappop(self._due)
            if job.gone:
                continue
            self._begin(job, due_s)
            again_s = next_s(due_s, job.phase_s, period_s)
            if again_s < now_s:
                # We ourselves were away (suspended, starved): do not catch up.
                missed = int((now_s - again_s) // period_s) + 1
                self.stats.expected += missed
                self.stats.skipped += missed
                again_s += missed * period_s
            heapq.heappush(self._due, (again_s, device, job))

    def _follow_estate(self, offset_s: float) -> None:
        estate = self._estate()
        if estate is self._known:
            return
        self._known = estate
        wanted = {device.id: device for device in estate.devices if device.poll}
        for id, job in list(self._jobs.items()):
            device = wanted.get(id)
            if device is None:
                self._memory.forget(id)
            if device is None or job.moved(device):
                job.gone = True
                del self._jobs[id]
                if job.task is not None:
                    job.task.cancel()
                self._drop(job)
        lines_of: dict[str, tuple[Line, ...]] = {}
        for line in estate.lines:
            lines_of[line.device] = (*lines_of.get(line.device, ()), line)
        fresh = len(wanted.keys() - self._jobs.keys())
        first_s = spread_s(fresh, self._config.period_s)
        for id, device in wanted.items():
            lines = lines_of.get(id, ())
            known = self._jobs.get(id)
            if known is not None:
                known.adopt(device, lines)
                continue
            pinged = self._pinger.watch(str(device.address))
            job = self._jobs[id] = PollTarget(
                device, lines, self._choice(device), pinged
            )
            self._schedule(job, offset_s, first_s)
        self.stats.devices = len(self._jobs)

    def _choice(self, device: Device) -> Choice:
        names = names_of(
            device.credentials, device.address, self._config.credentials_by_subnet
        )
        held = [name for name in names if name in self._credentials]
        return Choice(held or names, self._memory.of(device.id).credential)

    def _schedule(self, job: PollTarget, offset_s: float, spread_s: float) -> None:
        period_s, now_s = self._config.period_s, time.monotonic()
        at_s = phase_s(job.device.id, period_s)
        job.phase_s = now_s - (now_s + offset_s - at_s) % period_s
        # The first poll does not wait for its phase: whoever starts Towpath, or adds
        # a device, looks at the screen.
        first_s = now_s + at_s / period_s * spread_s
        heapq.heappush(self._due, (first_s, job.device.id, job))

    def _begin(self, job: PollTarget, due_s: float) -> None:
        self.stats.expected += 1
        if job.busy:
            self.stats.skipped += 1
            return
        job.again = False
        job.task = asyncio.create_task(
            self._poll(job, due_s), name=f"poll {job.device.id}"
        )
        job.task.add_done_callback(lambda _: self._ended(job))

    def _ended(self, job: PollTarget) -> None:
        if job.again and not job.gone:
            self._begin(job, time.monotonic())

    async def _poll(self, job: PollTarget, due_s: float) -> None:
        place = Slot(self._slots)
        try:
            if job.poll is None or not job.poll.dead:
                await place.take()
            late_ms = max(0.0, (time.monotonic() - due_s) * 1000)
            self._own.began(late_ms)
            self.stats.running += 1
            try:
                batches = await self._turns.take(job, late_ms, place.give_back)
            finally:
                self.stats.running -= 1
                place.give_back()
            changed = not job.gone and self._own.polled(job.device.id, batches)
            if self._own.is_cut_off:
                batches = without_answered(batches)
            await self._rows_out.put(batches)
            if changed:
                await self._report()
        except Exception:  # noqa: BLE001 - one device never ends the poller
            self.stats.failed += 1
            _log.exception("poll_failed", device=job.device.id)

    @property
    def is_cut_off(self) -> bool:
        """True while none of at least three devices answers: the network of this
        machine is lost rather than all of them."""
        return self._own.is_cut_off

    async def _report(self) -> None:
        await self._rows_out.put([self._own.make(self.stats, self._now_ms())])

    def _drop(self, job: PollTarget) -> None:
        self._own.forget(job.device.id)
        self._turns.end(job)
        if job.pinged is not None:
            self._pinger.drop(job.pinged)
