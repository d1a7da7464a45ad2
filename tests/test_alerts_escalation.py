"""What is sent again, and to whom, until somebody acknowledges an alert."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from alert_files import ALERT, EPISODE, NOW_MS, file_with
from hypothesis import given
from hypothesis import strategies as st

from alerts.acknowledgement import acknowledge
from alerts.alert import Alert
from alerts.alert_access import open_alerts
from alerts.alert_store import AlertStore, CycleChanges
from alerts.escalation import SentPage, next_sends
from alerts.escalator import Escalator
from alerts.notify.delivery import delivery_notes
from alerts.notify.routing import FollowUp

MINUTE_MS = 60_000
PLAN = FollowUp(((15 * MINUTE_MS, "boss"), (30 * MINUTE_MS, "chief")), 20 * MINUTE_MS)


def _sends(sent: list[SentPage], minutes: float) -> list[tuple[str, str]]:
    sends = next_sends(sent, PLAN, NOW_MS + round(minutes * MINUTE_MS))
    return [(send.kind, send.channel) for send in sends]


def test_each_step_is_due_once_after_its_time() -> None:
    duty = SentPage("duty", "page", "waiting", NOW_MS)
    assert _sends([duty], 14.9) == []
    assert _sends([duty], 15) == [("page", "boss")]
    boss = SentPage("boss", "page", "waiting", NOW_MS + 15 * MINUTE_MS)
    assert _sends([duty, boss], 29) == []
    assert _sends([duty, boss], 30) == [("page", "chief")]


def test_a_reminder_follows_what_was_delivered_on_the_same_channel() -> None:
    duty = SentPage("duty", "page", "delivered", NOW_MS)
    boss = SentPage("boss", "page", "delivered", NOW_MS + 15 * MINUTE_MS)
    assert _sends([duty, boss], 20) == [("reminder", "duty")]
    sent = SentPage("duty", "reminder", "delivered", NOW_MS + 20 * MINUTE_MS)
    assert _sends([duty, boss, sent], 29) == []
    late = msgspec.structs.replace(duty, state="waiting")
    assert _sends([late, boss], 29) == []


def test_a_page_that_waits_for_business_hours_is_not_escalated_yet() -> None:
    later = SentPage("duty", "page", "waiting", NOW_MS + 600 * MINUTE_MS)
    assert _sends([later], 60) == []
    assert _sends([], 60) == []
    assert _sends([msgspec.structs.replace(later, state="cancelled")], 999) == []


class Sender:
    """The escalator on a real file, in virtual time, and one that delivers at once."""

    def __init__(self, folder: Path, plan: FollowUp = PLAN) -> None:
        self.path = file_with(folder, ALERT, channels=("duty",))
        self.now_ms, self.plan = NOW_MS, plan
        self.arrived: list[tuple[str, str, int]] = []
        self.store = AlertStore(self.path)
        self.silenced_until_ms = 0

    def restart(self) -> None:
        self.store.close()
        self.store = AlertStore(self.path)

    def shown(self) -> Mapping[str, Alert]:
        return {
            episode: msgspec.structs.replace(
                alert, silenced_until_ms=self.silenced_until_ms
            )
            for episode, alert in self.store.open_alerts().items()
        }

    def look(self, minutes: float = 0) -> None:
        self.now_ms = NOW_MS + round(minutes * MINUTE_MS)

        async def in_thread(work, *args):  # type: ignore[no-untyped-def]
            return work(*args)

        escalator = Escalator(
            self.store,
            in_thread,
            self.shown,
            lambda alert: self.plan,
            lambda: None,
            lambda: self.now_ms,
        )
        asyncio.run(escalator.look())

    def deliver(self) -> None:
        for channel in ("duty", "boss", "chief"):
            for entry in self.store.outbox.due(channel, self.now_ms):
                self.store.outbox.start_attempt([entry])
                self.store.outbox.delivered([entry], self.now_ms)
                minutes = (self.now_ms - NOW_MS) // MINUTE_MS
                self.arrived.append((entry.kind, channel, minutes))

    def end(self) -> None:
        over = msgspec.structs.replace(ALERT, state="resolved", resolved_ms=self.now_ms)
        changes = CycleChanges(
            {}, {EPISODE: over}, [], [EPISODE], [], self.now_ms, [], {}, {}
        )
        self.store.write(changes, self.now_ms)


@pytest.fixture
def sender(tmp_path: Path) -> Sender:
    return Sender(tmp_path)


def test_what_nobody_acknowledges_is_repeated_and_goes_to_further_people(
    sender: Sender,
) -> None:
    for minutes in range(0, 62):
        sender.look(minutes)
        sender.deliver()
    assert sender.arrived == [
        ("page", "duty", 0),
        ("page", "boss", 15),
        ("reminder", "duty", 20),
        ("page", "chief", 30),
        ("reminder", "boss", 35),
        ("reminder", "duty", 40),
        ("reminder", "chief", 50),
        ("reminder", "boss", 55),
        ("reminder", "duty", 60),
    ]
    sender.end()
    sender.deliver()
    # Everybody who was paged gets the end.
    assert [(kind, channel) for kind, channel, _ in sender.arrived[-3:]] == [
        ("resolution", channel) for channel in ("duty", "boss", "chief")
    ]


def test_acknowledging_stops_both_and_the_end_still_comes(sender: Sender) -> None:
    for minutes in (0, 15):
        sender.look(minutes)
        sender.deliver()
    sender.look(20)
    acknowledge(sender.path, ALERT.key, "Ada", "on it", sender.now_ms)
    sender.look(20.1)
    for minutes in range(21, 90):
        sender.look(minutes)
        sender.deliver()
    assert sender.arrived == [("page", "duty", 0), ("page", "boss", 15)]
    sender.end()
    sender.deliver()
    assert [kind for kind, _, _ in sender.arrived[2:]] == ["resolution"] * 2


def test_what_is_still_to_be_sent_says_who_handles_it(sender: Sender) -> None:
    acknowledge(sender.path, ALERT.key, "Ada", "on it", NOW_MS)
    [entry] = sender.store.outbox.due("duty", NOW_MS)
    assert entry.alert.acknowledged_by == "Ada"
    assert entry.alert.acknowledged_why == "on it"


def test_a_silence_stops_both_and_they_go_on_when_it_ends(sender: Sender) -> None:
    sender.look(0)
    sender.deliver()
    sender.look(15)
    sender.silenced_until_ms = NOW_MS + 40 * MINUTE_MS
    for minutes in range(16, 45):
        sender.look(minutes)
        sender.deliver()
    assert sender.arrived == [
        ("page", "duty", 0),
        ("reminder", "duty", 40),
        ("page", "boss", 40),
        ("page", "chief", 40),
    ]


def test_who_comes_on_call_while_nobody_handles_it_is_paged(sender: Sender) -> None:
    sender.look(0)
    sender.deliver()
    sender.plan = FollowUp(((0, "chief"),), 0)
    sender.look(5)
    sender.deliver()
    assert sender.arrived == [("page", "duty", 0), ("page", "chief", 5)]


def test_a_message_says_that_nobody_has_acknowledged_it(sender: Sender) -> None:
    sender.look(0)
    sender.deliver()
    sender.look(30)
    [reminder] = sender.store.outbox.due("duty", sender.now_ms)
    [page] = sender.store.outbox.due("boss", sender.now_ms)
    assert delivery_notes([reminder], sender.now_ms) == [
        "Reminder: nobody has acknowledged this for 30 min."
    ]
    assert delivery_notes([page], sender.now_ms) == [
        "Sent to you because nobody has acknowledged this for 30 min."
    ]


def delivered(path: Path, kind: str) -> set[str]:
    """The channels that have it: an end may go with its page, as one message."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        rows = db.execute(
            "SELECT channel FROM outbox WHERE kind = ? AND state = 'delivered'", (kind,)
        )
        return {channel for (channel,) in rows}


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("look"), st.integers(1, 20)),
        st.tuples(st.sampled_from(["deliver", "restart", "ack", "silence", "loud"])),
    ),
    max_size=30,
)


@given(_STEPS)
def test_whatever_happens_nothing_comes_twice_and_every_page_gets_its_end(
    steps: list[tuple[object, ...]],
) -> None:
    # The file is real, in memory: this test needs no fsync to reach a disk.
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as folder:
        _check_history(Sender(Path(folder)), steps)


def _check_history(sender: Sender, steps: list[tuple[object, ...]]) -> None:
    minutes = 0
    acknowledged_at = None
    try:
        for step, *values in steps:
            if step == "look":
                minutes += int(str(values[0]))
                sender.look(minutes)
            elif step == "deliver":
                sender.deliver()
            elif step == "restart":
                sender.restart()
            elif step == "ack":
                acknowledge(sender.path, ALERT.key, "Ada", "", sender.now_ms)
                sender.look(minutes)
                if acknowledged_at is None:
                    acknowledged_at = len(sender.arrived)
            else:
                sender.silenced_until_ms = 2**62 if step == "silence" else 0
        after = sender.arrived[acknowledged_at:] if acknowledged_at is not None else []
        # Only the first page, which was under way, may arrive after an acknowledgement.
        assert {(k, c) for k, c, _ in after} <= {("page", "duty")}
        sender.end()
        sender.deliver()
        sender.deliver()
        pages = [c for kind, c, _ in sender.arrived if kind == "page"]
        assert len(pages) == len(set(pages))
        assert delivered(sender.path, "resolution") == set(pages)
        assert open_alerts(sender.path) == []
        sender.look(minutes + 99)
        before = list(sender.arrived)
        sender.deliver()
        assert sender.arrived == before
    finally:
        sender.store.close()
