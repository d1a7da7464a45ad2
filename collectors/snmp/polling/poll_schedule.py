"""When each device is polled.

Every device has a phase within the period. The phase comes from the device's id, so
polls are spread evenly and keep their times over a restart. A few devices share each
phase: a wake of an idle process costs more than much of a poll, and their rows go to
the journal together.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import time
import zlib
from collections.abc import Iterator, Mapping

from collectors.estate.estate_model import Device
from collectors.ping import PingTarget
from collectors.snmp.polling.credential_choice import CredentialChoice
from collectors.snmp.polling.device_poll import DevicePoll
from collectors.snmp.polling.expected_ports import PortUses

# First polls are spread over this time, and over more in a large estate, so that no
# more than `_FIRST_PER_S` devices a second have their tables read.
_FIRST_S = 10.0
_FIRST_PER_S = 30.0
# Part of a period. A poll sooner after another gives no rates (`device_poll`).
_SHORTEST_GAP = 0.5
# Up to so many devices, on average, have the same phase.
_TOGETHER = 10


class PollTarget:
    """One device in the schedule: the poll that runs, and how to poll it next."""

    def __init__(
        self,
        device: Device,
        uses: PortUses,
        credentials: CredentialChoice,
        pinged: PingTarget | None,
    ) -> None:
        self.device, self.uses = device, uses
        self.credentials, self.pinged = credentials, pinged
        self.poll: DevicePoll | None = None
        # The credential that `poll` uses.
        self.credential_name = ""
        self.task: asyncio.Task[None] | None = None
        # The device is in the estate no longer.
        self.removed = False
        # Poll again after the running poll, which may have read too early.
        self.poll_again = False
        # The next poll reads all sensors: the device reported a change.
        self.read_health = False
        self.is_learnt = False
        # When a poll that waits for the running one was due; None if none waits.
        self.waits_since_s: float | None = None
        # Some time of its phase, and when it is due next, on the monotonic clock.
        self.phase_s = self.next_due_s = 0.0

    @property
    def is_running(self) -> bool:
        return self.task is not None and not self.task.done()

    def update(self, device: Device, uses: PortUses) -> None:
        """Applies a change of the estate that needs no new session."""
        self.device, self.uses = device, uses
        if self.poll is not None:
            self.poll.update(device, uses)

    def needs_new_session(self, device: Device) -> bool:
        """True if `device` has another address, port or credential than so far."""
        before = self.device
        return (device.address, device.port, device.credentials, device.snmp) != (
            before.address,
            before.port,
            before.credentials,
            before.snmp,
        )


class PollSchedule:
    """The targets in the order in which they are due, on the monotonic clock."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        # Phases follow the wall clock, waiting does not: a clock step moves no poll.
        self._offset_s = time.time() - time.monotonic()
        # A device that comes again while its removed target is still here may be due at
        # the same time; numbers decide, as targets have no order.
        self._due: list[tuple[float, str, int, PollTarget]] = []
        self._numbers = itertools.count()

    def add(
        self,
        target: PollTarget,
        spread_s: float,
        devices: int,
        in_phase: bool = False,
        wait_s: float | None = None,
    ) -> None:
        """Adds a target, one of `devices`. Its first poll comes within `spread_s`, and
        does not wait for its phase: an engineer who starts Towpath or adds a device is
        waiting for it. `in_phase`: it does, as another poller may have polled it.
        `wait_s`: it comes after so long (`overdue_waits_s`).
        """
        now_s, device = time.monotonic(), target.device.id
        start_s = shared_phase_s(device, self._period_s, devices)
        target.phase_s = now_s - (now_s + self._offset_s - start_s) % self._period_s
        if wait_s is not None:
            first_s = now_s + wait_s
        elif in_phase:
            first_s = target.phase_s + self._period_s
        else:
            first_s = now_s + phase_s(device, spread_s)
        self._push(first_s, target)

    def pop_due(self, now_s: float) -> Iterator[tuple[float, PollTarget, int]]:
        """For each poll that is due: when it was due, the target, and how many polls
        before it are missed.

        Polls are missed if this machine was suspended or overloaded for more than a
        period. They are not made up for.
        """
        while self._due and self._due[0][0] <= now_s:
            due_s, _, _, target = heapq.heappop(self._due)
            if target.removed:
                continue
            next_s = next_due_s(due_s, target.phase_s, self._period_s)
            missed = 0
            if next_s <= now_s:
                missed = int((now_s - next_s) // self._period_s) + 1
                due_s = next_s + (missed - 1) * self._period_s
                next_s = due_s + self._period_s
            self._push(next_s, target)
            yield due_s, target, missed

    def wait_s(self, longest_s: float) -> float:
        """How long until the next poll is due; at most `longest_s`."""
        if not self._due:
            return longest_s
        return min(max(self._due[0][0] - time.monotonic(), 0.0), longest_s)

    def _push(self, due_s: float, target: PollTarget) -> None:
        target.next_due_s = due_s
        entry = (due_s, target.device.id, next(self._numbers), target)
        heapq.heappush(self._due, entry)


def phase_s(device: str, period_s: float) -> float:
    """The time of `device` within a period. Pure."""
    return zlib.crc32(device.encode()) / 2**32 * period_s


def shared_phase_s(device: str, period_s: float, devices: int) -> float:
    """The time within the period at which `device`, one of `devices`, is polled, with
    a few others. Pure.

    The number of phases is a power of two, so that it seldom changes when devices are
    added.
    """
    phases = 1 << (max(0, devices - 1) // _TOGETHER).bit_length()
    return math.floor(phase_s(device, phases)) * period_s / phases


def spread_s(devices: int, period_s: float) -> float:
    """The time over which the first polls of so many devices are spread. Pure."""
    return max(min(_FIRST_S, period_s), devices / _FIRST_PER_S)


def overdue_waits_s(
    polled_s: Mapping[str, float], now_s: float, period_s: float
) -> dict[str, float]:
    """How long each device waits that was polled last more than a period ago: those of
    longest ago come first, spread over a period. Pure.

    A poller that gets its devices back again and again, each time for less than a
    period, reaches all of them.
    """
    overdue = [id for id, at_s in polled_s.items() if now_s - at_s > period_s]
    overdue.sort(key=lambda id: (polled_s[id], phase_s(id, period_s)))
    return {id: n * period_s / len(overdue) for n, id in enumerate(overdue)}


def time_for_poll_s(now_s: float, next_due_s: float, period_s: float) -> float:
    """How long a poll that begins at `now_s` may take, so that the next one is not
    skipped. Pure.

    One that begins shortly before the next is due may delay that.
    """
    left_s = next_due_s - now_s
    return left_s if left_s >= _SHORTEST_GAP * period_s else left_s + period_s


def next_due_s(due_s: float, phase_s: float, period_s: float) -> float:
    """The next time of a phase that does not follow too soon after `due_s`. Pure.

    `phase_s` is any time of that phase, on the clock of `due_s`.
    """
    periods = (due_s - phase_s) / period_s
    return phase_s + math.ceil(periods + _SHORTEST_GAP) * period_s
