"""Queries of an InfluxDB with roll-ups have the figures of its rows and of the embedded
store."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import council
import msgspec
import pytest
import services
from hypothesis import given
from hypothesis import strategies as st
from rolled_store import Rolled, roll_up_history, tidy, write

from collectors.server_measurements import CATALOGUE
from collectors.store.parquet_store import EmbeddedStore
from collectors.store.query import Highest, Pick, Query, Row, Store, Where
from collectors.store.rolled_measurements import STEPS_MS
from collectors.store.rolled_reading import pieces
from dashboards.report import report_queries
from dashboards.report.trend import answered_query
from probes.wire.sample import Sample, Value

HOUR, DAY = 3_600_000, 86_400_000
# Midnight UTC.
START = 1_795_000_000_000 - 1_795_000_000_000 % DAY
END = START + 2 * DAY
NOW = END + HOUR
STEP = 30 * 60_000


def _rows() -> list[Sample]:
    """Two days: two switches, three ports each, a line and a group of laptops."""
    chance = random.Random(5)
    rows = []
    for at in range(START, END, STEP):
        for n in range(2):
            device = {"site": f"s{n}", "device": f"sw{n}", "role": "switch"}
            up: dict[str, Value] = {"up": int(chance.random() < 0.9), "answered": 1}
            rows.append(Sample("device", device, up, at))
            for port in "123":
                use: dict[str, Value] = {
                    name: chance.random()
                    for name in ("in_use_ratio", "out_use_ratio", "in_errors_per_s")
                }
                use["speed_bps"] = 10**9 if at < START + DAY else 10**8
                rows.append(Sample("interface", {**device, "port": port}, use, at))
            line = {"line": f"l{n}", "site": f"s{n}", "role": "primary"}
            used: dict[str, Value] = {
                "down_use_ratio": chance.random(),
                "up": 1,
                "carrying": 1,
            }
            rows.append(Sample("line", line, used, at))
        group = {"by": "place", "group": "home"}
        poor: dict[str, Value] = {
            "agents": 40,
            "calls": chance.randrange(9),
            "call_poor_ratio": 0.1,
        }
        rows.append(Sample("experience", group, poor, at))
    return rows


def _queries() -> list[Query]:
    """What a report asks, of ranges that begin and end anywhere."""
    day = (START, START + DAY)
    odd = (START + 5 * HOUR + 7 * 60_000, END - 3 * HOUR - 60_000)
    counts = (Pick("up", "count"), Pick("up", "sum"))
    asked = [
        Query("device", counts, *odd, (), ("site", "device"), every)
        for every in (DAY, HOUR, None)
    ]
    for span in (day, odd):
        asked += [
            report_queries.ports_use(*span, None),
            report_queries.ports_use(*span, ["s1"]),
            report_queries.ports_month(*span, None),
            report_queries.line_month(*span, ["l0", "l1", "none"]),
            report_queries.line_hours(*span, ["l0", "l1"]),
            report_queries.experience([span]),
            answered_query([span], ["s0"]),
        ]
    highest = Highest(1, "site", ("device", "port"))
    in_use = (Pick("in_use_ratio", "max"),)
    by = ("site", "device", "port")
    where = (Where("device", ("sw0",), negate=True),)
    busiest = report_queries.ports_use(START, END, None)
    return [
        *asked,
        # Whole days, so that ranks of days tell which ports may be the busiest.
        msgspec.structs.replace(busiest, highest=highest),
        Query("interface", in_use, *odd, where, by, highest=highest),
        Query("interface", (Pick("speed_bps", "last"),), *odd, (), ("site",)),
        Query("device", counts, START - 9 * DAY, START - DAY, (), ("device",), DAY),
    ]


def _compared(row: Row) -> tuple[object, ...]:
    values = {
        name: value if isinstance(value, str) else pytest.approx(value)
        for name, value in row.values.items()
    }
    return row.time_ms, row.tags, values


async def _assert_answers_alike(store: Store, others: Store) -> None:
    for query in _queries():
        expected = [_compared(row) for row in await others.query(query)]
        answer = [(r.time_ms, r.tags, r.values) for r in await store.query(query)]
        assert answer == expected, query


@pytest.mark.service
async def test_a_report_from_influxdb_has_the_figures_of_the_embedded_store(
    influx_server: services.Server, tmp_path: Path
) -> None:
    rolled = Rolled(influx_server, "reports", tmp_path, NOW)
    rows = _rows()
    async with EmbeddedStore(tmp_path / "files", CATALOGUE) as files:
        await files.write(list(council.batches(iter(rows))))
        async with rolled.plain() as plain:
            await write(plain, rows)
        async with rolled.store() as store:
            # Nothing is rolled up: rows are read.
            await _assert_answers_alike(store, files)
            await roll_up_history(rolled, store)
            await _assert_answers_alike(store, files)
            # A row comes late: its buckets are out of date until they are rolled up.
            late = [
                Sample("device", {"site": "s0", "device": "late"}, {"up": 1}, at)
                for at in (START + 61_000, START + 181_000)
            ]
            await files.write(list(council.batches(iter(late))))
            await write(store, late)
            await _assert_answers_alike(store, files)
            await tidy(rolled, store)
            await _assert_answers_alike(store, files)
            # Whole days of devices and the means of ports are read from roll-ups alone.
            await store._server.query("reports", 'DROP MEASUREMENT "device"')
            await store._server.query("reports", 'DROP MEASUREMENT "interface"')
            for query in (
                answered_query([(START, END)], ["s0"]),
                report_queries.ports_use(START, END, None),
            ):
                assert await store.query(query) == await files.query(query)


@given(
    begin=st.integers(0, 4 * DAY),
    length=st.integers(1, 40 * DAY),
    every=st.sampled_from([None, DAY, HOUR, 300_000, 90_000]),
    missing=st.sets(st.integers(0, 40), max_size=5),
)
def test_the_pieces_of_a_range_are_all_of_it_once(
    begin: int, length: int, every: int | None, missing: set[int]
) -> None:
    def complete(step: str, span: tuple[int, int]) -> list[tuple[int, int]]:
        ms = STEPS_MS[step]
        starts = range(span[0] + -span[0] % ms, span[1] - ms + 1, ms)
        return [(at, at + ms) for at in starts if at // ms % 41 not in missing]

    now_ms = 30 * DAY
    counts = (Pick("up", "count"),)
    query = Query("device", counts, begin, begin + length, (), (), every)
    found = pieces(query, CATALOGUE.measurement("device"), complete, now_ms)
    assert found[0].from_ms == begin
    assert found[-1].to_ms == begin + length
    assert all(one.to_ms == two.from_ms for one, two in itertools.pairwise(found))
    for piece in found:
        if piece.step:
            ms = STEPS_MS[piece.step]
            assert piece.from_ms % ms == piece.to_ms % ms == 0
            assert piece.to_ms <= now_ms
            assert (every or ms) % ms == 0
