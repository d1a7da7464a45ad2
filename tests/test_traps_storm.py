"""Storms are counted to the last trap, in few rows and bounded memory."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from trap_senders import ESTATE, Kept, Ports, Running, receiving
from waiting import until

from collectors.journal import Journal, JournalConfig, JournalReader
from collectors.server_measurements import CATALOGUE
from collectors.snmp import credential
from collectors.snmp.session import ber
from collectors.snmp.traps import TrapReceiver, TrapsConfig
from collectors.snmp.traps import trap_message as wire
from collectors.snmp.traps.storm_counts import (
    BEYOND,
    MOST_OF_A_DEVICE,
    StormCounts,
    batch,
)
from collectors.snmp.traps.trap_events import Event
from collectors.snmp.traps.trap_socket import MOST_BYTES, Inbox

STORM = 20_000
DEVICE = ESTATE.devices[0]


def trap(oid: str, *binds: tuple[str, bytes], community: bytes = b"public") -> bytes:
    """A v2c trap."""
    listed = b"".join(
        ber.tlv(ber.SEQUENCE, ber.oid(name) + value)
        for name, value in (
            (wire.SYS_UP_TIME, ber.integer(100, ber.TICKS)),
            (wire.SNMP_TRAP_OID, ber.oid(oid)),
            *binds,
        )
    )
    pdu = ber.tlv(
        wire.TRAP_V2,
        ber.integer(1) + ber.integer(0) * 2 + ber.tlv(ber.SEQUENCE, listed),
    )
    return wire.encode_plain(wire.V2C, community, pdu)


def link_down(port: int) -> bytes:
    index = ("1.3.6.1.2.1.2.2.1.1." + str(port), ber.integer(port))
    return trap("1.3.6.1.6.3.1.1.5.3", index)


async def send(running: Running, datagrams: list[bytes]) -> None:
    """As fast as the receiver's socket takes them; nothing may be dropped here."""
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
    kept = running.kept
    assert kept.counts() == {"link_down": STORM}
    assert running.stats["accepted"] == STORM
    # 48 ports, a row at once and then one a second at most.
    assert len(kept.samples) < 48 * 20
    assert {row.tags["port"] for row in kept.samples} == {
        f"if{n}" for n in range(1, 49)
    }
    # However many traps: a poll at once and one a little later.
    assert len(running.ports.polled) <= 1 + 20


async def test_a_storm_while_the_disk_is_full_is_written_afterwards() -> None:
    async with receiving() as running:
        running.kept.full = True
        await send(running, [link_down(3)] * 500 + [link_down(4)])
        await asyncio.sleep(0.3)
        assert running.stats["failures"] > 0
        assert running.kept.samples == []
        running.kept.full = False
        await running.until({"link_down": 501})
    assert running.kept.counts() == {"link_down": 501}


async def test_a_stop_writes_what_was_heard_and_ends_what_only_happens() -> None:
    async with receiving() as running:
        await send(running, [trap("1.3.6.1.6.3.1.1.5.5")] * 50)
    rows = running.kept.of("authentication_failure")
    assert sum(int(row.fields["count"]) for row in rows) == 50
    assert rows[-1].fields["active"] == 0
    times = [row.time_ms for row in rows]
    assert times == sorted(set(times))


async def test_events_survive_in_the_journal(tmp_path: Path) -> None:
    config = TrapsConfig(host="127.0.0.1", port=0)
    journal = Journal(JournalConfig(folder=tmp_path), "poll", CATALOGUE)
    async with journal:
        held = [credential("default", {"community": "public"})]
        receiver = TrapReceiver(config, lambda: ESTATE, held, journal, Ports())
        async with receiver:
            running = Running(receiver, Kept(), Ports())
            await send(running, [link_down(n % 4) for n in range(2_000)])
        assert journal.stats.dead_rows == 0
    found = 0
    async with JournalReader(tmp_path, "test") as reading:
        while (chunk := await reading.read(wait_s=0.2)) is not None:
            found += sum(sum(each.field("count")) for each in chunk.batches)  # type: ignore[arg-type]
    assert found == 2_000


def test_the_first_is_due_at_once_and_the_rest_ever_more_seldom() -> None:
    tally = StormCounts(600)
    event = Event("cold_start", "warning", "again", "1.3")
    rows_s = []
    for tenth in range(600):
        tally.add(DEVICE, event, "", tenth * 100, tenth / 10)
        rows_s += [tenth / 10 for _ in tally.due(tenth / 10, tenth * 100)]
    assert rows_s[0] == 0
    gaps = [b - a for a, b in itertools.pairwise(rows_s)]
    assert gaps == sorted(gaps)
    assert max(gaps) <= 10
    assert len(rows_s) < 12


def test_what_ends_a_thing_is_said_of_that_thing() -> None:
    tally = StormCounts(600)
    down = Event("link_down", "warning", "Link down", "1", active=1)
    up = Event("link_up", "ok", "Link up", "2", clears=("link_down",))
    tally.add(DEVICE, down, "Gi1", 0, 0.0)
    tally.due(0.0, 0)
    tally.add(DEVICE, up, "Gi1", 300, 0.3)
    tally.add(DEVICE, down, "Gi1", 500, 0.5)
    tally.add(DEVICE, up, "Gi1", 700, 0.7)
    rows = {row.key[1]: row for row in tally.due(1.1, 1_100)}
    assert (rows["link_down"].active, rows["link_down"].count) == (0, 1)
    assert rows["link_up"].count == 2
    # What lasts is not ended by silence.
    tally.add(DEVICE, down, "Gi2", 2_000, 2.0)
    tally.due(2.0, 2_000)
    tally.quieten(2_000.0, 2_000_000)
    assert tally.due(2_000.0, 2_000_000) == []


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 900), st.floats(0, 5)),
        max_size=300,
    ),
    st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_no_count_is_ever_lost_and_memory_is_bounded(
    told: list[tuple[int, int, float]], fails: bool
) -> None:
    tally, now_s, counted = StormCounts(30), 0.0, 0
    times: dict[object, list[int]] = {}
    for kind, port, later_s in told:
        now_s += later_s
        event = Event(f"event_{kind}", "info", "x", "1", active=kind % 2 or None)
        tally.add(DEVICE, event, f"p{port}", int(now_s * 1000), now_s)
        rows = tally.due(now_s, int(now_s * 1000))
        if fails and rows:
            tally.put_back(rows)
            rows = []
        counted += sum(row.count for row in rows)
        for row in rows:
            times.setdefault(row.key, []).append(row.time_ms)
        tally.quieten(now_s, int(now_s * 1000))
        assert len(tally) <= MOST_OF_A_DEVICE + 1
    rows = tally.due(now_s, int(now_s * 1000), every=True)
    assert counted + sum(row.count for row in rows) == len(told)
    assert all(len(set(each)) == len(each) for each in times.values())
    assert len(batch(rows, "traps/test", 0)) == len(rows)


def test_too_many_kinds_of_one_device_are_counted_under_one_name() -> None:
    tally = StormCounts(600)
    for n in range(MOST_OF_A_DEVICE + 300):
        tally.add(DEVICE, Event("x", "info", "", "1"), f"p{n}", 0, 0.0)
    rows = tally.due(0.0, 0)
    (beyond,) = [row for row in rows if row.key[1] == BEYOND]
    assert beyond.count == 300


def test_what_is_sent_again_while_it_lasts_ends_when_it_is_not() -> None:
    tally = StormCounts(600)
    event = Event("ups_on_battery", "critical", "", "1", active=1, quiet_s=150)
    for minute in range(3):
        tally.add(DEVICE, event, "", minute * 60_000, minute * 60.0)
        assert [row.active for row in tally.due(minute * 60.0, minute * 60_000)] == [1]
    tally.quieten(260.0, 260_000)
    assert tally.due(260.0, 260_000) == []
    tally.quieten(271.0, 271_000)
    assert [(row.active, row.count) for row in tally.due(271.0, 271_000)] == [(0, 0)]


async def test_what_waits_in_memory_is_bounded_and_the_rest_is_counted_as_lost() -> (
    None
):
    inbox = Inbox("127.0.0.1", 0, 1 << 20, lambda: None)
    inbox.open()
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect(("127.0.0.1", inbox.port))
            # Nobody takes them.
            for _ in range(900):
                sender.send(bytes(60_000))
                await asyncio.sleep(0)
        held = inbox.received
        assert held * 60_000 <= MOST_BYTES + 60_000
        assert inbox.lost > 0
        assert held + inbox.lost <= 900
        taken = 0
        for _ in range(100):
            taken += len(inbox.take())
            await asyncio.sleep(0)
        # What the system still held has come in, and nothing twice.
        assert held < taken == inbox.received
        assert taken + inbox.lost == 900
    finally:
        inbox.close()
    assert not inbox.is_open
