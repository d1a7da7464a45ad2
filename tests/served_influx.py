"""The embedded store behind its InfluxDB interface, over real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from starlette.applications import Starlette
from stores import CATALOGUE

from collectors.batch import Batch
from collectors.http import Endpoint, HttpServer, ServerLimits
from collectors.store.influx_http import InfluxServer
from collectors.store.influx_queries import InfluxQueries, QueryLimits
from collectors.store.influx_store import InfluxStore
from collectors.store.parquet_store import EmbeddedStore
from dashboards.web.influx_access import InfluxAccess
from dashboards.web.influx_endpoint import InfluxEndpoint
from probes.wire.catalogue import Catalogue

TOKEN = "a-token-of-the-tests-only"
DATABASES = {False: "towpath", True: "towpath_personal"}
_names = itertools.count()


class ServedStore(InfluxStore):
    """A store that is written as files and queried as an InfluxDB."""

    def __init__(self, files: EmbeddedStore, url: str, catalogue: Catalogue) -> None:
        super().__init__(InfluxServer(url, TOKEN), DATABASES[False], catalogue)
        self.files, self.url = files, url

    async def write(self, batches: list[Batch]) -> None:
        await self.files.write(batches)

    async def erase(self, agent: str) -> int:
        return await self.files.erase(agent)

    async def tidy(self, now_ms: int) -> None:
        await self.files.tidy(now_ms)


@contextlib.asynccontextmanager
async def served(
    folder: Path, catalogue: Catalogue = CATALOGUE, limits: QueryLimits | None = None
) -> AsyncIterator[ServedStore]:
    """One store on a free port; its token reads both databases."""
    async with EmbeddedStore(folder / f"served{next(_names)}", catalogue) as files:
        queries = InfluxQueries(files, DATABASES, limits or QueryLimits())
        access = InfluxAccess({TOKEN: frozenset(DATABASES.values())})
        server = HttpServer(
            Starlette(routes=InfluxEndpoint(queries, access).routes),
            Endpoint("127.0.0.1", 0, "web.port"),
            ServerLimits(),
        )
        await server.start()
        try:
            url = f"http://127.0.0.1:{server.port}"
            async with ServedStore(files, url, catalogue) as store:
                yield store
        finally:
            await server.stop()


@contextlib.contextmanager
def served_in_background(
    folder: Path, catalogue: Catalogue = CATALOGUE
) -> Iterator[tuple[ServedStore, asyncio.AbstractEventLoop]]:
    """The same for tests that wait for its answers: it runs in a thread's loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="served influx")
    thread.start()
    serving = served(folder, catalogue)
    try:
        entering = asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop)
        yield entering.result(60), loop
        leaving = serving.__aexit__(None, None, None)
        asyncio.run_coroutine_threadsafe(leaving, loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
