"""Settings and fixtures for all tests."""

from __future__ import annotations

import atexit
import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import services
from hypothesis import settings
from served_influx import served
from stores import embedded, influx

from collectors.store.query import Store

# A busy machine fails no test by the clock: speed is for benchmarks.
settings.register_profile("towpath", deadline=None)
settings.load_profile("towpath")


# What is imported and collected stays until the end: looking through it for garbage
# again and again would take a quarter of the time of all tests.
gc.disable()


# Files with tests that take long come first: at the end, nothing else would run beside
# them.
LONGEST = (
    "test_demo.py",
    "test_alerts_refused.py",
    "test_report_pdf.py",
    "test_river_kill.py",
    "test_alerts_engine.py",
    "test_river_roles.py",
    "test_river_full_disk.py",
    "test_grafana_push_histories.py",
    "test_agent_schedule.py",
    "test_experience_reader.py",
    "test_snmp_namespace.py",
    "test_probes_vpn.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()


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
