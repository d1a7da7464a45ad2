"""The embedded store's small writes: each file has the rows of the writes before it, so
that there are few files, and nothing is lost or counted twice."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored_files import row_files
from stores import HOUR, START, ask, batch, embedded, values

from collectors.store import file_layout
from collectors.store.file_layout import StoredFile
from collectors.store.merge_plan import FAN, due_merges, next_look
from collectors.store.store_errors import Away
from collectors.store.store_folder import StoreFolder

SUM = ask("whole:sum", "whole:count")


def current_names(folder: Path) -> list[str]:
    files = [file_layout.stored_file(path, START) for path in row_files(folder)]
    current = file_layout.current_files(file for file in files if file is not None)
    return [Path(file.path).name for file in current]


async def test_many_small_writes_of_an_hour_are_one_file(tmp_path: Path) -> None:
    async with embedded(tmp_path) as store:
        for n in range(2 * FAN):
            await store.write([batch((START + n, {"a": "x"}, {"whole": 1}))])
        assert len(current_names(tmp_path)) == 1
        assert await values(store, SUM) == [(2 * FAN, 2 * FAN)]
        # A process that listed the files before this write can still open them.
        await store.tidy(START + 60_000)
        assert len(row_files(tmp_path)) == 2 * FAN
        for path in row_files(tmp_path):
            os.utime(path, (time.time() - 60,) * 2)
        await store.tidy(START + 60_000)
        assert [path.name for path in row_files(tmp_path)] == current_names(tmp_path)
        assert await values(store, SUM) == [(2 * FAN, 2 * FAN)]


async def test_a_file_has_only_so_many_rows_of_earlier_writes(tmp_path: Path) -> None:
    async with embedded(tmp_path, most_recent_rows=10) as store:
        for n in range(12):
            rows = [(START + n, {"a": str(k)}, {"whole": 1}) for k in range(4)]
            await store.write([batch(*rows)])
        assert [name[3:28] for name in current_names(tmp_path)] == [
            f"{first:012d}-{first + 1:012d}" for first in range(1, 12, 2)
        ]
        assert await values(store, SUM) == [(48, 48)]


async def test_a_new_hour_begins_a_new_file_and_late_rows_have_one_of_their_own(
    tmp_path: Path,
) -> None:
    async with embedded(tmp_path) as store:
        for time_ms in (START, START + HOUR, START + HOUR + 1, START + 1, START + HOUR):
            await store.write([batch((time_ms, {"a": "x"}, {"whole": time_ms % 97}))])
        assert [name[:2] for name in sorted(current_names(tmp_path))] == [
            "00",
            "00",
            "01",
        ]
        times = (START, START + 1, START + HOUR, START + HOUR + 1)
        assert await values(store, SUM) == [(sum(t % 97 for t in times), 4)]


async def test_a_row_that_comes_again_replaces_its_fields_within_the_file(
    tmp_path: Path,
) -> None:
    async with embedded(tmp_path) as store:
        await store.write([batch((START, {"a": "x"}, {"whole": 1, "real": 0.5}))])
        await store.write([batch((START, {"a": "x"}, {"whole": 2}))])
        query = ask("whole:sum", "whole:count", "real:sum")
        assert await values(store, query) == [(2, 1, 0.5)]


async def test_rows_about_one_laptop_are_never_written_again(tmp_path: Path) -> None:
    async with embedded(tmp_path) as store:
        for agent in ("p", "q"):
            row = (START, {"agent": agent}, {"ok": 1})
            await store.write([batch(row, measurement="private")])
        assert len(row_files(tmp_path)) == 2
        assert await store.erase("p") == 1
        await store.write(
            [batch((START + 1, {"agent": "q"}, {"ok": 1}), measurement="private")]
        )
        assert await store.count_rows("p") == 0
        assert await store.count_rows("q") == 2


async def test_after_a_write_that_failed_no_row_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with embedded(tmp_path) as store:
        await store.write([batch((START, {"a": "x"}, {"whole": 1}))])

        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as full:
            full.setattr(StoreFolder, "publish", fail)
            with pytest.raises(Away, match="No space left"):
                await store.write([batch((START + 1, {"a": "x"}, {"whole": 2}))])
        await store.write([batch((START + 1, {"a": "x"}, {"whole": 2}))])
        assert await values(store, SUM) == [(3, 2)]


@given(
    sizes=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 30)), max_size=60),
    now_s=st.integers(0, 24 * 3600),
    more=st.integers(0, 30),
    later_s=st.integers(0, 24 * 3600),
)
def test_until_the_next_look_no_merge_becomes_due(
    sizes: list[tuple[int, int]], now_s: int, more: int, later_s: int
) -> None:
    files: list[StoredFile] = []
    number = 1

    def add(hour: int, span: int) -> None:
        nonlocal number
        start = START + hour * HOUR
        name = file_layout.stored_file_name(start, False, number, number + span - 1)
        file = file_layout.stored_file(Path(name), START)
        assert file is not None
        files.append(file)
        number += span

    for hour, span in sizes:
        add(hour, span)
    now_ms = START + now_s * 1000
    if due_merges(files, START, now_ms):
        return
    look = next_look(files, now_ms)
    later_ms = max(now_ms, min(now_ms + later_s * 1000, look.at_ms - 1))
    for _ in range(min(more, look.files - 1)):
        # Rows of the next day are not this day's files.
        add(min((later_ms - START) // HOUR, 23), 1)
    assert not due_merges(files, START, later_ms)
