"""The running poller: keeps to the schedule, and sends the rows to the journal.

A device is never polled twice at once. A poll that is due while the last one still runs
begins when that ends; if the next is due before, it is skipped and counted. So that
this does not happen, no poll takes longer than until the next one. Waiting for a silent
device takes no slot from others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Self

import structlog

from collectors.background_tasks import BackgroundTasks
from collectors.estate.estate_model import Device, Estate
from collectors.file_limit import raise_file_limit
from collectors.journal import Append
from collectors.ping import Pinger
from collectors.sharing.estate_share import EstateShare, WholeEstate
from collectors.snmp.polling.credential_choice import CredentialChoice, credential_names
from collectors.snmp.polling.device_state import DeviceStates
from collectors.snmp.polling.expected_ports import PortUses, port_uses
from collectors.snmp.polling.learnt_hand_over import LearntHandOver, LearntStore
from collectors.snmp.polling.poll_run import PollRunner
from collectors.snmp.polling.poll_schedule import (
    PollSchedule,
    PollTarget,
    overdue_waits_s,
    spread_s,
    time_for_poll_s,
)
from collectors.snmp.polling.poll_stats import (
    PollerReport,
    PollStats,
    without_answered,
)
from collectors.snmp.polling.row_buffer import RowBuffer
from collectors.snmp.polling.site_names import site_names
from collectors.snmp.session.credentials import Credentials
from collectors.snmp.session.sessions import Sessions
from collectors.snmp.snmp_config import SnmpConfig
from collectors.topology import TopologyView
from collectors.wake_times import seconds_to_next
from probes.wire.clock import WallClock, wall_ms

_log = structlog.get_logger()
_SAVE_S = 300.0
# A change of the estate takes effect within this time.
_LONGEST_WAIT_S = 5.0


class Poller:
    """Polls the devices of the estate; rows go to `append`.

    `process` is its name in its own rows, one every `report_s`. `share` decides which
    devices are its own; what it learns of them goes to `learnt`.
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
        share: EstateShare | None = None,
        learnt: LearntStore | None = None,
    ) -> None:
        self.share = share or WholeEstate(config.poller)
        self.share.on_change = self._follow_share
        self._share_changes = 0
        self._config, self._estate = config, estate
        self._credentials, self._now_ms = credentials, now_ms
        self._report_s = report_s
        self.stats = PollStats()
        self._report = PollerReport(process, config.period_s)
        self._sessions = Sessions()
        self._pinger = pinger or Pinger(config.ping_s)
        # Descriptions that name people are not written to a file.
        self._states = DeviceStates(config.state_file, config.port_descriptions)
        self._hand_over = LearntHandOver(self._states, learnt, now_ms)
        self._topology = TopologyView(estate, now_ms=now_ms, in_thread=True)
        self._runner = PollRunner(
            config,
            credentials,
            self._sessions,
            self._states,
            self._topology,
            self.stats,
            now_ms,
        )
        self._targets: dict[str, PollTarget] = {}
        self._schedule = PollSchedule(config.period_s)
        # When a device was last polled by this poller, or first became its own.
        self._polled_s: dict[str, float] = {}
        self._slots = asyncio.Semaphore(config.at_once)
        self._known: Estate | None = None
        # Cancelled polls that have not ended yet.
        self._ending: set[asyncio.Task[None]] = set()
        self._buffer = RowBuffer(append)
        self._tasks = BackgroundTasks()

    async def __aenter__(self) -> Self:
        raise_file_limit()
        await self._sessions.__aenter__()
        await self._buffer.__aenter__()
        await self._pinger.__aenter__()
        self._tasks.start(self._run(), "poller")
        if self._hand_over.is_on:
            self._tasks.start(self._hand_over.run(), "learnt state of devices")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._tasks.stop()
        self.share.on_change = None
        for target in self._targets.values():
            # What waits for its running poll never starts.
            target.removed = True
        tasks = [target.task for target in self._targets.values() if target.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for target in self._targets.values():
            self._close(target)
        self._targets.clear()
        self._states.save()
        await self._hand_over.publish()
        await self._pinger.__aexit__(kind, error, trace)
        await self._buffer.__aexit__(kind, error, trace)
        await self._topology.__aexit__(kind, error, trace)
        await self._sessions.__aexit__(kind, error, trace)

    @property
    def not_stored(self) -> int:
        """Batches that the journal did not accept, since start."""
        return self._buffer.lost

    @property
    def is_cut_off(self) -> bool:
        """True while none of at least three devices answers: this machine has lost its
        network, rather than all devices having failed."""
        return self._report.is_cut_off

    def poll_soon(self, device: str, health: bool = False) -> bool:
        """Polls a device now, because of a trap; False if the device is unknown.
        `health`: with all its sensors, whether or not they are due."""
        target = self._targets.get(device)
        if target is None:
            return False
        target.read_health = target.read_health or health
        if target.is_running:
            target.poll_again = True
        else:
            self.stats.expected += 1
            self._start(target, time.monotonic())
        return True

    def port_name(self, device: str, if_index: int) -> str | None:
        """The port with that ifIndex; None until the device has been polled."""
        target = self._targets.get(device)
        if target is None or target.poll is None:
            return None
        return target.poll.port_name(if_index)

    def port_description(self, device: str, port: str) -> str:
        """What the engineers call the port; empty if that is not known or stored."""
        target = self._targets.get(device)
        if target is None or target.poll is None:
            return ""
        return target.poll.descriptions.get(port, "")

    async def _run(self) -> None:
        report_s = time.monotonic() + seconds_to_next(self._report_s, time.time())
        save_s = time.monotonic() + _SAVE_S
        while True:
            self._follow_estate()
            now_s = time.monotonic()
            for due_s, target, missed in self._schedule.pop_due(now_s):
                self.stats.expected += 1 + missed
                self.stats.skipped += missed
                self._start_or_wait(target, due_s)
            if now_s >= report_s:
                report_s += self._report_s
                await self._put_report()
            if now_s >= save_s:
                save_s += _SAVE_S
                await asyncio.to_thread(self._states.save)
            longest_s = seconds_to_next(_LONGEST_WAIT_S, time.time(), 0.1)
            await self.share.wait(self._schedule.wait_s(longest_s))

    async def _follow_share(self) -> None:
        """Returns when no poll runs of a device that another poller may poll now."""
        self._follow_estate()
        if self._ending:
            await asyncio.wait(self._ending)

    def _follow_estate(self) -> None:
        """Adds, changes and removes targets if the estate or its share changed."""
        estate = self._estate()
        if estate is self._known and self.share.changes == self._share_changes:
            return
        if estate is not self._known:
            self.share.set_estate(estate)
        self._known, self._share_changes = estate, self.share.changes
        polled = {device.id: device for device in estate.devices if device.poll}
        self._keep_only(polled)
        holds = self.share.holds
        devices = {id: device for id, device in polled.items() if holds(device)}
        self._remove_targets(devices)
        uses = port_uses(estate)
        new = devices.keys() - self._targets.keys()
        first_polls_s = spread_s(len(new), self._config.period_s)
        waits_s = self._overdue_waits_s(new)
        for id, device in devices.items():
            target = self._targets.get(id)
            if target is not None:
                target.update(device, uses.get(id, PortUses()))
                continue
            target = self._targets[id] = PollTarget(
                device,
                uses.get(id, PortUses()),
                self._credentials_of(device),
                self._pinger.watch(str(device.address)),
            )
            self._schedule.add(
                target,
                first_polls_s,
                len(devices),
                self._hand_over.is_on,
                waits_s.get(id),
            )
        self.stats.devices = len(self._targets)

    def _keep_only(self, polled: Collection[str]) -> None:
        """Forgets devices that are not in the estate any more."""
        self._states.keep_only(polled)
        self._hand_over.keep_only(polled)
        for id in self._polled_s.keys() - polled:
            del self._polled_s[id]

    def _overdue_waits_s(self, new: Collection[str]) -> dict[str, float]:
        """How long the overdue ones of `new` wait, if devices change hands."""
        if not self._hand_over.is_on:
            return {}
        now_s = time.monotonic()
        self._polled_s = dict.fromkeys(new, now_s) | self._polled_s
        own = {id: self._polled_s[id] for id in new}
        return overdue_waits_s(own, now_s, self._config.period_s)

    def _remove_targets(self, devices: dict[str, Device]) -> None:
        """Removes those that are not in `devices`, or need a new session."""
        for id, target in list(self._targets.items()):
            device = devices.get(id)
            if device is None or target.needs_new_session(device):
                target.removed = True
                del self._targets[id]
                if target.is_running and target.task is not None:
                    target.task.cancel()
                    self._ending.add(target.task)
                    target.task.add_done_callback(self._ending.discard)
                self._close(target)

    def _credentials_of(self, device: Device) -> CredentialChoice:
        names = credential_names(
            device.credentials, device.address, self._config.credentials_by_subnet
        )
        known = [name for name in names if name in self._credentials]
        return CredentialChoice(known or names, self._states.get(device.id).credential)

    def _start_or_wait(self, target: PollTarget, due_s: float) -> None:
        """Starts a poll, if need be after the one that runs."""
        if not target.is_running:
            self._start(target, due_s)
            return
        if target.waits_since_s is not None:
            # A period has passed: it would be late by more than that.
            self.stats.skipped += 1
        target.waits_since_s = due_s

    def _start(self, target: PollTarget, due_s: float) -> None:
        target.poll_again, target.waits_since_s = False, None
        if target.read_health and target.poll is not None:
            target.poll.read_health_again()
        target.read_health = False
        target.task = asyncio.create_task(
            self._poll(target, due_s), name=f"poll {target.device.id}"
        )
        target.task.add_done_callback(lambda _: self._ended(target))

    def _ended(self, target: PollTarget) -> None:
        if target.removed:
            return
        if target.waits_since_s is not None:
            self._start(target, target.waits_since_s)
        elif target.poll_again:
            self.stats.expected += 1
            self._start(target, time.monotonic())

    async def _poll(self, target: PollTarget, due_s: float) -> None:
        slot = _Slot(self._slots)
        try:
            # A device that was silent last time starts without a slot.
            if target.poll is None or not target.poll.is_silent:
                await slot.acquire()
            if target.poll is None and await self._hand_over.fetch(target.device.id):
                target.credentials = self._credentials_of(target.device)
            if not self.share.holds(target.device):
                # The lease ended while this machine did not run.
                self.stats.skipped += 1
                return
            now_s = self._polled_s[target.device.id] = time.monotonic()
            late_ms = max(0.0, (now_s - due_s) * 1000)
            at_most_s = time_for_poll_s(now_s, target.next_due_s, self._config.period_s)
            self._report.record_start(late_ms)
            self.stats.running += 1
            try:
                batches = await self._runner.run(
                    target, late_ms, slot.release, at_most_s
                )
            finally:
                self.stats.running -= 1
                slot.release()
            self._hand_over.note(target.device.id)
            changed = not target.removed and self._report.record_result(
                target.device.id, batches
            )
            if self._report.is_cut_off:
                batches = without_answered(batches)
            await self._buffer.put(batches)
            if changed:
                await self._put_report()
        except Exception as error:  # noqa: BLE001 - one device never ends the poller
            self.stats.failed += 1
            _log.exception("poll_failed", device=target.device.id, error=repr(error))
        finally:
            slot.release()

    async def _put_report(self) -> None:
        now_ms = self._now_ms()
        report = self._report.row(self.stats, now_ms)
        names = site_names(self._estate(), now_ms, self.share.speaks_for)
        await self._buffer.put([report, *names])

    def _close(self, target: PollTarget) -> None:
        self._report.remove(target.device.id)
        self._runner.close(target)
        if target.pinged is not None:
            self._pinger.drop(target.pinged)


class _Slot:
    """A place among the polls that run at once; may be released more than once."""

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots = slots
        self._held = False

    async def acquire(self) -> None:
        await self._slots.acquire()
        self._held = True

    def release(self) -> None:
        if self._held:
            self._held = False
            self._slots.release()
