"""Percentiles by the tops of days are those of all five-minute means, or rows."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest
from stores import DAY, HOUR, START, note_texts

from collectors.batch import Batch, Schema
from collectors.server_measurements import CATALOGUE
from collectors.store import day_tops, query_files, top_forms
from collectors.store.parquet_store import EmbeddedStore
from collectors.store.query import Highest, Pick, Query, Row, Where
from probes.wire.catalogue import Catalogue
from probes.wire.sample import Value

STEP = 5 * 60_000
DECLARED = CATALOGUE.measurement("interface")
PORTS = [("d1", "Gi1"), ("d1", "Gi2"), ("d1", "Gi3"), ("d1", "Gi4"), ("d2", "Gi1")]
DAYS = 6


def _use(chance: random.Random, port: str, time_ms: int) -> float | None:
    """Gi2 is busy on one whole day, Gi3 for the night, Gi4 has gaps and no speed on its
    second day."""
    day, hour = divmod(time_ms - START, DAY)
    busy = {"Gi2": day == 1, "Gi3": hour < 6 * HOUR}.get(port, False)
    if port == "Gi4" and (day == 1 or chance.random() < 0.4):
        return None
    return round(chance.random() * (0.9 if busy else 0.1), 3)


def _batch() -> Batch:
    chance = random.Random(1)
    rows = [
        (time_ms, device, "s1", "switch", port, _use(chance, port, time_ms))
        for device, port in PORTS
        for time_ms in range(START, START + DAYS * DAY + HOUR, STEP)
    ]
    tags = ("device", "site", "role", "port")
    columns = tuple(list(column) for column in zip(*rows, strict=True))
    return Batch("test", START, Schema("interface", tags, ("in_use_ratio",)), columns)


def _query(from_ms: int, to_ms: int, *picks: Pick) -> Query:
    return Query(
        "interface",
        picks or (Pick("in_use_ratio", "p95"),),
        from_ms,
        to_ms,
        group_by=("site", "device", "role", "port"),
        mean_step_ms=STEP,
    )


def _plain(rows: list[Row]) -> list[tuple[dict[str, str], dict[str, Value]]]:
    return [(row.tags, row.values) for row in rows]


async def test_percentiles_are_those_of_all_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = Pick("in_use_ratio", "p95"), Pick("in_use_ratio", "p99")
    queries = [
        _query(START, START + DAYS * DAY, *both),
        _query(START + DAY, START + 2 * DAY),
        # From one in the night to eleven, as in summer.
        _query(START + HOUR, START + (DAYS - 1) * DAY - HOUR),
    ]
    async with EmbeddedStore(tmp_path, Catalogue([DECLARED])) as store:
        await store.write([_batch()])
        before = [await store.query(query) for query in queries]
        assert len(before[0]) == len(PORTS)
        await store.tidy(START + DAYS * DAY + 2 * HOUR)
        tops = _tops(tmp_path)
        assert len(tops) == DAYS
        assert [_plain(await store.query(q)) for q in queries] == [
            _plain(rows) for rows in before
        ]
        # A summer month begins and ends at 23:00 UTC: of these days, hours are read.
        mean = Pick("in_use_ratio", "mean")
        hours = Query("interface", (mean,), START + 23 * HOUR, START + 3 * DAY - HOUR)
        (files,) = store._files.choose(DECLARED, (hours,)).chosen
        assert not files.scan.files
        assert [path.split("/")[-4] for path in files.rolled] == [
            "shared-1h",
            "shared-1d",
            "shared-1h",
        ]
        _remove_months(tmp_path)
        texts = note_texts(store, monkeypatch)
        assert _plain(await store.query(queries[0])) == _plain(before[0])
        # Gi2 was busy for more than a quarter of one day: that day is read, too.
        assert [text.count("-5m/") for text in texts] == [0, 0, 0, 1]
        # A day without tops is read whole.
        tops[0].unlink()
        assert [_plain(await store.query(q)) for q in queries] == [
            _plain(rows) for rows in before
        ]
        await store.tidy(START + DAYS * DAY + 4 * HOUR)
        assert tops[0].exists()


async def test_the_highest_are_those_of_all_percentiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranges = [
        (START, START + DAYS * DAY),
        # Parts of days, which have no tops.
        (START + HOUR, START + (DAYS - 1) * DAY - HOUR),
    ]
    async with EmbeddedStore(tmp_path, Catalogue([DECLARED])) as store:
        await store.write([_batch()])
        await store.tidy(START + DAYS * DAY + 2 * HOUR)
        for span in ranges:
            every = _query(*span, Pick("in_use_ratio", "p95"))
            expected = sorted(
                _plain(await store.query(every)),
                key=lambda found: -float(found[1]["in_use_ratio_p95"]),
            )
            for count in (1, 2, len(PORTS) + 1):
                highest = Highest(count, "site", ("device", "port"))
                some = msgspec.structs.replace(every, highest=highest)
                with monkeypatch.context() as patch:
                    texts = note_texts(store, patch)
                    found = _plain(await store.query(some))
                assert sorted(map(str, found)) == sorted(map(str, expected[:count]))
                if count == 1:
                    # Those whose bounds reach the highest floor: not all.
                    listed = [text.count("'Gi") for text in texts[1:]]
                    assert 0 < max(listed) < len(PORTS)


async def test_ports_are_found_that_are_busy_on_other_days_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of 24 ports, 20 are busy rows of a day, and others each day.
    chance = random.Random(2)
    days = range(START, START + 3 * DAY, DAY)
    levels = {(at, n): chance.random() ** 3 for at in days for n in range(24)}
    rows = [
        (at + step, "d1", "s1", "switch", f"Gi{n}", level * chance.random())
        for (at, n), level in levels.items()
        for step in range(0, DAY, STEP)
    ]
    # Idle at first, then busier for an hour and a half than any other.
    late = (START + 2 * DAY, START + 2 * DAY + 90 * 60_000)
    rows += [
        (at, "d1", "s1", "switch", "late", 2.0 if late[0] <= at < late[1] else 0.0)
        for at in range(START, START + 3 * DAY, STEP)
    ]
    tags = ("device", "site", "role", "port")
    columns = tuple(list(column) for column in zip(*rows, strict=True))
    schema = Schema("interface", tags, ("in_use_ratio",))
    async with EmbeddedStore(tmp_path, Catalogue([DECLARED])) as store:
        await store.write([Batch("test", START, schema, columns)])
        every = _query(START, START + 3 * DAY)
        uses = _uses(await store.query(every))
        await store.tidy(START + 4 * DAY)
        texts = note_texts(store, monkeypatch)
        highest = Highest(3, "site", ("device", "port"))
        some = msgspec.structs.replace(every, highest=highest)
        busiest = sorted(uses, key=lambda port: uses[port])[-3:]
        assert _uses(await store.query(some)) == {port: uses[port] for port in busiest}
        assert " AND busy AND " in texts[1]
        assert not any("-5m/" in text for text in texts)


async def test_percentiles_of_minutes_are_those_of_all_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supplier of `b` changes within a day; `c` is busy on one whole day."""
    chance = random.Random(3)
    days, minute = 3, 60_000
    rows = [
        (
            at,
            line,
            "s1",
            "primary",
            "new" if line == "b" and at > START + DAY + HOUR else "old",
            chance.random() * (5 if line == "c" and (at - START) // DAY == 1 else 1),
        )
        for line in "abc"
        for at in range(START, START + days * DAY + HOUR, minute)
        if line != "a" or chance.random() < 0.7
    ]
    tags = ("line", "site", "role", "supplier")
    columns = tuple(list(column) for column in zip(*rows, strict=True))
    schema = Schema("line", tags, ("down_use_ratio",))
    picks = Pick("down_use_ratio", "p95"), Pick("down_use_ratio", "max")
    queries = [
        Query("line", picks, START, START + days * DAY, group_by=("line",)),
        Query("line", picks, START + HOUR, START + days * DAY, (), ("supplier",)),
        Query("line", picks, START, START + DAY, (Where("line", ("c",)),), ("line",)),
    ]
    declared = CATALOGUE.measurement("line")
    async with EmbeddedStore(tmp_path, Catalogue([declared])) as store:
        await store.write([Batch("test", START, schema, columns)])
        before = [_plain(await store.query(query)) for query in queries]
        await store.tidy(START + days * DAY + 2 * HOUR)
        texts = note_texts(store, monkeypatch)
        assert [_plain(await store.query(query)) for query in queries] == before
        # Rows are read of the part of a day, and of the days that differ.
        last = texts[-2:]
        assert "/shared/line/" in "".join(texts)
        assert not any("/shared/line/" in text for text in last)
        # Without rows, nothing else could replace a day's tops.
        for path in _rows_of_lines(tmp_path):
            path.unlink()
        assert await store.query(queries[0]) == []


def _rows_of_lines(folder: Path) -> list[Path]:
    return list(folder.glob("shared/line/*/*"))


def _uses(rows: list[Row]) -> dict[str, float]:
    return {row.tags["port"]: float(row.values["in_use_ratio_p95"]) for row in rows}


def _remove_months(folder: Path) -> None:
    """Days of September are over as a month; only days are looked at here."""
    for path in folder.glob(f"shared-{day_tops.LABEL}-months/*/*"):
        path.unlink()


def _tops(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"shared-{day_tops.LABEL}/interface/*/*"))


def test_only_high_percentiles_of_five_minute_means_have_tops() -> None:
    query = _query(START, START + DAY)
    assert top_forms.have_answer(query, DECLARED)
    for other in (
        _query(START, START + DAY, Pick("in_use_ratio", "p50")),
        _query(START, START + DAY, Pick("in_bps", "p95")),
    ):
        assert not top_forms.have_answer(other, DECLARED)
    none = query_files.join_files([])
    assert not query_files.TopFiles({}, {}, {}, none, 2).is_worth
