"""The reader that makes groups: restarts and refusals change no row that it writes."""

import contextlib
import functools
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from group_rows import PERIOD_MS, T0_MS, WINDOW_MS, results
from waiting import until

from collectors.batch import Batch, batch_samples
from collectors.experience import experience_reader
from collectors.experience.experience_reader import ExperienceReader
from collectors.experience.groups import GroupsConfig
from collectors.journal import Journal, JournalConfig, JournalFull, JournalReader
from collectors.journal.segment import DROPPED, list_segments
from collectors.server_measurements import CATALOGUE

CONFIG = GroupsConfig()


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experience_reader, "_RETRY_S", 0.05)
    monkeypatch.setattr(experience_reader, "_LOOK_S", 0.1)


SETTLE_MS = CONFIG.settle_s * 1000


class Clock:
    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


class ExperienceRows:
    """An `Append` that keeps the rows it receives; it is full `refusals` times."""

    def __init__(self, refusals: int = 0) -> None:
        self.rows: dict[tuple[int, str, str], dict[str, object]] = {}
        self.changed = self.calls = 0
        self._refusals = refusals

    async def append(self, *batches: Batch) -> None:
        self.calls += 1
        if self._refusals:
            self._refusals -= 1
            raise JournalFull(28, "no room")
        for sample in (s for batch in batches for s in batch.samples()):
            key = (sample.time_ms, sample.tags["by"], sample.tags["group"])
            self.changed += self.rows.get(key, sample.fields) != sample.fields
            self.rows[key] = dict(sample.fields)

    def agents(self) -> dict[int, object]:
        """The total number of agents, by number of periods after T0."""
        return {
            (time_ms - T0_MS) // PERIOD_MS: fields["agents"]
            for (time_ms, by, _), fields in sorted(self.rows.items())
            if by == "all"
        }


def batch(first: int, time_ms: int, count: int = 12) -> Batch:
    rows = results(range(first, first + count), "agent", {"outcome": "ok"}, time_ms)
    return batch_samples(rows, "agent/x", time_ms)[0]


def state_file(folder: Path) -> Path:
    return folder / "state" / "groups.json"


def save_state(folder: Path, text: str) -> None:
    """Writes the state that a reader starts from."""
    state_file(folder).parent.mkdir()
    state_file(folder).write_text(text)


@contextlib.asynccontextmanager
async def running_reader(
    folder: Path, rows: ExperienceRows, clock: Clock
) -> AsyncIterator[ExperienceReader]:
    state = state_file(folder)
    running = ExperienceReader(
        CONFIG, functools.partial(JournalReader, folder / "journal"), state, rows, clock
    )
    # It looks at the tests' clock this often, not every five seconds.
    read = functools.partial(running.reader.read, wait_s=0.05)
    running.reader.read = read  # type: ignore[method-assign]
    async with running:
        yield running


def journal(folder: Path) -> Journal:
    return Journal(JournalConfig(folder=folder / "journal"), "ingest", CATALOGUE)


def end_ms(period: int) -> int:
    return T0_MS + (period + 1) * PERIOD_MS + SETTLE_MS


async def test_each_period_is_emitted_when_it_is_over(tmp_path: Path) -> None:
    rows, clock = ExperienceRows(), Clock(T0_MS)
    async with (
        journal(tmp_path) as log,
        running_reader(tmp_path, rows, clock) as running,
    ):
        await log.append(batch(0, T0_MS + 1))
        await until(lambda: running.reader.stats.read_rows == 12)
        assert rows.agents() == {}
        clock.now_ms = end_ms(2)
        await until(lambda: rows.agents() == {2: 10})
        await log.append(batch(100, T0_MS + WINDOW_MS + 1, 24))
        clock.now_ms = end_ms(8)
        await until(lambda: len(rows.agents()) == 6)
    assert rows.agents() == {2: 10, 3: 10, 4: 10, 5: 25, 6: 25, 7: 25}


async def test_a_restart_continues_with_the_same_window(tmp_path: Path) -> None:
    rows = ExperienceRows()
    async with journal(tmp_path) as log:
        await log.append(batch(0, T0_MS + 1))
        await log.append(batch(100, T0_MS + PERIOD_MS + 1))
        for period in (2, 3, 5, 7):
            clock = Clock(end_ms(period))
            async with running_reader(tmp_path, rows, clock):
                await until(lambda p=period: p in rows.agents())
            if period == 2:
                await log.append(batch(200, T0_MS + WINDOW_MS + 1))
    assert rows.agents() == {2: 25, 3: 25, 4: 25, 5: 10, 6: 10, 7: 10}
    assert rows.changed == 0


async def test_no_window_is_shown_that_overlaps_one_of_another_length(
    tmp_path: Path,
) -> None:
    rows = ExperienceRows()
    # As an earlier version saved it, whose windows of 15 minutes began every five.
    save_state(tmp_path, f'{{"emitted_ms": {T0_MS + PERIOD_MS}, "positions": {{}}}}')
    async with journal(tmp_path) as log:
        for at_ms in (T0_MS + 1, T0_MS + WINDOW_MS + 1):
            await log.append(batch(0, at_ms))
        async with running_reader(tmp_path, rows, Clock(end_ms(5))):
            await until(lambda: 5 in rows.agents())
        async with running_reader(tmp_path, rows, Clock(end_ms(7))):
            await until(lambda: 7 in rows.agents())
    assert rows.agents() == {5: 10, 6: 10, 7: 10}


async def test_what_could_not_be_appended_is_emitted_later_unchanged(
    tmp_path: Path,
) -> None:
    rows, clock = ExperienceRows(refusals=2), Clock(T0_MS + 2)
    async with (
        journal(tmp_path) as log,
        running_reader(tmp_path, rows, clock) as running,
    ):
        await log.append(batch(0, T0_MS + 1))
        await until(lambda: running.reader.stats.read_rows == 12)
        clock.now_ms = end_ms(2)
        await until(lambda: rows.agents() == {2: 10})
        assert running.reader.stats.failures == 2


async def test_rows_that_are_needed_again_are_not_marked_as_read(
    tmp_path: Path,
) -> None:
    rows, clock = ExperienceRows(), Clock(T0_MS + 2)
    async with (
        journal(tmp_path) as log,
        running_reader(tmp_path, rows, clock) as running,
    ):
        await log.append(batch(0, T0_MS + 1))
        await until(lambda: running.reader.stats.read_rows == 12)
        clock.now_ms = end_ms(2)
        await until(lambda: rows.agents() == {2: 10})
        assert running.reader.stats.passed_rows == 0
        clock.now_ms = end_ms(7)
        await until(lambda: running.reader.stats.passed_rows == 12)


async def test_a_path_is_held_for_a_long_window(tmp_path: Path) -> None:
    rows, clock = ExperienceRows(), Clock(T0_MS + 2)
    path = {"outcome": "ok", "gateway_rtt_ms": 3.0}
    batches = batch_samples(results(range(12), "path", path, T0_MS + 1), "x", T0_MS + 1)
    async with (
        journal(tmp_path) as log,
        running_reader(tmp_path, rows, clock) as running,
    ):
        await log.append(*batches)
        await until(lambda: running.reader.stats.read_rows == 12)
        clock.now_ms = end_ms(8)
        await until(lambda: len(rows.agents()) == 3)
        assert running.reader.stats.passed_rows == 0
        clock.now_ms = end_ms(13)
        await until(lambda: running.reader.stats.passed_rows == 12)


async def test_after_a_lost_state_only_whole_windows_are_emitted(
    tmp_path: Path,
) -> None:
    rows = ExperienceRows()
    save_state(tmp_path, '{"emitted_ms": ')
    async with journal(tmp_path) as log:
        for period in range(4):
            await log.append(batch(100 * period, T0_MS + period * PERIOD_MS + 1))
        async with running_reader(tmp_path, rows, Clock(end_ms(5))):
            await until(lambda: 5 in rows.agents())
    assert min(rows.agents()) == 5


async def test_after_a_gap_in_the_journal_only_whole_windows_are_emitted(
    tmp_path: Path,
) -> None:
    rows, clock = ExperienceRows(), Clock(T0_MS + 2)
    async with journal(tmp_path) as log:
        await log.append(batch(0, T0_MS + 1))
        clock.now_ms = end_ms(2)
        async with running_reader(tmp_path, rows, clock):
            await until(lambda: rows.agents() == {2: 10})
        await log.append(batch(100, T0_MS + PERIOD_MS + 1))
    # On a full disk a log may delete what groups have read and not passed.
    folder = tmp_path / "journal" / "ingest"
    old = list_segments(folder)
    lines = [json.dumps({"segment": s.number, "rows": 12}) + "\n" for s in old]
    (folder / DROPPED).write_text("".join(lines))
    async with journal(tmp_path) as log:
        for segment in old:
            segment.path.unlink()
        for period in range(4, 7):
            await log.append(batch(100 * period, T0_MS + period * PERIOD_MS + 1))
        clock.now_ms = end_ms(8)
        async with running_reader(tmp_path, rows, clock):
            await until(lambda: 8 in rows.agents())
    assert set(rows.agents()) == {2, 8}
    assert rows.changed == 0


async def test_a_state_that_cannot_be_saved_repeats_no_period(tmp_path: Path) -> None:
    rows, clock = ExperienceRows(), Clock(T0_MS + 2)
    (tmp_path / "state" / "groups.json.new").mkdir(parents=True)  # nothing can be saved
    async with (
        journal(tmp_path) as log,
        running_reader(tmp_path, rows, clock) as running,
    ):
        await log.append(batch(0, T0_MS + 1))
        await until(lambda: running.reader.stats.read_rows == 12)
        clock.now_ms = end_ms(2)
        await until(lambda: running.reader.stats.failures > 2)
        clock.now_ms = end_ms(3)
        await until(lambda: running.reader.stats.failures > 3)
    assert rows.calls == 2
