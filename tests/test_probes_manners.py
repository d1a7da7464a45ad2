"""When a speed test is bad manners, and what it is told by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.agent.probe_budget import (
    InterfaceTraffic,
    in_use,
    last_test_ms,
    record_test,
)
from probes.agent.schedule_times import rare_due_ms
from probes.measure import bufferbloat

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
IDLE = InterfaceTraffic(400, 2, 2)
VOICE = InterfaceTraffic(13_000, 50, 50)
MUTED = InterfaceTraffic(8_000, 2, 50)
BROWSING = InterfaceTraffic(600_000, 300, 500)


def seconds(*moved):
    return [{"wlan0": each} for each in moved]


@pytest.mark.parametrize("call", [VOICE, MUTED, InterfaceTraffic(5_000, 25, 4)])
def test_a_steady_pace_of_small_packets_is_a_call(call):
    assert in_use(seconds(*[call] * 5))


def test_a_download_is_in_use_and_an_idle_line_is_not():
    assert in_use(seconds(*[InterfaceTraffic(2_000_000, 500, 1500)] * 5))
    assert not in_use(seconds(*[IDLE] * 5))
    assert not in_use([])


def test_a_page_that_is_opened_now_and_then_is_not_a_call():
    assert not in_use(seconds(IDLE, BROWSING, IDLE, IDLE, IDLE))


def test_what_goes_one_way_only_is_not_a_call():
    assert not in_use(seconds(*[InterfaceTraffic(9_000, 0, 60)] * 5))


def test_a_call_in_a_tunnel_is_seen_on_either_interface():
    quiet, busy = {"eth0": IDLE}, {"eth0": IDLE, "tun0": VOICE}
    assert in_use([busy] * 5)
    assert not in_use([quiet, *[busy] * 4])


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["eth0", "wlan0", "tun0"]),
            st.builds(InterfaceTraffic, *[st.integers(0, 10**10)] * 3),
        ),
        max_size=6,
    )
)
def test_whatever_the_counters_say_there_is_an_answer(looks):
    assert in_use(looks) in (True, False)


def test_a_speed_test_is_due_a_day_after_the_last():
    assert rare_due_ms(5 * HOUR_MS, HOUR_MS, DAY_MS, 4 * HOUR_MS, 0.5) == 25 * HOUR_MS


@given(st.integers(0, 10**13), st.integers(-DAY_MS, 30 * DAY_MS), st.floats(0, 1))
def test_one_that_was_slept_through_is_spread_over_the_next_hours(now, age, chance):
    due = rare_due_ms(now, now - age, DAY_MS, 4 * HOUR_MS, chance)
    assert now < due
    if 0 <= age < DAY_MS:
        assert due == now - age + DAY_MS
    else:
        # Also where the clock was set back: the future is no time to have tested.
        assert due <= now + 4 * HOUR_MS + 1


def test_when_it_was_last_done_is_kept(tmp_path):
    assert last_test_ms(tmp_path) == 0
    record_test(tmp_path, 1_700_000_000_000)
    assert last_test_ms(tmp_path) == 1_700_000_000_000
    (tmp_path / "speed-test").write_bytes(b"\xffnonsense")
    assert last_test_ms(tmp_path) == 0


@pytest.mark.parametrize(
    ("increase", "grade"),
    [(0, "A+"), (4.9, "A+"), (5, "A"), (30, "B"), (60, "C"), (200, "D"), (400, "F")],
)
def test_a_grade_is_that_of_the_mean_increase(increase, grade):
    assert bufferbloat.grade(20, 20, 20 + 2 * increase) == grade


def test_a_load_that_makes_it_quicker_is_graded_well():
    assert bufferbloat.grade(30, 20, 20) == "A+"


def test_50_ms_under_load_are_1200_round_trips_a_minute():
    assert bufferbloat.responsiveness_rpm(50) == 1200
