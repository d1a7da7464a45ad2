"""From the journal into a store: not a row lost or doubled, whatever dies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import services
from stores import CATALOGUE, DAY, START, ask, batch, influx_config, values
from waiting import until

from collectors.batch import Batch
from collectors.journal import Journal, JournalConfig, JournalReader
from collectors.server_measurements import CATALOGUE as REAL
from collectors.store import (
    StoreConfig,
    StoreWriter,
    open_store,
    saved_positions,
    with_retention,
)
from collectors.store.query import Store
from collectors.store.store_errors import Away, QueryFailed, RowsRefused
from collectors.store.store_writer import WritableStore
from probes.wire.catalogue import check_sample

ROOT = Path(__file__).resolve().parents[1]
SPAN = (START, START + 10 * DAY)


QUICK = {"flush_s": 0.02, "tidy_s": 0.05, "request_timeout_s": 5}


def _config(tmp_path: Path, **settings: object) -> StoreConfig:
    filled = {"folder": tmp_path / "store", **QUICK, **settings}
    return StoreConfig.model_validate(filled)


@contextlib.asynccontextmanager
async def _written(
    tmp_path: Path, config: StoreConfig, store: WritableStore | None = None
) -> AsyncIterator[tuple[StoreWriter, Store]]:
    """A writer that runs, on the journal in `tmp_path`."""
    async with contextlib.AsyncExitStack() as stack:
        if store is None:
            store = await stack.enter_async_context(open_store(config, CATALOGUE))
        reader = JournalReader(tmp_path / "journal", "store", saved_positions(config))
        await stack.enter_async_context(reader)
        writer = StoreWriter(config, reader, store, lambda: START + DAY)
        await stack.enter_async_context(writer)
        yield writer, store  # type: ignore[misc]


def _journal(tmp_path: Path) -> Journal:
    return Journal(JournalConfig(folder=tmp_path / "journal"), "poll", CATALOGUE)


def _rows(number: int, count: int = 100) -> Batch:
    return batch(
        *(
            (START + number * 1000 + k, {"a": str(k % 10)}, {"whole": 1})
            for k in range(count)
        )
    )


async def _until(store: Store, rows: int) -> None:
    """Until the store answers that it has so many; never more."""
    query = ask("whole:count", "whole:sum", span=SPAN)
    async with asyncio.timeout(60):
        while (answer := await _counted(store, query)) != (rows, rows):
            assert answer is None or answer[0] <= rows  # type: ignore[operator]
            await asyncio.sleep(0.05)


async def _counted(store: Store, query: object) -> tuple[object, ...] | None:
    try:
        (answer,) = await values(store, query)  # type: ignore[arg-type]
    except (QueryFailed, ValueError):
        return None
    return answer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[services.Server]:
    with services.running(services.influxd(tmp_path / "influx")) as one:
        yield one


@pytest.mark.service
async def test_influxd_killed_twice_while_writing_loses_and_doubles_nothing(
    tmp_path: Path, server: services.Server
) -> None:
    config = influx_config(server, tmp_path / "store", **QUICK, flush_rows=500)
    async with _journal(tmp_path) as journal, _written(tmp_path, config) as (_, store):
        number = 0
        for _ in range(2):
            for _ in range(20):
                await journal.append(_rows(number), _rows(number))
                number += 1
                await asyncio.sleep(0.002)
            await asyncio.to_thread(server.kill)
            for _ in range(10):
                await journal.append(_rows(number))
                number += 1
            await asyncio.sleep(0.3)
            await asyncio.to_thread(server.start)
        await _until(store, number * 100)
        # What was written is there after one more start, too.
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        await _until(store, number * 100)


async def test_a_writer_killed_again_and_again_ends_with_every_row_once(
    tmp_path: Path,
) -> None:
    script = textwrap.dedent(
        f"""
        import asyncio, sys
        sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
        from pathlib import Path
        from test_store_writer import _config, _written
        tmp_path = Path({str(tmp_path)!r})
        async def main():
            config = _config(tmp_path, flush_rows=300)
            async with _written(tmp_path, config) as (writer, store):
                print("runs", flush=True)
                await asyncio.sleep(60)
        asyncio.run(main())
        """
    )
    config = _config(tmp_path)
    async with _journal(tmp_path) as journal:
        for number in range(80):
            await journal.append(_rows(number))
        seen = []
        for delay_s in (0.05, 0.12, 0.2, 0.1):
            with _child(script) as child:
                assert child.stdout is not None
                await asyncio.to_thread(child.stdout.readline)
                await asyncio.sleep(delay_s)
                child.kill()
            positions = saved_positions(config)
            seen.append((p := (positions or {}).get("poll")) and p.offset)
            async with open_store(config, CATALOGUE) as store:
                # Everything up to the saved position is there.
                answer = await _counted(store, ask("whole:count", span=SPAN))
                assert answer is not None or positions is None
        assert seen == sorted(seen, key=lambda offset: offset or 0)
        async with _written(tmp_path, config) as (_, store):
            await _until(store, 8000)


@contextlib.contextmanager
def _child(script: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


class Moody:
    """A store in memory with given failures."""

    catalogue = CATALOGUE

    def __init__(self) -> None:
        self.rows: list[tuple[int, object]] = []
        self.away = False
        self.refuses: int | None = None
        self.tries = 0

    async def write(self, batches: list[Batch]) -> None:
        self.tries += 1
        if self.away:
            raise Away("it sleeps")
        bad = []
        for each in batches:
            for sample in each.samples():
                if sample.fields.get("whole") == self.refuses:
                    bad.append(batch((sample.time_ms, {}, dict(sample.fields))))
                else:
                    self.rows.append((sample.time_ms, sample.fields.get("whole")))
        if bad:
            raise RowsRefused("the wrong type", bad)

    async def tidy(self, now_ms: int, deletion_ms: int | None = None) -> None:
        raise Away("nothing is tidy today")


async def test_a_store_that_is_away_gets_everything_when_it_is_back(
    tmp_path: Path,
) -> None:
    store = Moody()
    store.away = True
    config = _config(tmp_path)
    async with (
        _journal(tmp_path) as journal,
        _written(tmp_path, config, store) as (
            writer,
            _,
        ),
    ):
        await journal.append(_rows(1, 5))
        await until(lambda: store.tries >= 2)
        assert saved_positions(config) is None
        (sample,) = writer.samples("all", START)
        assert sample.fields["failures"] == store.tries
        store.away = False
        await until(lambda: len(store.rows) == 5)
        await until(lambda: saved_positions(config) is not None)
        assert writer.stats.written_rows == 5


async def test_refused_rows_are_quarantined_and_the_rest_is_written(
    tmp_path: Path,
) -> None:
    store = Moody()
    store.refuses = 13
    config = _config(tmp_path)
    rows = [(START + n, {"a": "x"}, {"whole": n}) for n in range(20)]
    async with (
        _journal(tmp_path) as journal,
        _written(tmp_path, config, store) as (
            writer,
            _,
        ),
    ):
        await journal.append(batch(*rows))
        await until(lambda: saved_positions(config) is not None)
        assert [value for _, value in store.rows] == [n for n in range(20) if n != 13]
        assert writer.stats.refused_rows == 1
        (sample,) = writer.samples("all", START)
        assert (sample.fields["aside_rows"], sample.tags["reader"]) == (1, "store")
    (line,) = (config.folder / "aside" / "store-refused.jsonl").read_text().splitlines()
    aside = json.loads(line)
    assert aside["reason"] == "the wrong type"
    assert aside["batch"][3] == [[START + 13], [13]]


async def test_rows_older_than_their_retention_are_not_stored(tmp_path: Path) -> None:
    store = Moody()
    old = START - 40_000 * DAY
    async with (
        _journal(tmp_path) as journal,
        _written(tmp_path, _config(tmp_path), store) as (writer, _),
    ):
        await journal.append(
            batch((old, {}, {"whole": 1}), (START, {}, {"whole": 2})),
            batch((old, {}, {"whole": 3})),
        )
        await until(lambda: writer.stats.expired_rows == 2)
        assert store.rows == [(START, 2)]
        (sample,) = writer.samples("all", START)
        assert check_sample(sample, REAL).fields["expired_rows"] == 2


async def test_after_unreadable_positions_rows_are_written_again(
    tmp_path: Path,
) -> None:
    config = _config(tmp_path)
    async with _journal(tmp_path) as journal:
        await journal.append(_rows(1), _rows(2))
        async with _written(tmp_path, config) as (_, store):
            await _until(store, 200)
            await until(lambda: saved_positions(config) is not None)
        (path,) = config.folder.glob("*.positions.json")
        path.write_bytes(path.read_bytes()[:7])
        await journal.append(_rows(3))
        async with _written(tmp_path, config) as (_, store):
            await _until(store, 300)


async def test_a_second_store_continues_at_its_own_position(tmp_path: Path) -> None:
    files = _config(tmp_path)
    database = _config(tmp_path, kind="influxdb")
    async with _journal(tmp_path) as journal:
        await journal.append(_rows(1))
        async with _written(tmp_path, files) as (_, store):
            await _until(store, 100)
            await until(lambda: saved_positions(files) is not None)
    assert saved_positions(database) is None


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"url": "influx:8086"}, "expected http://host:port"),
        ({"url": "http://u:p@h:8086"}, "expected token_env or token_file"),
        ({"token_env": "A", "token_file": "b"}, "not both"),
        ({"database": "a/b"}, "should match pattern"),
        ({"folder": "what?"}, "no *, ? or ["),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        StoreConfig.model_validate(settings)


def test_a_token_is_read_from_its_file_and_reported_if_missing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "token"
    config = StoreConfig(kind="influxdb", token_file=path)
    with pytest.raises(ValueError, match=r"token_file: .* No such file"):
        open_store(config, CATALOGUE)
    path.write_text("user:word\n")
    assert config.token() == "user:word"
    lost = StoreConfig(kind="influxdb", token_env="TOWPATH_NO_SUCH_VARIABLE")
    with pytest.raises(ValueError, match="has no TOWPATH_NO_SUCH_VARIABLE"):
        open_store(lost, CATALOGUE)


def test_personal_rows_can_be_kept_for_shorter_but_not_longer() -> None:
    shorter = with_retention(StoreConfig(personal_days=7, shared_days=800), REAL)
    assert {
        measurement.retention_days for measurement in shorter if measurement.personal
    } == {7}
    assert {
        measurement.retention_days
        for measurement in shorter
        if not measurement.personal
    } == {800}
    longer = with_retention(StoreConfig(personal_days=90), REAL)
    assert {
        measurement.retention_days for measurement in longer if measurement.personal
    } == {30}
