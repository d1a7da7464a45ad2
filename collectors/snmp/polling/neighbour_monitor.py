"""Remembers which neighbour was last seen on each port, refreshed at a slow interval.

A port that is down keeps its neighbour for some days: that the neighbour is missing is
what matters then. A port that is up without a neighbour has been connected otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from collectors.batch import Batch
from collectors.snmp.polling.counter_rates import OPER
from collectors.snmp.polling.device_state import DeviceState
from collectors.snmp.polling.poll_rows import PollAnswer
from collectors.snmp.session import oids
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.read_progress import ReadProgress
from collectors.snmp.session.session import Failed
from collectors.snmp.snmp_config import SnmpConfig
from collectors.snmp.tables.device_tags import DeviceTags
from collectors.snmp.tables.interfaces import Port
from collectors.snmp.tables.neighbour import Neighbour
from collectors.snmp.tables.neighbour_tables import (
    NeighbourTables,
    parse_neighbours,
    read_neighbours,
)
from collectors.topology.neighbour_records import (
    DeviceNeighbour,
    LocalSystem,
    to_batches,
)
from probes.wire.clock import MonotonicClock, WallClock
from probes.wire.failure import Outcome

_MS_PER_DAY = 86_400_000
# LLDP needs some time after a link has come up.
_MAX_MISSED_ROUNDS = 3


class NeighbourTopology(Protocol):
    """What is known of the network around a device."""

    def uplinks(self, device: str) -> Collection[str]:
        """Its ports that lead towards the exit from its site."""

    def find_device(self, neighbour: DeviceNeighbour) -> str | None:
        """The id of the neighbour; None if it is not a device of the estate."""


class EmptyTopology:
    """Nothing is known around any device."""

    def uplinks(self, device: str) -> Collection[str]:
        return ()

    def find_device(self, neighbour: DeviceNeighbour) -> str | None:
        return None


class NeighbourMonitor:
    """Keeps `state.neighbours`: by port, when its neighbour was last seen."""

    def __init__(
        self,
        config: SnmpConfig,
        state: DeviceState,
        topology: NeighbourTopology,
        now_ms: WallClock,
        monotonic_s: MonotonicClock = time.monotonic,
    ) -> None:
        self._every_s = config.neighbours_s
        self._keep_ms = config.remember_neighbours_days * _MS_PER_DAY
        self._state, self._topology = state, topology
        self._now_ms, self._monotonic_s = now_ms, monotonic_s
        self._due_s = 0.0
        # Of a reading that needs more than one poll.
        self._progress: ReadProgress | None = None
        # By port key: rounds in which the port was up without its neighbour.
        self._missed_rounds: dict[str, int] = {}

    @property
    def is_due(self) -> bool:
        return self._monotonic_s() >= self._due_s

    @property
    def is_unfinished(self) -> bool:
        """True if the reading of the tables goes on in the next poll."""
        return self._progress is not None

    def forget(self) -> None:
        """Starts a reading that is not finished again: the device restarted."""
        self._progress = None

    async def read(
        self,
        snmp: DeviceSession,
        tags: DeviceTags,
        ports: Sequence[Port],
        answers: Sequence[PollAnswer],
    ) -> list[Batch]:
        """Reads the neighbour tables; returns their rows. `answers` are those of this
        poll, with the state of the ports.

        Raises `Failed` if the device stops answering.
        """
        due_s, self._due_s = self._due_s, self._monotonic_s() + self._every_s
        progress, self._progress = self._progress or ReadProgress(), None
        within = snmp.with_progress(progress)
        try:
            tables = await read_neighbours(within)
        except Failed as failed:
            if within.goes_on(failed):
                self._progress, self._due_s = progress, due_s
            if failed.outcome is Outcome.TIMEOUT:
                raise
            return []
        now_ms = self._now_ms()
        kept = relevant(tags.device, parse_neighbours(tables, ports), self._topology)
        ports_up = {
            plan.port.key
            for answer in answers
            for plan, sample in zip(answer.plans, answer.samples, strict=True)
            if sample.values[OPER] == oids.UP
        }
        self._remember({neighbour.local_port for neighbour in kept}, ports_up, now_ms)
        return neighbour_rows(tags, tables, kept, now_ms, self._topology)

    def _remember(self, seen: set[str], ports_up: set[str], now_ms: int) -> None:
        last_seen_ms = self._state.neighbours
        for port in seen:
            last_seen_ms[port] = now_ms
            self._missed_rounds.pop(port, None)
        for port in set(last_seen_ms) - seen:
            if port in ports_up:
                self._missed_rounds[port] = self._missed_rounds.get(port, 0) + 1
            gone = self._missed_rounds.get(port, 0) >= _MAX_MISSED_ROUNDS
            if gone or now_ms - last_seen_ms[port] > self._keep_ms:
                del last_seen_ms[port]
                self._missed_rounds.pop(port, None)


def relevant(
    device: str, neighbours: Iterable[Neighbour], topology: NeighbourTopology
) -> list[Neighbour]:
    """The neighbours whose port must not fail unnoticed. Pure.

    These are switches, routers and access points, by their own capabilities, and all
    devices of the estate, because some report no capabilities. Desks, telephones and
    laptops are left out.
    """
    return [
        neighbour
        for neighbour in neighbours
        if neighbour.local_if_index is not None
        and (
            neighbour.is_infrastructure
            or topology.find_device(_device_neighbour(device, neighbour)) is not None
        )
    ]


def neighbour_rows(
    tags: DeviceTags,
    tables: NeighbourTables,
    kept: Iterable[Neighbour],
    time_ms: int,
    topology: NeighbourTopology,
) -> list[Batch]:
    """The rows of one reading: the device's own names, and the neighbours. Pure."""
    return to_batches(
        (tags.device, tags.site, tags.role),
        LocalSystem(tags.device, tables.sys_name, tables.chassis),
        (_device_neighbour(tags.device, neighbour) for neighbour in kept),
        time_ms,
        f"poll/{tags.device}",
        topology.find_device,
    )


def _device_neighbour(device: str, neighbour: Neighbour) -> DeviceNeighbour:
    return DeviceNeighbour(
        device=device,
        port=neighbour.local_port,
        remote_name=neighbour.remote_name or "",
        remote_port=neighbour.remote_port or "",
        remote_chassis=neighbour.remote_chassis or "",
        remote_address=neighbour.remote_address or "",
        remote_port_descr=neighbour.remote_port_descr or "",
        protocol=neighbour.protocol,
    )
