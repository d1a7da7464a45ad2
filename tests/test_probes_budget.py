"""When a speed test would disturb the user, and when the next one is due."""

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

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
IDLE = InterfaceTraffic(400, 2, 2)
VOICE = InterfaceTraffic(13_000, 50, 50)
MUTED = InterfaceTraffic(8_000, 2, 50)
BROWSING = InterfaceTraffic(600_000, 300, 500)


def seconds(*traffic):
    return [{"wlan0": moved} for moved in traffic]


@pytest.mark.parametrize("call", [VOICE, MUTED, InterfaceTraffic(5_000, 25, 4)])
def test_a_steady_pace_of_small_packets_is_a_call(call):
    assert in_use(seconds(*[call] * 5))


def test_a_download_means_in_use_and_an_idle_line_does_not():
    assert in_use(seconds(*[InterfaceTraffic(2_000_000, 500, 1500)] * 5))
    assert not in_use(seconds(*[IDLE] * 5))
    assert not in_use([])


def test_opening_a_page_now_and_then_is_not_a_call():
    assert not in_use(seconds(IDLE, BROWSING, IDLE, IDLE, IDLE))


def test_traffic_in_one_direction_is_not_a_call():
    assert not in_use(seconds(*[InterfaceTraffic(9_000, 0, 60)] * 5))


def test_a_call_in_a_tunnel_is_detected_on_either_interface():
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
def test_any_counters_give_an_answer(samples):
    assert in_use(samples) in (True, False)


def test_a_speed_test_is_due_a_day_after_the_last():
    assert rare_due_ms(5 * HOUR_MS, HOUR_MS, DAY_MS, 4 * HOUR_MS, 0.5) == 25 * HOUR_MS


@given(st.integers(0, 10**13), st.integers(-DAY_MS, 30 * DAY_MS), st.floats(0, 1))
def test_a_test_missed_during_sleep_is_spread_over_the_next_hours(now, age, chance):
    due = rare_due_ms(now, now - age, DAY_MS, 4 * HOUR_MS, chance)
    assert now < due
    if 0 <= age < DAY_MS:
        assert due == now - age + DAY_MS
    else:
        # Also if the clock was set back, so that the last test is in the future.
        assert due <= now + 4 * HOUR_MS + 1


def test_the_time_of_the_last_test_is_kept(tmp_path):
    assert last_test_ms(tmp_path) == 0
    record_test(tmp_path, 1_700_000_000_000)
    assert last_test_ms(tmp_path) == 1_700_000_000_000
    (tmp_path / "speed-test").write_bytes(b"\xffnonsense")
    assert last_test_ms(tmp_path) == 0
