"""`/healthz` and `/readyz` of each role: what a restart mends, and what it does not."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import services
from hypothesis import given
from hypothesis import strategies as st
from test_commands_state import ESTATE, SETTINGS

from collectors.journal.journal_stats import (
    JournalStats,
    ReaderStats,
    journal_sample,
    reader_sample,
)
from collectors.self_metrics import Source
from collectors.snmp.polling.poll_stats import PollStats
from probes.wire.sample import Sample
from towpath import metrics
from towpath.config import ROLES, Role, read
from towpath.metrics import MetricsConfig, MetricsServer
from towpath.readiness import (
    STUCK_MS,
    JournalCheck,
    PollCheck,
    ReaderCheck,
    Readiness,
    broker_check,
    calls_check,
    evaluation_check,
    source_checks,
    traps_check,
)
from towpath.run import Installation

NOW_MS = 1_790_553_600_000


def row(measurement: str, **fields: Any) -> Source:
    return lambda at: [Sample(measurement, {"process": "all"}, fields, at)]


def of_reader(stats: ReaderStats, oldest_ms: int | None = None) -> ReaderCheck:
    return ReaderCheck(lambda at: [reader_sample(stats, oldest_ms, "store", "all", at)])


def test_a_full_disk_makes_the_journal_unready_until_there_is_space() -> None:
    stats = JournalStats(full=True)
    check = JournalCheck(lambda at: [journal_sample(stats, "all", at)])
    assert "the disk is full" in check(NOW_MS)
    stats.full = False
    assert check(NOW_MS + 1) == ""


def test_rows_that_could_not_be_written_count_until_others_were() -> None:
    stats = JournalStats(appended_rows=5)
    check = JournalCheck(lambda at: [journal_sample(stats, "all", at)])
    assert check(NOW_MS) == ""
    stats.refused_rows = 3
    assert "could not write" in check(NOW_MS + 1)
    assert "could not write" in check(NOW_MS + 60_000)
    stats.appended_rows = 6
    assert check(NOW_MS + 60_001) == ""


def test_a_store_that_is_down_makes_its_reader_unready_until_rows_pass() -> None:
    stats = ReaderStats(passed_rows=10)
    check = of_reader(stats)
    assert check(NOW_MS) == ""
    stats.failures = 1
    assert "could not be written" in check(NOW_MS + 1)
    stats.passed_rows = 20
    assert check(NOW_MS + 2) == ""


def test_a_store_that_was_never_reached_is_unready() -> None:
    assert "could not be written" in of_reader(ReaderStats(failures=1))(NOW_MS)


def test_a_reader_is_stuck_only_if_rows_wait_and_none_is_read() -> None:
    stats = ReaderStats(passed_rows=10)
    old_ms = NOW_MS - STUCK_MS
    waiting, idle = of_reader(stats, old_ms), of_reader(stats)
    later_ms = NOW_MS + STUCK_MS
    # After a long stop, rows are old at once, but they are being read.
    assert waiting(NOW_MS) == idle(NOW_MS) == ""
    assert waiting(later_ms - 1) == ""
    assert "none was read for 5 minutes" in waiting(later_ms)
    assert idle(later_ms) == ""
    stats.passed_rows += 1
    assert waiting(later_ms + 1) == ""


def test_a_poller_is_unready_while_no_device_answers() -> None:
    cut_off = True
    check = PollCheck(PollStats(), lambda: cut_off, 60)
    assert "lost its network" in check(NOW_MS)
    cut_off = False
    assert check(NOW_MS) == ""


def test_a_poller_is_stuck_if_polls_are_due_and_none_ends() -> None:
    stats = PollStats()
    check = PollCheck(stats, lambda: False, 60)
    assert check(NOW_MS) == ""
    # Without devices nothing is due, however long that lasts.
    assert check(NOW_MS + 3_600_000) == ""
    start_ms = NOW_MS + 3_600_000
    stats.expected = 2
    assert check(start_ms) == ""
    assert check(start_ms + 179_000) == ""
    assert "none has ended for 180 s" in check(start_ms + 180_000)
    stats.done = 1
    assert check(start_ms + 180_001) == ""
    # It counts from the last poll that ended.
    assert check(start_ms + 300_000) == ""
    assert "polls are due" in check(start_ms + 360_001)


@given(st.lists(st.integers(0, 179_000), max_size=40))
def test_a_poller_whose_polls_end_in_time_is_never_stuck(waits_ms: list[int]) -> None:
    stats, now_ms = PollStats(), NOW_MS
    check = PollCheck(stats, lambda: False, 60)
    for wait_ms in waits_ms:
        # Two are always under way.
        stats.expected = stats.done + 2
        assert check(now_ms) == ""
        now_ms += wait_ms
        assert check(now_ms) == ""
        stats.done += 1


def test_the_alert_role_is_ready_once_rules_are_evaluated_and_kept() -> None:
    evaluated_ms, disk_error = 0, ""
    check = evaluation_check(lambda: evaluated_ms, lambda: disk_error)
    assert "not been evaluated yet" in check(NOW_MS)
    evaluated_ms = NOW_MS - 10_000
    assert check(NOW_MS) == ""
    assert "up to 120 s ago" in check(NOW_MS + 110_000)
    disk_error = "the disk is full"
    assert "in memory only: the disk is full" in check(NOW_MS)


def test_receiver_broker_and_record_of_calls_say_what_is_missing() -> None:
    assert traps_check(row("self_traps", listening=1))(NOW_MS) == ""
    assert "not open" in traps_check(row("self_traps", listening=0))(NOW_MS)
    assert calls_check(row("self_calls", reading=1, state_text="ok"))(NOW_MS) == ""
    refused = calls_check(row("self_calls", reading=0, state_text="refused (401)"))
    assert refused(NOW_MS) == "refused (401)"
    assert broker_check(lambda: True)(NOW_MS) == ""
    assert "not connected" in broker_check(lambda: False)(NOW_MS)


def test_a_check_that_fails_hides_neither_itself_nor_others() -> None:
    def fail(now_ms: int) -> str:
        raise OSError("no such file")

    ready = Readiness([("one", fail), ("two", lambda _: "broken")], lambda: NOW_MS)
    one, two = ready.reasons()
    assert one.startswith("one: cannot be checked")
    assert "no such file" in one
    assert two == "two: broken"


SERVERS = "servers of the journal"
PARTS: dict[Role, set[str]] = {
    "poll": {"poll", "journal", SERVERS},
    "ingest": {"journal", SERVERS},
    "store": {"store", SERVERS},
    "alert": {"alert", SERVERS},
    "web": set(),
    "calls": {"journal", SERVERS},
}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_is_ready_by_its_own_work_and_no_others(
    role: Role, tmp_path: Path
) -> None:
    """A store that is down must not take ingest and the status page away."""
    (tmp_path / "estate.toml").write_text(ESTATE)
    settings = tmp_path / "towpath.toml"
    settings.write_text(SETTINGS.format(state=tmp_path / "state", folder=tmp_path))
    assert set(Installation(read(settings), [role]).readiness.parts) == PARTS[role]


def ask(port: int, path: str) -> tuple[int, dict[str, Any]]:
    try:
        url = f"http://127.0.0.1:{port}{path}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_what_reads_or_writes_the_journal_is_unready_without_its_servers() -> None:
    for role in set(ROLES) - {"web"}:
        checks = source_checks([role], {}, lambda: "no server answers")
        assert Readiness(checks, lambda: NOW_MS).reasons() == [
            f"{SERVERS}: no server answers"
        ]
    assert source_checks(["web"], {}, lambda: "no server answers") == []


async def test_an_unready_process_is_alive_and_is_not_restarted() -> None:
    reason = ""
    ready = Readiness([("store", lambda _: reason)], lambda: NOW_MS)
    port = services.free_port()
    # A process with one role has the port after it.
    with MetricsServer(MetricsConfig(port=port - 3), ["store"], ready):
        wanted = {"ok": True, "roles": ["store"], "reasons": []}
        assert await asyncio.to_thread(ask, port, "/readyz") == (200, wanted)
        reason = "down"
        wanted = {"ok": False, "roles": ["store"], "reasons": ["store: down"]}
        assert await asyncio.to_thread(ask, port, "/readyz") == (503, wanted)
        assert (await asyncio.to_thread(ask, port, "/healthz"))[0] == 200


async def test_a_process_that_does_nothing_any_more_is_not_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metrics, "_LOOP_S", 0.05)
    port = services.free_port()
    config = MetricsConfig(port=port)
    with MetricsServer(config, ROLES, Readiness([], lambda: NOW_MS)):
        with ThreadPoolExecutor(1) as other:
            status, body = other.submit(ask, port, "/healthz").result()
        assert (status, body["ok"]) == (503, False)
        assert "has done nothing" in body["reasons"][0]
        assert (await asyncio.to_thread(ask, port, "/healthz"))[0] == 200
