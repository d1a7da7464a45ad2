"""No speed tests while a live event is at a site: neither from there nor to there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from alerts.alert_config import AlertConfig
from alerts.calendars.calendar_events import CalendarEvent
from alerts.calendars.calendar_feed import FeedState, state_file
from alerts.live_events.event_feeds import event_feed_name
from alerts.live_events.event_schedule import EventSchedule, RoomEvent
from alerts.live_events.speed_test_freezes import (
    FREEZE_LEAD_MS,
    EventFreezes,
    frozen_span,
    speed_test_freezes,
)
from collectors.estate.estate_model import Estate
from collectors.ingest.ingest_config import IngestConfig
from collectors.ingest.laptop_policies import LaptopPolicies
from probes.agent.job_schedule import JobSchedule
from probes.agent.place import PlaceVerdict
from probes.agent.probe_jobs import ProbeJobs
from probes.agent.probe_round import ProbeRounds, RoundSetup
from probes.agent.settings import SpoolLimits
from probes.agent.spool import Spool
from probes.wire.failure import Outcome
from probes.wire.path_probes import BANDWIDTH
from probes.wire.policy import MAX_FREEZES, Policy, ReflectorAt, SpeedTestFreeze
from probes.wire.report import Whereabouts

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
# 00:00 UTC of a day, and 14:00.
MIDNIGHT_MS = 20_000 * DAY_MS
START_MS = MIDNIGHT_MS + 14 * HOUR_MS
ESTATE = Estate.model_validate(
    {
        "sites": [{"id": "hall", "name": "Hall"}, {"id": "depot", "name": "Depot"}],
        "devices": [{"id": "enc", "site": "hall", "address": "10.0.0.3"}],
        "rooms": [
            {"id": "chamber", "site": "hall", "devices": ["enc"], "names": ["Chamber"]},
            {"id": "annexe", "site": "hall", "devices": ["enc"], "names": ["Annexe"]},
        ],
        "reflectors": [
            {"id": "r-hall", "host": "r", "site": "hall", "ndt7_url": "https://r"}
        ],
    }
)


def schedule(*spans: tuple[str, int, int]) -> EventSchedule:
    events: dict[str, tuple[RoomEvent, ...]] = {}
    for room, start_ms, end_ms in spans:
        event = RoomEvent(room, start_ms, end_ms, "Planning")
        events[room] = (*events.get(room, ()), event)
    return EventSchedule(events)


def test_the_freezes_of_one_site_that_touch_are_one_and_name_its_reflectors() -> None:
    events = schedule(
        ("chamber", START_MS, START_MS + HOUR_MS),
        ("annexe", START_MS + HOUR_MS // 2, START_MS + 2 * HOUR_MS),
        ("gone", START_MS, START_MS + HOUR_MS),
    )
    until_ms = START_MS + 2 * HOUR_MS
    assert speed_test_freezes(events, ESTATE, MIDNIGHT_MS) == (
        SpeedTestFreeze("hall", START_MS - FREEZE_LEAD_MS, until_ms, ("r-hall",)),
    )


hours = st.integers(0, 96)


@given(st.lists(st.tuples(hours, st.integers(1, 30)), max_size=80), hours)
def test_every_minute_of_an_event_today_or_tomorrow_is_frozen_and_no_other_day_counts(
    events: list[tuple[int, int]], now_h: int
) -> None:
    spans = [
        (
            "chamber",
            MIDNIGHT_MS + start * HOUR_MS,
            MIDNIGHT_MS + (start + long) * HOUR_MS,
        )
        for start, long in events
    ]
    now_ms = MIDNIGHT_MS + now_h * HOUR_MS
    freezes = speed_test_freezes(schedule(*spans), ESTATE, now_ms)
    assert len(freezes) <= MAX_FREEZES
    policy = Policy(no_speed_tests=freezes)
    for _, start_ms, end_ms in spans:
        from_ms, until_ms = frozen_span(start_ms, end_ms)
        for at_ms in (from_ms, start_ms, until_ms - 1):
            if now_ms <= at_ms < now_ms + DAY_MS and len(freezes) < MAX_FREEZES:
                assert policy.frozen_until_ms("hall", at_ms) is not None
    # Nothing changes within a day, so no laptop fetches its policy because of time.
    later_ms = now_ms // DAY_MS * DAY_MS + DAY_MS - 1
    assert speed_test_freezes(schedule(*spans), ESTATE, later_ms) == freezes


def test_a_freeze_holds_for_laptops_in_that_office_and_for_tests_that_end_there() -> (
    None
):
    freeze = SpeedTestFreeze("hall", 100, 200, ("r-hall",))
    far = ReflectorAt("r-dc", "dc", ndt7_url="https://dc")
    near = ReflectorAt("r-hall", "hall", ndt7_url="https://hall")
    to_dc = Policy(reflectors=(far, near), no_speed_tests=(freeze,))
    assert to_dc.frozen_until_ms("hall", 150) == 200
    assert to_dc.frozen_until_ms("depot", 150) is None
    assert to_dc.frozen_until_ms("", 150) is None
    to_hall = Policy(reflectors=(near, far), no_speed_tests=(freeze,))
    assert to_hall.frozen_until_ms("", 150) == 200
    assert [to_hall.frozen_until_ms("", at) for at in (99, 200)] == [None, None]


def test_laptops_hear_of_a_new_event_with_their_next_report_and_replan_nothing() -> (
    None
):
    freezes: list[SpeedTestFreeze] = []
    config = IngestConfig.model_validate({"registry": {"path": "agents.sqlite"}})
    policies = LaptopPolicies(
        config, lambda: ESTATE, lambda: 0, lambda _: tuple(freezes)
    )
    before = policies.policy(None)
    freezes.append(SpeedTestFreeze("hall", 100, 200))
    assert policies.version(None) != before.version
    after = policies.policy(None)
    assert after.no_speed_tests == (SpeedTestFreeze("hall", 100, 200),)
    assert after.plan() == before.plan()


def test_a_calendar_that_the_alert_engine_has_read_freezes_tests(
    tmp_path: Path,
) -> None:
    config = AlertConfig.model_validate(
        {
            "standing": tmp_path / "alerts.sqlite",
            "events": {"committees": {"file": tmp_path / "all.ics"}},
        }
    )
    freezes = EventFreezes(config, lambda: ESTATE)
    assert freezes(MIDNIGHT_MS) == ()
    file = state_file(config.calendar_folder, event_feed_name("committees"))
    file.parent.mkdir()

    def save(starts_ms: Sequence[int]) -> None:
        events = tuple(
            CalendarEvent("1", start_ms, start_ms + HOUR_MS, location="Chamber")
            for start_ms in starts_ms
        )
        file.write_bytes(msgspec.json.encode(FeedState(events=events)))
        os.utime(file, ns=(len(starts_ms), len(starts_ms)))

    save([START_MS])
    first = freezes(MIDNIGHT_MS)
    assert [f.until_ms for f in first] == [START_MS + HOUR_MS]
    # Each report asks, so they are calculated once a day.
    assert freezes(MIDNIGHT_MS + DAY_MS - 1) is first
    assert freezes(MIDNIGHT_MS + DAY_MS) == ()
    save([])
    assert freezes(MIDNIGHT_MS) == ()
    without = AlertConfig.model_validate({"standing": tmp_path / "alerts.sqlite"})
    assert EventFreezes(without, lambda: ESTATE)(MIDNIGHT_MS) == ()


async def test_the_agent_runs_no_speed_test_and_tries_soon_after_the_event(
    tmp_path: Path,
) -> None:
    now_ms = START_MS

    def clock() -> int:
        return now_ms

    near = ReflectorAt("r-hall", "127.0.0.1", ndt7_url="http://127.0.0.1:9")
    until_ms = START_MS + HOUR_MS
    freeze = SpeedTestFreeze("hall", START_MS - FREEZE_LEAD_MS, until_ms)
    policy = Policy(reflectors=(near,), no_speed_tests=(freeze,))
    schedule = JobSchedule(
        "a", ["bandwidth"], lambda _: DAY_MS, clock, rare=["bandwidth"]
    )
    rounds = ProbeRounds(RoundSetup(software="t", now_ms=clock))
    place = PlaceVerdict(Whereabouts(place="office", site="hall"), "")
    with Spool(tmp_path, SpoolLimits(), clock) as spool:
        jobs = ProbeJobs("a", "t", tmp_path, spool, rounds, schedule, clock)
        await jobs.measure(BANDWIDTH, policy, place, 0, "regular")
        [result] = jobs.last_results
        assert (result.outcome, result.cost_bytes) == (Outcome.PAUSED, 0)
        assert until_ms <= schedule.due_ms["bandwidth"] <= until_ms + HOUR_MS
        # This laptop's clock is two hours ahead: it is not over yet.
        now_ms = START_MS + 2 * HOUR_MS
        await jobs.measure(BANDWIDTH, policy, place, 2 * HOUR_MS, "regular")
        assert jobs.last_results[0].outcome is Outcome.PAUSED
        assert schedule.due_ms["bandwidth"] >= now_ms + HOUR_MS
