"""A wrong clock loses no report, and dates wrongly none that can be corrected."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_council import Door as Council
from ingest_council import door
from test_agent_loop import QUICK, Laptop
from test_agent_status import NOW_MS as STATUS_MS
from test_agent_status import status
from waiting import until

from probes.agent.clock_changes import clock_error_ms
from probes.agent.publish_https import HttpsPublisher
from probes.agent.server_connection import ServerConnection
from probes.agent.settings import SpoolLimits
from probes.agent.spool import DAY_MS, NAME, Spool
from probes.diagnosis.agent_status import read_status, status_lines
from probes.wire.clock import wall_ms
from probes.wire.failure import Outcome
from probes.wire.policy import Policy
from probes.wire.report import Enrolment, Report, Result, Whereabouts, moved

NOW_MS = 1_790_000_000_000
DAY_S = 86_400
# More than two years to either side.
hours = st.integers(-20_000, 20_000).map(lambda hours: hours * 3_600_000)


class Wrong:
    """A laptop's clock: its time, the true time, and whether they were compared."""

    def __init__(self, error_ms: int) -> None:
        self.true_ms, self.error_ms, self.compared = NOW_MS, error_ms, False

    def now_ms(self) -> int:
        return self.true_ms + self.error_ms

    def clock_error_ms(self) -> int | None:
        return self.error_ms if self.compared else None

    def spool(self, folder: Path) -> Spool:
        return Spool(folder, SpoolLimits(), self.now_ms, self.clock_error_ms)


def report(id: str, at_ms: int) -> Report:
    result = Result("web", 1, at_ms, Outcome.OK)
    return Report(1, id, "a", at_ms, "s", Whereabouts(), (result,))


def times_of(spool: Spool) -> dict[str, int]:
    waiting = [msgspec.json.decode(e.body, type=Report) for e in spool.oldest(999, 1e9)]
    assert all(report.sent_ms == report.results[0].time_ms for report in waiting)
    return {report.id: report.sent_ms for report in waiting}


steps = st.lists(
    st.tuples(st.just("pass"), st.integers(1, 20 * 24).map(lambda h: h * 3_600_000))
    | st.tuples(st.just("set"), hours)
    | st.tuples(st.just("put"), st.just(0)),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(hours, steps)
def test_whatever_a_seen_clock_did_offline_every_report_gets_its_true_time(
    error_ms: int, steps: list[tuple[str, int]]
) -> None:
    true: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        clock = Wrong(error_ms)
        with clock.spool(Path(folder)) as spool:
            for kind, by_ms in steps:
                if kind == "pass":
                    clock.true_ms += by_ms
                elif kind == "set":
                    clock.error_ms += by_ms
                    spool.clock_was_set(by_ms)
                else:
                    id = f"r{len(true)}"
                    true[id] = clock.true_ms
                    spool.put(report(id, clock.now_ms()))
            clock.compared = True
            spool.correct_times()
            assert times_of(spool) == true
            assert spool.count_doubtful() == 0
            spool.put(report("after", clock.true_ms))
            # Only now is anything too old.
            kept_ms = clock.true_ms - SpoolLimits().max_days * DAY_MS
            assert set(times_of(spool)) == {
                "after",
                *(id for id, at_ms in true.items() if at_ms >= kept_ms),
            }


def test_reports_of_a_clock_that_was_set_while_no_agent_ran_are_from_no_future(
    tmp_path: Path,
) -> None:
    clock = Wrong(400 * DAY_MS)
    with clock.spool(tmp_path) as spool:
        spool.put(report("a", clock.now_ms()))
        clock.true_ms += 60_000
        spool.put(report("b", clock.now_ms()))
    clock.true_ms += 3_600_000
    clock.error_ms = 0
    with clock.spool(tmp_path) as spool:
        clock.compared = True
        assert spool.count_doubtful() == 2
        spool.correct_times()
        assert times_of(spool) == {
            "a": clock.true_ms - 60_000,
            "b": clock.true_ms,
        }


def test_what_waits_in_memory_gets_its_true_time_as_well(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    clock = Wrong(3 * DAY_MS)
    with clock.spool(tmp_path / "file" / "state") as spool:
        spool.put(report("a", clock.now_ms()))
        assert spool.trouble
        assert spool.count_doubtful() == 1
        clock.error_ms += DAY_MS
        spool.clock_was_set(DAY_MS)
        clock.compared = True
        spool.correct_times()
        assert times_of(spool) == {"a": NOW_MS}
        assert spool.count_doubtful() == 0


def test_what_the_disk_gives_back_otherwise_is_not_taken_for_good(
    tmp_path: Path,
) -> None:
    clock = Wrong(3 * DAY_MS)
    with clock.spool(tmp_path) as spool:
        for id in ("good", "flipped"):
            spool.put(report(id, clock.now_ms()))
        assert spool._db is not None
        other = msgspec.json.encode(report("flipped", NOW_MS - DAY_MS))
        spool._db.execute("UPDATE report SET body = ? WHERE id = 'flipped'", (other,))
        clock.compared = True
        spool.correct_times()
        assert times_of(spool) == {"good": NOW_MS}
        assert spool.dropped == 1


def test_a_spool_of_an_older_agent_is_read_and_doubts_nothing(tmp_path: Path) -> None:
    body = msgspec.json.encode(report("old", NOW_MS))
    db = sqlite3.connect(tmp_path / NAME)
    db.execute(
        "CREATE TABLE report (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL"
        " UNIQUE, made_ms INTEGER NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL)"
    )
    row = ("old", NOW_MS, body, zlib.crc32(body))
    db.execute("INSERT INTO report (id, made_ms, body, crc) VALUES (?, ?, ?, ?)", row)
    db.commit()
    db.close()
    with Wrong(0).spool(tmp_path) as spool:
        assert times_of(spool) == {"old": NOW_MS}
        assert (spool.count_doubtful(), spool.lost) == (0, "")


@given(hours)
def test_a_report_moved_there_and_back_is_the_same(by_ms: int) -> None:
    one = report("a", NOW_MS)
    assert moved(moved(one, by_ms), -by_ms) == one


@contextlib.asynccontextmanager
async def reporting(
    folder: Path, policy: Policy, ahead_s: float
) -> AsyncIterator[tuple[Council, Laptop, ServerConnection]]:
    """A council, an enrolled laptop whose clock is ahead by that, and its way there."""
    async with door(folder / "council") as council:
        now_ms = wall_ms()
        token = council.registry.admin.make_token("hall", 1, 1, now_ms)
        who = council.registry.identities.enrol(Enrolment(token, "0" * 32), now_ms)
        laptop = Laptop(folder, policy)
        laptop.who, laptop.clock.ahead_s = who, ahead_s
        async with ServerConnection(
            f"https://127.0.0.1:{council.ingest.port}",
            who,
            str(council.certificates.authority),
            "s",
            wall_s=laptop.clocks.wall_s,
        ) as out:
            laptop.taking = HttpsPublisher(out)  # type: ignore[assignment]
            yield council, laptop, out


async def test_a_clock_that_is_days_ahead_is_detected_reported_and_corrected(
    tmp_path: Path,
) -> None:
    now_ms = wall_ms()
    policy = Policy(cadence_s={**QUICK, "agent": 0}, report_s=1)
    async with reporting(tmp_path, policy, 3 * DAY_S) as (council, laptop, out):
        await HttpsPublisher(out).policy()
        assert out.clock_ahead_s is not None
        assert abs(out.clock_ahead_s - 3 * DAY_S) < 3_600
        async with laptop.running(clock_ahead_s=lambda: out.clock_ahead_s):
            await until(lambda: len(council.append.rows()) == 1, seconds=20)
            shown = read_status(tmp_path)
        ((_, _, at_ms),) = council.append.rows()
        assert abs(at_ms - now_ms) < 3_600_000
        assert shown is not None
        assert (
            "This laptop's clock is 3 days ahead of the council's server: set date "
            "and time automatically." in status_lines(shown, laptop.clocks.now_ms())
        )


def test_a_clock_that_is_a_year_ahead_for_a_moment_empties_no_spool(
    tmp_path: Path,
) -> None:
    clock = Wrong(0)
    with clock.spool(tmp_path) as spool:
        spool.put(report("a", clock.now_ms()))
        clock.true_ms += 365 * DAY_MS
        spool.put(report("b", clock.now_ms()))
        assert (list(times_of(spool)), spool.dropped) == (["a", "b"], 0)
        clock.compared = True
        spool.correct_times()
        spool.put(report("c", clock.now_ms()))
        assert (list(times_of(spool)), spool.dropped) == (["b", "c"], 1)


def test_a_clock_is_right_within_two_minutes() -> None:
    assert clock_error_ms(-60) == 0
    assert clock_error_ms(None) is None
    assert clock_error_ms(121) == 121_000


def test_a_clock_that_is_behind_is_reported_too() -> None:
    lines = status_lines(status(clock_wrong_ms=-3 * 3_600_000), STATUS_MS)
    assert any("clock is 3 hours behind the council's server" in line for line in lines)


class Unchanged:
    """Asks the council for its policy, and goes on with the one there is."""

    def __init__(self, https: HttpsPublisher) -> None:
        self._https = https

    async def policy(self, _site: str) -> None:
        await self._https.policy()


@pytest.mark.parametrize("ahead_days", [730, -730])
async def test_days_offline_by_a_clock_that_is_years_wrong_arrive_at_their_times(
    tmp_path: Path, ahead_days: int
) -> None:
    """Made before the server was ever reached; it is reached by the delivery."""
    now_ms = wall_ms()
    policy = Policy(cadence_s={**dict.fromkeys(QUICK, 0), "agent": 0}, report_s=1)
    async with reporting(tmp_path, policy, ahead_days * DAY_S) as (
        council,
        laptop,
        out,
    ):
        laptop.spool = Spool(
            tmp_path,
            SpoolLimits(),
            laptop.clocks.now_ms,
            lambda: clock_error_ms(out.clock_ahead_s),
        )
        with laptop.spool as spool:
            for back in range(3):
                at_ms = laptop.clocks.now_ms() - back * DAY_MS
                result = Result("name_lookup", 1, at_ms, Outcome.OK, "t")
                one = msgspec.structs.replace(
                    report(f"r{back}", at_ms), agent=laptop.who.agent, results=(result,)
                )
                spool.put(one)
        async with laptop.running(
            clock_ahead_s=lambda: out.clock_ahead_s,
            policies=Unchanged(HttpsPublisher(out)),
        ):
            await until(lambda: len(council.append.rows()) == 3, seconds=20)
        arrived = sorted(at_ms for _, _, at_ms in council.append.rows())
        assert council.ingest.stats.retimed == 0
        for back, at_ms in enumerate(reversed(arrived)):
            assert abs(at_ms - (now_ms - back * DAY_MS)) < 120_000
