"""A page shows the same figures whether the rows are in files or in InfluxDB."""

from __future__ import annotations

import itertools
from pathlib import Path

import council
import httpx2
import pytest
import services
from council_page import DARK, DOWN, NOW_MS
from store_doubles import AlertList
from stores import DAY, HOUR, embedded, influx

from collectors.server_measurements import CATALOGUE
from collectors.store.query import Store
from dashboards.web import StatusPage, WebConfig

PATHS = (
    "/",
    "/sites/library",
    "/sites/depot?range=7d",
    "/devices/dep-sw2",
    "/devices/th-sw1?range=30d",
    "/devices/th-sw1/port?name=Te1/1/1",
    "/devices/th-sw1/port?name=Te1/1/1&range=7d",
    "/ports",
    "/ports?by=errors",
    "/search?q=th",
    "/teams",
    "/rooms",
    "/alerts",
    "/intranet",
    "/api/status.json",
)


@pytest.mark.service
async def test_every_page_is_alike_on_both_stores(
    influx_server: services.Server, tmp_path: Path
) -> None:
    rows = council.batches(
        itertools.chain(
            council.samples(NOW_MS - 3 * DAY, NOW_MS - DAY, 3 * HOUR),
            council.samples(NOW_MS - DAY, NOW_MS - HOUR, HOUR // 2, (DARK,), DOWN),
            council.samples(NOW_MS - HOUR, NOW_MS, HOUR // 30, down=DOWN),
        )
    )
    async with (
        embedded(tmp_path, CATALOGUE) as files,
        influx(influx_server, CATALOGUE) as database,
    ):
        for store in (files, database):
            await store.write(rows)
        ours, theirs = await _pages(files), await _pages(database)
    for path in PATHS:
        assert ours[path] == theirs[path], path


async def _pages(store: Store) -> dict[str, list[str]]:
    """The lines of each page."""
    estate, alerts = council.estate(), AlertList(council.alerts(NOW_MS))
    page = StatusPage(WebConfig(), lambda: estate, alerts, store, now_ms=lambda: NOW_MS)
    shown = {}
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=page.app), base_url="http://localhost"
    ) as client:
        for path in PATHS:
            answer = await client.get(path)
            assert (answer.status_code, page.views.answers.failing) == (200, ""), path
            shown[path] = answer.text.splitlines()
    return shown
