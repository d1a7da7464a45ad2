"""Where what was measured on one laptop may lie: one list, that erasing and the 30 days
go by, and that leaves nothing out."""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import os
import sqlite3
import zipfile
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
import services
from group_rows import results
from hypothesis import given
from hypothesis import strategies as st
from journal_places import JournalPlace
from river import Council, Running, started, towpath
from river_laptops import Laptops
from waiting import until

from collectors.batch import Batch, batch_samples
from collectors.ingest import Registry
from collectors.ingest.body_quarantine import BodyQuarantine
from collectors.journal import Journal, JournalConfig, Quarantine
from collectors.journal.frame import unpack
from collectors.journal.segment import frame_at, list_logs, list_segments
from collectors.personal_data import (
    PLACES,
    Root,
    count_agent_lines,
    erase_agent,
    prune_files,
)
from collectors.retention import DAY_MS, Retention
from collectors.server_measurements import CATALOGUE
from collectors.store import StoreConfig, StoreWriter, open_store
from collectors.store.erasure import Erasures, without_erased
from dashboards.web.api.written_requests import (
    WrittenAnswer,
    WrittenRequests,
    written_file,
)
from probes.wire.clock import wall_ms
from probes.wire.report import Enrolment
from towpath.config import TowpathConfig, personal_folders

NOW_MS = 1_800_000_000_000
HER, OTHER = "k1-aaaaaaaaaaaaaaaa", "k1-bbbbbbbbbbbbbbbb"


def batch(agent: str, received_ms: int = NOW_MS) -> Batch:
    (made,) = batch_samples(
        results([0], "vpn", {"outcome": "ok"}, received_ms),
        f"agent/{agent}",
        received_ms,
    )
    at = 1 + made.schema.tags.index("agent")
    columns = [list(column) for column in made.columns]
    columns[at] = [agent]
    return msgspec.structs.replace(made, columns=tuple(columns))


def folders(root: Path) -> dict[Root, Path]:
    return {
        "journal": root / "journal",
        "store": root / "store",
        "bodies": root / "aside" / "ingest",
    }


@pytest.mark.parametrize("folder", ["journal/all/dead", "store/aside"])
def test_erasing_takes_a_laptops_lines_and_no_others(
    folder: str, tmp_path: Path
) -> None:
    aside = Quarantine(tmp_path / folder, "rows")
    for number in range(6):
        aside.put(batch((HER, OTHER)[number % 2]), "does not fit", NOW_MS)
    aside.put(batch(HER + "c"), "a longer name", NOW_MS)
    assert count_agent_lines(folders(tmp_path), HER) == 3
    assert erase_agent(folders(tmp_path), HER) == 3
    kept = (tmp_path / folder / "rows.jsonl").read_text()
    assert kept.count(OTHER) == 6  # the tag and the source of each
    assert f'"{HER}"' not in kept
    assert f'"{HER}c"' in kept
    assert (
        count_agent_lines(folders(tmp_path), HER)
        == erase_agent(folders(tmp_path), HER)
        == 0
    )


def test_erasing_takes_every_body_that_could_not_be_read(tmp_path: Path) -> None:
    bodies = BodyQuarantine(tmp_path / "aside" / "ingest", 200)
    bodies.put(b"\x1f\x8b not readable", "unreadable", NOW_MS)
    erase_agent(folders(tmp_path), HER)
    assert list((tmp_path / "aside" / "ingest").iterdir()) == []


def test_after_thirty_days_all_of_it_goes_though_nothing_new_comes(
    tmp_path: Path,
) -> None:
    dead = Quarantine(tmp_path / "journal" / "all" / "dead", "dead")
    bodies = BodyQuarantine(tmp_path / "aside" / "ingest", 200)
    for days in (31, 29):
        dead.put(batch(HER), f"{days} days ago", NOW_MS - days * DAY_MS)
        bodies.put(b"x", "malformed", NOW_MS - days * DAY_MS)
    assert prune_files(folders(tmp_path), NOW_MS - 30 * DAY_MS) == 2
    (left,) = (tmp_path / "aside" / "ingest").iterdir()
    assert left.name.startswith(str(NOW_MS - 29 * DAY_MS))
    lines = (tmp_path / "journal" / "all" / "dead" / "dead.jsonl").read_text()
    assert "29 days ago" in lines
    assert "31 days ago" not in lines


async def test_retention_goes_on_when_one_of_its_jobs_fails() -> None:
    asked: list[int] = []
    tried = asyncio.Event()

    def fails(before_ms: int) -> int:
        raise OSError("read-only")

    def removes(before_ms: int) -> int:
        asked.append(before_ms)
        if len(asked) > 1:
            loop.call_soon_threadsafe(tried.set)
        return 1

    loop = asyncio.get_running_loop()
    jobs = [("one", 30, fails), ("another", 2, removes)]
    async with Retention(jobs, lambda: NOW_MS, every_s=0.01):
        async with asyncio.timeout(10):
            await tried.wait()
    assert set(asked) == {NOW_MS - 2 * DAY_MS}


async def test_a_journal_keeps_nothing_longer_than_its_days(tmp_path: Path) -> None:
    config = JournalConfig(folder=tmp_path, max_days=2, readers=("store",))
    async with Journal(config, "all", CATALOGUE) as journal:
        await journal.append(batch(HER))
    (segment,) = [s for s in list_segments(tmp_path / "all") if s.path.stat().st_size]
    async with Journal(config, "all", CATALOGUE) as journal:
        assert segment.path.exists()
        log = journal._log  # the clock of a log is what it is called with
        await log.tidy(wall_ms() + 3 * DAY_MS)
        assert not segment.path.exists()
        assert journal.stats.dropped_rows == 1


agents = st.sampled_from([HER, OTHER, ""])


@given(st.lists(st.tuples(agents, st.integers(0, 3)), max_size=8), st.integers(0, 3))
def test_rows_received_before_an_erasure_never_reach_the_store(
    rows: list[tuple[str, int]], asked_ms: int
) -> None:
    batches = [batch(agent, received_ms) for agent, received_ms in rows]
    kept = without_erased(batches, {HER: asked_ms})
    assert [(b.tag("agent")[0], b.received_ms) for b in kept] == [
        (agent, at) for agent, at in rows if agent != HER or at > asked_ms
    ]


async def test_what_lies_in_a_journal_of_either_kind_is_not_stored_after_an_erasure(
    place: JournalPlace, tmp_path: Path
) -> None:
    config = StoreConfig(folder=tmp_path / "store", flush_s=0.05)
    now_ms = wall_ms()
    async with contextlib.AsyncExitStack() as entered:
        if place.kind.connection is not None:
            await entered.enter_async_context(place.connection)
        journal = await entered.enter_async_context(place.journal("all"))
        await journal.append(batch(HER, now_ms), batch(OTHER, now_ms))
        Erasures(config.folder).request(HER, now_ms + 1, done=True)
        async with (
            open_store(config, CATALOGUE) as store,
            place.reader("store") as reader,
            StoreWriter(config, reader, store),
        ):
            async with asyncio.timeout(30):
                while not await store.count_rows(OTHER):  # noqa: ASYNC110 - files
                    await asyncio.sleep(0.05)
            assert await store.count_rows(HER) == 0


def test_erasing_a_laptop_that_nobody_knows_fails_and_changes_nothing(
    tmp_path: Path,
) -> None:
    council = Council(tmp_path)
    council.write_settings()
    enrol(council.config)
    plant(council.config, HER)
    before = contents(council.config.state)
    ended = towpath("fleet", "erase", "nobody", "-c", council.settings)
    assert ended.returncode == 1
    assert (
        "no laptop is called 'nobody', and no data about it is stored" in ended.stderr
    )
    assert contents(council.config.state) == before
    assert [path for path in before if path.suffix == ".body"]


def test_erasing_changes_nothing_while_the_store_does_not_answer(
    tmp_path: Path,
) -> None:
    council = Council(tmp_path)
    council.write_settings(
        store=f'kind = "influxdb"\nurl = "http://127.0.0.1:{services.free_port()}"'
    )
    enrolled = enrol(council.config)
    plant(council.config, enrolled)
    before = contents(council.config.state)
    ended = towpath("fleet", "erase", enrolled, "-c", council.settings)
    assert ended.returncode == 1
    assert ended.stderr.startswith("nothing was erased: ")
    assert contents(council.config.state) == before
    listed = towpath("fleet", "list", "-c", council.settings)
    assert enrolled in listed.stdout


@pytest.mark.parametrize("revoked", [False, True])
def test_a_laptop_without_any_row_can_be_erased(revoked: bool, tmp_path: Path) -> None:
    council = Council(tmp_path)
    council.write_settings()
    enrolled = enrol(council.config)
    plant(council.config, OTHER)
    if revoked:
        towpath("fleet", "revoke", enrolled, "-c", council.settings)
    ended = towpath("fleet", "erase", enrolled, "-c", council.settings)
    assert ended.returncode == 0, ended.stderr
    listed = towpath("fleet", "list", "-c", council.settings)
    assert enrolled not in listed.stdout
    assert not list(council.config.ingest.aside.iterdir())


# -- the whole of it: a running installation, looked through file by file -----------


@pytest.mark.service
async def test_every_file_that_names_a_laptop_is_in_the_list(tmp_path: Path) -> None:
    council = Council(tmp_path)
    council.write_settings(store='kind = "embedded"\nflush_s = 0.2\ntidy_s = 0.5')
    running = Running(council)
    config = council.config
    async with started(running), Laptops(council, https=2) as laptops:
        await laptops.more(3)
        await laptops.finish()
        her, other = (laptop.agent for laptop in laptops.all)
        plant(config, her)
        await until(
            lambda: asyncio.to_thread(lambda: in_store(config.store.folder, her)),
            seconds=60,
        )
        named = await asyncio.to_thread(naming, config.state, her)
        assert {place(path, personal_folders(config)) for path in named} >= {
            ("journal", "*/*.segment"),
            ("journal", "*/dead/*.jsonl"),
            ("store", "aside/*.jsonl"),
            ("store", "personal/**/*"),
            ("bodies", "*.body"),
            ("registry", "agents.sqlite*"),
            ("api", "api-requests.sqlite"),
        }
        out = tmp_path / "her.zip"
        ended = await asyncio.to_thread(
            towpath, "fleet", "export", her, "--out", out, "-c", council.settings
        )
        assert ended.returncode == 0, ended.stderr
        with zipfile.ZipFile(out) as archive:
            exported = {
                name: archive.read(name).decode() for name in archive.namelist()
            }
        assert {"journal-dead-jsonl.jsonl", "store-aside-jsonl.jsonl"} < set(exported)
        assert {"bodies-body.jsonl", "registry-agents-sqlite.jsonl"} < set(exported)
        assert all(her in text for text in exported.values())
        assert other not in "".join(exported.values())
        ended = await asyncio.to_thread(
            towpath, "fleet", "erase", her, "-c", council.settings
        )
        assert ended.returncode == 0, ended.stderr
        await until(
            lambda: asyncio.to_thread(lambda: not in_store(config.store.folder, her)),
            seconds=60,
        )
        named = await asyncio.to_thread(naming, config.state, her)
        # The journal's segments go when the groups have passed them.
        assert {place(path, personal_folders(config)) for path in named} <= {
            ("journal", "*/*.segment"),
            ("store", "erased/*"),
        }
        assert in_store(config.store.folder, other)


def plant(config: TowpathConfig, agent: str) -> None:
    """What a healthy run has none of."""
    (log,) = list_logs(config.journal.folder) or ["all"]
    now_ms = wall_ms()
    dead = Quarantine(config.journal.folder / log / "dead", "dead")
    dead.put(batch(agent), "does not fit", now_ms)
    Quarantine(config.store.folder / "aside", "store").put(
        batch(agent), "refused", now_ms
    )
    BodyQuarantine(config.ingest.aside, 200).put(agent.encode(), "malformed", now_ms)
    written = WrittenRequests(written_file(config.alerts.standing))
    written.begin("token t", agent, b"", now_ms)
    written.end("token t", agent, WrittenAnswer(200, {}, agent.encode()))


def enrol(config: TowpathConfig) -> str:
    """The pseudonym of a laptop that has just enrolled."""
    now_ms = wall_ms()
    with Registry(config.ingest.registry) as registry:
        token = registry.admin.make_token("hall", 1, 1, now_ms)
        return registry.identities.enrol(Enrolment(token, "LAPTOP-1"), now_ms).agent


def contents(state: Path) -> dict[Path, bytes]:
    """Every file of an installation with data about a laptop."""
    return {
        path: path.read_bytes()
        for path in state.rglob("*")
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


def place(path: Path, known: dict[Root, Path]) -> tuple[str, str]:
    """The place of the list that a file is in."""
    for place in PLACES:
        folder = known.get(place.root)
        if folder is not None and path.is_relative_to(folder):
            pattern = place.glob.replace("**/*", "*")
            if fnmatch.fnmatch(str(path.relative_to(folder)), pattern):
                return place.root, place.glob
    raise AssertionError(f"{path} names a laptop and is in no place of the list")


def in_store(store: Path, agent: str) -> bool:
    return any(agent in text(path) for path in store.glob("personal/*/*/*.parquet"))


def naming(state: Path, agent: str) -> list[Path]:
    """Every file below that names the laptop, whatever it is packed in."""
    found = [p for p in state.rglob("*") if p.is_file() and agent in text(p)]
    assert len(list(state.rglob("*"))) > 20
    return found


def text(path: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        if path.suffix == ".parquet":
            return str(pq.read_table(path).to_pylist())
        if path.suffix == ".segment":
            return segment_text(path)
        if ".sqlite" in path.name and path.suffix == ".sqlite":
            with contextlib.closing(sqlite3.connect(path)) as db:
                return "\n".join(db.iterdump()) + path.read_bytes().decode("latin-1")
        return path.read_bytes().decode("latin-1")
    return ""


def segment_text(path: Path) -> str:
    found = []
    for segment in list_segments(path.parent):
        if segment.path == path:
            fd = os.open(path, os.O_RDONLY)
            try:
                offset = 0
                while not isinstance(
                    whole := frame_at(fd, offset, segment.marker), str
                ):
                    found.append(repr(unpack(*whole)))
                    offset = whole[0].end
            finally:
                os.close(fd)
    return "\n".join(found)
