"""`Surroundings`: what devices hear, kept up to date, and the estate made whole by it.

Fed from the journal (or by whoever polls); filled from the store at the start. A
neighbour that is no longer heard is remembered for a day: that it fell silent is when
its place is wanted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog

from collectors.batch import Batch
from collectors.estate.model import Estate
from collectors.store.query import Store
from collectors.topology.graph import Graph, graph, with_parents
from collectors.topology.match import Directory
from collectors.topology.sighting import (
    IDENTITY,
    NEIGHBOUR,
    Sighting,
    Who,
    answered,
    questions,
    said,
)

_log = structlog.get_logger()
REMEMBER_MS = 86_400_000
# Thousands of devices tell of themselves within a minute after a start: looking at all
# of them again takes a second then, and may be a twentieth of the time.
_SETTLE_S = 5.0
_SHARE, _LITTLE_S = 0.05, 0.1
_MEASUREMENTS = (NEIGHBOUR.measurement, IDENTITY.measurement)


class Surroundings:
    """`estate()` has discovered parents where the estate names none; `uplinks(id)` the
    ports that lead towards the way out.

    `async with` asks `store` (where there is one) what was heard before. `quiet`: what
    does not fit is not logged, as where another keeps the same.
    """

    def __init__(
        self,
        estate: Callable[[], Estate],
        store: Store | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        warm_timeout_s: float = 10.0,
        settle_s: float = _SETTLE_S,
        quiet: bool = False,
    ) -> None:
        self._estate, self._store, self._now_ms = estate, store, now_ms
        self._warm_timeout_s, self._settle_s = warm_timeout_s, settle_s
        self._quiet = quiet
        # By device, port and neighbour: when last heard, and what was said.
        self._heard: dict[tuple[str, str, str], tuple[int, Sighting]] = {}
        self._who: dict[str, Who] = {}
        self._stale = True
        self._made_s, self._took_s = float("-inf"), 0.0
        self._of: Estate | None = None
        self._graph = Graph()
        self._directory = Directory((), {})
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
        return None

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
        return self._graph

    def uplinks(self, device: str) -> tuple[str, ...]:
        return self.graph().uplinks.get(device, ())

    def knows(self, seen: Sighting) -> bool:
        """True where who was heard is of the estate, whatever it says that it is."""
        self._make()
        return self._directory.find(seen)[0] is not None

    def _note(self, time_ms: int, each: Sighting | Who) -> None:
        if isinstance(each, Who):
            if self._who.get(each.device) != each:
                self._who[each.device] = each
                self._stale = True
            return
        key = (each.device, each.port, each.heard)
        before = self._heard.get(key)
        if before is not None and before[0] > time_ms:
            return
        self._heard[key] = (time_ms, each)
        if before is None or before[1] != each:
            self._stale = True

    def _make(self) -> None:
        estate = self._estate()
        now_s = time.monotonic()
        took_s = self._took_s if self._took_s > _LITTLE_S else 0.0
        settled = now_s - self._made_s >= max(self._settle_s, took_s / _SHARE)
        if estate is self._of and not (self._stale and settled):
            return
        self._forget()
        self._stale, self._made_s = False, now_s
        found = graph(estate, (each for _, each in self._heard.values()), self._who)
        if not self._quiet:
            for finding in sorted({*found.findings} - {*self._graph.findings}):
                _log.warning("topology_doubt", says=finding)
        same = (
            estate is self._of
            and found.parents == self._graph.parents
            and self._whole is not None
        )
        self._graph = found
        self._directory = Directory(estate.devices, self._who)
        self._took_s = time.monotonic() - now_s
        if not same:
            self._of = estate
            self._whole = with_parents(estate, found)
            if not self._quiet:
                _log.info(
                    "topology",
                    links=len(found.links),
                    parents=len(found.parents),
                    discovered=len(found.discovered),
                    unknown=len(found.unknown),
                )

    def _forget(self) -> None:
        """What was not heard for a day; and whom another has taken the port of."""
        oldest_ms = self._now_ms() - REMEMBER_MS
        latest: dict[tuple[str, str], int] = {}
        for (device, port, _), (time_ms, _) in self._heard.items():
            latest[device, port] = max(latest.get((device, port), 0), time_ms)
        gone = [
            key
            for key, (time_ms, _) in self._heard.items()
            if time_ms < oldest_ms or time_ms < latest[key[0], key[1]]
        ]
        for key in gone:
            del self._heard[key]
