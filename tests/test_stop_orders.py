"""Stop orders: what a laptop obeys, what does nothing, and for how long."""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stop_keys import COUNCIL, DAY_MS, FOREIGN, NEXT, NOW_MS, line, order

from collectors.ingest.stop_key import (
    StopKey,
)
from collectors.ingest.stop_order_file import (
    OrderRefused,
    StopWish,
    make_order,
)
from probes.agent.stop_orders import StopOrders
from probes.wire.policy import Policy
from probes.wire.probe_list import PROBES
from probes.wire.stop_order import (
    BadOrder,
    StopOrder,
    read_order,
    stopped_probes,
    stops_in_force,
)

SERVER = "https://towpath.example"
NAMES = [probe.name for probe in PROBES]
PUBLIC = COUNCIL.public

orders = st.builds(
    StopOrder,
    kind=st.sampled_from(["stop", "resume"]),
    number=st.integers(1, 20),
    issued_ms=st.just(1),
    until_ms=st.integers(2, 40),
    ring=st.sampled_from(["", "pilot", "rest"]),
    probes=st.lists(
        st.sampled_from([*NAMES[:3], "telepathy"]), unique=True, max_size=2
    ).map(tuple),
)


def laptop(folder: Path, key: str = "") -> StopOrders:
    return StopOrders(folder, SERVER, key)


def given_policy(*lines: str, ring: str = "", key: str = PUBLIC) -> Policy:
    return Policy(ring=ring, stop_key=key, orders=lines)


@given(st.lists(orders, max_size=8), st.integers(0, 45), st.sampled_from(["", "pilot"]))
def test_orders_only_take_away_and_their_order_of_arrival_does_not_matter(
    given_orders: list[StopOrder], now_ms: int, ring: str
) -> None:
    stops = stops_in_force(given_orders, ring, now_ms)
    stopped = stopped_probes(stops)
    assert stopped <= set(NAMES)
    assert {(s.ring, s.until_ms > now_ms) for s in stops} <= {("", True), (ring, True)}
    again = stops_in_force([*reversed(given_orders), *given_orders], ring, now_ms)
    assert stopped_probes(again) == stopped
    # A resume takes nothing away, and a stop gives nothing back.
    newest = max((o.number for o in given_orders), default=0) + 1
    resume = msgspec.structs.replace(order("resume"), number=newest)
    assert not stops_in_force([*given_orders, resume], ring, now_ms)
    stop = msgspec.structs.replace(
        order("stop"), number=newest, ring="rest", probes=("path",), until_ms=99
    )
    assert (
        stopped_probes(stops_in_force([*given_orders, stop], ring, now_ms)) >= stopped
    )


@given(st.lists(orders, max_size=6), st.data())
def test_what_was_replaced_does_nothing_when_it_is_sent_again(
    given_orders: list[StopOrder], data: st.DataObject
) -> None:
    repeated = data.draw(st.lists(st.sampled_from(given_orders or [order()])))
    before = stops_in_force(given_orders, "", 0)
    after = stops_in_force([*given_orders, *repeated], "", 0)
    if given_orders:
        assert set(after) == set(before)


@given(st.text(max_size=300))
def test_no_text_without_the_key_is_an_order(text: str) -> None:
    with pytest.raises(BadOrder):
        read_order(text, [PUBLIC])


@given(st.integers(0, 400), st.characters())
def test_an_order_with_one_changed_character_does_nothing(at: int, other: str) -> None:
    good = line(why="the agent fills Wi-Fi", ring="pilot", probes=("path",))
    at %= len(good)
    if good[at] == other:
        return
    with pytest.raises(BadOrder):
        read_order(good[:at] + other + good[at + 1 :], [PUBLIC])


@pytest.mark.parametrize("length", [0, 1, 127, 129, 200, -1])
def test_an_order_cut_in_the_middle_is_damaged(length: int) -> None:
    with pytest.raises(BadOrder):
        read_order(line()[:length], [PUBLIC])


def test_a_signed_order_for_longer_than_90_days_is_none() -> None:
    long = msgspec.structs.replace(order(), until_ms=NOW_MS + 91 * DAY_MS)
    with pytest.raises(BadOrder, match="longer than 90 days"):
        read_order(COUNCIL.sign(long), [PUBLIC])
    with pytest.raises(OrderRefused, match="at most 90"):
        make_order(StopWish("stop", days=91), (), NOW_MS)


def test_a_stop_survives_a_restart_and_the_server_until_its_end(tmp_path: Path) -> None:
    first = laptop(tmp_path)
    first.take(given_policy(line(days=2, why="calls broke")), NOW_MS)
    # The server has no orders any more, or is another one that says nothing of them.
    first.take(given_policy(), NOW_MS)
    restarted = laptop(tmp_path)
    restarted.take(given_policy(ring="other"), NOW_MS)
    for stops in (first, restarted):
        assert stops.stopped(NOW_MS + DAY_MS) == set(NAMES)
        assert "calls broke" in stops.quiet_reason(NOW_MS)
        assert not stops.stopped(NOW_MS + 2 * DAY_MS)
    assert (tmp_path / "stop-orders.json").stat().st_mode & 0o777 == 0o600


def test_a_resume_ends_a_stop_and_the_stop_does_not_come_back(tmp_path: Path) -> None:
    stop, resume = line(), line("resume", NOW_MS + 5)
    stops = laptop(tmp_path)
    stops.take(given_policy(stop), NOW_MS)
    stops.take(given_policy(resume), NOW_MS + 6)
    assert not stops.stopped(NOW_MS + 6)
    for again in (stops, laptop(tmp_path)):
        again.take(given_policy(stop), NOW_MS + 7)
        assert not again.stopped(NOW_MS + 7)
        assert any("a newer one has replaced it" in fault for fault in again.faults)


def test_an_order_that_is_over_does_nothing_again_though_the_clock_goes_back(
    tmp_path: Path,
) -> None:
    first, second = line(days=1), line(at_ms=NOW_MS + 5 * DAY_MS, days=1)
    stops = laptop(tmp_path)
    stops.take(given_policy(first), NOW_MS)
    stops.take(given_policy(second), NOW_MS + 5 * DAY_MS)
    later_ms = NOW_MS + 200 * DAY_MS
    # With the next order, what is over is forgotten but for its number.
    stops.take(given_policy(line(at_ms=later_ms, probes=("web",))), later_ms)
    for again in (stops, laptop(tmp_path)):
        again.take(given_policy(first, second), NOW_MS)
        assert again.stopped(NOW_MS) == {"web"}
        assert any("is over" in fault for fault in again.faults)


keys = st.sampled_from([COUNCIL, COUNCIL, COUNCIL, FOREIGN])
rounds = st.lists(
    st.tuples(st.lists(st.tuples(orders, keys), max_size=3), st.integers(0, 45)),
    max_size=5,
)


@settings(max_examples=60)
@given(rounds)
def test_a_laptop_measures_no_more_than_without_orders_and_a_restart_changes_nothing(
    given_rounds: list[tuple[list[tuple[StopOrder, StopKey]], int]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stops, only = laptop(folder, PUBLIC), laptop(folder / "other", PUBLIC)
        for signed, now_ms in given_rounds:
            lines = [key.sign(order) for order, key in signed]
            ours = [key.sign(order) for order, key in signed if key is COUNCIL]
            stops.take(given_policy(*lines, ring="pilot"), now_ms)
            only.take(given_policy(*ours, ring="pilot"), now_ms)
            for at_ms in (0, now_ms, 45):
                stopped = stops.stopped(at_ms)
                assert stopped <= set(NAMES)
                assert laptop(folder, PUBLIC).stopped(at_ms) == stopped
                # What others have signed changes nothing.
                assert only.stopped(at_ms) == stopped


def test_a_laptop_that_changes_its_ring_stays_stopped_until_a_resume(
    tmp_path: Path,
) -> None:
    stops = laptop(tmp_path)
    stops.take(given_policy(line(ring="pilot", probes=("web",)), ring="pilot"), NOW_MS)
    stops.take(given_policy(ring="rest"), NOW_MS)
    assert stops.stopped(NOW_MS) == {"web"}
    assert stops.quiet_reason(NOW_MS) == ""
    resume = line("resume", NOW_MS + 1, ring="pilot")
    stops.take(given_policy(resume, ring="rest"), NOW_MS + 2)
    assert not stops.stopped(NOW_MS + 2)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (line(by=FOREIGN), "not signed"),
        (line()[:200], "damaged"),
        (line()[129:], "damaged"),
        ("x\x00\u202e", "damaged"),
        (line(at_ms=NOW_MS - 91 * DAY_MS), "its time is over"),
        (line(ring="pilot"), "is for the ring 'pilot'"),
        (line("key", by=FOREIGN, key=FOREIGN.public), "change of the stop key"),
    ],
)
def test_an_order_that_is_not_for_this_laptop_does_nothing_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, bad: str, says: str
) -> None:
    stops = laptop(tmp_path, PUBLIC)
    caplog.set_level(logging.WARNING)
    # The server that sends a foreign change of the key names that key as well.
    key = FOREIGN.public if "key" in says else PUBLIC
    for _ in range(3):
        stops.take(given_policy(bad, line(probes=("web",)), key=key), NOW_MS)
    assert stops.stopped(NOW_MS) == {"web"}
    assert sum(says in fault for fault in stops.faults) == 1
    assert sum(says in record.getMessage() for record in caplog.records) == 1
    stops.take(given_policy(), NOW_MS)
    assert stops.faults == ()


def test_the_first_key_is_kept_and_another_one_of_the_server_is_refused(
    tmp_path: Path,
) -> None:
    laptop(tmp_path).pin(PUBLIC)
    stops = laptop(tmp_path)
    stops.take(
        given_policy(line(by=FOREIGN), line("resume", by=FOREIGN), key=FOREIGN.public),
        NOW_MS,
    )
    assert stops.key == PUBLIC
    assert not stops.stopped(NOW_MS)
    assert any("another stop key" in fault for fault in stops.faults)


def test_the_administrators_key_replaces_the_servers_and_ends_its_stops(
    tmp_path: Path,
) -> None:
    stops = laptop(tmp_path)
    stops.take(given_policy(line(by=FOREIGN), key=FOREIGN.public), NOW_MS)
    assert stops.stopped(NOW_MS)
    stops = laptop(tmp_path, PUBLIC)
    assert not stops.stopped(NOW_MS)
    stops.take(given_policy(line(by=FOREIGN), key=FOREIGN.public), NOW_MS)
    assert not stops.stopped(NOW_MS)
    # Of another server, the key is another one.
    assert StopOrders(tmp_path, f"{SERVER}/").key == PUBLIC
    assert StopOrders(tmp_path, "https://new.example").key == ""


def test_a_laptop_that_can_check_no_signature_obeys_nothing_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops = laptop(tmp_path, PUBLIC)
    monkeypatch.setitem(sys.modules, "nacl.signing", None)
    stops.take(given_policy(line()), NOW_MS)
    assert not stops.stopped(NOW_MS)
    assert "no signature can be checked here" in stops.faults[0]
    monkeypatch.undo()
    stops.take(given_policy(line()), NOW_MS)
    assert stops.stopped(NOW_MS)


def test_a_key_that_the_old_one_has_signed_takes_its_place(tmp_path: Path) -> None:
    stops = laptop(tmp_path, PUBLIC)
    stops.take(given_policy(line(probes=("web",))), NOW_MS)
    change = line("key", NOW_MS + 1, key=NEXT.public)
    stops.take(
        given_policy(line("resume", NOW_MS + 2, by=NEXT), change, key=NEXT.public),
        NOW_MS + 3,
    )
    assert (stops.key, stops.faults) == (NEXT.public, ())
    assert not stops.stopped(NOW_MS + 3)
    # The old key is worth nothing now, also after a restart.
    for again in (stops, laptop(tmp_path, PUBLIC)):
        again.take(given_policy(line(at_ms=NOW_MS + 9), change, key=PUBLIC), NOW_MS)
        assert again.key == NEXT.public
        assert not again.stopped(NOW_MS + 9)


def test_a_new_laptop_is_not_told_of_changes_that_led_to_its_key(
    tmp_path: Path,
) -> None:
    stops = laptop(tmp_path)
    change = line("key", key=NEXT.public)
    stops.take(given_policy(change, line(by=NEXT), key=NEXT.public), NOW_MS)
    assert (stops.key, stops.faults) == (NEXT.public, ())
    assert stops.stopped(NOW_MS)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"keys": 1}'])
def test_a_damaged_file_of_orders_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "stop-orders.json").write_bytes(content)
    stops = laptop(tmp_path)
    stops.take(given_policy(line()), NOW_MS)
    assert laptop(tmp_path).stopped(NOW_MS)
