"""Whatever happens to a device, its counters, its clock and the network: each rate the
poller gives is what truly passed, or it gives none.

The poller asks over UDP, by the library it always uses; only time is the test's own.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import msgspec
import pytest
from eventful import Clock, EventfulSwitch, Meter
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import run_virtually

from collectors.batch import Batch
from collectors.estate import Device
from collectors.snmp import SnmpConfig, credential
from collectors.snmp.polling.device_poll import DevicePoll, PollSettings
from collectors.snmp.polling.device_state import DeviceState
from collectors.snmp.polling.expected_ports import PortUses
from collectors.snmp.session.session import RetryPolicy
from collectors.snmp.session.sessions import Sessions

PUBLIC = credential("test", {"community": "public"})
# Nothing is lost on the network, so there is nothing to wait for.
CALM = SnmpConfig(period_s=60.0, timeout_s=5.0, tries=2, neighbours_s=1e9)
LOSSY = SnmpConfig(period_s=60.0, timeout_s=0.03, tries=2, neighbours_s=1e9)
MEGABIT, GIGABIT = 10**6, 10**9
# sysUpTime counts hundredths; the shortest interval here is half a minute.
CLOSE = 0.002

Reads = list[tuple[float, int]]
SPEEDS = (10 * MEGABIT, 100 * MEGABIT, GIGABIT, 10 * GIGABIT)
PORTS = 6


class Event(msgspec.Struct, frozen=True):
    """What happens, to which port; and the time until the next poll, in which each
    port carries its share of what it can."""

    what: str
    port: int
    number: int
    seconds: float
    shares: list[float]

    def happen(self, switch: EventfulSwitch, witness: Witness) -> None:
        meter = switch.meters[self.port]
        all_ports = {meter.name for meter in switch.meters}
        if self.what == "reboot":
            switch.restart()
            (witness.anew if switch.timed else witness.untold).update(all_ports)
        elif self.what == "clear":
            switch.clear(meter)
            witness.anew.add(meter.name)
        elif self.what == "renumber":
            switch.renumber()
        elif self.what == "swap" and meter.name not in witness.anew:
            others = [speed for speed in SPEEDS if speed != meter.speed_bps]
            start = self.number if switch.wide else self.number % 2**32
            switch.swap(meter, start, others[self.number % len(others)])
            witness.anew.add(meter.name)


EVENTS = st.builds(
    Event,
    what=st.sampled_from(["nothing"] * 4 + ["reboot", "clear", "renumber", "swap"]),
    port=st.integers(0, PORTS - 1),
    number=st.one_of(st.integers(0, 10**12), st.integers(0, 2**64 - 1)),
    # From early to three polls missed; a poll sooner than 30 s gives no rates.
    seconds=st.one_of(st.floats(31, 65), st.floats(31, 200)),
    shares=st.lists(
        st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1)),
        min_size=PORTS,
        max_size=PORTS,
    ),
)


class Witness:
    """Polls a switch, and compares each rate with what passed."""

    def __init__(self, switch: EventfulSwitch, poll: DevicePoll) -> None:
        self._switch, self._poll = switch, poll
        # Of each port, when it was read for its last row.
        self._before: dict[str, Reads] = {}
        # Ports whose counters were reset since then; and those for which no requested
        # value shows the reset: less may be counted than passed.
        self.anew: set[str] = set()
        self.untold: set[str] = set()
        self.given = self.left_out = 0

    async def poll(self) -> None:
        for meter in self._switch.meters:
            meter.take_reads()
        polled = await self._poll.poll(0.0, lambda: None)
        reads = {m.name: m.take_reads() for m in self._switch.meters}
        for port, rate in _in_bps(polled.batches):
            before, now = self._before.get(port), reads[port]
            if rate is None:
                self.left_out += before is not None
            else:
                assert before is not None, f"{port}: a rate at first sight"
                assert port not in self.anew, f"{port}: {rate:,.0f} over a reset"
                self._hold(port, rate, before, now)
                self.given += 1
            self._before[port] = now
            self.anew.discard(port)
            self.untold.discard(port)

    def _hold(self, port: str, rate: float, before: Reads, now: Reads) -> None:
        # A request that was sent twice was answered twice, and either may have counted.
        truths = [
            (octets - then_octets) * 8 / (s - then_s)
            for (then_s, then_octets), (s, octets) in itertools.product(before, now)
            if s > then_s
        ]
        # By our own clock, the travel time of an answer counts too.
        off = CLOSE + 3 * self._switch.way_s / 30
        low, high = min(truths) * (1 - off) - 100, max(truths) * (1 + off) + 100
        if port in self.untold:
            low = 0.0
        assert low <= rate <= high, f"{port}: {rate:,.0f}, not {low:,.0f}…{high:,.0f}"


def _in_bps(batches: list[Batch]) -> Iterator[tuple[str, float | None]]:
    for batch in batches:
        if batch.measurement == "interface":
            yield from zip(batch.tag("port"), batch.field("in_bps"), strict=True)


async def _witnessed(
    switch: EventfulSwitch, history: list[Event], config: SnmpConfig = CALM
) -> Witness:
    clock, steps = switch.clock, random.Random(len(history))
    async with switch, Sessions(prefer_gufo=False) as sessions:
        retry_policy = RetryPolicy.with_backoff(config.timeout_s, config.tries)
        session = sessions.open("127.0.0.1", switch.port_number, PUBLIC, retry_policy)
        device = Device(id="a", site="s", address="127.0.0.1")  # type: ignore[arg-type]
        settings = PollSettings(
            config,
            # The wall clock jumps as it likes.
            lambda: steps.randrange(10**13),
            monotonic_s=clock,
        )
        poll = DevicePoll(settings, device, PortUses(), session, DeviceState())
        witness = Witness(switch, poll)
        await witness.poll()
        for event in history:
            event.happen(switch, witness)
            switch.run(event.seconds, event.shares)
            await witness.poll()
        poll.close()
    return witness


def _switch(
    speed_bps: int,
    *,
    wide: bool = True,
    timed: bool = True,
    telling: bool = True,
    seed: int = 0,
) -> EventfulSwitch:
    clock, dice = Clock(), random.Random(seed)
    ports = [Meter(clock, n, f"Gi1/0/{n}", speed_bps) for n in range(1, PORTS + 1)]
    for port in ports:
        # At any value, some of them about to wrap.
        port.count_from(dice.choice([0, 2**32 - 10**6, dice.randrange(2**40)]))
    switch = EventfulSwitch(
        clock, ports, wide=wide, timed=timed, telling=telling, seed=seed
    )
    clock.now_s += 86_400
    return switch


HISTORIES = st.lists(EVENTS, min_size=1, max_size=8)


@settings(max_examples=80, deadline=None)
@given(
    history=HISTORIES,
    speed_bps=st.sampled_from(SPEEDS),
    wide=st.booleans(),
    timed=st.booleans(),
    telling=st.booleans(),
    work_s=st.sampled_from([0.0, 0.3]),
    way_s=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 1000),
)
def test_no_history_of_a_device_makes_a_rate_a_lie(
    history: list[Event],
    speed_bps: int,
    wide: bool,
    timed: bool,
    telling: bool,
    work_s: float,
    way_s: float,
    seed: int,
) -> None:
    switch = _switch(speed_bps, wide=wide, timed=timed, telling=telling, seed=seed)
    switch.work_s, switch.way_s = work_s, way_s
    run_virtually(_witnessed(switch, history))


@settings(max_examples=15, deadline=None)
@given(
    history=HISTORIES,
    wide=st.booleans(),
    timed=st.booleans(),
    lose=st.sampled_from([0.0, 0.05]),
    twice=st.sampled_from([0.0, 0.3]),
    hold=st.sampled_from([0.0, 0.05]),
    seed=st.integers(0, 1000),
)
def test_no_answer_that_is_lost_late_or_doubled_makes_a_rate_a_lie(
    history: list[Event],
    wide: bool,
    timed: bool,
    lose: float,
    twice: float,
    hold: float,
    seed: int,
) -> None:
    switch = _switch(100 * MEGABIT, wide=wide, timed=timed, seed=seed)
    switch.lose, switch.twice, switch.hold = lose, twice, hold
    run_virtually(_witnessed(switch, history, LOSSY))


PERIODS = st.lists(st.floats(31, 400), min_size=2, max_size=8)


@settings(max_examples=20, deadline=None)
@given(
    periods=PERIODS,
    speed_bps=st.sampled_from(SPEEDS),
    timed=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_every_rate_is_given_if_nothing_happens(
    periods: list[float], speed_bps: int, timed: bool, seed: int
) -> None:
    switch = _switch(speed_bps, timed=timed, seed=seed)
    history = [Event("nothing", 0, 0, s, [1.0, 0.5, 0.1, 0, 0, 1]) for s in periods]
    witness = run_virtually(_witnessed(switch, history))
    assert (witness.given, witness.left_out) == (PORTS * len(periods), 0)


@settings(max_examples=20, deadline=None)
@given(periods=PERIODS, speed_bps=st.sampled_from(SPEEDS), seed=st.integers(0, 1000))
def test_32_bit_counters_are_followed_around_as_long_as_they_go_round_once(
    periods: list[float], speed_bps: int, seed: int
) -> None:
    switch = _switch(speed_bps, wide=False, seed=seed)
    history = [Event("nothing", 0, 0, s, [1.0] * PORTS) for s in periods]
    witness = run_virtually(_witnessed(switch, history))
    # What a tenth more than the line rate would make wrap.
    sure = [s for s in periods if s * speed_bps / 8 * 1.1 < 2**32 - 10**6]
    unsure = [s for s in periods if s * speed_bps / 8 * 1.1 > 2**32 + 10**6]
    assert witness.given >= PORTS * len(sure)
    assert witness.left_out >= PORTS * len(unsure)
    assert witness.given + witness.left_out == PORTS * len(periods)


@pytest.mark.parametrize("wide", [True, False])
def test_a_32_bit_wrap_of_an_agent_without_sysuptime_may_be_a_restart(
    wide: bool,
) -> None:
    switch = _switch(100 * MEGABIT, wide=wide, timed=False)
    for port in switch.meters:
        port.count_from(2**32 - 1000)
    history = [Event("nothing", 0, 0, 60.0, [0.5] * PORTS) for _ in range(2)]
    witness = run_virtually(_witnessed(switch, history))
    assert witness.left_out == (0 if wide else PORTS)
    assert witness.given == (2 * PORTS if wide else PORTS)
