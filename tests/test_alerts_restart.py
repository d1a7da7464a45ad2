"""The alert engine when it starts: after a stop, after a kill, and from the store."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from running_engine import (
    Desk,
    EngineProcess,
    desk,  # noqa: F401 - a fixture
    journal,  # noqa: F401 - a fixture
    poll,
    rules,  # noqa: F401 - a fixture
    running,
)
from waiting import until

from alerts.alert_access import (
    open_alerts,
    recent_alerts,
    start_positions,
)
from alerts.rule_files import Rules
from collectors.batch import batch_samples
from collectors.journal import Journal
from collectors.store.query import Query, Row
from probes.wire.clock import wall_ms
from probes.wire.sample import Sample


async def test_a_restart_sends_nothing_twice_and_forgets_nothing(
    tmp_path: Path,
    desk: Desk,  # noqa: F811
    rules: Rules,  # noqa: F811
    journal: Journal,  # noqa: F811
) -> None:
    async with running(tmp_path, desk, rules, journal) as engine:
        await poll(journal, 0)
        await until(lambda: desk.kinds() == ["page"], "the page")
        # If the engine stops before it records the delivery, it sends the page again.
        await until(
            lambda: any(row.fields.get("sent") == 1 for row in engine.samples(0)),
            "the page to be written down",
        )
    async with running(tmp_path, desk, rules, journal) as engine:
        await until(lambda: engine.cycles > 3, "some cycles")
        assert desk.kinds() == ["page"]
        assert [a.state for a in open_alerts(tmp_path / "alerts.sqlite")] == ["firing"]
    # The fault ends while no engine runs.
    await poll(journal, 1)
    async with running(tmp_path, desk, rules, journal):
        await until(lambda: desk.kinds() == ["page", "resolution"], "the resolution")


async def test_what_began_and_ended_while_no_engine_ran_pages_nobody(
    tmp_path: Path,
    desk: Desk,  # noqa: F811
    rules: Rules,  # noqa: F811
    journal: Journal,  # noqa: F811
) -> None:
    """More rows than it reads at once lie between the beginning and the end."""
    minute_ms = 60_000
    async with running(tmp_path, desk, rules, journal) as engine:
        await poll(journal, 1, 20 * minute_ms)
        await until(lambda: engine.cycles > 3, "some cycles")
    await poll(journal, 0, 10 * minute_ms)
    at_ms = wall_ms() - 9 * minute_ms
    tags = {"site": "hall", "role": "router", "device": "core-1"}
    for part in range(6):
        rows = [
            Sample("interface", {**tags, "port": f"{part}/{n}"}, {"up": 1}, at_ms)
            for n in range(10_000)
        ]
        await journal.append(*batch_samples(rows, "poll/core-1", at_ms))
    await poll(journal, 1)
    often = {"evaluate_s": 0.001}
    async with running(tmp_path, desk, rules, journal, update=often) as engine:
        await until(lambda: engine.cycles > 9, "some cycles")
    assert recent_alerts(tmp_path / "alerts.sqlite", 0) == []
    assert desk.kinds() == []


async def test_a_kill_between_evaluation_and_delivery_loses_no_page(
    tmp_path: Path,
    desk: Desk,  # noqa: F811
    rules: Rules,  # noqa: F811
    journal: Journal,  # noqa: F811
) -> None:
    path = tmp_path / "alerts.sqlite"
    engine = EngineProcess(tmp_path, desk)
    try:
        # The page is written to the outbox, and the desk refuses it.
        desk.status = 503
        await asyncio.to_thread(engine.start)
        await poll(journal, 0)
        await until(lambda: [a.state for a in open_alerts(path)] == ["firing"], "it")
        engine.kill()
        assert desk.pages == []
        desk.status = 204
        await asyncio.to_thread(engine.start)
        await until(lambda: desk.kinds() == ["page"], "the page", seconds=30)
        await until(lambda: _delivered(path) == 1, "its note in the book")
        engine.kill()
        # Killed again; the fault ends while no engine runs.
        await poll(journal, 1)
        await asyncio.to_thread(engine.start)
        await until(lambda: len(desk.pages) == 2, "the resolution", seconds=30)
        await until(lambda: _delivered(path) == 2, "its note in the book")
        engine.kill()
        await asyncio.to_thread(engine.start)
        await until(lambda: not open_alerts(path), "no alert")
    finally:
        engine.kill()
    assert desk.kinds() == ["page", "resolution"]
    episodes = [page["alerts"][0]["episode"] for page in desk.pages]
    assert Counter(episodes) == {episodes[0]: 2}


def _delivered(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path, timeout=5)) as db:
        sql = "SELECT count(*) FROM outbox WHERE state = 'delivered'"
        return int(db.execute(sql).fetchone()[0])


class AwayStore:
    """A database that cannot be reached."""

    async def write(self, batches: list[Any]) -> None:
        raise OSError("away")

    async def query(self, query: Query) -> list[Row]:
        raise OSError("away")


class WarmStore(AwayStore):
    """A database with one poll in it."""

    def __init__(self) -> None:
        self.queries: list[Query] = []

    async def query(self, query: Query) -> list[Row]:
        self.queries.append(query)
        tags = {"device": "core-1", "site": "hall", "role": "router"}
        return [Row(wall_ms() - 5_000, tags, {"up_last": 0})]


async def test_alerts_work_while_the_database_is_away(
    tmp_path: Path,
    desk: Desk,  # noqa: F811
    rules: Rules,  # noqa: F811
    journal: Journal,  # noqa: F811
) -> None:
    async with running(tmp_path, desk, rules, journal, store=AwayStore()):
        await poll(journal, 0)
        await until(lambda: desk.kinds() == ["page"], "the page")


async def test_the_window_is_filled_from_the_store_at_the_start(
    tmp_path: Path,
    desk: Desk,  # noqa: F811
    rules: Rules,  # noqa: F811
    journal: Journal,  # noqa: F811
) -> None:
    store = WarmStore()
    async with running(tmp_path, desk, rules, journal, store=store):
        await until(lambda: desk.kinds() == ["page"], "the page")
    [query] = store.queries
    assert query.measurement == "device"
    assert {pick.name for pick in query.picks} == {"up_last", "outcome_last"}


def test_a_missing_file_has_no_alerts(tmp_path: Path) -> None:
    assert open_alerts(tmp_path / "none.sqlite") == []
    assert recent_alerts(tmp_path / "none.sqlite", 0) == []
    assert start_positions(tmp_path / "none.sqlite") is None


# SQLite puts a large transaction into the file before its end.
KILLED = """
import os, sys
from pathlib import Path
from alerts.alert_file import connect, prepare
db = connect(Path(sys.argv[1]))
prepare(db)
db.execute("INSERT INTO standing VALUES ('kept', 'x')")
db.execute("PRAGMA cache_size = 1")
db.execute("BEGIN IMMEDIATE")
rows = [(str(n), "x" * 999) for n in range(99)]
db.executemany("INSERT INTO standing VALUES (?, ?)", rows)
os.kill(os.getpid(), 9)
"""


def test_after_a_kill_in_the_middle_of_a_write_the_file_is_read_as_before_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "alerts.sqlite"
    command = [sys.executable, "-c", KILLED, str(path)]
    subprocess.run(command, cwd=Path(__file__).parents[1], check=False)
    assert (tmp_path / "alerts.sqlite-journal").stat().st_size
    assert open_alerts(path) == []
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT key FROM standing").fetchall() == [("kept",)]
