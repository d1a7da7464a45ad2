"""`TopologyView`: what devices hear, kept up to date, and the estate made whole by it.

Fed from the journal (or by whoever polls); filled from the store at the start. A
neighbour that is no longer heard is remembered for a day: that it fell silent is when
its place is wanted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

import msgspec
import structlog

from collectors.batch import Batch
from collectors.estate.estate_model import Estate
from collectors.store.query import Store
from collectors.topology.device_matching import Directory
from collectors.topology.sighting import (
    IDENTITY,
    NEIGHBOUR,
    Sighting,
    Who,
    answered,
    questions,
    said,
)
from collectors.topology.site_graph import Graph, graph, with_parents
from probes.wire.clock import WallClock, wall_ms

_log = structlog.get_logger()
REMEMBER_MS = 86_400_000
# Thousands of devices tell of themselves within a minute after a start: looking at all
# of them again takes a second then, and may be a twentieth of the time.
_SETTLE_S = 5.0
_SHARE, _LITTLE_S = 0.05, 0.1
_AGAIN_S = 3600.0
_MEASUREMENTS = (NEIGHBOUR.measurement, IDENTITY.measurement)


class TopologyView:
    """`estate()` has discovered parents where the estate names none; `uplinks(id)` the
    ports that lead towards the way out.

    `async with` asks `store` (where there is one) what was heard before. `aside`: for
    whoever must not wait (ten thousand devices take a second), it is worked out in a
    thread, the last answers hold until then, and what does not fit is not logged.
    """

    def __init__(
        self,
        estate: Callable[[], Estate],
        store: Store | None = None,
        now_ms: WallClock = wall_ms,
        warm_timeout_s: float = 10.0,
        settle_s: float = _SETTLE_S,
        aside: bool = False,
    ) -> None:
        self._estate, self._store, self._now_ms = estate, store, now_ms
        self._warm_timeout_s, self._settle_s = warm_timeout_s, settle_s
        self._aside = aside
        self._working: asyncio.Future[_Made] | None = None
        # By device, port and neighbour.
        self._heard: dict[tuple[str, str, str], _Heard] = {}
        self._who: dict[str, Who] = {}
        self._stale = True
        self._made_s = float("-inf")
        self._of: Estate | None = None
        self._made = _Made(Graph(), Directory((), {}), 0.0)
        self._whole: Estate | None = None

    async def __aenter__(self) -> Self:
        if self._store is not None:
            now_ms = self._now_ms()
            try:
                async with asyncio.timeout(self._warm_timeout_s):
                    for question in questions(now_ms - REMEMBER_MS, now_ms):
                        for time_ms, each in answered(await self._store.ask(question)):
                            self._note(time_ms, each)
            except Exception as error:  # noqa: BLE001 - it is heard again in minutes
                _log.warning("topology_not_warmed", error=repr(error))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._working is not None:
            self._working.cancel()

    def take(self, batch: Batch) -> None:
        """Takes note of rows of `neighbour` and `identity`; of others nothing."""
        if batch.measurement in _MEASUREMENTS:
            for time_ms, each in said(batch):
                self._note(time_ms, each)

    def estate(self) -> Estate:
        """The estate, whole; the same object until something changes."""
        self._make()
        assert self._whole is not None
        return self._whole

    def graph(self) -> Graph:
        self._make()
        return self._made.graph

    def uplinks(self, device: str) -> tuple[str, ...]:
        return self.graph().uplinks.get(device, ())

    def knows(self, seen: Sighting) -> bool:
        """True where who was heard is of the estate, whatever it says that it is."""
        self._make()
        return self._made.directory.find(seen)[0] is not None

    def _note(self, time_ms: int, each: Sighting | Who) -> None:
        if isinstance(each, Who):
            if self._who.get(each.device) != each:
                self._who[each.device] = each
                self._stale = True
            return
        key = (each.device, each.port, each.heard)
        before = self._heard.get(key)
        if before is None:
            self._heard[key] = _Heard(time_ms, time_ms, each)
            self._stale = True
            return
        before.first_ms = min(before.first_ms, time_ms)
        if time_ms >= before.last_ms:
            self._stale |= before.seen != each
            before.last_ms, before.seen = time_ms, each

    def _make(self) -> None:
        estate, now_s = self._estate(), time.monotonic()
        took_s = self._made.took_s if self._made.took_s > _LITTLE_S else 0.0
        waited_s = now_s - self._made_s
        due = waited_s >= max(self._settle_s, took_s / _SHARE)
        # Now and then in any case: what is remembered grows old.
        stale = self._stale or waited_s >= _AGAIN_S
        if self._working is not None or (estate is self._of and not (stale and due)):
            return
        self._forget()
        self._stale, self._made_s = False, now_s
        seen = [each.seen for each in self._heard.values()]
        if self._aside and self._of is not None:
            work = asyncio.to_thread(_made, estate, seen, dict(self._who))
            self._working = asyncio.ensure_future(work)
            self._working.add_done_callback(lambda done: self._ended(estate, done))
        else:
            self._adopt(estate, _made(estate, seen, self._who))

    def _ended(self, estate: Estate, done: asyncio.Future[_Made]) -> None:
        self._working = None
        if done.cancelled():
            return
        error = done.exception()
        if error is None:
            self._adopt(estate, done.result())
        else:
            _log.error("topology_failed", error=repr(error))

    def _adopt(self, estate: Estate, made: _Made) -> None:
        found, before = made.graph, self._made.graph
        same = estate is self._of and found.parents == before.parents
        self._made = made
        if not self._aside:
            for finding in sorted({*found.findings} - {*before.findings}):
                _log.warning("topology_doubt", says=finding)
        if same and self._whole is not None:
            return
        self._of, self._whole = estate, with_parents(estate, found)
        if not self._aside:
            _log.info(
                "topology",
                links=len(found.links),
                parents=len(found.parents),
                discovered=len(found.discovered),
                unknown=len(found.unknown),
            )

    def _forget(self) -> None:
        """What was not heard for a day, and whose port another has come to since."""
        oldest_ms = self._now_ms() - REMEMBER_MS
        newest: dict[tuple[str, str], int] = {}
        for (device, port, _), each in self._heard.items():
            first_ms = newest.get((device, port), each.first_ms)
            newest[device, port] = max(first_ms, each.first_ms)
        # Two who were heard together (through a switch that passes it on) both stay.
        self._heard = {
            key: each
            for key, each in self._heard.items()
            if each.last_ms >= oldest_ms and each.last_ms >= newest[key[0], key[1]]
        }


class _Heard(msgspec.Struct):
    """A sighting, and when it was first and last made, ms."""

    first_ms: int
    last_ms: int
    seen: Sighting


class _Made(msgspec.Struct, frozen=True):
    graph: Graph
    directory: Directory
    took_s: float


def _made(estate: Estate, seen: Sequence[Sighting], who: Mapping[str, Who]) -> _Made:
    started_s = time.monotonic()
    directory = Directory(estate.devices, who)
    found = graph(estate, seen, who, directory)
    return _Made(found, directory, time.monotonic() - started_s)
