"""Settings and fixtures for all tests."""

from __future__ import annotations

import atexit
import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import services
from hypothesis import settings
from journal_places import JournalPlace
from nats_servers import NatsServer, running_nats
from served_influx import served
from stores import embedded, influx

from collectors.store.query import Store

# A busy machine fails no test by the clock: speed is for benchmarks.
settings.register_profile("towpath", deadline=None)
settings.load_profile("towpath")


# What is imported and collected stays until the end: looking through it for garbage
# again and again would take a quarter of the time of all tests.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    if config.getoption("dist") != "loadfile":
        return None
    from lanes import LaneScheduling

    return LaneScheduling(config, log)


# At the end DuckDB looks for objects that it has lost.
atexit.register(gc.unfreeze)


@pytest.fixture(scope="module")
def influx_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[services.Server]:
    """A real InfluxDB, started once for a module."""
    with services.running(
        services.influxd(tmp_path_factory.mktemp("influx"))
    ) as influxd:
        yield influxd


@pytest.fixture(params=["embedded", "influx", "served"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store of each kind."""
    if request.param == "embedded":
        async with embedded(tmp_path) as files:
            yield files
    elif request.param == "served":
        async with served(tmp_path) as over_http:
            yield over_http
    else:
        async with influx(request.getfixturevalue("influx_server")) as database:
            yield database


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A real nats-server, started once for a worker."""
    with running_nats(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture(params=["files", "nats"])
async def place(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[JournalPlace]:
    """Where a journal of each kind is."""
    if request.param == "files":
        yield JournalPlace(tmp_path, None)
        return
    place = JournalPlace(tmp_path, request.getfixturevalue("nats_server"))
    async with place.connection:
        yield place
