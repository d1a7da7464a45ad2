"""How devices change hands between pollers: never two at once, whatever fails."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.sharing.bounded_assignment import SharedDevice, assign
from collectors.sharing.poller_roster import RENEWALS, Entry, PollerRoster, View

LEASE_S = 10.0
_ESTATES = {
    "monday": [SharedDevice(f"switch-{n}", f"site-{n % 3}") for n in range(12)],
    "tuesday": [SharedDevice(f"switch-{n}", f"site-{n % 2}") for n in range(3, 15)],
}


def _assign_by_chance(devices, pollers) -> dict[str, str]:
    """Every view divides the estate quite differently."""
    names = sorted(poller.name for poller in pollers)
    chance = random.Random(repr([(p.name, p.session) for p in pollers]))
    return {device.id: chance.choice(names) for device in devices if names}


class Log:
    """What all pollers read in the same order, and how they divide the estate."""

    def __init__(self, assign=assign) -> None:
        self.entries: list[tuple[str, Entry | None]] = []
        self.assign = assign


class Machine:
    """A poller on a machine with a clock of its own."""

    def __init__(self, name: str, log: Log, rate: float, offset_s: float) -> None:
        self.name, self.log = name, log
        self.rate, self.offset_s = rate, offset_s
        self.sessions, self.is_cut, self.estate = 0, False, "monday"
        self.late_acks: list[tuple[PollerRoster, float]] = []
        self.start()

    def now_s(self, real_s: float) -> float:
        return real_s * self.rate + self.offset_s

    def start(self) -> None:
        """A new session, which holds nothing and reads the log from its start."""
        self.sessions += 1
        session = f"{self.name}-{self.sessions}"
        self.roster = PollerRoster(session, self.name, (), LEASE_S, self.divide)
        self.roster.set_estate(self.estate)
        self.read = 0
        self.last_published: Entry | None = None
        self.published_s = float("-inf")

    def divide(self, view: View, session: str) -> list[str]:
        own = {entry.session: entry.name for entry in view.sharing}.get(session)
        holders = self.log.assign(_ESTATES[self.estate], view.sharing)
        return [device for device, holder in holders.items() if holder == own]

    def edit_estate(self, estate: str) -> None:
        self.estate = estate
        self.roster.set_estate(estate)

    def read_log(self, real_s: float, count: int) -> None:
        if self.is_cut:
            return
        for session, entry in self.log.entries[self.read : self.read + count]:
            self.read += 1
            is_last = self.read == len(self.log.entries)
            now_s = self.now_s(real_s)
            self.roster.receive(session, entry, now_s, is_last, self.read)

    def watch_again(self, real_s: float) -> None:
        """Its watch broke: it is given the last entry of each session again."""
        if self.is_cut:
            return
        last = dict(enumerate((s for s, _ in self.log.entries), 1))
        revisions = sorted({session: at for at, session in last.items()}.values())
        for at in revisions:
            session, entry = self.log.entries[at - 1]
            is_last = at == revisions[-1]
            self.roster.receive(session, entry, self.now_s(real_s), is_last, at)
        self.read = len(self.log.entries)

    def run(self, real_s: float, *, ack: str = "now") -> None:
        """One turn: steps, and publishes what changed or must be renewed."""
        now_s = self.now_s(real_s)
        self.roster.step(now_s)
        if self.roster.has_expired(now_s):
            self.start()
            return
        if not self.is_cut:
            self.remove_ended()
        due_s = self.published_s + LEASE_S / RENEWALS
        if self.is_cut or (self.roster.entry == self.last_published and now_s < due_s):
            return
        self.log.entries.append((self.roster.session, self.roster.entry))
        if ack == "now":
            self.roster.record_renewal(now_s, now_s)
        elif ack == "late":
            self.late_acks.append((self.roster, now_s))
        self.last_published, self.published_s = self.roster.entry, now_s

    def remove_ended(self) -> None:
        for session, revision in list(self.roster.ended.items()):
            revisions = [
                n for n, (s, _) in enumerate(self.log.entries, 1) if s == session
            ]
            if revisions[-1:] == [revision]:
                self.log.entries.append((session, None))
            self.roster.record_removal(session)

    def receive_late_acks(self, real_s: float) -> None:
        for roster, sent_s in self.late_acks:
            roster.record_renewal(sent_s, self.now_s(real_s))
        self.late_acks.clear()

    def held(self, real_s: float) -> set[str]:
        now_s = self.now_s(real_s)
        return {d for d in self.roster.held if self.roster.holds(d, now_s)}


class World:
    def __init__(self, count: int = 3, assign=assign) -> None:
        self.real_s, self.log = 1000.0, Log(assign)
        self.machines = [
            Machine(f"poller-{n}", self.log, 1 + 0.04 * (n % 3 - 1), 1e4 * n)
            for n in range(count)
        ]

    def check(self) -> None:
        holders: dict[str, str] = {}
        for machine in self.machines:
            for device in machine.held(self.real_s):
                other = holders.setdefault(device, machine.name)
                assert other == machine.name, (device, other, machine.name)

    def pass_time(self, seconds: float) -> None:
        """All is well for so long."""
        until_s = self.real_s + seconds
        while self.real_s < until_s:
            self.real_s += 0.2
            for machine in self.machines:
                machine.receive_late_acks(self.real_s)
                machine.read_log(self.real_s, 1000)
                machine.run(self.real_s)
                self.check()

    def kill(self, n: int) -> Machine:
        return self.machines.pop(n)

    def polled(self) -> dict[str, str]:
        return {d: m.name for m in self.machines for d in m.held(self.real_s)}


_DEVICES = {device.id for device in _ESTATES["monday"]}
_ACTION = st.one_of(
    st.tuples(st.just("wait"), st.floats(0.01, 6.0)),
    st.tuples(st.just("read"), st.integers(0, 2), st.integers(1, 6)),
    st.tuples(
        st.just("run"), st.integers(0, 2), st.sampled_from(("now", "late", "no"))
    ),
    st.tuples(st.just("acks"), st.integers(0, 2)),
    st.tuples(st.just("cut"), st.integers(0, 2), st.booleans()),
    st.tuples(st.just("edit"), st.integers(0, 2), st.sampled_from(sorted(_ESTATES))),
    st.tuples(st.just("restart"), st.integers(0, 2)),
    st.tuples(st.just("watch"), st.integers(0, 2)),
    st.tuples(st.just("leave"), st.integers(0, 2)),
    st.tuples(st.just("well"), st.floats(0.2, 3.0)),
)


def _act(world: World, action: tuple) -> None:
    kind, *more = action
    if kind == "wait":
        world.real_s += more[0]
        return
    if kind == "well":
        world.pass_time(more[0])
        return
    machine = world.machines[more[0]]
    if kind == "read":
        machine.read_log(world.real_s, more[1])
    elif kind == "run":
        machine.run(world.real_s, ack=more[1])
    elif kind == "acks":
        machine.receive_late_acks(world.real_s)
    elif kind == "cut":
        machine.is_cut = more[1]
    elif kind == "edit":
        machine.edit_estate(more[1])
    elif kind == "restart":
        machine.start()
    elif kind == "watch":
        machine.watch_again(world.real_s)
    elif kind == "leave" and not machine.is_cut:
        session = machine.roster.session
        machine.start()
        world.log.entries.append((session, None))


@settings(max_examples=150, deadline=None)
@given(st.lists(_ACTION, max_size=60))
def test_no_device_has_two_pollers_whatever_fails_and_all_have_one_afterwards(
    actions,
):
    world = World(assign=_assign_by_chance)
    world.pass_time(2.0)
    for action in actions:
        _act(world, action)
        world.check()
    for machine in world.machines:
        machine.is_cut = False
        machine.edit_estate("monday")
    world.pass_time(3 * LEASE_S)
    assert world.polled().keys() == _DEVICES


def test_the_devices_of_a_dead_poller_are_polled_by_the_others_soon_after_its_lease():
    world = World()
    world.pass_time(5.0)
    before = world.polled()
    dead = world.kill(1)
    world.pass_time(LEASE_S * 1.2)
    after = world.polled()
    assert after.keys() == _DEVICES
    kept = {d: holder for d, holder in before.items() if holder != dead.name}
    # Hardly any of the others moves, to keep the bound.
    assert len(kept.items() - after.items()) <= 2


def test_an_entry_that_is_read_again_does_not_renew_the_lease_of_a_dead_poller():
    world = World()
    world.pass_time(5.0)
    world.kill(1)
    for _ in range(3):
        world.pass_time(LEASE_S * 0.3)
        for machine in world.machines:
            machine.watch_again(world.real_s)
    world.pass_time(LEASE_S * 0.3)
    assert world.polled().keys() == _DEVICES


def test_a_poller_that_starts_does_not_wait_for_one_that_died_before():
    world = World()
    world.pass_time(5.0)
    world.kill(1)
    world.pass_time(LEASE_S * 1.2)
    world.machines.append(Machine("poller-new", world.log, 1.0, 5.0))
    world.pass_time(1.0)
    assert world.polled().keys() == _DEVICES
    assert world.machines[-1].held(world.real_s)


def test_a_poller_that_is_cut_off_stops_before_the_others_begin():
    world = World()
    world.pass_time(5.0)
    alone = world.machines[0]
    alone.is_cut = True
    stopped_s = taken_s = None
    own = alone.held(world.real_s)
    assert own
    for _ in range(200):
        world.pass_time(0.2)
        if stopped_s is None and not alone.held(world.real_s):
            stopped_s = world.real_s
        others = {d for m in world.machines[1:] for d in m.held(world.real_s)}
        if taken_s is None and own <= others:
            taken_s = world.real_s
    assert stopped_s is not None
    assert taken_s is not None
    assert stopped_s < taken_s


def test_an_acknowledgement_that_comes_after_the_lease_renews_nothing():
    world = World(1)
    world.pass_time(3.0)
    machine = world.machines[0]
    assert machine.held(world.real_s)
    sent_s = machine.now_s(world.real_s)
    world.real_s += LEASE_S
    machine.roster.record_renewal(sent_s + 5, machine.now_s(world.real_s))
    assert not machine.held(world.real_s)


def test_while_an_edited_estate_is_distributed_nobody_changes_anything():
    world = World()
    world.pass_time(5.0)
    before = world.polled()
    world.machines[0].edit_estate("tuesday")
    world.pass_time(60.0)
    assert world.polled() == before
    for machine in world.machines[1:]:
        machine.edit_estate("tuesday")
    world.pass_time(2.0)
    assert world.polled().keys() == {device.id for device in _ESTATES["tuesday"]}


def test_a_poller_whose_estate_stays_another_one_is_left_out_in_the_end():
    world = World()
    world.pass_time(5.0)
    world.machines[0].edit_estate("tuesday")
    world.pass_time(330.0)
    assert world.polled().keys() == _DEVICES
    assert world.machines[0].roster.is_left_out
    assert not world.machines[0].held(world.real_s)


def test_two_pollers_with_one_name_share_like_any_two():
    world = World(2)
    world.machines[1].name = world.machines[0].name
    world.machines[1].start()
    world.machines[1].roster.entry = Entry(
        "another", world.machines[0].name, "monday", LEASE_S
    )
    world.pass_time(LEASE_S * 1.5)
    held = [machine.held(world.real_s) for machine in world.machines]
    assert held[0] | held[1] == _DEVICES
    assert all(held)


@pytest.mark.parametrize("seed", range(3))
def test_pollers_come_and_go_and_all_devices_stay_polled(seed):
    chance, world = random.Random(seed), World()
    for turn in range(6):
        world.pass_time(2 * LEASE_S)
        assert world.polled().keys() == _DEVICES
        if len(world.machines) > 1 and chance.random() < 0.5:
            world.kill(chance.randrange(len(world.machines)))
        else:
            name = f"poller-new-{turn}"
            world.machines.append(Machine(name, world.log, 1.0, 5.0))


def _divide_by_count(view: View, session: str) -> set[str]:
    """The one device is p's while two share, and q's while three do."""
    holder = "p" if len(view.entries) < 3 else "q"
    return {"switch-1"} if session == holder else set()


def _settled_pair() -> tuple[PollerRoster, PollerRoster]:
    p, q = (PollerRoster(id, id, (), LEASE_S, _divide_by_count) for id in "pq")
    for roster in (p, q):
        roster.set_estate("monday")
        roster.record_renewal(0.0, 0.0)
    for _ in range(3):
        for roster in (p, q):
            roster.receive("p", p.entry, 0.0)
            roster.receive("q", q.entry, 0.0)
            roster.step(0.0)
    assert p.held == {"switch-1"}
    assert not q.held
    return p, q


def test_a_poller_begins_nothing_before_it_has_read_its_own_adoption():
    p, q = _settled_pair()
    third = Entry("r", "r", "monday", LEASE_S)
    before = p.entry
    for roster in (p, q):
        roster.receive("r", third, 0.0)
    # Its renewal from before the third came is the last that p reads of itself.
    p.receive("p", before, 1.0)
    for roster in (p, q):
        roster.step(1.0)
        roster.record_renewal(1.0, 1.0)
    q.receive("p", p.entry, 1.0)
    q.receive("q", q.entry, 1.0)
    q.receive("r", Entry("r", "r", "monday", LEASE_S, view=q.entry.view), 1.0)
    q.step(1.0)
    assert q.held == {"switch-1"}
    # To p the third has gone and the second is still where it was.
    p.record_renewal(8.5, 8.5)
    p.receive("q", Entry("q", "q", "monday", LEASE_S, view=before.view), 9.0)
    p.step(10.5)
    p.step(10.5)
    assert not p.holds("switch-1", 10.5)


def test_a_poller_begins_nothing_before_it_has_read_the_log_to_its_end():
    p, q = _settled_pair()
    third = Entry("r", "r", "monday", LEASE_S)
    p.receive("r", third, 1.0)
    p.step(1.0)
    p.receive("r", None, 2.0)
    p.step(2.0)
    # Of the second's entries the one between was left out, for there is a later one.
    p.receive("p", p.entry, 2.0, is_last=False)
    p.step(2.0)
    assert not p.held
    p.receive("q", q.entry, 2.0)
    p.step(2.0)
    assert p.held == {"switch-1"}
