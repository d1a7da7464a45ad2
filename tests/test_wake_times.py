"""What looks at something now and then wakes at common times, with the polls."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from collectors.failure_log import FailureLog
from collectors.snmp.polling.poll_schedule import shared_phase_s
from collectors.wake_times import repeat_with_others, seconds_to_next

NOW_S = 1_795_980_000.0


@given(st.floats(NOW_S, NOW_S + 3600), st.sampled_from([0.5, 5.0, 30.0, 60.0]))
def test_it_sleeps_for_between_half_and_one_and_a_half_of_its_time(
    now_s: float, every_s: float
) -> None:
    sleep_s = seconds_to_next(every_s, now_s)
    assert every_s / 2 - 1e-6 <= sleep_s <= every_s * 1.5 + 1e-6
    assert abs((now_s + sleep_s) / every_s - round((now_s + sleep_s) / every_s)) < 1e-6


def test_a_timer_that_is_early_does_not_wake_it_twice() -> None:
    assert round(seconds_to_next(5.0, NOW_S + 4.999), 3) == 5.001
    assert round(seconds_to_next(5.0, NOW_S + 4.999, 0.1), 3) == 5.001
    assert round(seconds_to_next(5.0, NOW_S + 4.4, 0.1), 3) == 0.6


async def test_work_that_fails_is_logged_once_and_tried_again_at_the_next_time() -> (
    None
):
    done: list[int] = []

    async def work() -> None:
        done.append(len(done))
        if len(done) < 3:
            raise OSError("the disk is full")
        if len(done) == 4:
            raise asyncio.CancelledError

    with capture_logs() as logs, suppress(asyncio.CancelledError):
        await repeat_with_others(0.001, work, FailureLog("work_fails", "work_goes_on"))
    assert done == [0, 1, 2, 3]
    assert [entry["event"] for entry in logs] == ["work_fails", "work_goes_on"]


@given(st.text(max_size=20), st.integers(1, 100))
def test_polls_of_small_estates_begin_at_these_times(name: str, devices: int) -> None:
    phase_s = shared_phase_s(name, 60.0, devices)
    if devices <= 32:
        assert phase_s % 15 == 0
