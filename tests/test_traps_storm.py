"""Storms are counted to the last trap, in few rows and bounded memory."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
from pathlib import Path

from encoded_traps import link_down, trap
from hypothesis import given, settings
from hypothesis import strategies as st
from trap_harness import (
    ESTATE,
    MemoryJournal,
    RecordingPoller,
    RunningReceiver,
    receiving,
)
from waiting import until

from collectors.journal import Journal, JournalConfig, JournalReader
from collectors.server_measurements import CATALOGUE
from collectors.snmp import credential
from collectors.snmp.traps import TrapReceiver, TrapsConfig
from collectors.snmp.traps.storm_counts import (
    MAX_KEYS_OF_A_DEVICE,
    OVERFLOW_EVENT,
    StormCounts,
    to_batch,
)
from collectors.snmp.traps.trap_events import TrapEvent
from collectors.snmp.traps.trap_socket import MAX_BYTES, TrapSocket

STORM = 20_000
DEVICE = ESTATE.devices[0]


async def send(running: RunningReceiver, datagrams: list[bytes]) -> None:
    """Send as fast as the receiver's socket accepts, so that nothing is dropped."""
    inbox = running.receiver.inbox
    to = ("127.0.0.1", inbox.port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for n, datagram in enumerate(datagrams):
            sender.sendto(datagram, to)
            if n % 100 == 99:
                await until(lambda n=n: inbox.received >= n - 100)  # type: ignore[misc]
    await until(lambda: inbox.received >= len(datagrams))


async def test_every_trap_of_a_storm_is_counted() -> None:
    dice = random.Random(1)
    storm = [link_down(dice.randrange(1, 49)) for _ in range(STORM)]
    async with receiving() as running:
        await send(running, storm)
        assert running.stats["lost"] == 0
    journal = running.journal
    assert journal.counts() == {"link_down": STORM}
    assert running.stats["accepted"] == STORM
    # 48 ports: one row at once, then at most one a second.
    assert len(journal.samples) < 48 * 20
    assert {row.tags["port"] for row in journal.samples} == {
        f"if{n}" for n in range(1, 49)
    }
    # One poll at once and one later, however many traps come.
    assert len(running.poller.polled) <= 1 + 20


async def test_a_storm_while_the_disk_is_full_is_written_afterwards() -> None:
    async with receiving() as running:
        running.journal.full = True
        await send(running, [link_down(3)] * 500 + [link_down(4)])
        await until(lambda: running.stats["failures"] > 0, "a failure")
        assert running.journal.samples == []
        running.journal.full = False
        await running.until({"link_down": 501})
    assert running.journal.counts() == {"link_down": 501}


async def test_a_stop_writes_all_events_and_ends_those_without_an_end() -> None:
    async with receiving() as running:
        await send(running, [trap("1.3.6.1.6.3.1.1.5.5")] * 50)
    rows = running.journal.rows("authentication_failure")
    assert sum(int(row.fields["count"]) for row in rows) == 50
    assert rows[-1].fields["active"] == 0
    times = [row.time_ms for row in rows]
    assert times == sorted(set(times))


async def test_events_survive_in_the_journal(tmp_path: Path) -> None:
    config = TrapsConfig(host="127.0.0.1", port=0)
    journal = Journal(JournalConfig(folder=tmp_path), "poll", CATALOGUE)
    async with journal:
        credentials = [credential("default", {"community": "public"})]
        poller = RecordingPoller()
        receiver = TrapReceiver(config, lambda: ESTATE, credentials, journal, poller)
        async with receiver:
            running = RunningReceiver(receiver, MemoryJournal(), RecordingPoller())
            await send(running, [link_down(n % 4) for n in range(2_000)])
        assert journal.stats.dead_rows == 0
    count = 0
    async with JournalReader(tmp_path, "test") as reading:
        while (chunk := await reading.read(wait_s=0.2)) is not None:
            count += sum(sum(batch.field("count")) for batch in chunk.batches)  # type: ignore[arg-type]
    assert count == 2_000


def test_the_first_row_is_due_at_once_and_later_ones_ever_more_rarely() -> None:
    counts = StormCounts(600)
    event = TrapEvent("cold_start", "warning", "again", "1.3")
    rows_s = []
    for tenth in range(600):
        counts.add(DEVICE, event, "", tenth * 100, tenth / 10)
        rows_s += [tenth / 10 for _ in counts.take_due(tenth / 10, tenth * 100)]
    assert rows_s[0] == 0
    gaps = [b - a for a, b in itertools.pairwise(rows_s)]
    assert gaps == sorted(gaps)
    assert max(gaps) <= 10
    assert len(rows_s) < 12


def test_an_event_that_clears_another_writes_its_end() -> None:
    counts = StormCounts(600)
    down = TrapEvent("link_down", "warning", "Link down", "1", active=1)
    up = TrapEvent("link_up", "ok", "Link up", "2", clears=("link_down",))
    counts.add(DEVICE, down, "Gi1", 0, 0.0)
    counts.take_due(0.0, 0)
    counts.add(DEVICE, up, "Gi1", 300, 0.3)
    counts.add(DEVICE, down, "Gi1", 500, 0.5)
    counts.add(DEVICE, up, "Gi1", 700, 0.7)
    rows = {row.key[1]: row for row in counts.take_due(1.1, 1_100)}
    assert (rows["link_down"].active, rows["link_down"].count) == (0, 1)
    assert rows["link_up"].count == 2
    # An event that another one ends is not ended by silence.
    counts.add(DEVICE, down, "Gi2", 2_000, 2.0)
    counts.take_due(2.0, 2_000)
    counts.end_quiet(2_000.0, 2_000_000)
    assert counts.take_due(2_000.0, 2_000_000) == []


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 900), st.floats(0, 5)),
        max_size=300,
    ),
    st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_no_count_is_ever_lost_and_memory_is_bounded(
    arrivals: list[tuple[int, int, float]], fails: bool
) -> None:
    counts, now_s, counted = StormCounts(30), 0.0, 0
    times: dict[object, list[int]] = {}
    for kind, port, later_s in arrivals:
        now_s += later_s
        event = TrapEvent(f"event_{kind}", "info", "x", "1", active=kind % 2 or None)
        counts.add(DEVICE, event, f"p{port}", int(now_s * 1000), now_s)
        rows = counts.take_due(now_s, int(now_s * 1000))
        if fails and rows:
            counts.put_back(rows)
            rows = []
        counted += sum(row.count for row in rows)
        for row in rows:
            times.setdefault(row.key, []).append(row.time_ms)
        counts.end_quiet(now_s, int(now_s * 1000))
        assert len(counts) <= MAX_KEYS_OF_A_DEVICE + 1
    rows = counts.take_due(now_s, int(now_s * 1000), every=True)
    assert counted + sum(row.count for row in rows) == len(arrivals)
    assert all(len(set(of_key)) == len(of_key) for of_key in times.values())
    assert len(to_batch(rows, "traps/test", 0)) == len(rows)


def test_an_event_that_returns_in_the_moment_of_its_end_has_a_row_of_its_own() -> None:
    counts = StormCounts(30)
    event = TrapEvent("authentication_failure", "info", "x", "1")
    rows = []
    counts.add(DEVICE, event, "", 0, 0.0)
    rows += counts.take_due(0.0, 0)
    counts.end_quiet(30.0, 30_000)
    rows += counts.take_due(35.0, 35_000)
    counts.end_quiet(35.0, 35_000)
    counts.add(DEVICE, event, "", 35_000, 35.0)
    rows += counts.take_due(35.0, 35_000, every=True)
    assert [row.active for row in rows] == [1, 0, 1]
    assert len({row.time_ms for row in rows}) == 3


def test_too_many_keys_of_one_device_are_counted_under_one_name() -> None:
    counts = StormCounts(600)
    for n in range(MAX_KEYS_OF_A_DEVICE + 300):
        counts.add(DEVICE, TrapEvent("x", "info", "", "1"), f"p{n}", 0, 0.0)
    rows = counts.take_due(0.0, 0)
    (overflow,) = [row for row in rows if row.key[1] == OVERFLOW_EVENT]
    assert overflow.count == 300


def test_an_event_that_is_repeated_while_it_lasts_ends_when_it_is_not() -> None:
    counts = StormCounts(600)
    event = TrapEvent("ups_on_battery", "critical", "", "1", active=1, quiet_s=150)
    for minute in range(3):
        counts.add(DEVICE, event, "", minute * 60_000, minute * 60.0)
        assert [
            row.active for row in counts.take_due(minute * 60.0, minute * 60_000)
        ] == [1]
    counts.end_quiet(260.0, 260_000)
    assert counts.take_due(260.0, 260_000) == []
    counts.end_quiet(271.0, 271_000)
    assert [(row.active, row.count) for row in counts.take_due(271.0, 271_000)] == [
        (0, 0)
    ]


async def test_waiting_datagrams_are_bounded_and_the_rest_counted_as_lost() -> None:
    inbox = TrapSocket("127.0.0.1", 0, 1 << 20, lambda: None)
    inbox.open()
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect(("127.0.0.1", inbox.port))
            # Nothing empties the socket.
            for _ in range(900):
                sender.send(bytes(60_000))
                await asyncio.sleep(0)
        held = inbox.received
        assert held * 60_000 <= MAX_BYTES + 60_000
        assert inbox.lost > 0
        assert held + inbox.lost <= 900
        taken = 0
        for _ in range(100):
            taken += len(inbox.take_datagrams())
            await asyncio.sleep(0)
        # The rest of the kernel's buffer was received, and nothing twice.
        assert held < taken == inbox.received
        assert taken + inbox.lost == 900
    finally:
        inbox.close()
    assert not inbox.is_open
