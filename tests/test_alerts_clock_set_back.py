"""Pages go on after a clock that was ahead is right again."""

from __future__ import annotations

from pathlib import Path

import pytest
from running_engine import (
    AheadClock,
    Desk,
    desk,  # noqa: F401 - a fixture
    journal,  # noqa: F401 - a fixture
    poll,
    rules,  # noqa: F401 - a fixture
    running,
)
from waiting import until

from alerts.alert_access import open_alerts
from alerts.clock_set_back import states_by
from alerts.evaluation.alert_states import AlertState
from alerts.rule_files import Rules
from collectors.clock_steps import ClockSteps
from collectors.journal import Journal
from probes.wire.clock import wall_ms

FOUR_YEARS_S = 4 * 365 * 86_400.0
HOUR_S = 3_600.0


@pytest.mark.parametrize("ahead_s", [HOUR_S, FOUR_YEARS_S], ids=["hour", "years"])
async def test_a_fault_is_paged_at_once_after_the_clock_was_set_back(
    ahead_s: float,
    tmp_path: Path,
    desk: Desk,  # noqa: F811
    rules: Rules,  # noqa: F811
    journal: Journal,  # noqa: F811
) -> None:
    path = tmp_path / "alerts.sqlite"
    clock = AheadClock()
    clock.skip(ahead_s)
    async with running(tmp_path, desk, rules, journal, now_ms=clock) as engine:
        await poll(journal, 1, -clock.ahead_ms)
        await until(lambda: engine.cycles > 1, "a cycle by the wrong clock")
        clock.skip(-ahead_s)
        await poll(journal, 0)
        await until(lambda: desk.kinds() == ["page"], "the page")
        assert open_alerts(path)[0].since_ms <= wall_ms()
        await poll(journal, 1)
        await until(lambda: desk.kinds() == ["page", "resolution"], "its end")


async def test_a_page_that_waits_for_another_try_does_not_wait_for_years(
    tmp_path: Path,
    desk: Desk,  # noqa: F811
    rules: Rules,  # noqa: F811
    journal: Journal,  # noqa: F811
) -> None:
    clock = AheadClock()
    clock.skip(FOUR_YEARS_S)
    desk.status = 503
    async with running(tmp_path, desk, rules, journal, now_ms=clock) as engine:
        await poll(journal, 0, -clock.ahead_ms)
        await until(lambda: engine._delivery.failed["desk"], "a try that fails")
    # The clock is set back while nothing runs.
    clock.skip(-FOUR_YEARS_S)
    desk.status = 204
    async with running(tmp_path, desk, rules, journal, now_ms=clock):
        await until(lambda: desk.kinds() == ["page"], "the page")
        await poll(journal, 1)
        await until(lambda: "resolution" in desk.kinds(), "its end")
        await until(lambda: not open_alerts(tmp_path / "alerts.sqlite"), "no alert")


def test_only_a_step_back_of_more_than_a_minute_counts() -> None:
    wall_ms, steady_s = 1_800_000_000_000, 100.0
    steps = ClockSteps(lambda: wall_ms, lambda: steady_s)
    for wall_by_ms, steady_by_s, expected in (
        (5_000, 5.0, False),
        (FOUR_YEARS_S * 1000, 5.0, False),
        # A time server's correction.
        (-30_000, 5.0, False),
        (-HOUR_S * 1000, 1.0, True),
        (1_000, 1.0, False),
        # The machine slept, and both clocks went on.
        (HOUR_S * 1000, HOUR_S, False),
    ):
        wall_ms += round(wall_by_ms)
        steady_s += steady_by_s
        assert steps.was_set_back() is expected


def test_times_of_a_state_that_were_to_come_are_now_and_others_stay() -> None:
    state = AlertState("r", {}, "hall", "firing", 50, 200, 300, firing_ms=90)
    corrected = states_by({"a": state}, 100)["a"]
    assert (corrected.since_ms, corrected.firing_ms) == (50, 90)
    assert (corrected.bad_ms, corrected.newest_ms) == (100, 100)
    assert states_by({"a": state}, 400)["a"] is state
    # It began later than now and paged nobody: it begins again.
    assert states_by({"a": state}, 40) == {}
