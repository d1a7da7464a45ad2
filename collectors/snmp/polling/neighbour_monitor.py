"""Behind which of a device's ports somebody is heard, remembered: now and then, slowly.

A port that is down keeps its neighbour for a while: that it is not heard is then the
very thing to tell. A port that is up and hears nobody has been plugged otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from collectors.batch import Batch
from collectors.snmp.polling.counter_rates import OPER
from collectors.snmp.polling.device_state import DeviceState
from collectors.snmp.polling.neighbour_rows import NeighbourView, heard_rows, of_note
from collectors.snmp.polling.poll_rows import PortSample
from collectors.snmp.session import oids
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.session import Failed
from collectors.snmp.snmp_config import SnmpConfig
from collectors.snmp.tables.device_tags import DeviceTags
from collectors.snmp.tables.interfaces import Port
from collectors.snmp.tables.neighbour_tables import neighbours, read_neighbours
from probes.wire.clock import MonotonicClock, WallClock
from probes.wire.failure import Outcome

_MS_PER_DAY = 86_400_000
# LLDP is slow to speak after a link has come up.
_ROUNDS_UNHEARD = 3


class NeighbourMonitor:
    """Keeps `learnt.neighbours` true: a switch or an access point by port key."""

    def __init__(
        self,
        config: SnmpConfig,
        learnt: DeviceState,
        around: NeighbourView,
        now_ms: WallClock,
        monotonic_s: MonotonicClock = time.monotonic,
    ) -> None:
        self._every_s = config.neighbours_s
        self._keep_ms = config.remember_neighbours_days * _MS_PER_DAY
        self._learnt, self._around = learnt, around
        self._now_ms, self._monotonic_s = now_ms, monotonic_s
        self._due_s = 0.0
        # By port key, rounds in which it was up and nobody was heard.
        self._unheard: dict[str, int] = {}

    @property
    def due(self) -> bool:
        return self._monotonic_s() >= self._due_s

    async def listen(
        self,
        snmp: DeviceSession,
        place: DeviceTags,
        ports: Sequence[Port],
        answered: Sequence[PortSample],
    ) -> list[Batch]:
        """One round; the rows of who was heard. `answered` says which ports are up.

        Raises `Failed` where the device fell silent.
        """
        self._due_s = self._monotonic_s() + self._every_s
        try:
            found = await read_neighbours(snmp)
        except Failed as failed:
            if failed.outcome is Outcome.TIMEOUT:
                raise
            return []
        now_ms = self._now_ms()
        known = of_note(place.device, neighbours(found, ports), self._around)
        up = {
            watch.port.key
            for reading in answered
            for watch, seen in zip(reading.watches, reading.seen, strict=True)
            if seen.values[OPER] == oids.UP
        }
        self._remember({each.local_port for each in known}, up, now_ms)
        return heard_rows(place, found, known, now_ms)

    def _remember(self, heard: set[str], up: set[str], now_ms: int) -> None:
        kept = self._learnt.neighbours
        for key in heard:
            kept[key] = now_ms
            self._unheard.pop(key, None)
        for key in set(kept) - heard:
            if key in up:
                self._unheard[key] = self._unheard.get(key, 0) + 1
            gone = self._unheard.get(key, 0) >= _ROUNDS_UNHEARD
            if gone or now_ms - kept[key] > self._keep_ms:
                del kept[key]
                self._unheard.pop(key, None)
