"""One device in the schedule, and its place among the polls at once."""

from __future__ import annotations

import asyncio

from collectors.estate.estate_model import Device, Line
from collectors.ping import Pinged
from collectors.snmp.polling.credential_choice import Choice
from collectors.snmp.polling.device_poll import DevicePoll


class PollTarget:
    """What the poller keeps of one device."""

    def __init__(
        self,
        device: Device,
        lines: tuple[Line, ...],
        choice: Choice,
        pinged: Pinged | None,
    ) -> None:
        self.device, self.lines, self.choice = device, lines, choice
        self.pinged = pinged
        self.poll: DevicePoll | None = None
        # The credential that `poll` speaks with.
        self.speaks = ""
        self.task: asyncio.Task[None] | None = None
        self.gone = False
        # That it has no credential is said once.
        self.told = False
        # Asked for while one was running: what that one read may be too old.
        self.again = False
        self.learnt = False
        # Some moment of its phase, on the monotonic clock.
        self.phase_s = 0.0

    @property
    def busy(self) -> bool:
        """True while a poll of it runs."""
        return self.task is not None and not self.task.done()

    def adopt(self, device: Device, lines: tuple[Line, ...]) -> None:
        """Takes over what the estate now says of the same device."""
        self.device, self.lines = device, lines
        if self.poll is not None:
            self.poll.adopt(device, lines)

    def moved(self, now: Device) -> bool:
        """True where the same id is to be asked elsewhere or otherwise."""
        before = self.device
        return (now.address, now.port, now.credentials, now.snmp) != (
            before.address,
            before.port,
            before.credentials,
            before.snmp,
        )


class Slot:
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
