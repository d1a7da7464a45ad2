"""A council whose calls are read from the fake Microsoft Graph."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from append_doubles import ListAppend
from call_records import BEGIN_MS
from graph_server import GraphServer, graph_server

from collectors.calls.call_collector import CallCollector
from collectors.calls.call_places import CallLocator
from collectors.calls.calls_config import CallsConfig
from collectors.calls.graph_client import GraphClient
from collectors.calls.graph_token import GraphToken
from collectors.estate import Estate, Site
from collectors.estate.estate_model import Room

HALL = Site(id="town-hall", name="Hall", subnets=(ip_network("10.150.0.0/16"),))
ROOM = Room(
    id="committee-1",
    site="town-hall",
    ports=("sw-1 Gi1/0/1",),
    accounts=("ROOM1@example.gov.uk",),
)
ESTATE = Estate(sites=(HALL,), rooms=(ROOM,))
OVER_MS = BEGIN_MS + 900_000 + 10_800_000


class Council:
    """A collector at a fixed time, with what it writes and how long it waited."""

    def __init__(self, config: CallsConfig, state: Path) -> None:
        self.now_ms = OVER_MS
        self.waited_s: list[float] = []
        self.append = ListAppend()
        self.config, self.state = config, state
        state.write_text(json.dumps({"written_ms": BEGIN_MS}))

    def collector(self) -> CallCollector:
        async def sleep(seconds: float) -> None:
            self.waited_s.append(seconds)

        self.graph = GraphClient(self.config, GraphToken(self.config), sleep)
        made = CallCollector(
            self.config,
            lambda: ESTATE,
            lambda: CallLocator(ESTATE.sites),
            self.append,
            self.state,
            10,
            lambda: self.now_ms,
            self.graph,
        )
        made._written_ms = made._state.load()
        return made

    async def round(self, collector: CallCollector | None = None) -> dict[str, Any]:
        """Reads one round; the fields of `self_calls` after it."""
        one = collector or self.collector()
        async with self.graph as graph:
            await one.read_round(graph)
        [sample] = one.samples("calls", self.now_ms)
        return sample.fields

    def rows(self) -> dict[tuple[str, ...], dict[str, Any]]:
        """The fields of each row by its tags."""
        found = {}
        for batch in self.append.batches:
            columns = [batch.tag(name) for name in batch.schema.tags]
            for at, tags in enumerate(zip(*columns, strict=True)):
                found[tags] = {
                    name: batch.field(name)[at] for name in batch.schema.fields
                }
        return found


@contextlib.asynccontextmanager
async def council(
    folder: Path, page: int = 60, **settings: Any
) -> AsyncIterator[tuple[GraphServer, Council]]:
    async with graph_server(folder, page) as server:
        yield server, Council(server.config(**settings), folder / "calls.json")
