"""Several writers of a store on one journal: real servers, kills, changed numbers."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import council
import pytest
import services
from journal_places import JournalPlace
from stores import connection, influx_config
from test_store_influx_rollups import END, HOUR, PICKS, START
from test_store_influx_rollups import _rows as rows_of_devices
from waiting import until

from collectors.batch import Batch, batch_samples
from collectors.journal import Journal, JournalConfig
from collectors.server_measurements import CATALOGUE
from collectors.store import StoreConfig, StorePart, StoreWriter, saved_positions
from collectors.store.influx_store import InfluxStore
from collectors.store.store_writer import WritableStore
from collectors.store.writer_set import WriterSet
from probes.wire.catalogue import check_sample
from probes.wire.sample import Sample

ROOT = Path(__file__).resolve().parents[1]
QUICK: dict[str, Any] = {"flush_s": 0.02, "tidy_s": 60, "flush_rows": 100}


class Kept:
    """A store in memory."""

    catalogue = CATALOGUE

    def __init__(self) -> None:
        self.rows: set[int] = set()

    async def write(self, batches: list[Batch]) -> None:
        for batch in batches:
            self.rows |= set(batch.field("packets"))  # type: ignore[arg-type]

    async def tidy(self, now_ms: int, deletion_ms: int | None = None) -> None: ...


def _rows(first: int, count: int = 80) -> Batch:
    samples = [
        Sample("device", {"device": f"d{n % 40}"}, {"packets": n}, 1000 + n)
        for n in range(first, first + count)
    ]
    return batch_samples(samples, "poll/test", 2000)[0]


@contextlib.asynccontextmanager
async def writing(
    place: JournalPlace,
    config: StoreConfig,
    part: StorePart,
    store: WritableStore,
    now_ms: int = 2000,
) -> AsyncIterator[WriterSet]:
    """A writer of one part."""
    reader = place.reader(part.reader, saved_positions(config, part))
    async with contextlib.AsyncExitStack() as stack:
        writers = WriterSet(config, part, place.kind.known_readers())
        await stack.enter_async_context(writers)
        await stack.enter_async_context(reader)
        writer = StoreWriter(config, reader, store, lambda: now_ms, part)
        await stack.enter_async_context(writer)
        yield writers


async def _write_all(
    place: JournalPlace, config: StoreConfig, store: Kept, *parts: StorePart
) -> None:
    """These parts run until they have passed everything, and look around then."""
    known = place.kind.known_readers()

    async def have_passed() -> bool:
        return all([await known.oldest_ms(part.reader) is None for part in parts])

    async with contextlib.AsyncExitStack() as stack:
        writers = [
            await stack.enter_async_context(writing(place, config, part, store))
            for part in parts
        ]
        await until(have_passed)
        for one in writers:
            await one.look()


async def _known(place: JournalPlace) -> list[str]:
    names = await place.kind.known_readers().names()
    return [name for name in names if name.startswith("store")]


async def test_one_writer_then_three_then_two_lose_nothing(
    place: JournalPlace, tmp_path: Path
) -> None:
    config = StoreConfig(kind="influxdb", folder=tmp_path / "store", **QUICK)
    store = Kept()
    one, three, two = StorePart(), StorePart(1, 3).parts, StorePart(1, 2).parts
    async with place.journal("poll") as journal:
        await journal.append(_rows(0))
        await _write_all(place, config, store, one)
        assert store.rows == set(range(80))
        # It stopped before it had everything, and the first of three is alone at first.
        await journal.append(_rows(80))
        await _write_all(place, config, store, three[0])
        assert set(range(80)) < store.rows < set(range(160))
        assert await _known(place) == ["store", *(part.reader for part in three)]
        await _write_all(place, config, store, *three)
        assert store.rows == set(range(160))
        assert await _known(place) == [part.reader for part in three]
        # The third does not run any more, and then there are two.
        await journal.append(_rows(160))
        await _write_all(place, config, store, *three[:2])
        assert set(range(160)) < store.rows < set(range(240))
        await _write_all(place, config, store, two[1])
        assert len(await _known(place)) == 5
        await _write_all(place, config, store, *two)
        assert store.rows == set(range(240))
        assert await _known(place) == [part.reader for part in two]
        await _write_all(place, config, store, *two)
        assert len(list(config.folder.glob("*.positions.json"))) == 2


async def test_a_writer_that_does_not_run_is_reported_with_its_lag(
    place: JournalPlace, tmp_path: Path
) -> None:
    config = StoreConfig(kind="influxdb", folder=tmp_path / "store", **QUICK)
    store, parts = Kept(), StorePart(1, 3).parts
    async with (
        place.journal("poll") as journal,
        writing(place, config, parts[0], store) as first,
        writing(place, config, parts[1], store) as second,
    ):
        # It has never run: the journal keeps its rows from now on.
        await journal.append(_rows(0))
        at_ms = (await place.kind.known_readers().oldest_ms("store-3-of-3")) or 0
        assert at_ms
        for _ in range(4):
            await first.look()
            await second.look()
        assert second.samples("store+2", at_ms) == []
        (sample,) = first.samples("store", at_ms + 7000)
        assert check_sample(sample, CATALOGUE) == Sample(
            "self_reader",
            {"process": "store", "reader": "store-3-of-3"},
            {"lag_s": 7.0},
            at_ms + 7000,
        )
        async with writing(place, config, parts[2], store):
            await until(lambda: store.rows == set(range(80)))
            await first.look()
            assert first.samples("store", at_ms) == []


def _store(
    config: StoreConfig, server: services.Server, part: StorePart
) -> InfluxStore:
    return InfluxStore(
        connection(server),
        config.database,
        CATALOGUE,
        config.folder,
        lambda: END + 24 * HOUR,
        part,
    )


async def _written(
    place: JournalPlace, config: StoreConfig, server: services.Server, *parts: StorePart
) -> None:
    """These parts write everything and roll it up."""
    known = place.kind.known_readers()

    async def have_passed() -> bool:
        return all([await known.oldest_ms(part.reader) is None for part in parts])

    async with contextlib.AsyncExitStack() as stack:
        stores = []
        for part in parts:
            store = await stack.enter_async_context(_store(config, server, part))
            stores.append(store)
            await stack.enter_async_context(writing(place, config, part, store, END))
        await until(have_passed)
        for store in stores:
            rollups = store._rollups
            assert rollups is not None
            await store.tidy(END + 24 * HOUR)
            while rollups._backlog.oldest_spans():
                rollups._history_from = 0
                await store.tidy(END + 24 * HOUR)


async def _content(database: str, server: services.Server) -> dict[str, list[object]]:
    """Every row of every measurement, roll-ups too."""
    async with connection(server) as client:
        names = await client.query(database, "SHOW MEASUREMENTS")
        found: dict[str, list[object]] = {}
        for (name,) in (row for series in names for row in series.values):
            text = f'SELECT * FROM "{name}" GROUP BY *'
            found[str(name)] = [
                (sorted(series.tags.items()), series.columns, series.values)
                for series in await client.query(database, text)
            ]
    return found


@pytest.mark.service
async def test_three_writers_of_which_one_is_killed_write_what_one_writes(
    influx_server: services.Server, tmp_path: Path
) -> None:
    place = JournalPlace(tmp_path / "journal", None)
    alone, several = (
        influx_config(influx_server, tmp_path / name, database=name, **QUICK)
        for name in ("alone", "several")
    )
    parts = StorePart(1, 3).parts
    script = textwrap.dedent(
        f"""
        import asyncio, sys
        sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
        from pathlib import Path
        from test_store_writers import *
        from collectors.store import open_store
        async def main():
            place = JournalPlace(Path({str(place.folder)!r}), None)
            config = StoreConfig.model_validate_json({several.model_dump_json()!r})
            part = StorePart(2, 3)
            async with open_store(config, CATALOGUE, part) as store:
                async with writing(place, config, part, store, END):
                    await asyncio.sleep(60)
        asyncio.run(main())
        """
    )
    samples = rows_of_devices(5, START, START + HOUR)
    batches = [
        batch
        for minute in range(START, START + HOUR, 60_000)
        for batch in council.batches(
            row for row in samples if minute <= row.time_ms < minute + 60_000
        )
    ]
    half = len(batches) // 2
    async with _journal(place) as journal:
        for batch in batches[:half]:
            await journal.append(batch)
        command = [sys.executable, "-c", script]
        with subprocess.Popen(command) as child:  # noqa: ASYNC220
            positions = several.folder / "store-2-of-3-influxdb-several.positions.json"
            await until(positions.exists)
            child.kill()
        for batch in batches[half:]:
            await journal.append(batch)
        await _written(place, several, influx_server, *parts)
        await _written(place, alone, influx_server, StorePart())
    of_one = await _content(alone.database, influx_server)
    of_three = await _content(several.database, influx_server)
    assert {f"{name}_1h" for name in PICKS} < set(of_one)
    assert of_three == of_one
    for part in parts:
        assert (several.folder / f"rollups-several{part.suffix}.json").exists()


def _journal(place: JournalPlace) -> Journal:
    return Journal(JournalConfig(folder=place.folder), "poll", CATALOGUE)
