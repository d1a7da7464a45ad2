"""A journal that is moved from files to NATS and back while rows are unread: each row
is read once, in its order, and what is left behind goes when it has been read."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journal_places import JournalPlace
from nats_servers import NatsServer
from pydantic import ValidationError
from test_journal_log import ids, rows

from collectors.journal import BatchReader, JournalConfig, Position, Positions
from collectors.journal.earlier_journal import (
    EARLIER,
    is_of_stream,
    join_positions,
    positions_of,
    remove_passed,
)
from collectors.journal.segment import list_segments
from collectors.nats.journal_streams import JournalStreams
from collectors.nats.nats_config import NatsConfig
from probes.wire.clock import wall_ms
from towpath.check_journal import journal_findings
from towpath.config import TowpathConfig
from towpath.journal_kind import EarlierTidy, JournalKind

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
_in_files = st.builds(Position, st.integers(1, 10**7), st.integers(0, 10**9))
_in_streams = st.builds(Position, st.integers(10**15, 10**16), st.integers(0, 10**9))
_logs = st.sampled_from(["poll", "ingest", "alert"])


@given(
    st.dictionaries(_logs, _in_files),
    st.dictionaries(_logs, _in_streams),
    st.booleans(),
)
def test_positions_in_both_journals_are_found_again_whichever_way_it_was_moved(
    files: Positions, streams: Positions, to_streams: bool
) -> None:
    earlier, present = (files, streams) if to_streams else (streams, files)
    saved = join_positions(earlier, present, to_streams)
    assert positions_of(saved, True) == streams
    assert positions_of(saved, False) == files
    # Moved back, the positions in both are those of before.
    back = join_positions(positions_of(saved, to_streams), {}, not to_streams)
    assert positions_of(back, to_streams) == present
    assert all(log.startswith(EARLIER) for log in back)


def test_the_kind_that_it_has_is_not_the_one_before() -> None:
    with pytest.raises(ValidationError, match="expected the other kind"):
        JournalConfig(folder=Path("unused"), kind="nats", before="nats")


class Moving:
    """One installation, whose journal is of either kind, with one reader."""

    def __init__(self, folder: Path, server: NatsServer) -> None:
        self.folder = folder
        self.nats = JournalPlace(folder, server).nats
        self.saved: Positions = {}
        self.read: list[int] = []

    def kind(self, name: str, before: str | None = None) -> JournalKind:
        config = JournalConfig.model_validate(
            {"kind": name, "before": before, "folder": self.folder}
        )
        return JournalKind(config, self.nats, "test")

    async def run(
        self, kind: JournalKind, first: int, count: int, limit: int | None = None
    ) -> None:
        """Appends rows, and reads them or about as many as `limit`."""
        async with AsyncExitStack() as entered:
            if kind.connection is not None:
                await entered.enter_async_context(kind.connection)
            journal = await entered.enter_async_context(kind.journal("poll"))
            for at in range(first, first + count, 8):
                await journal.append(rows(at))
            reader = kind.reader("store", self.saved)
            await entered.enter_async_context(reader)
            async with asyncio.timeout(30):
                await self._read(reader, limit)
            self.saved = reader.positions
            assert reader.stats.gaps == 0

    async def _read(self, reader: BatchReader, limit: int | None) -> None:
        left = 10**6 if limit is None else limit
        while left > 0 and not (limit is None and reader.oldest_ms() is None):
            chunk = await reader.read(max_rows=8, wait_s=0.2)
            if chunk is not None:
                self.read += ids(chunk.batches)
                reader.passed(chunk.positions)
                left -= len(chunk)


@pytest.fixture
def moving(nats_server: NatsServer, tmp_path: Path) -> Moving:
    return Moving(tmp_path, nats_server)


@pytest.mark.parametrize("kinds", [("files", "nats"), ("nats", "files")])
async def test_moved_there_and_back_each_row_is_read_once_and_in_order(
    moving: Moving, kinds: tuple[str, str]
) -> None:
    one, other = kinds
    await moving.run(moving.kind(one), 0, 32, limit=8)
    # It stops while it reads what is left, begins again there, and goes on.
    await moving.run(moving.kind(other, one), 32, 16, limit=8)
    await moving.run(moving.kind(other, one), 48, 16, limit=24)
    assert moving.read == list(range(40))
    assert {is_of_stream(at) for at in moving.saved.values()} == {False, True}
    # Back, with rows unread in the second one; then for good, without the setting.
    await moving.run(moving.kind(one, other), 64, 16)
    await moving.run(moving.kind(one), 80, 8)
    assert moving.read == list(range(88))


async def test_files_that_every_reader_has_passed_go_after_an_hour(
    moving: Moving,
) -> None:
    await moving.run(moving.kind("files"), 0, 16, limit=8)
    log = moving.folder / "poll"
    assert remove_passed(moving.folder, 30, wall_ms() + 2 * HOUR_MS) == 1
    kind = moving.kind("nats", "files")
    assert kind.connection is not None
    async with kind.connection:
        assert await kind.left_readers() == ["store"]
    kind = moving.kind("nats", "files")
    await moving.run(kind, 16, 8)
    assert await kind.left_readers() == []
    # A process that was not started again yet may still write to it.
    assert remove_passed(moving.folder, 30, wall_ms()) == 1
    tidy = EarlierTidy(kind._config, None)
    await tidy.tidy(wall_ms() + 2 * HOUR_MS)
    assert sum(each.path.stat().st_size for each in list_segments(log)) == 0
    # The numbers go on, so the position there means no other file.
    await moving.run(moving.kind("files", "nats"), 24, 8)
    assert moving.read == list(range(32))


async def test_files_that_nobody_reads_go_when_they_are_too_old(
    moving: Moving,
) -> None:
    await moving.run(moving.kind("files"), 0, 16, limit=8)
    assert remove_passed(moving.folder, 30, wall_ms() + 29 * DAY_MS) == 1
    assert remove_passed(moving.folder, 30, wall_ms() + 31 * DAY_MS) == 0


async def test_a_stream_that_every_reader_has_passed_is_emptied(
    moving: Moving,
) -> None:
    await moving.run(moving.kind("nats"), 0, 16, limit=8)
    kind = moving.kind("files", "nats")
    await moving.run(kind, 16, 8)
    again = moving.kind("files", "nats")
    assert again.connection is not None
    async with again.connection as connection:
        assert await again.left_readers() == []
        await EarlierTidy(again._config, connection).tidy(wall_ms())
        streams = JournalStreams(connection)
        info = await connection.jetstream.stream_info(streams.stream("poll"))
    assert info.state.messages == 0
    assert again.problem() == ""


async def test_check_says_what_is_left_and_when_the_setting_can_go(
    moving: Moving,
) -> None:
    await moving.run(moving.kind("files"), 0, 16, limit=8)

    seen: list[list[str]] = []

    async def findings(name: str, before: str | None) -> tuple[list[str], list[str]]:
        journal: dict[str, object] = {
            "kind": name,
            "before": before,
            "folder": moving.folder,
        }
        journal |= {"max_bytes": 1 << 20, "segment_bytes": 1 << 16}
        config = TowpathConfig.model_validate({"journal": journal})
        config = config.model_copy(update={"nats": moving.nats})
        wrong, warnings, facts = await asyncio.to_thread(journal_findings, config)
        assert wrong == []
        seen.append(facts)
        return warnings, facts[-1:]

    warnings, _ = await findings("nats", None)
    assert warnings == [
        'journal.kind is "nats", but these readers have not passed all that is left in '
        'files: store; set journal.before = "files"'
    ]
    left = "these readers have not passed everything there yet: store"
    assert await findings("nats", "files") == (
        [],
        [f'journal.before = "files": {left}'],
    )
    await moving.run(moving.kind("nats", "files"), 16, 8, limit=16)
    gone = "nothing is left there that is not read: the setting can go"
    assert await findings("nats", "files") == (
        [],
        [f'journal.before = "files": {gone}'],
    )
    assert await findings("files", "nats") == ([], [f'journal.before = "nats": {gone}'])
    assert seen[-1][0].startswith(f"{moving.nats.servers[0]}: nats-server 2.")
    assert (await findings("nats", None))[0] == []
    moving.nats = NatsConfig(servers=("nats://127.0.0.1:1",))
    (tried, warning), _ = await findings("files", "nats")
    assert tried.startswith("nats://127.0.0.1:1: cannot be reached")
    assert "journal.before cannot be read: nats://127.0.0.1:1: cannot be rea" in warning
