"""Roll-ups of a real InfluxDB have the figures of its rows, whatever happens."""

from __future__ import annotations

import contextlib
import json
import math
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import services
from rolled_store import Rolled, roll_up_history, tidy, write

from collectors.server_measurements import CATALOGUE
from collectors.store import influx_rollups
from collectors.store.influxql import Grafana
from collectors.store.influxql_ranges import render_ranges
from collectors.store.query import Pick, Query
from collectors.store.rolled_measurements import ROLLED, STEPS_MS, rolled_fields
from collectors.store.store_config import StoreConfig
from collectors.store.store_errors import QueryFailed
from probes.wire.sample import Sample, Value

HOUR = 3_600_000
START = 1_795_000_000_000 - 1_795_000_000_000 % HOUR
END = START + 3 * HOUR

PICKS = {
    "interface": ("in_bps:mean", "in_bps:max", "up:min", "up:mean", "oper:last"),
    "line": ("up_bps:mean", "up_bps:min", "up_bps:last", "carrying:sum", "up:count"),
    "experience": ("call_poor_ratio:mean", "call_poor_ratio:max", "agents:sum"),
    "device": ("outcome:last", "icmp_rtt_ms:mean", "restarted:sum"),
}
# A line or device is the first tag, by which rows are read back.
ODD_NAMES = ('a "b" c', "o'neil, ltd", "d=e\\f", "Ysgol Bro Eirwg, tŷ", "/x.*$/")
TAGS = {
    "interface": {"port": ("1", *ODD_NAMES[:3])},
    "line": {"line": ("one", "two", *ODD_NAMES)},
    "experience": {"group": ("home", "office")},
    "device": {"device": (*ODD_NAMES, *(f"sw{n}" for n in range(8)))},
}
MIDNIGHT_BEFORE = START - START % STEPS_MS["1d"]


def _rows(seed: int, from_ms: int = START, to_ms: int = END) -> list[Sample]:
    """Rows of four measurements, some of whose values and tags are absent."""
    chance = random.Random(seed)
    rows = []
    for name, tags in TAGS.items():
        declared = CATALOGUE.measurement(name)
        [(tag, subjects)] = tags.items()
        for time_ms in range(from_ms, to_ms, declared.period_s * 1000):
            for subject in subjects:
                values: dict[str, Value] = {}
                for field in declared.fields:
                    if chance.random() < 0.2:
                        continue
                    number = chance.randrange(100)
                    values[field.name] = {
                        "int": number,
                        "float": number / 7,
                        "str": f'"{number}"',
                    }[field.type]
                if values:
                    fixed = {"device": "sw1"} if name == "interface" else {}
                    rows.append(Sample(name, {**fixed, tag: subject}, values, time_ms))
    return rows


@pytest.fixture
def rolled(
    influx_server: services.Server, tmp_path: Path, request: pytest.FixtureRequest
) -> Rolled:
    name = f"t{abs(hash(request.node.name)) % 10**9}"
    return Rolled(influx_server, name, tmp_path, END)


async def _figures(
    rolled: Rolled, name: str, interval: str, ms: int, every_ms: int
) -> dict[Any, Any]:
    """(tags, time) → figures in buckets of `every_ms`, as a board gets them whose
    interval is `interval`."""
    picks = tuple(Pick(*pick.split(":")) for pick in PICKS[name])  # type: ignore[arg-type]
    [tag] = TAGS[name]
    query = Query(name, picks, 0, 1, (), (tag,), 60_000)
    text = render_ranges(query, CATALOGUE.measurement(name), Grafana())
    text = (
        text.replace("$timeFilter", f"time >= {MIDNIGHT_BEFORE}ms AND time < {END}ms")
        .replace("$__interval_ms", str(ms))
        .replace("$__interval", f"{every_ms}ms")
    )
    async with rolled.client() as client:
        series = await client.query(rolled.database, text)
    return {
        (one.tags[tag], row[0]): [
            value if isinstance(value, str | None) else pytest.approx(value)
            for value in row[1:]
        ]
        for one in series
        for row in one.values
    }


async def _assert_rolled_up(rolled: Rolled) -> None:
    """Every figure of every roll-up is that of the rows."""
    for name in PICKS:
        for step, ms in STEPS_MS.items():
            if name == "experience" and step == "5m":
                continue
            of_rows = await _figures(rolled, name, "1m", 60_000, ms)
            of_rolls = await _figures(rolled, name, step, ms, ms)
            assert of_rows
            assert of_rolls == of_rows, (name, step)


@pytest.mark.service
async def test_roll_ups_have_the_figures_of_the_rows(rolled: Rolled) -> None:
    async with rolled.store() as store:
        await write(store, _rows(1))
        await tidy(rolled, store)
    await _assert_rolled_up(rolled)


@pytest.mark.service
async def test_late_and_repeated_rows_change_their_roll_ups(rolled: Rolled) -> None:
    rows = _rows(2)
    late = [row for row in rows if START + HOUR <= row.time_ms < START + 2 * HOUR]
    async with rolled.store() as store:
        await write(store, [row for row in rows if row not in late])
        await tidy(rolled, store)
        await write(store, late)
        await write(store, late)
        # A row that replaces another.
        await write(store, _rows(3, START, START + 60_000))
        await tidy(rolled, store)
    await _assert_rolled_up(rolled)


@pytest.mark.service
async def test_what_was_written_before_a_crash_is_rolled_up_after_it(
    rolled: Rolled,
) -> None:
    async with rolled.store() as store:
        await tidy(rolled, store, 0)
        await write(store, _rows(4))
    # Nothing was rolled up; the file knows what is to be done.
    async with rolled.store() as store:
        await tidy(rolled, store)
    await _assert_rolled_up(rolled)


@pytest.mark.service
async def test_rows_from_before_the_roll_ups_are_rolled_up_too(
    rolled: Rolled,
) -> None:
    async with rolled.plain() as store:
        await write(store, _rows(5))
    async with rolled.store() as store:
        await roll_up_history(rolled, store)
    await _assert_rolled_up(rolled)


@pytest.mark.service
async def test_a_damaged_file_means_that_everything_is_rolled_up_again(
    rolled: Rolled, tmp_path: Path
) -> None:
    async with rolled.store() as store:
        await write(store, _rows(6))
    file = tmp_path / f"rollups-{rolled.database}.json"
    file.write_bytes(file.read_bytes()[:20])
    async with rolled.store() as store:
        await roll_up_history(rolled, store)
    await _assert_rolled_up(rolled)


@pytest.mark.service
async def test_older_rows_take_half_of_the_time_at_most_and_have_their_turn_each_time(
    rolled: Rolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rolled.plain() as store:
        await write(store, _rows(5))
    async with rolled.store() as store:
        rollups = store._rollups
        assert rollups is not None
        clock, hours = SimpleNamespace(now_s=1_000.0), 0
        monkeypatch.setattr(
            influx_rollups, "time", SimpleNamespace(monotonic=lambda: clock.now_s)
        )
        write_span = rollups._write_span

        async def slowly(*of_span: Any) -> None:
            nonlocal hours
            hours += 1
            clock.now_s += 1.0
            await write_span(*of_span)

        monkeypatch.setattr(rollups, "_write_span", slowly)
        rolled.now_ms += 24 * HOUR
        for turn in range(3):
            begun_s = clock.now_s = 1_000.0 + turn * StoreConfig().tidy_s
            before = hours
            await store.tidy(rolled.now_ms)
            assert 12 <= hours - before < 20
            assert clock.now_s - begun_s <= StoreConfig().tidy_s / 2
        # It is not its turn yet.
        await store.tidy(rolled.now_ms)
        assert hours - before < 20


@pytest.mark.service
async def test_what_is_not_over_costs_few_requests_and_is_not_repeated_at_once(
    rolled: Rolled,
) -> None:
    rolled.now_ms = END - 1
    async with rolled.store() as store:
        await write(store, _rows(4, END - 300_000))
        requests: list[str] = []
        send = store._server._send

        async def count(method: str, path: str, *args: Any, **more: Any) -> Any:
            requests.append(path)
            return await send(method, path, *args, **more)

        store._server._send = count  # type: ignore[method-assign]
        assert store._rollups is not None
        store._rollups._history_from = math.inf
        await tidy(rolled, store, 0)
        first = len(requests)
        await tidy(rolled, store, 0)
    # Four measurements with two or three steps each, and ranks of two of them.
    assert 0 < first < 40
    assert len(requests) == first


@pytest.mark.service
async def test_the_hour_that_is_not_over_is_rolled_up_as_far_as_it_is(
    rolled: Rolled,
) -> None:
    rolled.now_ms = END - 20 * 60_000
    async with rolled.store() as store:
        await write(store, _rows(7, START, rolled.now_ms))
        await store.tidy(rolled.now_ms)
        await _assert_rolled_up(rolled)
        await write(store, _rows(7, rolled.now_ms, END))
        await tidy(rolled, store)
    await _assert_rolled_up(rolled)


DAY = 24 * HOUR
DAYS = 4
MIDNIGHT = START - START % DAY - DAYS * DAY


def _line_rows() -> list[Sample]:
    """Days of two lines, one row in five minutes, the last day without its evening."""
    rows = []
    for n, time_ms in enumerate(
        range(MIDNIGHT, MIDNIGHT + DAYS * DAY - 5 * HOUR, DAY // 288)
    ):
        for line in ("one", ODD_NAMES[2]):
            use = (n * 7919 % 1000) / 1000 * (0.5 if line == "one" else 1.0)
            rows.append(
                Sample("line", {"line": line}, {"down_use_ratio": use}, time_ms)
            )
    return rows


async def _percentiles(rolled: Rolled, ms: int) -> dict[str, float]:
    """Line → its percentile over all days, as a board with an interval gets it."""
    picks = (Pick("down_use_ratio", "p95"),)
    query = Query("line", picks, 0, 1, (), ("line",), None, 300_000)
    grafana = Grafana(interval="")
    text = render_ranges(query, CATALOGUE.measurement("line"), grafana, estimated=True)
    times = f"time >= {MIDNIGHT}ms AND time < {MIDNIGHT + DAYS * DAY}ms"
    text = text.replace("$timeFilter", times).replace("$__interval_ms", str(ms))
    async with rolled.client() as client:
        series = await client.query(rolled.database, text)
    return {one.tags["line"]: one.values[0][1] for one in series}


async def _assert_ranked(rolled: Rolled) -> None:
    """Weeks have nearly the percentiles of the rows, days have exactly those."""
    of_rows = await _percentiles(rolled, 60_000)
    assert len(of_rows) == 2
    assert await _percentiles(rolled, 300_000) == of_rows
    of_ranks = await _percentiles(rolled, 24 * HOUR)
    assert of_ranks == {
        line: pytest.approx(value, rel=0.03) for line, value in of_rows.items()
    }
    async with rolled.client() as client:
        [series] = await client.query(
            rolled.database,
            'SELECT count("down_use_ratio_rank"), sum("down_use_ratio_n"), '
            'sum("down_use_ratio_sum"), max("down_use_ratio_max") FROM "line_1d"',
        )
    values = [float(row.fields["down_use_ratio"]) for row in _line_rows()]
    # 24 of each whole day, 19 of the day without an evening.
    assert series.values[0][1:] == [
        2 * (24 * DAYS - 5),
        len(values),
        pytest.approx(sum(values)),
        max(values),
    ]


@pytest.mark.service
async def test_percentiles_of_weeks_are_those_of_ranks_of_days(rolled: Rolled) -> None:
    rolled.now_ms = MIDNIGHT + DAYS * DAY
    rows = _line_rows()
    late = [row for row in rows if MIDNIGHT + DAY <= row.time_ms < MIDNIGHT + 30 * HOUR]
    async with rolled.store() as store:
        await write(store, [row for row in rows if row not in late])
        await tidy(rolled, store)
        await write(store, late)
        await tidy(rolled, store)
    await _assert_ranked(rolled)


@pytest.mark.service
@pytest.mark.parametrize("is_upgrade", [False, True])
async def test_days_from_before_their_roll_ups_get_them(
    rolled: Rolled, is_upgrade: bool, tmp_path: Path
) -> None:
    """After an upgrade the other roll-ups are there, or nothing is."""
    rolled.now_ms = MIDNIGHT + DAYS * DAY
    if is_upgrade:
        async with rolled.store() as store:
            await write(store, _line_rows())
            await tidy(rolled, store)
        file = tmp_path / f"rollups-{rolled.database}.json"
        state = json.loads(file.read_bytes())
        state["history"]["line"] = [MIDNIGHT, MIDNIGHT]
        state["pending"].pop("line", None)
        # A version before had ranks of days only, and one before that had none.
        del state["whole_days"]
        state["days"] = {"line": [MIDNIGHT, MIDNIGHT]}
        file.write_text(json.dumps(state))
        async with rolled.client() as client:
            # 2.x answers nothing.
            with contextlib.suppress(QueryFailed):
                await client.query(rolled.database, 'DELETE FROM "line_1d"')
            assert not await client.query(rolled.database, 'SELECT * FROM "line_1d"')
    else:
        async with rolled.plain() as store:
            await write(store, _line_rows())
    async with rolled.store() as store:
        await roll_up_history(rolled, store)
    await _assert_ranked(rolled)


def test_names_of_a_roll_ups_fields_are_all_different() -> None:
    for name in ROLLED:
        declared = CATALOGUE.measurement(name)
        names = [field.name for field in rolled_fields(declared)]
        assert len(set(names)) == len(names) > 0
        assert not set(names) & {tag.name for tag in declared.tags}
