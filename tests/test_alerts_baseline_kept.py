"""The baseline outlives a restart, is listed once, and follows the engineer."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

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

from alerts.alert_store import AlertStore, BaselineChanges, CycleChanges
from alerts.baseline_access import baseline_parts
from alerts.baseline_commands import baseline_choose, baseline_learn, baseline_list
from alerts.evaluation.learning import FirstSeen
from alerts.rule_files import Rules
from collectors.journal import Journal
from probes.wire.clock import wall_ms

KEY = "device_unreachable/device=core-1"
NEW = {"baseline_s": 1800.0}


def listed(file: Path, **options: bool) -> str:
    lines: list[str] = []
    assert baseline_list(file, out=lines.append, **options) == 0
    return "\n".join(lines)


async def test_a_device_that_never_answered_is_listed_over_restarts_until_it_is_a_fault(
    tmp_path: Path,
    desk: Desk,  # noqa: F811
    rules: Rules,  # noqa: F811
    journal: Journal,  # noqa: F811
) -> None:
    file = tmp_path / "alerts.sqlite"
    assert "is empty" in listed(file)
    async with running(tmp_path, desk, rules, journal, update=NEW):
        await poll(journal, 0)
        await until(lambda: baseline_parts(file), "the baseline")
    assert "never answered (1): core-1" in listed(file)
    async with running(tmp_path, desk, rules, journal, update=NEW) as engine:
        await poll(journal, 0)
        cycles = engine.cycles + 5
        await until(lambda: engine.cycles > cycles, "some cycles")
        assert desk.pages == []
        lines: list[str] = []
        assert (
            baseline_choose(
                file, ["device_*"], "accept", "ana", "spare", 1, lines.append
            )
            == 0
        )
        assert "core-1" not in listed(file)
        assert "1 more are accepted" in listed(file)
        [row] = json.loads(listed(file, everything=True, as_json=True))
        assert (row["key"], row["choice"], row["why"]) == (KEY, "accept", "spare")
        assert baseline_choose(file, [KEY], "alert", "ana", "", 2, lines.append) == 0
        await until(lambda: desk.kinds() == ["page"], "the page")
        await until(lambda: not baseline_parts(file), "an empty baseline")
        with sqlite3.connect(file) as db:
            assert db.execute("SELECT count(*) FROM baseline_choice").fetchone() == (0,)


async def test_what_answered_before_a_kill_is_paged_after_it(
    tmp_path: Path,
    desk: Desk,  # noqa: F811
    rules: Rules,  # noqa: F811
    journal: Journal,  # noqa: F811
) -> None:
    process = EngineProcess(tmp_path, desk, 1800.0)
    process.start()
    await poll(journal, 1)

    def first_seen() -> int:
        with sqlite3.connect(tmp_path / "alerts.sqlite") as db:
            [count] = db.execute("SELECT count(*) FROM first_seen").fetchone()
        return int(count)

    await until(lambda: first_seen() == 2, "the device and the rule to be seen")
    process.kill()
    process.start()
    await poll(journal, 0)
    await until(lambda: desk.kinds() == ["page"], "the page")
    process.kill()


def test_a_wrong_key_or_device_is_one_sentence(tmp_path: Path) -> None:
    lines: list[str] = []
    file = tmp_path / "alerts.sqlite"
    now_ms = wall_ms()
    assert baseline_choose(file, [KEY], "alert", "ana", "", now_ms, lines.append) == 2
    assert baseline_learn(file, "core-2", ["core-1"], "ana", now_ms, lines.append) == 2
    assert lines == [
        f"nothing in the baseline is called {KEY!r}",
        "no device is called 'core-2'; did you mean 'core-1'?",
    ]


def test_what_was_known_for_long_before_a_restart_is_not_new_after_it(
    tmp_path: Path,
) -> None:
    """Only a device that is new has a baseline."""
    store = AlertStore(tmp_path / "alerts.sqlite")
    first_seen = {"device=d1": FirstSeen({"device": 1_000}, "SN-1")}
    baseline = BaselineChanges(first_seen=first_seen)
    changes = CycleChanges({}, {}, [], [], [], 0, [], {}, {}, baseline)
    store.write(changes, 1_000)
    store.close()
    store = AlertStore(tmp_path / "alerts.sqlite")
    assert store.first_seen() == first_seen
    store.close()
