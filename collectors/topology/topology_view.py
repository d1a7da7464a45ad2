"""`TopologyView`: the current topology, and the estate with discovered parents.

Fed with rows from the journal or the poller; filled from the store at the start. A
neighbour that is no longer reported is remembered for a day: when it falls silent is
when its place in the topology is needed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import msgspec
import structlog

from collectors.batch import Batch
from collectors.estate.estate_model import Estate
from collectors.store.query import Store
from collectors.topology.device_matching import DeviceDirectory
from collectors.topology.neighbour_records import (
    IDENTITY,
    NEIGHBOUR,
    DeviceNeighbour,
    LocalSystem,
    from_batch,
    from_rows,
    history_queries,
)
from collectors.topology.site_graph import TopologyGraph, build_graph, with_parents
from probes.wire.clock import WallClock, wall_ms

_log = structlog.get_logger()
REMEMBER_MS = 86_400_000
# After a start, thousands of devices report within a minute. A rebuild of that size
# takes about a second, so rebuilds are limited to a twentieth of the time.
_SETTLE_S = 5.0
_MAX_SHARE, _NEGLIGIBLE_S = 0.05, 0.1
_MAX_AGE_S = 3600.0
_MEASUREMENTS = (NEIGHBOUR.measurement, IDENTITY.measurement)


class TopologyView:
    """`estate()` has discovered parents for devices without a configured one;
    `uplinks(id)` are the ports that lead towards the exit from the site.

    `async with` reads yesterday's neighbours from `store`, if there is one. With
    `in_thread`, the graph is built in a thread, because ten thousand devices take a
    second: until it is ready the last answers hold, and findings are not logged.
    """

    def __init__(
        self,
        estate: Callable[[], Estate],
        store: Store | None = None,
        now_ms: WallClock = wall_ms,
        warm_timeout_s: float = 10.0,
        settle_s: float = _SETTLE_S,
        in_thread: bool = False,
    ) -> None:
        self._read_estate, self._store, self._now_ms = estate, store, now_ms
        self._warm_timeout_s, self._settle_s = warm_timeout_s, settle_s
        self._in_thread = in_thread
        self._building: asyncio.Future[_BuiltGraph] | None = None
        # By device, port and neighbour id.
        self._neighbours: dict[tuple[str, str, str], _NeighbourHistory] = {}
        self._local_systems: dict[str, LocalSystem] = {}
        self._stale = True
        self._built_s = float("-inf")
        self._built_from: Estate | None = None
        self._built = _BuiltGraph(TopologyGraph(), DeviceDirectory((), {}), 0.0)
        self._estate: Estate | None = None

    async def __aenter__(self) -> Self:
        if self._store is not None:
            now_ms = self._now_ms()
            try:
                async with asyncio.timeout(self._warm_timeout_s):
                    for query in history_queries(now_ms - REMEMBER_MS, now_ms):
                        for time_ms, record in from_rows(
                            await self._store.query(query)
                        ):
                            self._add_record(time_ms, record)
            except Exception as error:  # noqa: BLE001 - devices report again in minutes
                _log.warning("topology_not_warmed", error=repr(error))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._building is not None:
            self._building.cancel()

    def add(self, batch: Batch) -> None:
        """Add rows of `neighbour` and `identity`; ignore other measurements."""
        if batch.measurement in _MEASUREMENTS:
            for time_ms, record in from_batch(batch):
                self._add_record(time_ms, record)

    def estate(self) -> Estate:
        """Return the estate with discovered parents; the same object until it
        changes."""
        self._refresh()
        assert self._estate is not None
        return self._estate

    def graph(self) -> TopologyGraph:
        """Return the current graph."""
        self._refresh()
        return self._built.graph

    def uplinks(self, device: str) -> tuple[str, ...]:
        """Return the ports of `device` that lead towards the exit from its site."""
        return self.graph().uplinks.get(device, ())

    def find_device(self, neighbour: DeviceNeighbour) -> str | None:
        """Return the id of the neighbour; None if it is not a device of the estate."""
        self._refresh()
        return self._built.directory.find(neighbour)[0]

    def _add_record(self, time_ms: int, record: DeviceNeighbour | LocalSystem) -> None:
        if isinstance(record, LocalSystem):
            if self._local_systems.get(record.device) != record:
                self._local_systems[record.device] = record
                self._stale = True
            return
        key = (record.device, record.port, record.neighbour_id)
        history = self._neighbours.get(key)
        if history is None:
            self._neighbours[key] = _NeighbourHistory(time_ms, time_ms, record)
            self._stale = True
            return
        history.first_ms = min(history.first_ms, time_ms)
        if time_ms >= history.last_ms:
            self._stale |= history.neighbour != record
            history.last_ms, history.neighbour = time_ms, record

    def _refresh(self) -> None:
        estate, now_s = self._read_estate(), time.monotonic()
        took_s = self._built.took_s if self._built.took_s > _NEGLIGIBLE_S else 0.0
        age_s = now_s - self._built_s
        due = age_s >= max(self._settle_s, took_s / _MAX_SHARE)
        # Rebuild hourly even without news, to drop neighbours that are too old.
        stale = self._stale or age_s >= _MAX_AGE_S
        unchanged = estate is self._built_from and not (stale and due)
        if self._building is not None or unchanged:
            return
        self._drop_old_neighbours()
        self._stale, self._built_s = False, now_s
        neighbours = [history.neighbour for history in self._neighbours.values()]
        if self._in_thread and self._built_from is not None:
            systems = dict(self._local_systems)
            build = asyncio.to_thread(_build, estate, neighbours, systems)
            self._building = asyncio.ensure_future(build)
            self._building.add_done_callback(
                lambda future: self._finish_build(estate, future)
            )
        else:
            self._adopt(estate, _build(estate, neighbours, self._local_systems))

    def _finish_build(
        self, estate: Estate, future: asyncio.Future[_BuiltGraph]
    ) -> None:
        self._building = None
        if future.cancelled():
            return
        error = future.exception()
        if error is None:
            self._adopt(estate, future.result())
        else:
            _log.error("topology_failed", error=repr(error))

    def _adopt(self, estate: Estate, built: _BuiltGraph) -> None:
        new, old = built.graph, self._built.graph
        same = estate is self._built_from and new.parents == old.parents
        self._built = built
        if not self._in_thread:
            for finding in sorted({*new.findings} - {*old.findings}):
                _log.warning("topology_finding", finding=finding)
        if same and self._estate is not None:
            return
        self._built_from, self._estate = estate, with_parents(estate, new)
        if not self._in_thread:
            _log.info(
                "topology_changed",
                links=len(new.links),
                parents=len(new.parents),
                discovered=len(new.discovered),
                unknown=len(new.unknown),
            )

    def _drop_old_neighbours(self) -> None:
        """Drop neighbours not reported for a day, or replaced by another on the
        port."""
        oldest_ms = self._now_ms() - REMEMBER_MS
        newest_ms: dict[tuple[str, str], int] = {}
        for (device, port, _), history in self._neighbours.items():
            first_ms = newest_ms.get((device, port), history.first_ms)
            newest_ms[device, port] = max(first_ms, history.first_ms)
        # Two that are reported together, through a switch that forwards the frames,
        # both stay.
        self._neighbours = {
            key: history
            for key, history in self._neighbours.items()
            if history.last_ms >= oldest_ms
            and history.last_ms >= newest_ms[key[0], key[1]]
        }


class _NeighbourHistory(msgspec.Struct):
    """A neighbour, and when it was first and last reported, in ms."""

    first_ms: int
    last_ms: int
    neighbour: DeviceNeighbour


class _BuiltGraph(msgspec.Struct, frozen=True):
    graph: TopologyGraph
    directory: DeviceDirectory
    took_s: float


def _build(
    estate: Estate,
    neighbours: Sequence[DeviceNeighbour],
    local_systems: Mapping[str, LocalSystem],
) -> _BuiltGraph:
    started_s = time.monotonic()
    directory = DeviceDirectory(estate.devices, local_systems)
    graph = build_graph(estate, neighbours, local_systems, directory)
    return _BuiltGraph(graph, directory, time.monotonic() - started_s)
