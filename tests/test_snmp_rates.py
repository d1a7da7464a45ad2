"""Rates are never wrong: whatever happens to a device's counters, a rate is what truly
passed, or absent."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.snmp.polling.counter_rates import (
    DISCONTINUITY,
    IN_BCAST,
    IN_ERRORS,
    IN_MCAST,
    IN_OCTETS,
    IN_UCAST,
    OUT_OCTETS,
    UNKNOWN,
    CounterSample,
    Moment,
    elapsed,
    growth,
    rates_between,
)

WRAP_TICKS = 2**32
GIGABIT = 1_000_000_000


def seen(
    ticks: int | None,
    own_s: float,
    octets: int | None = 0,
    *,
    wide: bool = True,
    speed: int | None = GIGABIT,
    errors: int = 0,
    packets: int = 0,
    discontinuity: int | None = 0,
) -> CounterSample:
    values: list[int | None] = [None] * 14
    values[IN_OCTETS] = values[OUT_OCTETS] = octets
    values[IN_UCAST], values[IN_MCAST], values[IN_BCAST] = packets, 0, 0
    values[IN_ERRORS] = errors
    values[DISCONTINUITY] = discontinuity
    return CounterSample(Moment(ticks, own_s * 1000), tuple(values), wide, wide, speed)


def between(before: CounterSample, now: CounterSample) -> float | None:
    gone = elapsed(before.moment, now.moment)
    return rates_between(before, now, gone.seconds).in_bps


def test_a_steady_port_has_the_rate_of_what_passed() -> None:
    assert between(seen(0, 0, 0), seen(6000, 60, 7_500_000)) == 1_000_000


def test_the_agents_clock_counts_not_the_delay_of_its_answer() -> None:
    # The answer came 4 s late, but was made 60 s after the last.
    before, now = seen(900_000, 0, 0), seen(906_000, 64, 7_500_000)
    assert between(before, now) == 1_000_000


def test_a_late_poll_is_divided_by_the_longer_time() -> None:
    assert between(seen(0, 0, 0), seen(18_000, 180, 22_500_000)) == 1_000_000


def test_a_restart_gives_no_rate_and_is_marked() -> None:
    before, now = seen(900_000, 9000, 10**12), seen(2000, 9060, 5_000)
    assert elapsed(before.moment, now.moment).restarted
    assert between(before, now) is None


def test_a_restart_hidden_by_a_long_silence_is_still_seen() -> None:
    # Uptime is larger than before, yet less than the time that has passed.
    before, now = seen(10_000, 100, 500), seen(180_000, 3700, 9_999_999)
    assert elapsed(before.moment, now.moment).restarted
    assert between(before, now) is None


def test_uptime_that_wraps_after_497_days_is_no_restart() -> None:
    before = seen(WRAP_TICKS - 3000, 0, 0)
    now = seen(3000, 60, 7_500_000)
    assert not elapsed(before.moment, now.moment).restarted
    assert between(before, now) == 1_000_000


def test_the_same_answer_twice_gives_no_rate() -> None:
    assert between(seen(6000, 60, 5), seen(6000, 120, 5)) is None


def test_a_discontinuity_gives_no_rate() -> None:
    now = seen(6000, 60, 10**9, discontinuity=5800)
    assert between(seen(0, 0, 0), now) is None


def test_a_64_bit_counter_that_goes_back_was_reset() -> None:
    assert between(seen(0, 0, 10**15), seen(6000, 60, 100)) is None


def test_a_32_bit_counter_that_wraps_once_goes_on() -> None:
    before = seen(0, 0, 2**32 - 1000, wide=False, speed=100_000_000)
    now = seen(6000, 60, 7_499_000, wide=False, speed=100_000_000)
    assert between(before, now) == 1_000_000


def test_a_32_bit_counter_that_was_reset_is_no_wrap() -> None:
    # As a wrap it would be 570 Mbit/s on a port of 100.
    before = seen(0, 0, 10_000, wide=False, speed=100_000_000)
    now = seen(6000, 60, 100, wide=False, speed=100_000_000)
    assert between(before, now) is None


def test_a_32_bit_counter_that_may_have_wrapped_twice_gives_no_rate() -> None:
    before = seen(0, 0, 0, wide=False, speed=GIGABIT)
    now = seen(6000, 60, 1_000_000, wide=False, speed=GIGABIT)
    assert between(before, now) is None


def test_a_32_bit_counter_goes_back_on_a_port_of_unknown_speed() -> None:
    before = seen(0, 0, 2**32 - 10, wide=False, speed=None)
    assert between(before, seen(6000, 60, 10, wide=False, speed=None)) is None


def test_a_port_that_turns_from_32_to_64_bits_starts_anew() -> None:
    before = seen(0, 0, 100, wide=False, speed=100_000_000)
    assert between(before, seen(6000, 60, 9**15, wide=True)) is None


def test_more_than_the_line_carries_is_garbage_and_spoils_the_others() -> None:
    before = seen(0, 0, 0)
    now = seen(6000, 60, 2**50, errors=7)
    assert rates_between(before, now, 60.0) == UNKNOWN


def test_a_slower_port_is_judged_by_the_speed_it_had_before() -> None:
    # A bundle that carried 1,800 Mbit/s until it lost a member just now.
    before = seen(0, 0, 0, speed=2 * GIGABIT)
    assert between(before, seen(6000, 60, 13_500_000_000)) == 1_800_000_000


def test_a_port_at_the_speed_of_another_module_may_be_one() -> None:
    now = seen(6000, 60, 6_750_000, speed=10 * GIGABIT)
    assert between(seen(0, 0, 0), now) is None


def test_one_counter_that_was_reset_spoils_those_that_have_grown_since() -> None:
    before, now = seen(0, 0, 10**6), seen(6000, 60, 10**6 + 500)
    values = list(now.values)
    values[OUT_OCTETS] = 10
    assert rates_between(
        before, msgspec.structs.replace(now, values=tuple(values)), 60.0
    ) == (UNKNOWN)


def test_an_agent_that_began_anew_twice_in_a_minute_gives_no_rate() -> None:
    # 5 s old when last asked, 58 s old a minute later.
    before, now = seen(500, 0, 0), seen(5_800, 60, 10**6)
    assert elapsed(before.moment, now.moment).seconds is None
    # An hour old: its clock is a little slow, that is all.
    before, now = seen(360_000, 0, 0), seen(360_000 + 5_300, 60, 10**6)
    assert elapsed(before.moment, now.moment).seconds == 53


def test_without_sysuptime_our_clock_serves_and_is_marked() -> None:
    before, now = seen(None, 0, 0), seen(None, 60, 7_500_000)
    assert elapsed(before.moment, now.moment).own_clock
    assert between(before, now) == 1_000_000


def test_errors_are_a_share_of_all_that_came() -> None:
    rates = rates_between(seen(0, 0), seen(6000, 60, errors=60, packets=540), 60.0)
    assert rates.in_errors == 1.0
    assert rates.in_error_ratio == pytest.approx(0.1)


def test_an_idle_port_has_no_share_of_errors() -> None:
    assert rates_between(seen(0, 0), seen(6000, 60), 60.0).in_error_ratio is None


def test_what_an_agent_does_not_have_stays_unknown() -> None:
    rates = rates_between(seen(0, 0, None), seen(6000, 60, None), 60.0)
    assert rates.in_bps is None
    assert rates.in_errors == 0.0
    assert rates.in_discards is None


def test_a_negative_counter_is_none() -> None:
    assert growth(0, -5, True, None) is None


class World:
    """A port and its agent as they truly are; what a poll sees of them."""

    def __init__(self, wide: bool, speed: int, clock: bool) -> None:
        self.wide, self.speed, self.clock = wide, speed, clock
        self.now_s = 1_000.0
        self.booted_s = 0.0
        self.counted = 2**31
        self.discontinuity = 0
        # What truly passed, and when: never reset.
        self.passed = 0

    def run(self, seconds: float, share: float) -> None:
        octets = int(self.speed / 8 * seconds * share)
        self.now_s += seconds
        self.counted += octets
        self.passed += octets

    def reboot(self) -> None:
        self.booted_s, self.counted, self.discontinuity = self.now_s, 0, 0

    def poll(self) -> CounterSample:
        ticks = int((self.now_s - self.booted_s) * 100) % WRAP_TICKS
        counter = self.counted % (2**64 if self.wide else 2**32)
        return seen(
            ticks if self.clock else None,
            self.now_s,
            counter,
            wide=self.wide,
            speed=self.speed,
            discontinuity=self.discontinuity,
        )


Step = tuple[str, float, float]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["run", "run", "run", "late", "lost", "same", "reboot", "reset", "wrap"]
        ),
        st.floats(5, 90),
        st.floats(0, 1),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(
    steps=STEPS,
    wide=st.booleans(),
    clock=st.just(True),
    speed=st.sampled_from([10_000_000, 100_000_000, GIGABIT, 100 * GIGABIT]),
)
def test_no_history_draws_a_spike(
    steps: list[Step], wide: bool, clock: bool, speed: int
) -> None:
    world = World(wide, speed, clock)
    before, passed_before, clean = world.poll(), world.passed, True
    for what, seconds, share in steps:
        world.run(seconds, share)
        if what == "late":
            world.run(seconds * 10, share)
        elif what == "lost":
            continue
        elif what == "reboot":
            world.reboot()
            world.run(seconds, share)
            clean = False
        elif what == "reset":
            # Counters cleared at the console, and announced as the standard asks.
            world.counted = 0
            world.discontinuity = int((world.now_s - world.booted_s) * 100)
            clean = False
        elif what == "wrap":
            world.counted = (2**64 if wide else 2**32) - 1
            world.discontinuity += 1
            clean = False
        now = world.poll()
        gone = elapsed(before.moment, now.moment)
        rates = rates_between(before, now, gone.seconds)
        if not clean:
            assert rates.in_bps is None
        elif rates.in_bps is not None:
            truth = (world.passed - passed_before) * 8
            own_s = (now.moment.own_ms - before.moment.own_ms) / 1000
            # sysUpTime counts hundredths, so the two clocks differ by one of them.
            assert rates.in_bps * own_s == pytest.approx(truth, rel=0.01, abs=10)
            assert 0 <= rates.in_bps <= speed * 1.01
        if what == "same":
            again = elapsed(now.moment, Moment(now.moment.ticks, now.moment.own_ms + 9))
            assert rates_between(now, now, again.seconds) == UNKNOWN
        before, passed_before, clean = now, world.passed, True


@settings(max_examples=300, deadline=None)
@given(
    before=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)),
    now=st.tuples(st.integers(0, 2**32 - 1), st.integers(-(2**63), 2**64 - 1)),
    own_s=st.floats(-1000, 10_000),
    wide=st.booleans(),
    speed=st.sampled_from([None, 0, 56_000, GIGABIT]),
    clock=st.booleans(),
)
def test_any_two_answers_give_a_rate_within_reason_or_none(
    before: tuple[int, int],
    now: tuple[int, int],
    own_s: float,
    wide: bool,
    speed: int | None,
    clock: bool,
) -> None:
    one = seen(before[0] if clock else None, 0, before[1], wide=wide, speed=speed)
    two = seen(now[0] if clock else None, own_s, now[1], wide=wide, speed=speed)
    rates = between(one, two)
    assert rates is None or rates >= 0
    if rates is not None and speed:
        assert rates <= 2 * speed
