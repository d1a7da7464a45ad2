"""What was learnt of a device goes with it from one poller to the next: how it is best
polled, its credential, its neighbours and its ports. So the next one polls it at once,
as after a restart.

The next one uses it as it uses its own files: only if the device is still the same and
has not restarted since (`learnt_ports`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Protocol

import msgspec
import structlog

from collectors.snmp.polling.device_state import DeviceState, DeviceStates
from collectors.snmp.polling.poll_schedule import phase_s
from probes.wire.atomic_file import replace_file
from probes.wire.clock import WallClock, wall_ms

_log = structlog.get_logger()
_EVERY_S = 5.0
_AT_ONCE = 16
# A message of NATS has at most 1 MiB. Ports of a larger device are read again.
_MAX_OCTETS = 900_000
_FETCH_S = 2.0
# What is known of a device is published at least so often, with or without news: the
# bucket drops keys that were not written for a month, as those of removed devices.
_RENEWED_S = 7 * 86_400.0


class LearntStore(Protocol):
    """Keeps some octets for each device, for all pollers."""

    async def fetch(self, device: str) -> bytes | None:
        """What was published last; None if there is nothing, or it fails."""

    async def publish(self, device: str, body: bytes) -> bool:
        """Replaces what there is; False if that fails."""


class HandedOver(msgspec.Struct, frozen=True):
    """What one poller leaves to the next; `ports` is the file of `learnt_ports`."""

    state: DeviceState
    ports: bytes = b""


class LearntHandOver:
    """`note` a device after each poll and `fetch` it before the first; `run` publishes.

    Does nothing without a store.
    """

    def __init__(
        self,
        states: DeviceStates,
        store: LearntStore | None,
        now_ms: WallClock = wall_ms,
    ) -> None:
        self._states, self._store, self._now_ms = states, store, now_ms
        self._published: dict[str, object] = {}
        self._changed: set[str] = set()

    @property
    def is_on(self) -> bool:
        return self._store is not None

    def note(self, device: str) -> None:
        """A poll has ended: what was learnt may have changed."""
        if self._store is None:
            return
        mark = self._mark(device)
        if self._published.get(device) != mark:
            self._published[device] = mark
            self._changed.add(device)

    def keep_only(self, devices: Collection[str]) -> None:
        """Forgets all others."""
        for device in self._published.keys() - devices:
            del self._published[device]
        self._changed.intersection_update(devices)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            await self.publish()

    async def publish(self) -> None:
        """Publishes what has changed; what fails is tried again next time."""
        store = self._store
        if store is None or not self._changed:
            return
        devices = list(self._changed)
        for at in range(0, len(devices), _AT_ONCE):
            some = devices[at : at + _AT_ONCE]
            # A poll that ends meanwhile may add them again.
            self._changed.difference_update(some)
            try:
                done = await asyncio.gather(
                    *(store.publish(device, self._pack(device)) for device in some)
                )
            except asyncio.CancelledError:
                # The poller stops, and publishes once more.
                self._changed.update(some)
                raise
            if not all(done):
                self._changed.update(
                    device for device, ok in zip(some, done, strict=True) if not ok
                )
                return

    async def fetch(self, device: str) -> bool:
        """Takes over what another poller left; False if there is nothing."""
        if self._store is None:
            return False
        try:
            async with asyncio.timeout(_FETCH_S):
                body = await self._store.fetch(device)
        except TimeoutError:
            return False
        if body is None:
            return False
        try:
            left = msgspec.msgpack.decode(body, type=HandedOver)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            _log.warning("learnt_state_not_read", device=device, error=str(error))
            return False
        self._states.put(device, left.state)
        file = self._states.ports_file(device)
        if file is not None and left.ports:
            try:
                replace_file(file, left.ports, durable=False)
            except OSError as error:
                _log.warning("learnt_ports_not_kept", file=str(file), error=str(error))
        self._published[device] = self._mark(device)
        return True

    def _mark(self, device: str) -> object:
        """Differs if something was learnt that is worth handing on, and each week. How
        long the last answers took changes with each poll, and is not."""
        state = self._states.get(device)
        now_s = self._now_ms() / 1000
        return (
            msgspec.json.encode(state.limits),
            state.credential,
            frozenset(state.neighbours),
            self._states.ports_mark(device),
            (now_s + phase_s(device, _RENEWED_S)) // _RENEWED_S,
        )

    def _pack(self, device: str) -> bytes:
        state, ports = self._states.get(device), b""
        file = self._states.ports_file(device)
        if file is not None:
            try:
                ports = file.read_bytes()
            except OSError:
                ports = b""
        body = msgspec.msgpack.encode(HandedOver(state, ports))
        if len(body) <= _MAX_OCTETS:
            return body
        return msgspec.msgpack.encode(HandedOver(state))
