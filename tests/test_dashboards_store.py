"""Report and page over real stores: the embedded one's files, and a real InfluxDB."""

from __future__ import annotations

import asyncio
import contextlib
import re
import urllib.request
from pathlib import Path

import council
import pytest
import services
import stores

from alerts.alert_access import add_silence
from alerts.silence import Silence
from collectors.server_measurements import CATALOGUE
from collectors.store import StoreConfig, open_store
from dashboards.report import Month, ReportSettings, select_sites, site_report
from dashboards.web import StatusPage, WebConfig

OCTOBER = Month(2026, 10)
END_MS = OCTOBER.from_ms + 3 * 24 * council.HOUR_MS


@pytest.mark.parametrize(
    "kind", ["embedded", pytest.param("influxdb", marks=pytest.mark.service)]
)
async def test_report_and_page_say_what_a_real_store_holds(
    tmp_path: Path, kind: str
) -> None:
    alerts = tmp_path / "alerts.sqlite"
    from_ms = END_MS - 6 * council.HOUR_MS
    rows = council.samples(from_ms, END_MS, 5 * council.MINUTE_MS)
    fresh = council.samples(END_MS - 5 * council.MINUTE_MS, END_MS, council.MINUTE_MS)
    with contextlib.ExitStack() as servers:
        config = StoreConfig(folder=tmp_path / "store")
        if kind == "influxdb":
            started = servers.enter_context(
                services.running(services.influxd(tmp_path / "influx"))
            )
            config = stores.influx_config(started, tmp_path / "store")
        estate = council.estate()
        page = StatusPage(
            WebConfig(port=0),
            lambda: estate,
            ReportSettings(alerts=alerts),
            store := open_store(config, CATALOGUE),
            lambda: END_MS,
            council="Example",
        )
        async with store, page:
            await store.write(council.batches(rows))
            await store.write(council.batches(fresh, "fresh"))
            made = await site_report(
                OCTOBER,
                select_sites(estate, None),
                store,
                estate,
                tmp_path / "out",
                END_MS,
            )
            text = await asyncio.to_thread(
                lambda: urllib.request.urlopen(page.url, timeout=20).read().decode()
            )
    html = made.files[0].read_text()
    assert "2 days 18 h" in html  # of three days, six hours were observed
    assert "too few laptops" in html
    assert "ETH100123" in html  # the circuit of a line, by which its supplier knows it
    assert "does not answer" not in text
    assert re.search("<title>Sites now . Example . Towpath</title>", text)
    sites = text[text.index("<caption>Every site") :]
    assert sites[: sites.index("</table>")].count("Working") == 3


async def test_planned_maintenance_is_read_from_the_alert_engines_file(
    tmp_path: Path,
) -> None:
    alerts = tmp_path / "alerts.sqlite"
    from_ms = END_MS - 2 * council.HOUR_MS
    planned = Silence(0, from_ms, END_MS, site="depot", why="new line", planned=1)
    add_silence(alerts, planned)
    estate = council.estate()
    async with open_store(StoreConfig(folder=tmp_path / "store"), CATALOGUE) as store:
        rows = council.samples(from_ms, END_MS, 5 * council.MINUTE_MS)
        await store.write(council.batches(rows))
        made = await site_report(
            OCTOBER,
            select_sites(estate, "depot"),
            store,
            estate,
            tmp_path / "out",
            END_MS,
            ReportSettings(alerts=alerts),
        )
    sites = next(p for p in made.files if p.name.endswith("-sites.csv")).read_text()
    cells = sites.splitlines()[1].split(",")
    assert cells[3] == ""  # nothing else was observed
    assert cells[8] == "2"  # planned maintenance (h)
