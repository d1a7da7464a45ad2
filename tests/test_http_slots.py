"""Which connections stay if there are more than slots."""

from __future__ import annotations

from collections import Counter

import hypothesis.strategies as st
from hypothesis import given
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from collectors.http.connection_slots import ConnectionSlots
from collectors.http.fair_queue import FairQueue
from collectors.http.refusal_reasons import HttpRefusal
from collectors.ip_networks import network_of

TOTAL, STRANGERS, PER_ADDRESS, PER_NAME = 12, 5, 3, 2


class AnyOrderOfEvents(RuleBasedStateMachine):
    """Connections are made, signed in, used, idle and closed in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.slots: ConnectionSlots[int] = ConnectionSlots(
            TOTAL, STRANGERS, PER_ADDRESS, PER_NAME
        )
        self.number = 0
        self.strangers: dict[int, str] = {}
        self.signed_in: dict[int, str] = {}
        self.idle: set[int] = set()

    @rule(address=st.sampled_from("abcdef"))
    def connect(self, address: str) -> None:
        self.number += 1
        closed = self.slots.admit(self.number, address)
        if closed is not None:
            other, reason = closed
            # Never one that is signed in, nor one of an address with fewer.
            assert other in self.strangers
            counts = list(self.strangers.values())
            if reason is HttpRefusal.ADDRESS_FULL:
                assert self.strangers[other] == address
            else:
                assert counts.count(self.strangers[other]) == max(
                    map(counts.count, counts)
                )
            del self.strangers[other]
        self.strangers[self.number] = address

    @rule(data=st.data(), name=st.sampled_from(["x", "y", "z", ""]))
    def sign_in(self, data: st.DataObject, name: str) -> None:
        if not self.strangers:
            return
        one = data.draw(st.sampled_from(sorted(self.strangers)))
        closed = self.slots.sign_in(one, name)
        if closed is None:
            assert self.slots.signed_in == TOTAL - STRANGERS or name
            return
        for other, _ in closed:
            # A busy connection is never closed.
            assert other in self.idle
            self.idle.discard(other)
            del self.signed_in[other]
        del self.strangers[one]
        self.signed_in[one] = name

    @rule(data=st.data())
    def become_idle_or_busy(self, data: st.DataObject) -> None:
        if self.signed_in:
            one = data.draw(st.sampled_from(sorted(self.signed_in)))
            if one in self.idle:
                self.slots.mark_busy(one)
                self.idle.discard(one)
            else:
                self.slots.mark_idle(one)
                self.idle.add(one)

    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        everyone = sorted([*self.strangers, *self.signed_in])
        if everyone:
            one = data.draw(st.sampled_from(everyone))
            for _ in range(2):
                self.slots.remove(one)
            self.strangers.pop(one, None)
            self.signed_in.pop(one, None)
            self.idle.discard(one)

    @invariant()
    def bounds_hold(self) -> None:
        slots = self.slots
        assert slots.strangers == len(self.strangers) <= STRANGERS
        assert slots.signed_in == len(self.signed_in) <= TOTAL - STRANGERS
        for counts in (list(self.strangers.values()),):
            assert all(counts.count(address) <= PER_ADDRESS for address in counts)
        names = [name for name in self.signed_in.values() if name]
        assert all(names.count(name) <= PER_NAME for name in names)


TestAnyOrderOfEvents = AnyOrderOfEvents.TestCase


def test_one_address_with_most_connections_makes_room_for_the_others() -> None:
    slots: ConnectionSlots[str] = ConnectionSlots(1000, 100, 90, 8)
    for number in range(90):
        assert slots.admit(f"office-{number}", "office") is None
    for number in range(10):
        assert slots.admit(f"home-{number}", f"home-{number}") is None
    assert slots.admit("new", "new") == ("office-0", HttpRefusal.NO_PLACE)
    assert slots.admit("office-90", "office") == ("office-1", HttpRefusal.NO_PLACE)


def test_addresses_of_one_holder_count_together() -> None:
    assert network_of("2001:db8:1:2::3") == network_of("2001:db8:1:2:ffff::9")
    assert network_of("2001:db8:1:2::3") != network_of("2001:db8:1:3::3")
    assert network_of("192.0.2.7") != network_of("192.0.2.8")
    assert network_of("::ffff:192.0.2.7") == network_of("192.0.2.7")
    assert network_of("fe80::1%eth0") == network_of("fe80::2")
    assert network_of("nobody") == "nobody"


@given(st.lists(st.tuples(st.sampled_from("aaaaab"), st.booleans()), max_size=100))
def test_turns_go_round_by_address_and_nobody_is_lost(
    events: list[tuple[str, bool]],
) -> None:
    queue: FairQueue[tuple[str, int]] = FairQueue()
    waiting: set[tuple[str, int]] = set()
    passed_over = Counter[str]()
    for number, (address, takes) in enumerate(events):
        item = (address, number)
        queue.put(address, item)
        waiting.add(item)
        if number % 7 == 3:
            queue.discard(address, item)
            waiting.discard(item)
            passed_over[address] = 0
        if takes and queue:
            taken = queue.pop()
            waiting.remove(taken)
            for other in {other for other, _ in waiting} - {taken[0]}:
                passed_over[other] += 1
                # There are two addresses: it is the other one's turn every second time.
                assert passed_over[other] <= 1
            passed_over[taken[0]] = 0
    while queue:
        waiting.remove(queue.pop())
    assert not waiting
