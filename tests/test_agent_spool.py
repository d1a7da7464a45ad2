"""The spool keeps its reports through kill -9, a full disk and a broken file."""

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.agent.settings import SpoolLimits
from probes.agent.spool import DAY_MS, IN_MEMORY, NAME, Spool
from probes.agent.spool_file import InUse
from probes.agent.spool_rows import stored_bytes
from probes.wire.report import Receipt, Report, ReportRefusal, Whereabouts

NOW_MS = 1_790_000_000_000


def report(id: str, size: int = 0) -> Report:
    return Report(1, id, "a", NOW_MS, "x" * min(size, 200), Whereabouts(), ())


class Clock:
    def __init__(self) -> None:
        self.ms = NOW_MS

    def __call__(self) -> int:
        return self.ms


def ids(spool: Spool, most: int = 1000) -> list[str]:
    return [report.id for report in spool.oldest(most, 10**9)]


def test_what_was_put_is_there_again_in_its_order_until_a_receipt_names_it(
    tmp_path: Path,
) -> None:
    with Spool(tmp_path, SpoolLimits(), Clock()) as spool:
        for id in "cab":
            spool.put(report(id))
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
    with Spool(tmp_path, SpoolLimits(), Clock()) as spool:
        assert ids(spool) == ["c", "a", "b"]
        assert (
            spool.forget(Receipt(("a", "never-seen"), (ReportRefusal("c", "no"),))) == 2
        )
        assert ids(spool) == ["b"]
    with Spool(tmp_path, SpoolLimits(), Clock()) as spool:
        assert ids(spool) == ["b"]


def test_a_batch_is_bounded_by_number_and_by_bytes_but_never_empty(
    tmp_path: Path,
) -> None:
    with Spool(tmp_path, SpoolLimits(), Clock()) as spool:
        for number in range(30):
            spool.put(report(f"r{number}"))
        assert len(spool.oldest(7, 10**9)) == 7
        (first, *_) = spool.oldest(30, 10**9)
        assert len(spool.oldest(30, 3 * (len(first.body) + 2))) == 3
        assert len(spool.oldest(30, 1)) == 1


def test_too_old_and_too_much_is_dropped_oldest_first_and_counted(
    tmp_path: Path,
) -> None:
    clock = Clock()
    with Spool(tmp_path, SpoolLimits(max_bytes=100_000, max_days=2), clock) as spool:
        spool.put(report("old"))
        clock.ms += 2 * DAY_MS + 1
        spool.put(report("new"))
        assert (ids(spool), spool.dropped) == (["new"], 1)
        for number in range(600):
            spool.put(report(f"r{number:03}", 200))
        assert stored_bytes(spool._db) <= 100_000
        kept = ids(spool)
        assert kept[-1] == "r599"
        assert kept == sorted(kept)
        assert spool.dropped == 602 - len(kept)


def test_a_file_that_is_no_database_is_moved_aside_with_a_sentence(
    tmp_path: Path,
) -> None:
    (tmp_path / NAME).write_bytes(b"not a database" * 999)
    with Spool(tmp_path, SpoolLimits(), Clock()) as spool:
        assert "moved to spool.corrupt" in spool.lost
        spool.put(report("a"))
        assert (ids(spool), spool.trouble) == (["a"], "")
    assert (tmp_path / "spool.corrupt").read_bytes().startswith(b"not a")


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_flipped_bytes_never_raise_and_what_comes_after_is_kept(seed: int) -> None:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        with Spool(path, SpoolLimits(), Clock()) as spool:
            for number in range(40):
                spool.put(report(f"r{number}", 200))
        body = bytearray((path / NAME).read_bytes())
        for _ in range(chance.choice([1, 20, 2000])):
            body[chance.randrange(len(body))] = chance.randrange(256)
        if chance.random() < 0.3:
            del body[chance.randrange(len(body)) :]
        (path / NAME).write_bytes(body)
        with Spool(path, SpoolLimits(), Clock()) as spool:
            spool.oldest(100, 10**9)
            spool.put(report("after"))
            spool.forget(Receipt(("r1", "r2")))
            spool.put(report("after2"))
            assert spool.trouble == ""
        with Spool(path, SpoolLimits(), Clock()) as spool:
            assert ids(spool)[-1:] == ["after2"] or "after2" in ids(spool)


@pytest.mark.parametrize(
    "table",
    [
        "TABLE report (seq INTEGER PRIMARY KEY, words TEXT)",
        # Has all our columns, and one more that we do not fill.
        "TABLE report (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, made_ms, body, crc, "
        "doubtful, version, more TEXT NOT NULL)",
        "TABLE report (seq INTEGER PRIMARY KEY, id TEXT, made_ms, body, crc, "
        "doubtful, version)",
        "VIEW report AS SELECT 1 AS seq, 2 AS id, 3 AS made_ms, 4 AS body, 5 AS crc, "
        "6 AS doubtful, 7 AS version",
    ],
)
def test_a_file_of_another_time_is_moved_aside(table: str, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / NAME)) as db, db:
        db.execute(f"CREATE {table}")
    with Spool(tmp_path, SpoolLimits(), Clock()) as spool:
        spool.put(report("a"))
        assert "started anew" in spool.lost
        assert (ids(spool), spool.trouble) == (["a"], "")


def test_a_second_agent_is_refused_the_same_folder(tmp_path: Path) -> None:
    with (
        Spool(tmp_path, SpoolLimits(), Clock()),
        pytest.raises(InUse, match="another towpath-agent"),
        Spool(tmp_path, SpoolLimits(), Clock()),
    ):
        pytest.fail("two agents with one spool")


def test_network_bytes_are_counted_by_month(tmp_path: Path) -> None:
    clock = Clock()
    with Spool(tmp_path, SpoolLimits(), clock) as spool:
        spool.spend(5)
        spool.spend(7)
    with Spool(tmp_path, SpoolLimits(), clock) as spool:
        assert spool.spent_bytes() == 12
        clock.ms += 40 * DAY_MS
        assert spool.spent_bytes() == 0


# A writer that prints which reports it put and which it forgot, until it is killed.
_WRITER = """
import sys, time
from pathlib import Path
from probes.wire.clock import wall_ms
from probes.wire.report import Receipt, Report, Whereabouts
from probes.agent.settings import SpoolLimits
from probes.agent.spool import Spool
folder, turn = Path(sys.argv[1]), sys.argv[2]
with Spool(folder, SpoolLimits(), wall_ms) as spool:
    number = 0
    while True:
        id = f"{turn}-{number}"
        spool.put(Report(1, id, "a", 1, "x" * 150, Whereabouts(), ()))
        print("put", id, flush=True)
        if number % 3 == 2:
            gone = spool.oldest(2, 10**9)
            print("forgetting", *[each.id for each in gone], flush=True)
            spool.forget(Receipt(tuple(each.id for each in gone)))
            print("forgot", *[each.id for each in gone], flush=True)
        number += 1
"""


def test_nothing_put_is_lost_and_nothing_forgotten_comes_back_over_kill_9(
    tmp_path: Path,
) -> None:
    put: set[str] = set()
    forgetting: set[str] = set()
    forgot: set[str] = set()
    chance = random.Random(7)
    for turn in range(12):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path), str(turn)],
            stdout=subprocess.PIPE,
        )
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(chance.randint(1, 40))]
        time.sleep(chance.uniform(0.0, 0.02))
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
        writer.wait(30)
        writer.stdout.close()
        for line in lines:
            # The last line may be torn.
            if line.endswith(b"\n"):
                what, *named = line.decode().split()
                {"put": put, "forgetting": forgetting, "forgot": forgot}[what].update(
                    named
                )
    assert len(put) > 50
    assert forgot
    with Spool(tmp_path, SpoolLimits(), Clock()) as spool:
        kept = set(ids(spool, 10**6))
        assert (spool.lost, spool.trouble) == ("", "")
    assert put - forgetting - kept == set()
    assert forgot & kept == set()


_FULL = """
import resource, sys
from pathlib import Path
from probes.wire.report import Receipt, Report, Whereabouts
from probes.agent.settings import SpoolLimits
from probes.agent.spool import IN_MEMORY, Spool
with Spool(Path(sys.argv[1]), SpoolLimits(), lambda: 1_790_000_000_000) as spool:
    def put(n): spool.put(Report(1, f"r{n:04}", "a", 1, "x" * 150, Whereabouts(), ()))
    for n in range(100): put(n)
    size = spool.path.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    for n in range(100, 700): put(n)
    assert "is the disk full?" in spool.trouble, spool.trouble
    on_disk = spool.waiting - IN_MEMORY
    assert 100 <= on_disk <= 200, on_disk
    assert spool.dropped == 700 - spool.waiting, spool.dropped
    first = spool.oldest(50, 10**9)
    assert [each.id for each in first] == [f"r{n:04}" for n in range(50)]
    assert spool.forget(Receipt(tuple(each.id for each in first))) == 50
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    )
    put(700)
    assert spool.trouble == "", spool.trouble
    print(spool.waiting, spool.dropped, spool.oldest(1, 1)[0].id)
"""


def test_a_full_disk_is_survived_and_reported_until_there_is_room(
    tmp_path: Path,
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _FULL, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    waiting, dropped, oldest = ended.stdout.split()
    assert int(waiting) + int(dropped) == 701 - 50
    assert oldest == "r0050"
    with Spool(tmp_path, SpoolLimits(), Clock()) as spool:
        assert len(ids(spool, 10**4)) == int(waiting)


def test_a_folder_that_cannot_be_written_is_survived_in_memory(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    with Spool(file / "state", SpoolLimits(), Clock()) as spool:
        for number in range(IN_MEMORY + 3):
            spool.put(report(f"r{number}"))
        assert "cannot be" in spool.trouble
        assert (spool.waiting, spool.dropped) == (IN_MEMORY, 3)
        assert spool.forget(Receipt(("r5",))) == 1
        assert spool.spent_bytes() == 0


def test_room_is_given_back_after_weeks_offline(tmp_path: Path) -> None:
    with Spool(tmp_path, SpoolLimits(), Clock()) as spool:
        spool.put(report("a"))
    with contextlib.closing(sqlite3.connect(tmp_path / NAME)) as db, db:
        db.executemany(
            "INSERT INTO report (id, made_ms, body, crc) VALUES (?, ?, ?, 0)",
            [(f"b{n}", NOW_MS, os.urandom(3000)) for n in range(3000)],
        )
    big = (tmp_path / NAME).stat().st_size
    with Spool(tmp_path, SpoolLimits(), Clock()) as spool:
        spool.forget(Receipt(tuple(f"b{n}" for n in range(3000))))
    with Spool(tmp_path, SpoolLimits(), Clock()) as spool:
        assert ids(spool) == ["a"]
    assert (tmp_path / NAME).stat().st_size < big / 10
