"""A full disk under the alert engine: the page leaves all the same, by its cause, and
what is true is on disk once that takes it again. On a small file system of its own."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running_engine import Desk, desk  # noqa: F401 - a fixture
from test_journal_full import may_mount
from waiting import until

from alerts.alert_file import AlertFile
from collectors.disk_space import HOUR_MS, Disks, hours_left
from probes.wire.clock import wall_ms
from probes.wire.sample import Sample

HERE = Path(__file__).parent
ESTATE = {
    "sites": [{"id": "depot", "name": "Depot"}, {"id": "hall", "name": "Hall"}],
    "devices": [
        {"id": "core", "site": "hall", "address": "10.0.0.1"},
        {"id": "depot-1", "site": "depot", "address": "10.0.0.2", "parent": "core"},
        {"id": "depot-2", "site": "depot", "address": "10.0.0.3", "parent": "depot-1"},
    ],
    "lines": [
        {
            "id": "depot-wan",
            "site": "depot",
            "supplier": "Example Telecom",
            "down_mbps": 9,
            "up_mbps": 9,
            "device": "core",
            "port": "Gi1",
            "far_end": True,
        }
    ],
}

# A whole Towpath in small: sources, journal, engine. Told "up" or "down" by its input.
TOWPATH = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import running_engine
import test_alerts_full_disk as here
from alerts.rule_files import Rules, load_rules
from collectors.batch import batch_samples
from collectors.estate.estate_model import Estate
from collectors.journal import Journal, JournalConfig, JournalFull
from collectors.server_measurements import CATALOGUE
from probes.wire.sample import Sample

async def main(folder, url):
    desk = running_engine.Desk.__new__(running_engine.Desk)
    desk.url = url
    every = load_rules(CATALOGUE, Path(sys.argv[4]))
    rules = Rules([r for r in every if r.id in ("line_down", "device_unreachable")])
    config = JournalConfig(folder=folder / "journal", reserve_bytes=0)
    estate = Estate.model_validate(here.ESTATE)
    async with Journal(config, "all", CATALOGUE) as journal:
        async with running_engine.running(
            folder, desk, rules, journal, estate=lambda: estate
        ) as engine:
            journal.show_refused(engine.add_refused_batch)

            async def poll():
                refused = 0
                while True:
                    for sample in here.samples(state):
                        try:
                            await journal.append(
                                *batch_samples([sample], "poll", sample.time_ms)
                            )
                        except JournalFull:
                            refused += 1
                    # The test reads from this how far it is.
                    print(state, bool(refused), engine.disk_error or "-", flush=True)
                    await asyncio.sleep(0.2)

            state = "up"
            polling = asyncio.create_task(poll())
            read = asyncio.get_running_loop().run_in_executor
            while line := (await read(None, sys.stdin.readline)).strip():
                state = line
            polling.cancel()

asyncio.run(main(Path(sys.argv[2]), sys.argv[3]))
"""

# In the namespace that has the small file system.
HISTORY = """
import asyncio, json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_alerts_full_disk as here

asyncio.run(getattr(here, sys.argv[4])(Path(sys.argv[2]), Path(sys.argv[3])))
print("done")
"""


def samples(state: str) -> list[Sample]:
    """One poll of all: everything is up, or the depot's line is cut."""
    at_ms, up = wall_ms(), int(state == "up")
    found = [
        Sample(
            "device",
            {"device": device, "site": site, "role": "switch"},
            {"up": 1 if device == "core" else up, "outcome": "timeout"},
            at_ms,
        )
        for device, site in (
            ("core", "hall"),
            ("depot-1", "depot"),
            ("depot-2", "depot"),
        )
    ]
    tags = {"line": "depot-wan", "site": "depot", "role": "primary"}
    return [*found, Sample("line", tags, {"up": up}, at_ms)]


class Towpath:
    """TOWPATH in a process of its own."""

    def __init__(self, folder: Path, own: Path, desk: Desk) -> None:  # noqa: F811
        command = [sys.executable, "-c", TOWPATH, str(HERE), str(folder), desk.url]
        self.log = own / f"log-{time.monotonic_ns()}"
        self._out = own / f"out-{time.monotonic_ns()}"
        with self.log.open("wb") as log, self._out.open("wb") as out:
            self.process = subprocess.Popen(
                [*command, str(own / "fast.yaml")],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(HERE.parent)},
                cwd=HERE.parent,
            )

    def tell(self, state: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{state}\n".encode())
        self.process.stdin.flush()

    def last(self) -> str:
        lines = self._out.read_text().splitlines()
        events = [line for line in lines if line.startswith(("up ", "down "))]
        return events[-1] if events else ""

    def count(self, event: str) -> int:
        return (self._out.read_text() + self.log.read_text()).count(event)

    async def until(self, part: str) -> None:
        await until(
            lambda: part in self.last(), f"{part!r}, not {self.last()!r}", seconds=60
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)
        if self.process.stdin is not None:
            self.process.stdin.close()


def fill(folder: Path) -> Path:
    """Another program's file that takes all the space."""
    filler = folder / "somebody-else"
    with filler.open("wb", buffering=0) as file:
        for size in (65_536, 4_096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass
    return filler


def _desk(own: Path) -> Desk:
    import threading

    (own / "fast.yaml").write_text(
        "overrides:\n"
        "  - {rule: line_down, hold: 2s, keep_for: 0s}\n"
        "  - {rule: device_unreachable, hold: 2s, keep_for: 0s}\n"
    )
    desk = Desk()  # noqa: F811
    threading.Thread(target=desk.server.serve_forever, daemon=True).start()
    return desk


def _rules(desk: Desk) -> list[tuple[str, str]]:  # noqa: F811
    return [
        (page["kind"], each["rule"]) for page in desk.pages for each in page["alerts"]
    ]


async def cut_while_full(folder: Path, own: Path) -> None:
    from alerts.alert_access import open_alerts

    desk = _desk(own)  # noqa: F811
    path = folder / "alerts.sqlite"
    towpath = Towpath(folder, own, desk)
    try:
        await towpath.until("up False -")
        filler = fill(folder)
        await towpath.until("up True")
        towpath.tell("down")
        await until(lambda: desk.pages, "the page", seconds=120)
        await towpath.until("down True database or disk is full")
        [trouble] = Disks({"state": folder}, "all").troubles()
        assert trouble.startswith("The disk that holds state is full")
        # What is shown is old, but nothing in it is untrue.
        assert open_alerts(path) == []
        filler.unlink()
        await until(lambda: open_alerts(path), "the alerts on disk", seconds=120)
        await until(
            lambda: towpath.last().endswith("-"), "no more trouble", seconds=120
        )
        alerts = {alert.key: alert for alert in open_alerts(path)}
        line = alerts.pop("line_down/line=depot-wan")
        assert (line.state, line.suppressed_by) == ("firing", "")
        assert {alert.suppressed_by for alert in alerts.values()} == {line.key}
        assert len(alerts) == 2
        towpath.tell("up")
        await until(lambda: len(desk.pages) == 2, "the resolution", seconds=120)
    finally:
        towpath.kill()
    assert _rules(desk) == [("page", "line_down"), ("resolution", "line_down")]
    assert towpath.count("alerts_in_memory_only") == 1
    assert towpath.count("alerts_on_disk_again") == 1
    assert towpath.count("cannot rollback") == 0


async def killed_while_full(folder: Path, own: Path) -> None:
    desk = _desk(own)  # noqa: F811
    towpath = Towpath(folder, own, desk)
    try:
        await towpath.until("up False -")
        filler = fill(folder)
        towpath.tell("down")
        await until(lambda: desk.pages, "the page", seconds=120)
        towpath.kill()
        # Nothing could be written, so it does not know what it has sent.
        towpath = Towpath(folder, own, desk)
        await towpath.until("up True")
        towpath.tell("down")
        await until(lambda: len(desk.pages) == 2, "the page again", seconds=120)
        filler.unlink()
        await towpath.until("down True -")
        towpath.tell("up")
        await until(lambda: "resolution" in desk.kinds(), "the resolution", seconds=120)
        towpath.kill()
        towpath = Towpath(folder, own, desk)
        await towpath.until("up False -")
    finally:
        towpath.kill()
    kinds = Counter(desk.kinds())
    assert kinds["resolution"] == 1
    assert {rule for _, rule in _rules(desk)} == {"line_down"}


@pytest.mark.netns
@pytest.mark.timeout(320)
@pytest.mark.parametrize("history", ["cut_while_full", "killed_while_full"])
def test_a_line_cut_while_the_disk_is_full_is_paged_by_its_cause(
    tmp_path: Path, history: str
) -> None:
    small, own = tmp_path / "small", tmp_path / "own"
    small.mkdir()
    own.mkdir()
    if not may_mount(small):
        pytest.skip("may not mount a file system here (needs root)")
    script = (
        'mount -t tmpfs -o size=4m tmpfs "$1" && '  # its own disk
        'exec "$2" -c "$3" "$4" "$1" "$5" "$6"'
    )
    command = ["unshare", "-m", "sh", "-c", script, "sh", str(small), sys.executable]
    done = subprocess.run(
        [*command, HISTORY, str(HERE), str(own), history],
        env={**os.environ, "PYTHONPATH": f"{HERE.parent}{os.pathsep}{HERE}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    logs = "\n".join(path.read_text()[-2_000:] for path in own.glob("log-*"))
    assert done.stdout.endswith("done\n"), done.stdout + done.stderr + logs


def test_what_was_done_in_memory_is_all_on_disk_again_and_nothing_twice(
    tmp_path: Path,
) -> None:
    file = AlertFile(tmp_path / "alerts.sqlite")
    insert = "INSERT INTO standing VALUES (?, ?)"
    file.write(lambda db: db.executemany(insert, [("a", b"1"), ("b", b"1")]))
    with sqlite3.connect(tmp_path / "alerts.sqlite") as other:
        other.execute(
            "INSERT INTO ack VALUES ('e', 1, 'ada', 'mine')"
        )  # by the command line
    other.close()
    # SQLite's own way to take nothing any more.
    file.db.execute("PRAGMA query_only = ON")
    file.write(lambda db: db.execute("DELETE FROM standing WHERE key = 'a'"))
    file.write(lambda db: db.execute(insert, ("c", b"2")))
    file.write(lambda db: db.execute("INSERT INTO said (body) VALUES (?)", (b"x",)))
    assert "readonly" in file.disk_error
    assert _rows(tmp_path) == [("a", b"1"), ("b", b"1")]
    assert file.write_back()
    assert file.disk_error == ""
    assert _rows(tmp_path) == [("b", b"1"), ("c", b"2")]
    assert _rows(tmp_path, "ack") == [("e", 1, "ada", "mine")]
    assert len(_rows(tmp_path, "said")) == 1
    file.close()


def test_a_failed_transaction_leaves_nothing_and_raises_the_true_error(
    tmp_path: Path,
) -> None:
    file = AlertFile(tmp_path / "alerts.sqlite")

    def half(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO standing VALUES ('a', 'x')")
        # As SQLite does by itself when the disk is full.
        db.execute("ROLLBACK")
        raise sqlite3.IntegrityError("the true one")

    with pytest.raises(sqlite3.IntegrityError, match="the true one"):
        file.write(half)
    assert _rows(tmp_path) == []
    file.close()


def _rows(folder: Path, table: str = "standing") -> list[Any]:
    with sqlite3.connect(folder / "alerts.sqlite") as db:
        rows = db.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
    db.close()
    return rows


@given(
    hours=st.floats(0.6, 6),
    rate=st.floats(1e3, 1e9),
    left=st.floats(0.01, 1_000),
)
def test_a_disk_that_fills_evenly_is_full_when_the_fitted_line_reaches_its_size(
    hours: float, rate: float, left: float
) -> None:
    end = left * rate
    points = [
        (round(n / 40 * hours * HOUR_MS), round(end + rate * hours * (1 - n / 40)))
        for n in range(41)
    ]
    hours_until_full = hours_left(points)
    assert hours_until_full is not None
    assert hours_until_full == pytest.approx(left, rel=0.05, abs=0.05)


def test_a_disk_that_breathes_or_empties_has_no_end() -> None:
    steady = [(n * 60_000, 10**9) for n in range(100)]
    emptying = [(n * 60_000, 10**9 + n) for n in range(100)]
    assert hours_left(steady) is None
    assert hours_left(emptying) is None
    # Too little is known after a start.
    assert hours_left([(n * 60_000, 10**9 - n) for n in range(20)]) is None


def test_folders_on_one_disk_are_one_row_named_by_the_outermost(tmp_path: Path) -> None:
    disks = Disks(
        {
            "state": tmp_path / "state",
            "journal": tmp_path / "state" / "journal",
            "alerts": tmp_path / "state",
            "reports": tmp_path / "reports",
        },
        "all",
    )
    [row] = disks.samples(0)
    assert row.tags == {"process": "all", "folder": "state, reports"}
    assert row.fields["full"] == 0
    assert 0 < int(row.fields["free_bytes"]) <= int(row.fields["size_bytes"])
    assert "hours_left" not in row.fields
    assert disks.troubles() == []
