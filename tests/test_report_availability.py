"""Availability in the report, over observed time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import council
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_month import (
    ALWAYS,
    AWAY,
    HOUR_MS,
    NOW_MS,
    OCTOBER,
    alert_of_month,
    month_content,
    october_content,
    site_figures,
    utc_ms,
)
from store_doubles import MemoryStore

from alerts.alert import Alert
from alerts.silence import Silence
from collectors.estate.opening_hours import OpeningHours, is_open, open_spans
from dashboards.observed import ObservedPiece, marks
from dashboards.report import Month, select_sites
from dashboards.report.availability import Availability, availability
from dashboards.report.report_data import AlertHistory, ReportContent, gather_content
from dashboards.report.report_html import render_html
from probes.wire.sample import Sample


@pytest.fixture(scope="module")
def october() -> ReportContent:
    return october_content()


def test_only_observed_time_counts(october: ReportContent) -> None:
    depot = site_figures(october, "depot").availability
    assert depot.unobserved_ms == 7 * HOUR_MS
    assert depot.observed_ms == OCTOBER.to_ms - OCTOBER.from_ms - 7 * HOUR_MS
    assert depot.down_ms == pytest.approx(5 * HOUR_MS)
    assert depot.ratio == pytest.approx(1 - 5 / (745 - 7))
    assert site_figures(october, "town-hall").availability.ratio == 1.0


def test_a_month_in_which_the_clocks_go_back_has_an_hour_more() -> None:
    assert OCTOBER.to_ms - OCTOBER.from_ms == (31 * 24 + 1) * HOUR_MS
    march = Month(2027, 3)
    assert march.to_ms - march.from_ms == (31 * 24 - 1) * HOUR_MS
    assert len(march.days()) == 31
    assert march.days()[-1][1] == march.to_ms


def test_planned_maintenance_is_neither_up_nor_down_nor_unobserved() -> None:
    silence = Silence(1, *AWAY, site="depot", why="new line", planned=1)
    depot = site_figures(month_content(silences=[silence]), "depot").availability
    assert depot.maintenance_ms == 5 * HOUR_MS
    assert depot.ratio == 1.0
    assert depot.unobserved_ms == 7 * HOUR_MS


def test_a_silence_that_was_not_planned_changes_no_figure(
    october: ReportContent,
) -> None:
    silence = Silence(1, *AWAY, site="depot", why="we know")
    assert month_content(silences=[silence]).sites == october.sites


def test_maintenance_of_one_device_is_not_that_of_its_site() -> None:
    silence = Silence(1, *AWAY, device="dep-sw1", planned=1)
    depot = site_figures(month_content(silences=[silence]), "depot")
    assert depot.availability.maintenance_ms == 0
    by_id = {row.device.id: row.availability for row in depot.devices}
    assert by_id["dep-sw1"].ratio == 1.0
    assert by_id["dep-sw2"].maintenance_ms == 0


def test_opening_hours_are_counted_separately_in_the_local_time_of_the_site(
    october: ReportContent,
) -> None:
    depot = site_figures(october, "depot").availability
    weekdays = 22
    assert depot.open_observed_ms == weekdays * 10 * HOUR_MS
    # 09:00-14:00 UTC is 10:00-15:00 in London in October: all of it open.
    assert depot.open_down_ms == pytest.approx(5 * HOUR_MS)


def test_open_until_midnight_is_open_at_half_past_eleven() -> None:
    assert is_open(ALWAYS, utc_ms(2026, 10, 20, 22, 30))
    assert not is_open(OpeningHours(), utc_ms(2026, 10, 24, 12))


def test_a_site_that_was_not_polled_has_no_availability_figure() -> None:
    content = month_content(store=MemoryStore())
    for site in content.sites:
        assert site.availability.ratio is None
        assert site.availability.open_ratio is None
        assert set(site.days) == {"none"}
    html = render_html(content)
    assert "not observed" in html
    assert "100%" not in html[html.index("<main") :]


@given(
    edges=st.lists(st.integers(0, 5000), unique=True, min_size=2).map(sorted),
    states=st.lists(st.tuples(st.booleans(), st.sampled_from([1.0, 0.5])), min_size=1),
    length=st.integers(1, 5000),
    windows=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 900)), max_size=3),
)
def test_observed_maintenance_and_unobserved_time_add_up_to_the_month(
    edges: list[int],
    states: list[tuple[bool, float]],
    length: int,
    windows: list[tuple[int, int]],
) -> None:
    pieces = [
        ObservedPiece(begin, end, *states[n % len(states)])
        for n, (begin, end) in enumerate(itertools.pairwise(edges))
        if n % 3
    ]
    spans = [(begin, begin + n) for begin, n in windows]
    month = availability(pieces, 0, length, ALWAYS, spans)
    assert month.observed_ms + month.maintenance_ms + month.unobserved_ms == length
    assert 0 <= month.down_ms <= month.observed_ms + 0.5
    assert month.ratio is None or -1e-9 <= month.ratio <= 1 or month.observed_ms < 2
    assert 0 <= month.observed_ratio <= 1
    assert month.open_observed_ms == month.observed_ms


def test_a_day_is_marked_by_its_worst_time_or_as_not_observed() -> None:
    day = 24 * HOUR_MS
    spans = [(n * day, (n + 1) * day) for n in range(4)]
    pieces = [
        ObservedPiece(0, day, True),
        ObservedPiece(day, day + HOUR_MS, True),
        ObservedPiece(day + HOUR_MS, day + 2 * HOUR_MS, False),
        ObservedPiece(2 * day, 2 * day + HOUR_MS, False),
    ]
    assert marks(pieces, spans) == ["ok", "part", "bad", "none"]


@pytest.mark.parametrize(
    ("hours", "opened"),
    [
        # Open 08:00 to 18:00 on 22 weekdays; in October the clocks go back at night.
        (OpeningHours(), 22 * 10),
        (ALWAYS, 745),
        # 31 nights, one of them with an hour more.
        (
            OpeningHours(opens="22:00", closes="06:00", days=(0, 1, 2, 3, 4, 5, 6)),
            31 * 8 + 1,
        ),
    ],
)
def test_opening_hours_of_a_month_are_whole(hours: OpeningHours, opened: int) -> None:
    spans = open_spans(hours, OCTOBER.from_ms, OCTOBER.to_ms)
    assert sum(end - begin for begin, end in spans) == opened * HOUR_MS


BEGIN_MS = utc_ms(2026, 10, 6, 9, 20)
END_MS = utc_ms(2026, 10, 6, 11, 20)


def _polled(
    down: Callable[[str, int], bool],
    from_ms: int = utc_ms(2026, 10, 6),
    to_ms: int = utc_ms(2026, 10, 7),
    step_ms: int = council.MINUTE_MS,
) -> ReportContent:
    """Returns the council's report if it was polled on that day only, each minute."""
    store = MemoryStore(
        Sample(
            "device",
            {"device": device.id, "site": device.site, "role": device.role},
            {"up": int(not down(device.id, at))},
            at + n * 7_000,
        )
        for at in range(from_ms, to_ms, step_ms)
        for n, device in enumerate(council.estate().devices)
    )
    return _minutely(store)


def _minutely(store: Any, alerts: Sequence[Alert] = ()) -> ReportContent:
    estate = council.estate()
    return asyncio.run(
        gather_content(
            OCTOBER,
            select_sites(estate, None),
            store,
            estate,
            NOW_MS,
            AlertHistory(alerts),
        )
    )


def test_time_in_which_the_monitor_was_cut_off_is_not_observed() -> None:
    content = _polled(lambda device, at: BEGIN_MS <= at < END_MS)
    for site in content.sites:
        assert site.availability.down_ms == 0
        assert site.availability.observed_ms == pytest.approx(22 * HOUR_MS, abs=60_000)
        assert site.days[5] == "ok"
        for device in site.devices:
            assert device.availability.down_ms == pytest.approx(0, abs=60_000)
    assert content.blind_ms == pytest.approx(
        OCTOBER.to_ms - OCTOBER.from_ms - 22 * HOUR_MS, abs=60_000
    )


def test_an_outage_of_one_site_is_an_outage_to_the_minute() -> None:
    content = _polled(
        lambda device, at: device.startswith("dep") and BEGIN_MS <= at < END_MS
    )
    assert site_figures(content, "depot").availability.down_ms == 2 * HOUR_MS
    assert site_figures(content, "library").availability.down_ms == 0


def test_time_of_a_cut_off_alert_is_not_observed() -> None:
    """This holds for an estate of one site too: only the alert distinguishes it from
    an outage there."""
    depot = ("dep-sw1", "dep-sw2")
    store = MemoryStore(
        Sample(
            "device",
            {"device": device, "site": "depot", "role": "switch"},
            {"up": int(not BEGIN_MS <= at < END_MS)},
            at,
        )
        for at in range(utc_ms(2026, 10, 6), utc_ms(2026, 10, 7), council.MINUTE_MS)
        for device in depot
    )
    alone = site_figures(_minutely(store), "depot").availability
    assert alone.down_ms == 2 * HOUR_MS
    ended = alert_of_month(BEGIN_MS + 70_000, END_MS, rule="monitor_cut_off")
    never_ended = alert_of_month(BEGIN_MS + 70_000, None, rule="monitor_cut_off")
    for alert in (ended, never_ended):
        depot_blind = site_figures(_minutely(store, [alert]), "depot").availability
        assert depot_blind.down_ms == 0
        assert depot_blind.observed_ms == 22 * HOUR_MS


def test_three_switches_that_answer_in_turn_are_never_an_outage() -> None:
    order = ["th-sw1", "th-sw2", "th-sw3"]
    content = _polled(
        lambda device, at: (
            device in order
            and BEGIN_MS <= at < END_MS
            and device != order[(at - BEGIN_MS) // (20 * council.MINUTE_MS) % 3]
        )
    )
    assert site_figures(content, "town-hall").availability.down_ms == 0


def test_a_site_polled_once_in_ten_minutes_is_a_tenth_observed() -> None:
    content = _polled(lambda device, at: False, step_ms=10 * council.MINUTE_MS)
    for site in content.sites:
        assert site.availability.observed_ms == pytest.approx(2.4 * HOUR_MS, rel=0.02)
        assert site.availability.ratio == 1.0


def test_the_poll_period_in_force_decides_how_many_polls_are_due() -> None:
    changed = utc_ms(2026, 10, 6, 12)
    polls = [
        Sample(
            "device",
            {"device": "lib-sw1", "site": "library", "role": "switch"},
            {"up": 1},
            at,
        )
        for at in [
            *range(utc_ms(2026, 10, 6), changed, 5 * council.MINUTE_MS),
            *range(changed, utc_ms(2026, 10, 7), council.MINUTE_MS),
        ]
    ]
    periods = [
        Sample(
            "self_poll",
            {"process": "all"},
            {"period_s": 300.0 if at < changed else 60.0},
            at,
        )
        for at in range(
            utc_ms(2026, 10, 6), utc_ms(2026, 10, 7), 10 * council.MINUTE_MS
        )
    ]
    known = site_figures(
        _minutely(MemoryStore([*polls, *periods])), "library"
    ).availability
    assert known.observed_ms == 24 * HOUR_MS
    unknown = site_figures(_minutely(MemoryStore(polls)), "library").availability
    assert unknown.observed_ms == pytest.approx(14.4 * HOUR_MS, rel=0.01)


def test_a_month_that_is_not_over_counts_only_the_time_so_far() -> None:
    content = month_content(now_ms=utc_ms(2026, 10, 8))
    assert content.running
    assert content.sites[0].availability.month_ms == content.to_ms - OCTOBER.from_ms
    assert "the month is not over" in render_html(content)


def test_a_month_that_has_not_begun_is_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="December 2026 has not begun yet"):
        month_content(month=Month(2026, 12))


def test_a_ratio_without_observed_opening_time_is_unknown() -> None:
    figures = Availability(10, 5, 2, 1.0, 0, 0.0)
    assert figures.observed_ratio == pytest.approx(5 / 8)
    assert figures.open_ratio is None
