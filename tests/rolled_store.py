"""A store on a real InfluxDB that rolls up, at a clock that is set."""

from __future__ import annotations

from pathlib import Path

import council
import services
import stores

from collectors.server_measurements import CATALOGUE
from collectors.store.influx_http import InfluxServer
from collectors.store.influx_store import InfluxStore
from probes.wire.sample import Sample


class Rolled:
    """A store in a database of its own that rolls up, at a clock that is set."""

    def __init__(
        self, server: services.Server, database: str, folder: Path, now_ms: int
    ) -> None:
        self._server, self.database, self._folder = server, database, folder
        self.now_ms = now_ms

    def store(self) -> InfluxStore:
        """The store as after a new start."""
        return InfluxStore(
            stores.connection(self._server),
            self.database,
            CATALOGUE,
            self._folder,
            lambda: self.now_ms,
        )

    def plain(self) -> InfluxStore:
        """The same database as Towpath without roll-ups writes it."""
        return InfluxStore(stores.connection(self._server), self.database, CATALOGUE)

    def client(self) -> InfluxServer:
        return stores.connection(self._server)


async def write(store: InfluxStore, rows: list[Sample]) -> None:
    await store.write(list(council.batches(iter(rows))))


async def tidy(rolled: Rolled, store: InfluxStore, minutes: int = 24 * 60) -> None:
    """Rolls up a day later, when no bucket of written rows is still growing."""
    rolled.now_ms += minutes * 60_000
    await store.tidy(rolled.now_ms)


async def roll_up_history(rolled: Rolled, store: InfluxStore) -> None:
    """Rolls up as often as it takes: each time it stops after some seconds."""
    rollups = store._rollups
    assert rollups is not None
    await tidy(rolled, store, 1)
    while rollups._backlog.oldest_spans():
        rollups._history_from = 0
        await tidy(rolled, store, 1)
