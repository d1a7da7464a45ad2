"""Boards over 30 days if rows are kept for a week only: roll-ups answer, and what only
rows have says so. On a real InfluxDB and on the embedded store."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import services
from grafana_asks import filled
from rolled_store import Rolled, roll_up_history, write
from served_influx import served
from shown_rows import panel_document

from collectors.server_measurements import CATALOGUE
from collectors.store.influx_http import InfluxServer
from collectors.store.influx_store import InfluxStore
from collectors.store.rollup_backlog import RollUpSpan
from dashboards.grafana.range_texts import ROWS_ONLY, WHOLE_DAYS
from probes.wire.sample import Sample, Value

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# A midnight, so that 30 days are whole ones.
END_MS = 1_795_000_000_000 - 1_795_000_000_000 % DAY_MS
START_MS = END_MS - 30 * DAY_MS
# Within an hour: the rest of its rows must not become its roll-up.
CUT_MS = END_MS - 7 * DAY_MS + 25 * 60_000
CUT = datetime.fromtimestamp(CUT_MS / 1000, UTC)
CHOSEN = {"site": "hall", "supplier": "S", "busiest": "fibre", "search": ""}
WAN = "towpath-wan"
FIGURES = {
    "Which lines were down?": "12h",
    "Which line needs more bandwidth?": "12h",
    "How do the suppliers compare?": "12h",
    "How full are the lines towards the site?": "1h",
    "When were lines down?": "1h",
}
EVENTS = "What did devices report?"
DOWN_MS = END_MS - 20 * DAY_MS


def _rows() -> Iterator[Sample]:
    """A line that was down for six hours 20 days ago."""
    tags = {"line": "fibre", "site": "hall", "supplier": "S", "role": "primary"}
    for n, at in enumerate(range(START_MS, END_MS, 10 * 60_000)):
        up = int(not DOWN_MS <= at < DOWN_MS + 6 * HOUR_MS)
        fields: dict[str, Value] = {"up": up, "circuit_ref": "C"}
        fields |= {"contract_down_bps": 1e8, "contract_up_bps": 1e7}
        if up:
            fields |= {"down_use_ratio": n % 7 / 10, "up_use_ratio": 0.25}
        yield Sample("line", tags, fields, at)


async def _ask(
    client: InfluxServer, database: str, title: str, interval: str
) -> list[Any]:
    """The tags and values of each row of a panel over 30 days."""
    return [
        # Sums in another order differ in their last digits.
        (
            series.tags,
            [round(v, 9) if isinstance(v, float) else v for v in values[1:]],
        )
        for target in panel_document(WAN, title)["targets"]
        for series in await client.query(
            database, filled(target["query"], CHOSEN, 30 * 86_400, interval, END_MS)
        )
        for values in series.values
    ]


async def _figures(client: InfluxServer, database: str) -> dict[str, list[Any]]:
    """The answers of panels, in which the outage of six hours is seen."""
    answers = {
        title: await _ask(client, database, title, interval)
        for title, interval in FIGURES.items()
    }
    [(_, (up, lowest, _))] = answers["Which lines were down?"]
    assert (up, lowest) == (pytest.approx(1 - 6 / (30 * 24)), 0)
    return answers


async def _roll_up(store: InfluxStore) -> None:
    """Rolls up 30 days at once: hour by hour it takes a minute."""
    rollups = store._rollups
    assert rollups is not None
    for steps in (("5m", "1h"), ("1d",)):
        span = RollUpSpan("line", steps, START_MS, END_MS)
        await rollups._write_span(span, END_MS)
        await rollups._flush()
    done = (START_MS, START_MS)
    rollups._backlog.history["line"] = rollups._backlog.days["line"] = done
    await rollups._save()


async def _delete_rows(rolled: Rolled) -> None:
    """Deletes what is older than a week, as a council's own job would."""
    async with rolled.client() as client:
        if (await client.version()).major == 1:
            text = f'DELETE FROM "line" WHERE time < {CUT_MS}ms'
            await client.query(rolled.database, text)
            return
        status, answer = await client.call(
            "POST",
            "/api/v2/delete",
            {"org": client.org, "bucket": rolled.database},
            {
                "start": "1970-01-01T00:00:00Z",
                "stop": f"{CUT:%Y-%m-%dT%H:%M:%SZ}",
                "predicate": '_measurement="line"',
            },
        )
        assert status < 300, answer


@pytest.mark.service
@pytest.mark.parametrize("loses_its_file", [False, True])
async def test_30_days_are_shown_from_roll_ups_if_rows_are_kept_for_a_week(
    influx_server: services.Server, tmp_path: Path, loses_its_file: bool
) -> None:
    rolled = Rolled(influx_server, f"kept{loses_its_file}", tmp_path, END_MS)
    async with rolled.plain() as store:
        await write(store, list(_rows()))
    async with rolled.store() as store:
        await _roll_up(store)
    async with rolled.client() as client:
        before = await _figures(client, rolled.database)
    await _delete_rows(rolled)
    if loses_its_file:
        # All history is rolled up again, as far as there are rows.
        (tmp_path / f"rollups-{rolled.database}.json").unlink()
    async with rolled.store() as store:
        await roll_up_history(rolled, store)
    async with rolled.client() as client:
        assert await _figures(client, rolled.database) == before


async def test_the_embedded_store_shows_30_days_too(tmp_path: Path) -> None:
    async with served(tmp_path, CATALOGUE) as store:
        await write(store, list(_rows()))
        # Two hours later no row of the last day is late.
        await store.tidy(END_MS + 2 * HOUR_MS)
        before = await _figures(store._server, "towpath")
        deleted = await asyncio.to_thread(_delete_days, tmp_path, f"{CUT:%Y-%m-%d}")
        assert deleted == 23
        for hours in (2, 4):
            await store.tidy(END_MS + hours * HOUR_MS)
            assert await _figures(store._server, "towpath") == before


def _delete_days(folder: Path, before: str) -> int:
    days = [path for path in folder.rglob("shared/line/*") if path.name < before]
    for day in days:
        shutil.rmtree(day)
    return len(days)


def test_what_only_rows_have_says_so() -> None:
    assert ROWS_ONLY in panel_document("towpath-site", EVENTS)["description"]
    for title, interval in FIGURES.items():
        text = panel_document(WAN, title)["description"]
        assert ROWS_ONLY not in text
        assert (WHOLE_DAYS in text) == (interval == "12h"), title
