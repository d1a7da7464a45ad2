"""Two machines share what stands, the outbox and the decisions through one log."""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from delivering_world import DeliveringWorld
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from replicated_alerts import NOW_MS, Machine, MemoryLog, refusal

from alerts.acknowledgement import acknowledge, record_shared
from alerts.alert import Acknowledgement
from alerts.alert_access import has_tables, list_silences, open_alerts
from alerts.alert_file import connect
from alerts.alert_store import AlertStore
from alerts.replicated_rows import is_recorded, lock_path
from alerts.standby import alert_replica
from alerts.standby.alert_replica import LogEntry, _decoded

_folders = itertools.count()
ACTS = ("take_over", "decide", "end", "claim", "send", "dies", "restart", "follow")
STEP = st.tuples(
    st.sampled_from(ACTS), st.integers(0, 1), st.sampled_from(["", "fails", "unsure"])
)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Machine, Machine]]:
    log, desk = MemoryLog(), []  # type: ignore[var-annotated]
    a, b = (Machine(tmp_path, name, log, desk) for name in "ab")
    yield a, b
    a.close()
    b.close()


def _entries(log: MemoryLog) -> list[LogEntry]:
    return [_decoded(part.body) for _, part in sorted(log.parts.items())]


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(STEP, min_size=5, max_size=40))
def test_whatever_fails_no_page_is_lost_and_none_comes_twice_but_as_nobody_can_know(
    tmp_path: Path, steps: list[tuple[str, int, str]]
) -> None:
    log, desk = MemoryLog(), []  # type: ignore[var-annotated]
    folder = tmp_path / str(next(_folders))
    machines = [Machine(folder, name, log, desk) for name in "ab"]
    machines[0].take_over()
    decided: list[str] = []
    # Claimed by a machine that did not come to say whether it was sent.
    unsure: set[str] = set()
    for number, (act, at, mood) in enumerate(steps):
        machine = machines[at]
        log.mood = mood or "takes"
        claimed = {f"{entry.episode} {entry.kind}" for entry in machine.claimed}
        if act == "decide":
            if machine.decide(f"e{number}"):
                decided.append(f"e{number}")
        elif act == "end":
            for episode in decided[:1]:
                machine.decide(episode, ends=True)
        elif act == "send":
            machine.send()
            if not machine.replica.is_active or mood:
                unsure |= claimed
        elif act == "dies":
            machine.send(dies=True)
            unsure |= claimed
        elif act == "claim":
            machine.claim()
        else:
            getattr(machine, act)()
        log.mood = "takes"
    for machine in machines:
        machine.restart()
    last = machines[len(steps) % 2]
    assert last.take_over()
    while last.claim():
        last.send()
    other = machines[(len(steps) + 1) % 2]
    other.follow()
    assert last.content() == other.content()
    for machine in machines:
        machine.close()
    arrived = Counter(desk)
    assert {f"{episode} page" for episode in decided} <= set(arrived)
    assert {message for message, times in arrived.items() if times > 1} <= unsure
    writers = [(entry.machine, entry.begins) for entry in _entries(log)]
    for (before, _), (machine, begins) in itertools.pairwise(writers):
        assert begins or machine == before


def test_a_machine_that_was_held_up_can_neither_decide_nor_claim_any_more(
    pair: tuple[Machine, Machine],
) -> None:
    a, b = pair
    a.take_over()
    a.decide("e1")
    b.take_over()
    assert a.replica.is_active  # as far as it knows
    assert not a.decide("e2")
    assert not a.claim()
    assert not a.replica.is_active
    assert b.claim()
    b.send()
    assert a.desk == ["e1 page"]


def test_one_whose_second_take_over_fails_does_not_go_on_with_the_first(
    pair: tuple[Machine, Machine],
) -> None:
    a, b = pair
    a.take_over()
    b.take_over()
    a.log.mood = "fails"
    assert not a.take_over()
    assert not a.decide("e1")


async def test_one_whose_lease_ended_after_a_claim_does_not_send_what_it_has_claimed(
    pair: tuple[Machine, Machine], tmp_path: Path
) -> None:
    """As a machine that was frozen between the two."""
    a, _ = pair
    a.take_over()
    is_held = [True, False]
    a.replica.holds_lease = is_held.pop
    channels = {"duty": {"kind": "webhook", "url": "https://desk.example"}}
    world = DeliveringWorld(tmp_path / "alone", channels)
    world.begin("e1")
    world.may_send = a.replica.may_act
    await world.deliver()
    assert world.ends["duty"].arrivals == []
    world.may_send = a.replica.may_act
    await world.deliver()
    assert len(world.ends["duty"].arrivals) == 1
    a.replica.is_active = False
    assert not a.replica.may_act
    world.close()


def test_acknowledgements_reach_the_other_machine_and_are_refused_where_it_stands_by(
    pair: tuple[Machine, Machine],
) -> None:
    a, b = pair
    a.take_over()
    a.decide("e1")
    b.follow()
    assert "stands by" in refusal(b, "e1")
    assert refusal(a, "e1") == ""
    a.store.decisions(0)
    # Killed: its file still says that it evaluates.
    a.close()
    assert "nothing is taken up here now" in refusal(a, "e1")
    b.take_over()
    assert list(b.store.acknowledgements()) == ["e1"]
    # Now it is the other way round.
    a.restart()
    a.follow()
    assert "stands by" in refusal(a, "e1")
    assert refusal(b, "e1") == ""


def test_nothing_is_taken_where_the_process_that_evaluates_stands_still(
    pair: tuple[Machine, Machine],
) -> None:
    a, _ = pair
    a.take_over()
    a.decide("e1")
    lock = lock_path(a.path)
    os.utime(lock, (NOW_MS / 1000, NOW_MS / 1000))
    assert "stands still" in refusal(a, "e1")
    a.replica.say_attended()
    assert refusal(a, "e1") == ""


def test_an_acknowledgement_counts_wherever_it_is_made_and_the_first_one_does(
    pair: tuple[Machine, Machine],
) -> None:
    a, b = pair
    a.take_over()
    a.decide("e1")
    b.follow()
    bucket: dict[str, Acknowledgement] = {}
    [alert] = open_alerts(b.path)
    by_pat = acknowledge(b.path, alert.key, "pat", "", NOW_MS, bucket.setdefault)
    assert (by_pat.alert.acknowledged_by, by_pat.is_new) == ("pat", True)
    # The engine there was killed, and its file does not have it.
    a.close()
    by_ada = acknowledge(a.path, alert.key, "ada", "", NOW_MS + 1, bucket.setdefault)
    assert (by_ada.alert.acknowledged_by, by_ada.is_new) == ("pat", False)
    b.take_over()
    for episode, counts in bucket.items():
        record_shared(b.path, episode, counts)
        record_shared(b.path, "long over", counts)
    b.store.decisions(0)
    a.restart()
    a.follow()
    for machine in (a, b):
        assert list(machine.store.acknowledgements()) == ["e1"]
    again = acknowledge(a.path, alert.key, "pat", "", NOW_MS, bucket.setdefault)
    assert not again.is_new


def test_a_decision_that_was_not_replicated_is_kept_if_nobody_took_over(
    pair: tuple[Machine, Machine],
) -> None:
    a, b = pair
    a.take_over()
    a.decide("e1")
    a.acknowledge("e1")
    a.restart()
    a.follow()
    a.take_over()
    b.follow()
    assert open_alerts(b.path)[0].acknowledged_by == "pat"


def test_and_is_undone_if_another_machine_has_gone_on_without_it(
    pair: tuple[Machine, Machine],
) -> None:
    a, b = pair
    a.take_over()
    a.decide("e1")
    a.acknowledge("e1")
    b.take_over()
    a.restart()
    a.follow()
    assert a.content() == b.content()
    assert not open_alerts(a.path)[0].acknowledged_by


def test_a_new_machine_gets_all_rows_of_a_log_that_was_shortened(
    pair: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_replica, "_MOST_ENTRIES", 5)
    monkeypatch.setattr(alert_replica, "_PART_BYTES", 200)
    a, b = pair
    a.take_over()
    for number in range(9):
        assert a.decide(f"e{number}")
    assert a.log.state().first > 1
    b.follow()
    assert a.content() == b.content()


def test_an_entry_of_which_only_a_part_was_written_counts_for_nothing(
    pair: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    a.take_over()
    monkeypatch.setattr(alert_replica, "_PART_BYTES", 100)
    append, a.log.append = a.log.append, None  # type: ignore[method-assign]

    def append_first(part: alert_replica.LogPart, after: int) -> int:
        if part.number:
            raise OSError("no answer in time")
        return append(part, after)

    a.log.append = append_first  # type: ignore[method-assign]
    assert not a.decide("e1")
    a.log.append = append  # type: ignore[method-assign]
    b.follow()
    assert b.take_over()
    assert open_alerts(b.path) == []
    assert b.decide("e2")
    a.follow()
    assert [alert.subject["line"] for alert in open_alerts(a.path)] == ["e2"]


def test_a_log_whose_beginning_was_never_finished_is_begun_again(
    pair: tuple[Machine, Machine],
) -> None:
    a, b = pair
    part = alert_replica.LogPart(0, "killed-1", 0, 2, b"half of")
    a.log.append(part, 0)
    b.follow()
    assert a.take_over()
    assert a.decide("e1")
    b.follow()
    assert a.content() == b.content()


def test_a_log_that_was_made_again_or_has_lost_its_end_begins_with_all_rows(
    pair: tuple[Machine, Machine],
) -> None:
    a, b = pair
    a.take_over()
    a.decide("e1")
    a.decide("e2")
    b.follow()
    del a.log.parts[a.log.last]
    a.log.last -= 1
    b.follow()
    a.restart()
    a.take_over()
    b.follow()
    assert len(open_alerts(b.path)) == 2
    a.log.parts, a.log.last, a.log.made = {}, 0, 2
    b.take_over()
    a.restart()
    a.follow()
    assert len(open_alerts(a.path)) == 2
    assert a.content() == b.content()


def test_a_file_of_one_machine_becomes_that_of_two_and_back(tmp_path: Path) -> None:
    alone = Machine(tmp_path, "a", MemoryLog(), [])
    alone.take_over()
    alone.decide("e1")
    alone.close()
    store = AlertStore(alone.path)
    store.close()
    db = connect(alone.path)
    assert not is_recorded(db)
    assert not db.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'trigger'"
    ).fetchone()
    db.close()
    assert has_tables(alone.path)
    assert list_silences(alone.path, 0) == []
    log = MemoryLog()
    a, b = (Machine(tmp_path, name, log, []) for name in "ab")
    a.take_over()
    b.follow()
    assert [alert.subject["line"] for alert in open_alerts(b.path)] == ["e1"]
    a.close()
    b.close()


def test_a_machine_of_another_version_follows_nothing_and_takes_nothing_over(
    pair: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    monkeypatch.setattr(alert_replica, "VERSION", 99)
    a.take_over()
    monkeypatch.undo()
    with pytest.raises(OSError, match="one version of Towpath on both"):
        b.follow()
    assert not b.take_over()


def test_a_machine_whose_disk_is_full_writes_nothing_and_says_so(
    pair: tuple[Machine, Machine],
) -> None:
    a, _ = pair
    a.take_over()
    page_count = a.store._file.db.execute("PRAGMA page_count").fetchone()[0]
    a.store._file.db.execute(f"PRAGMA max_page_count = {page_count}")
    with pytest.raises(sqlite3.OperationalError):
        a.decide("e" * 100_000)
    assert "full" in a.replica.disk_error
    assert not a.replica.is_active
