"""When each device is polled: `Poller`, the running part of this room.

Every device has its own phase within the period, from its id and so the same after a
restart: never all at second zero. A device is never polled twice at once: a poll that
is due while the last one runs is skipped and counted, not queued. Waiting for a silent
device takes no place from others.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import math
import time
import zlib
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import msgspec
import structlog

from collectors.batch import Batch, Schema
from collectors.estate.model import Device, Estate, Line
from collectors.journal import Append
from collectors.ping import Pinged, Pinger
from collectors.snmp.choice import Choice, names_of
from collectors.snmp.config import SnmpConfig
from collectors.snmp.credentials import Credential, CredentialError, Credentials
from collectors.snmp.device import DevicePoll
from collectors.snmp.gather import Gather
from collectors.snmp.health import Health
from collectors.snmp.limits import raise_file_limit
from collectors.snmp.memory import Memory
from collectors.snmp.poll import Place, device_row
from collectors.snmp.profiles import load
from collectors.snmp.session import Patience
from collectors.snmp.sessions import Sessions
from collectors.topology import Surroundings
from probes.failure import Outcome

_log = structlog.get_logger()
_SELF = Schema(
    "self_poll",
    ("process",),
    ("expected", "done", "failed", "skipped", "late_p99_ms", "retries"),
)
_SAVE_S = 300.0
# All first polls are within this, spread by phase; in a large estate longer, so that no
# more than these a second have their tables read.
_FIRST_S = 10.0
_FIRST_A_S = 30.0
# Devices that are asked for all they have (`Health`): many packets each, no hurry.
_LEARNING_AT_ONCE = 8
# Of a period: a poll sooner after another would give no rates (`device`).
_LEAST_GAP = 0.5


def phase_s(device: str, period_s: float) -> float:
    """Where in the period a device is polled; spread evenly, stable for ever. Pure."""
    return zlib.crc32(device.encode()) / 2**32 * period_s


class PollStats(msgspec.Struct):
    """Counters since start."""

    expected: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0
    retries: int = 0
    packets: int = 0
    devices: int = 0
    # Devices whose tables have been read.
    learnt: int = 0
    running: int = 0
    by_outcome: dict[str, int] = {}


class _Job:
    """One device in the schedule."""

    def __init__(self, device: Device, lines: tuple[Line, ...], choice: Choice) -> None:
        self.device, self.lines, self.choice = device, lines, choice
        # The credential that `poll` speaks with.
        self.speaks = ""
        self.poll: DevicePoll | None = None
        self.pinged: Pinged | None = None
        self.task: asyncio.Task[None] | None = None
        self.gone = False
        # That it has no credential is said once.
        self.told = False
        # Asked for while one was running: what that one read may be too old.
        self.again = False
        self.learnt = False
        # Some moment of its phase, on the monotonic clock.
        self.phase_s = 0.0

    def next_s(self, due_s: float, period_s: float) -> float:
        """The next moment of its phase that is not just after `due_s`."""
        periods = (due_s - self.phase_s) / period_s
        return self.phase_s + math.ceil(periods + _LEAST_GAP) * period_s


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
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        report_s: float = 60.0,
        pinger: Pinger | None = None,
    ) -> None:
        self._config, self._estate = config, estate
        self._credentials = credentials
        self._process, self._now_ms = process, now_ms
        self._report_s = report_s
        self.stats = PollStats()
        self._sessions = Sessions()
        self._pinger = pinger or Pinger(config.ping_s)
        self._memory = Memory(config.state_file)
        self._jobs: dict[str, _Job] = {}
        # Engine ids of version 3, and the devices that have them.
        self._engines: dict[bytes, set[str]] = {}
        self._due: list[tuple[float, str, _Job]] = []
        self._slots = asyncio.Semaphore(config.at_once)
        self._profiles = load(config.profiles)
        self._learning = asyncio.Semaphore(_LEARNING_AT_ONCE)
        self._surroundings = Surroundings(estate, now_ms=now_ms, aside=True)
        self._known: Estate | None = None
        self._lateness_ms: list[float] = []
        self._reported = PollStats()
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
        if job.task is not None and not job.task.done():
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
            while self._due and self._due[0][0] <= now_s:
                due_s, device, job = heapq.heappop(self._due)
                if job.gone:
                    continue
                self._begin(job, due_s)
                next_s = job.next_s(due_s, self._config.period_s)
                if next_s < now_s:
                    # We ourselves were away (suspended, starved): do not catch up.
                    missed = int((now_s - next_s) // self._config.period_s) + 1
                    self.stats.expected += missed
                    self.stats.skipped += missed
                    next_s += missed * self._config.period_s
                heapq.heappush(self._due, (next_s, device, job))
            if now_s >= report_s:
                report_s += self._report_s
                await self._report()
            if now_s >= save_s:
                save_s += _SAVE_S
                await asyncio.to_thread(self._memory.save)
            next_s = self._due[0][0] if self._due else now_s + 1.0
            # At most a second: the estate may have changed.
            await asyncio.sleep(min(max(next_s - time.monotonic(), 0.0), 1.0))

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
            if device is None or _moved(device, job.device):
                job.gone = True
                del self._jobs[id]
                if job.task is not None:
                    job.task.cancel()
                self._drop(job)
        lines_of: dict[str, tuple[Line, ...]] = {}
        for line in estate.lines:
            lines_of[line.device] = (*lines_of.get(line.device, ()), line)
        fresh = len(wanted.keys() - self._jobs.keys())
        spread_s = max(min(_FIRST_S, self._config.period_s), fresh / _FIRST_A_S)
        for id, device in wanted.items():
            lines = lines_of.get(id, ())
            known = self._jobs.get(id)
            if known is not None:
                known.device, known.lines = device, lines
                if known.poll is not None:
                    known.poll.adopt(device, lines)
                continue
            names = names_of(
                device.credentials, device.address, self._config.credentials_by_subnet
            )
            held = [name for name in names if name in self._credentials]
            choice = Choice(held or names, self._memory.of(id).credential)
            job = self._jobs[id] = _Job(device, lines, choice)
            job.pinged = self._pinger.watch(str(device.address))
            self._schedule(job, offset_s, spread_s)
        self.stats.devices = len(self._jobs)

    def _schedule(self, job: _Job, offset_s: float, spread_s: float) -> None:
        period_s, now_s = self._config.period_s, time.monotonic()
        at_s = phase_s(job.device.id, period_s)
        job.phase_s = now_s - (now_s + offset_s - at_s) % period_s
        # The first poll does not wait for its phase: whoever starts Towpath, or adds
        # a device, looks at the screen.
        first_s = now_s + at_s / period_s * spread_s
        heapq.heappush(self._due, (first_s, job.device.id, job))

    def _begin(self, job: _Job, due_s: float) -> None:
        self.stats.expected += 1
        if job.task is not None and not job.task.done():
            self.stats.skipped += 1
            return
        job.again = False
        job.task = asyncio.create_task(
            self._poll(job, due_s), name=f"poll {job.device.id}"
        )
        job.task.add_done_callback(lambda _: self._ended(job))

    def _ended(self, job: _Job) -> None:
        if job.again and not job.gone:
            self._begin(job, time.monotonic())

    async def _poll(self, job: _Job, due_s: float) -> None:
        place = _Slot(self._slots)
        try:
            if job.poll is None or not job.poll.dead:
                await place.take()
            late_ms = max(0.0, (time.monotonic() - due_s) * 1000)
            self._lateness_ms.append(late_ms)
            self.stats.running += 1
            try:
                batches = await self._rows(job, late_ms, place)
            finally:
                self.stats.running -= 1
                place.give_back()
            await self._rows_out.put(batches)
        except Exception:  # noqa: BLE001 - one device never ends the poller
            self.stats.failed += 1
            _log.exception("poll_failed", device=job.device.id)

    async def _rows(self, job: _Job, late_ms: float, place: _Slot) -> list[Batch]:
        device, choice, now_ms = job.device, job.choice, self._now_ms()
        if not device.snmp:
            return [await self._pinged_only(job)]
        if choice.is_resting(time.monotonic()):
            return [self._unasked(job, Outcome.AUTH_FAILED, now_ms)]
        if job.poll is None or job.speaks != choice.name:
            try:
                credential = self._credentials.get(choice.name)
            except CredentialError as error:
                if not job.told:
                    _log.warning(
                        "device_not_polled", device=device.id, detail=str(error)
                    )
                    job.told = True
                return [self._unasked(job, Outcome.NOT_CONFIGURED, now_ms)]
            self._open(job, credential)
            job.speaks = choice.name
        assert job.poll is not None
        polled = await job.poll.poll(late_ms, place.give_back)
        self._compare_engines(job.poll)
        for batch in polled.batches:
            self._surroundings.take(batch)
        self._count(polled.outcome, polled.up, polled.retries)
        self.stats.packets += polled.packets
        choice.took(polled.outcome, polled.up, time.monotonic())
        self._memory.of(device.id).credential = choice.good
        if not job.learnt and job.poll.learnt:
            job.learnt = True
            self.stats.learnt += 1
        return polled.batches

    def _compare_engines(self, poll: DevicePoll) -> None:
        """Tells a device which others have its engine id."""
        device, engine = poll.device.id, poll.engine_id
        if not engine:
            return
        having = self._engines.setdefault(engine, set())
        if device not in having:
            self._forget_engine(device)
            having.add(device)
        poll.engine_shared_with = having - {device}

    def _forget_engine(self, device: str) -> None:
        for having in self._engines.values():
            having.discard(device)

    def _open(self, job: _Job, credential: Credential) -> None:
        device, config = job.device, self._config
        session = self._sessions.open(
            str(device.address),
            device.port,
            credential,
            Patience.of(config.timeout_s, config.tries),
        )
        if job.poll is not None:
            job.poll.speak(credential, session)
            return
        job.poll = DevicePoll(
            config,
            device,
            job.lines,
            credential,
            session,
            self._memory.of(device.id),
            self._now_ms,
            Health(self._profiles, self._learning),
            self._surroundings,
            job.pinged,
        )

    async def _pinged_only(self, job: _Job) -> Batch:
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
        self._count(outcome, outcome is Outcome.OK, 0)
        device, now_ms = job.device, self._now_ms()
        place = Place(device.id, device.site, device.role)
        ok = outcome is Outcome.OK
        return device_row(place, now_ms, now_ms, outcome, ok, echoes)

    def _unasked(self, job: _Job, outcome: Outcome, now_ms: int) -> Batch:
        """The row of a device that SNMP did not ask this time."""
        self._count(outcome, up=False, retries=0)
        echoes = job.pinged.take() if job.pinged is not None else None
        device = job.device
        place = Place(device.id, device.site, device.role)
        return device_row(place, now_ms, now_ms, outcome, False, echoes)

    def _count(self, outcome: Outcome, up: bool, retries: int) -> None:
        stats = self.stats
        stats.done += 1
        stats.failed += not up
        stats.retries += retries
        stats.by_outcome[outcome.value] = stats.by_outcome.get(outcome.value, 0) + 1

    async def _report(self) -> None:
        now, last = self.stats, self._reported
        lateness = sorted(self._lateness_ms)
        self._lateness_ms.clear()
        # Nearest rank, as everywhere.
        p99 = lateness[-(-99 * len(lateness) // 100) - 1] if lateness else None
        values = (
            now.expected - last.expected,
            now.done - last.done,
            now.failed - last.failed,
            now.skipped - last.skipped,
            p99,
            now.retries - last.retries,
        )
        self._reported = msgspec.structs.replace(now)
        now_ms = self._now_ms()
        columns: tuple[list[Any], ...] = (
            [now_ms],
            [self._process],
            *([value] for value in values),
        )
        await self._rows_out.put(
            [Batch(f"self/{self._process}", now_ms, _SELF, columns)]
        )

    def _drop(self, job: _Job) -> None:
        self._forget_engine(job.device.id)
        if job.pinged is not None:
            self._pinger.drop(job.pinged)
        if job.poll is not None:
            with contextlib.suppress(Exception):
                job.poll.close()


class _Slot:
    """A place among the polls at once; given back when the device falls silent."""

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots = slots
        self._held = False

    async def take(self) -> None:
        await self._slots.acquire()
        self._held = True

    def give_back(self) -> None:
        if self._held:
            self._held = False
            self._slots.release()


def _moved(now: Device, before: Device) -> bool:
    """True where the same id is to be asked elsewhere or otherwise."""
    return (now.address, now.port, now.credentials, now.snmp) != (
        before.address,
        before.port,
        before.credentials,
        before.snmp,
    )
