"""Boards over 30 days if rows are kept for a week only: roll-ups answer, and what only
rows have is missing and says so. On a real InfluxDB."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import services
from grafana_asks import filled
from rolled_store import Rolled, tidy, write
from shown_rows import panel_document

from collectors.store.influx_store import InfluxStore
from collectors.store.influxql import identifier
from collectors.store.rollup_backlog import RollUpSpan
from dashboards.grafana.range_texts import ROWS_ONLY, WHOLE_DAYS
from probes.wire.sample import Sample

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# A midnight, so that 30 days are whole ones.
END_MS = 1_795_000_000_000 - 1_795_000_000_000 % DAY_MS
START_MS = END_MS - 30 * DAY_MS
# Within an hour: the rest of its rows must not become its roll-up.
CUT_MS = END_MS - 7 * DAY_MS + 25 * 60_000
CHOSEN = {"site": "hall", "supplier": "S", "busiest": "fibre", "search": "", "about": ""}
DOWN_MS = END_MS - 20 * DAY_MS


def _rows() -> Iterator[Sample]:
    """A line that was down for six hours 20 days ago, and its device's events."""
    tags = {"line": "fibre", "site": "hall", "supplier": "S", "role": "primary"}
    device = {"device": "sw1", "site": "hall", "role": "switch"}
    for n, at in enumerate(range(START_MS, END_MS, 10 * 60_000)):
        up = int(not DOWN_MS <= at < DOWN_MS + 6 * HOUR_MS)
        use = {"down_use_ratio": n % 7 / 10, "up_use_ratio": 0.25} if up else {}
        fixed = {"contract_down_bps": 1e8, "contract_up_bps": 1e7, "circuit_ref": "C"}
        yield Sample("line", tags, {"up": up, **use, **fixed}, at)
    for at in range(START_MS, END_MS, DAY_MS):
        yield Sample("event", {**device, "event": "restarted"}, {"text": "it"}, at)


async def _ask(rolled: Rolled, board: str, title: str, interval: str) -> list[Any]:
    """The tags and values of each row of a panel over 30 days."""
    panel = panel_document(board, title)
    async with rolled.client() as client:
        return [
            (series.tags, values[1:])
            for target in panel["targets"]
            for series in await client.query(
                rolled.database,
                filled(target["query"], CHOSEN, 30 * 86_400, interval, END_MS),
            )
            for values in series.values
        ]


async def _roll_up(store: InfluxStore) -> None:
    """Rolls up 30 days at once: hour by hour it takes a minute."""
    rollups = store._rollups
    assert rollups is not None
    for steps in (("5m", "1h"), ("1d",)):
        span = RollUpSpan("line", steps, START_MS, END_MS)
        await rollups._write_span(span, END_MS)
    done = (START_MS, START_MS)
    rollups._backlog.history["line"] = rollups._backlog.days["line"] = done
    await rollups._save()


async def _delete_rows(rolled: Rolled, measurement: str) -> None:
    """Deletes what is older than a week, as a council's own job would."""
    async with rolled.client() as client:
        if (await client.version()).major == 1:
            text = f"DELETE FROM {identifier(measurement)} WHERE time < {CUT_MS}ms"
            await client.query(rolled.database, text)
            return
        status, answer = await client.call(
            "POST",
            "/api/v2/delete",
            {"org": client.org, "bucket": rolled.database},
            {
                "start": "1970-01-01T00:00:00Z",
                "stop": f"{CUT_MS * 1_000_000}",
                "predicate": f'_measurement="{measurement}"',
            },
        )
        assert status < 300, answer


FIGURES = {
    "Which lines were down?": "12h",
    "Which line needs more bandwidth?": "12h",
    "How do the suppliers compare?": "12h",
    "How full are the lines towards the site?": "1h",
    "When were lines down?": "1h",
}
EVENTS = "What did devices report?"


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
    before = {
        title: await _ask(rolled, "towpath-wan", title, interval)
        for title, interval in FIGURES.items()
    }
    assert before["Which lines were down?"][0][1][:2] == [
        pytest.approx(1 - 6 / (30 * 24)),
        0,
    ]
    assert len(await _ask(rolled, "towpath-site", EVENTS, "12h")) == 1
    for measurement in ("line", "event"):
        await _delete_rows(rolled, measurement)
    if loses_its_file:
        # All history is rolled up again, as far as there are rows.
        (tmp_path / f"rollups-{rolled.database}.json").unlink()
    async with rolled.store() as store:
        rollups = store._rollups
        assert rollups is not None
        await tidy(rolled, store, 1)
        while rollups._backlog.oldest_spans():
            rollups._history_from = 0
            await tidy(rolled, store, 1)
    for title, interval in FIGURES.items():
        after = await _ask(rolled, "towpath-wan", title, interval)
        assert after == before[title], title


def test_what_only_rows_have_says_so() -> None:
    assert ROWS_ONLY in panel_document("towpath-site", EVENTS)["description"]
    for title, interval in FIGURES.items():
        text = panel_document("towpath-wan", title)["description"]
        assert ROWS_ONLY not in text
        assert (WHOLE_DAYS in text) == (interval == "12h"), title
