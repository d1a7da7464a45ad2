"""The monthly report: what counts, what does not, and what is never said."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import importlib
import io
import itertools
import os
import re
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import accessible
import council
import pytest
import services
from hypothesis import given
from hypothesis import strategies as st
from store_doubles import AnswerStore, MemoryStore

from alerts.alert import Alert
from alerts.suppression import Silence
from collectors.estate.opening_hours import OpeningHours, is_open
from collectors.server_measurements import CATALOGUE
from collectors.store.query import Query, Row
from collectors.store.query import check_query as check_query
from dashboards import chart, figure_text
from dashboards.observed import ObservedPiece, marks
from dashboards.report import (
    Month,
    PollPeriods,
    ReportError,
    poor_call_causes,
    report_figures,
    select_sites,
    site_report,
)
from dashboards.report.availability import (
    Availability,
    availability,
    open_spans,
)
from dashboards.report.report_csv import safe, tables
from dashboards.report.report_data import (
    AlertHistory,
    ReportContent,
    ReportSettings,
    gather_content,
)
from dashboards.report.report_html import render_html, style_sheet
from dashboards.report.report_pdf import on_paper
from probes.wire.sample import Sample

HOUR_MS = council.HOUR_MS
OCTOBER = Month(2026, 10)
# The council of these tests is polled every ten minutes.
STEP_MS = 10 * council.MINUTE_MS
ALWAYS = OpeningHours(opens="00:00", closes="24:00", days=(0, 1, 2, 3, 4, 5, 6))


def _ms(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type]


NOW_MS = _ms(2026, 11, 24)
DARK = (_ms(2026, 10, 11, 2), _ms(2026, 10, 11, 9))
AWAY = (_ms(2026, 10, 20, 9), _ms(2026, 10, 20, 14))


class Remembering(MemoryStore):
    """Answers the same question once: the tests ask the same month many times."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        super().__init__(samples)
        self._answers: dict[Query, list[Row]] = {}

    async def query(self, query: Query) -> list[Row]:
        if query not in self._answers:
            self._answers[query] = await super().query(query)
        return self._answers[query]


STORE = Remembering(
    [
        *council.samples(
            OCTOBER.from_ms,
            OCTOBER.to_ms,
            STEP_MS,
            (DARK,),
            {"dep-sw1": AWAY, "dep-sw2": AWAY},
        ),
        *council.samples(_ms(2026, 8, 31, 23), OCTOBER.from_ms, 2 * HOUR_MS),
    ]
)


def _content(
    alerts: list[Alert] | None = None,
    silences: list[Silence] | None = None,
    site: str | None = None,
    store: Any = STORE,
    now_ms: int = NOW_MS,
    month: Month = OCTOBER,
) -> ReportContent:
    estate = council.estate()
    return asyncio.run(
        gather_content(
            month,
            select_sites(estate, site),
            store,
            estate,
            now_ms,
            AlertHistory(alerts or [], silences or []),
            ReportSettings(periods=PollPeriods(STEP_MS, STEP_MS)),
        )
    )


@pytest.fixture(scope="module")
def october() -> ReportContent:
    return _content()


def _site(content: ReportContent, id: str) -> report_figures.SiteFigures:
    return next(each for each in content.sites if each.site.id == id)


# ---- where poor calls break ---------------------------------------------------------


def test_poor_calls_are_told_by_where_they_break_home_beside_office(
    october: ReportContent,
) -> None:
    found = {
        (each.by, each.group): each
        for each in poor_call_causes.causes_by_group(october)
    }
    home, office = found["place", "home"], found["place", "office"]
    assert home.order[0] == "wifi"
    assert set(office.order[:2]) == {"wifi", "edge"}
    assert found["provider", "Moor Broadband"].order[0] == "provider"
    home_poor = (october.places[1].values or {})["call_poor_ratio_mean"]
    assert home.total == pytest.approx(home_poor)


def test_the_paragraph_names_first_causes_and_the_worst_provider(
    october: ReportContent,
) -> None:
    told = poor_call_causes.cause_sentences(
        poor_call_causes.causes_by_group(october), "September 2026"
    )
    assert [text.split(",")[0] for text in told[:2]] == ["At home", "In offices"]
    assert "mostly at the Wi-Fi" in told[0]
    assert "September 2026" in told[0]
    assert told[2].startswith("The worst provider was Moor Broadband:")
    assert "the provider's network" in told[2]


def _broken(now: float, before: float | None) -> poor_call_causes.GroupCauses:
    none = dict.fromkeys(figure_text.CAUSES, 0.0)
    past = None if before is None else {**none, "vpn": before}
    return poor_call_causes.GroupCauses(
        "place", "home", "At home", {**none, "vpn": now}, past
    )


@pytest.mark.parametrize(
    ("now", "before", "told"),
    [
        (0.05, 0.02, "The main cause is up 3.0 points on May 2026."),
        (0.02, 0.05, "The main cause is down 3.0 points on May 2026."),
        (0.02, 0.0202, "The main cause is as common as in May 2026."),
        (0.02, None, "mostly at the VPN (2.0%)."),
        (0.0, 0.3, "At home, hardly any test calls were poor."),
    ],
)
def test_the_paragraph_says_what_changed_since_last_month(
    now: float, before: float | None, told: str
) -> None:
    [text] = poor_call_causes.cause_sentences([_broken(now, before)], "May 2026")
    assert text.endswith(told)


def test_a_month_from_before_causes_were_told_has_no_such_section() -> None:
    old = MemoryStore(
        [
            Sample(
                "experience",
                {"by": "place", "group": "home"},
                {"agents": 40, "calls": 80, "call_poor_ratio": 0.1},
                OCTOBER.from_ms + HOUR_MS,
            )
        ]
    )
    content = _content(store=old)
    assert poor_call_causes.causes_by_group(content) == []
    assert "Where poor calls break" not in render_html(content)


def test_the_causes_of_a_hidden_group_are_in_no_table(october: ReportContent) -> None:
    shown = {
        (each.by, each.group) for each in poor_call_causes.causes_by_group(october)
    }
    rows = list(csv.DictReader(io.StringIO(tables(october)["causes"])))
    assert {(row["grouped by"], row["group"]) for row in rows} == shown
    assert ("site", "depot") not in shown


# ---- availability -------------------------------------------------------------------


def test_only_observed_time_counts(october: ReportContent) -> None:
    depot = _site(october, "depot").availability
    assert depot.unobserved_ms == 7 * HOUR_MS
    assert depot.observed_ms == OCTOBER.to_ms - OCTOBER.from_ms - 7 * HOUR_MS
    assert depot.down_ms == pytest.approx(5 * HOUR_MS)
    assert depot.ratio == pytest.approx(1 - 5 / (745 - 7))
    assert _site(october, "town-hall").availability.ratio == 1.0


def test_a_month_in_which_the_clocks_go_back_has_an_hour_more() -> None:
    assert OCTOBER.to_ms - OCTOBER.from_ms == (31 * 24 + 1) * HOUR_MS
    march = Month(2027, 3)
    assert march.to_ms - march.from_ms == (31 * 24 - 1) * HOUR_MS
    assert len(march.days()) == 31
    assert march.days()[-1][1] == march.to_ms


def test_planned_maintenance_is_neither_up_nor_down_nor_unobserved() -> None:
    silence = Silence(1, *AWAY, site="depot", why="new line", planned=1)
    depot = _site(_content(silences=[silence]), "depot").availability
    assert depot.maintenance_ms == 5 * HOUR_MS
    assert depot.ratio == 1.0
    assert depot.unobserved_ms == 7 * HOUR_MS


def test_a_silence_that_was_not_planned_changes_no_figure(
    october: ReportContent,
) -> None:
    silence = Silence(1, *AWAY, site="depot", why="we know")
    assert _content(silences=[silence]).sites == october.sites


def test_maintenance_of_one_device_is_not_that_of_its_site() -> None:
    silence = Silence(1, *AWAY, device="dep-sw1", planned=1)
    depot = _site(_content(silences=[silence]), "depot")
    assert depot.availability.maintenance_ms == 0
    by_id = {each.device.id: each.availability for each in depot.devices}
    assert by_id["dep-sw1"].ratio == 1.0
    assert by_id["dep-sw2"].maintenance_ms == 0


def test_opening_hours_are_counted_apart_in_the_sites_own_time(
    october: ReportContent,
) -> None:
    depot = _site(october, "depot").availability
    weekdays = 22
    assert depot.open_observed_ms == weekdays * 10 * HOUR_MS
    # 09:00-14:00 UTC is 10:00-15:00 in London in October: all of it open.
    assert depot.open_down_ms == pytest.approx(5 * HOUR_MS)


def test_open_until_midnight_is_open_at_half_past_eleven() -> None:
    assert is_open(ALWAYS, _ms(2026, 10, 20, 22, 30))
    assert not is_open(OpeningHours(), _ms(2026, 10, 24, 12))


def test_a_site_nobody_watched_has_no_availability_rather_than_none_or_all() -> None:
    content = _content(store=MemoryStore())
    for each in content.sites:
        assert each.availability.ratio is None
        assert each.availability.open_ratio is None
        assert set(each.days) == {"none"}
    html = render_html(content)
    assert "not observed" in html
    assert "100%" not in html[html.index("<main") :]


@given(
    edges=st.lists(st.integers(0, 5000), unique=True, min_size=2).map(sorted),
    states=st.lists(st.tuples(st.booleans(), st.sampled_from([1.0, 0.5])), min_size=1),
    length=st.integers(1, 5000),
    windows=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 900)), max_size=3),
)
def test_whatever_was_seen_the_parts_of_the_month_add_up(
    edges: list[int],
    states: list[tuple[bool, float]],
    length: int,
    windows: list[tuple[int, int]],
) -> None:
    held = [
        ObservedPiece(begin, end, *states[n % len(states)])
        for n, (begin, end) in enumerate(itertools.pairwise(edges))
        if n % 3
    ]
    spans = [(begin, begin + n) for begin, n in windows]
    found = availability(held, 0, length, ALWAYS, spans)
    assert found.observed_ms + found.maintenance_ms + found.unobserved_ms == length
    assert 0 <= found.down_ms <= found.observed_ms + 0.5
    assert found.ratio is None or -1e-9 <= found.ratio <= 1 or found.observed_ms < 2
    assert 0 <= found.observed_ratio <= 1
    assert found.open_observed_ms == found.observed_ms


def test_a_day_is_as_it_was_worst_and_not_observed_where_nothing_was() -> None:
    day = 24 * HOUR_MS
    spans = [(n * day, (n + 1) * day) for n in range(4)]
    held = [
        ObservedPiece(0, day, True),
        ObservedPiece(day, day + HOUR_MS, True),
        ObservedPiece(day + HOUR_MS, day + 2 * HOUR_MS, False),
        ObservedPiece(2 * day, 2 * day + HOUR_MS, False),
    ]
    assert marks(held, spans) == ["ok", "part", "bad", "none"]


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


# ---- not observed -------------------------------------------------------------------

BEGIN_MS = _ms(2026, 10, 6, 9, 20)
END_MS = _ms(2026, 10, 6, 11, 20)


def _polled(
    down: Callable[[str, int], bool],
    from_ms: int = _ms(2026, 10, 6),
    to_ms: int = _ms(2026, 10, 7),
    each_ms: int = council.MINUTE_MS,
) -> ReportContent:
    """The council's report, had it only been polled on that day, each minute."""
    store = MemoryStore(
        Sample(
            "device",
            {"device": device.id, "site": device.site, "role": device.role},
            {"up": int(not down(device.id, at))},
            at + n * 7_000,
        )
        for at in range(from_ms, to_ms, each_ms)
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
    assert _site(content, "depot").availability.down_ms == 2 * HOUR_MS
    assert _site(content, "library").availability.down_ms == 0


def test_what_an_alert_says_the_monitor_did_not_see_is_not_observed() -> None:
    """Also of an estate of one site, where nothing else tells it from an outage."""
    depot = ("dep-sw1", "dep-sw2")
    store = MemoryStore(
        Sample(
            "device",
            {"device": device, "site": "depot", "role": "switch"},
            {"up": int(not BEGIN_MS <= at < END_MS)},
            at,
        )
        for at in range(_ms(2026, 10, 6), _ms(2026, 10, 7), council.MINUTE_MS)
        for device in depot
    )
    alone = _site(_minutely(store), "depot").availability
    assert alone.down_ms == 2 * HOUR_MS
    told = _alert(BEGIN_MS + 70_000, END_MS, rule="monitor_cut_off")
    never_ended = _alert(BEGIN_MS + 70_000, None, rule="monitor_cut_off")
    for alert in (told, never_ended):
        depot_told = _site(_minutely(store, [alert]), "depot").availability
        assert depot_told.down_ms == 0
        assert depot_told.observed_ms == 22 * HOUR_MS


def test_three_switches_that_answer_in_turn_are_never_an_outage() -> None:
    order = ["th-sw1", "th-sw2", "th-sw3"]
    content = _polled(
        lambda device, at: (
            device in order
            and BEGIN_MS <= at < END_MS
            and device != order[(at - BEGIN_MS) // (20 * council.MINUTE_MS) % 3]
        )
    )
    assert _site(content, "town-hall").availability.down_ms == 0


def test_a_site_polled_once_in_ten_minutes_is_a_tenth_observed() -> None:
    content = _polled(lambda device, at: False, each_ms=10 * council.MINUTE_MS)
    for site in content.sites:
        a = site.availability
        assert a.observed_ms == pytest.approx(2.4 * HOUR_MS, rel=0.02)
        assert a.ratio == 1.0


def test_the_period_that_was_in_force_decides_what_was_due() -> None:
    changed = _ms(2026, 10, 6, 12)
    polls = [
        Sample(
            "device",
            {"device": "lib-sw1", "site": "library", "role": "switch"},
            {"up": 1},
            at,
        )
        for at in [
            *range(_ms(2026, 10, 6), changed, 5 * council.MINUTE_MS),
            *range(changed, _ms(2026, 10, 7), council.MINUTE_MS),
        ]
    ]
    told = [
        Sample(
            "self_poll",
            {"process": "all"},
            {"period_s": 300.0 if at < changed else 60.0},
            at,
        )
        for at in range(_ms(2026, 10, 6), _ms(2026, 10, 7), 10 * council.MINUTE_MS)
    ]
    known = _site(_minutely(MemoryStore([*polls, *told])), "library").availability
    assert known.observed_ms == 24 * HOUR_MS
    unknown = _site(_minutely(MemoryStore(polls)), "library").availability
    assert unknown.observed_ms == pytest.approx(14.4 * HOUR_MS, rel=0.01)


def test_a_month_still_running_counts_only_what_has_passed() -> None:
    content = _content(now_ms=_ms(2026, 10, 8))
    assert content.running
    assert content.sites[0].availability.month_ms == content.to_ms - OCTOBER.from_ms
    assert "The month is not over" in render_html(content)


def test_a_month_to_come_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="December 2026 has not begun yet"):
        _content(month=Month(2026, 12))


# ---- lines --------------------------------------------------------------------------


def test_lines_are_held_against_their_contract_and_the_month_before(
    october: ReportContent,
) -> None:
    line = _site(october, "library").lines[0]
    assert line.line.id == "lib-wan"
    assert line.down_p95 is not None
    assert line.down_p95 > report_figures.BUSY_RATIO
    assert line.busy_hours > 20
    assert line.observed_hours == 745 - 7
    assert line.change is not None
    assert line.cost_per_mbps == pytest.approx(48)
    assert report_figures.value_for_money(line).startswith("Full in")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "Not observed"),
        ({"down_p95": 0.05}, "consider a smaller one"),
        ({"down_p95": 0.05, "busy_hours": 3}, "Fits its use"),
        ({"down_p95": 0.5}, "Fits its use"),
        ({"down_p95": 0.9, "busy_hours": 60}, "Full in 60 hours"),
    ],
)
def test_what_a_lines_use_says_about_its_size(
    changes: dict[str, Any], said: str
) -> None:
    line = council.estate().line("th-wan")
    assert said in report_figures.value_for_money(
        report_figures.LineFigures(line, **changes)
    )


def test_an_hour_with_few_polls_weighs_few_polls_in_the_share_a_port_was_up() -> None:
    line = council.estate().line("th-wan")
    hours = [
        Row(0, {"line": line.id}, {"up_mean": 1.0, "up_count": 60}),
        Row(HOUR_MS, {"line": line.id}, {"up_mean": 0.0, "up_count": 2}),
        Row(2 * HOUR_MS, {"line": line.id}, {"down_use_ratio_p95": 0.1}),
    ]
    [found] = report_figures.line_figures([line], [], hours, [])
    assert found.up_ratio == pytest.approx(60 / 62)


def test_a_backup_line_is_judged_by_whether_it_was_needed() -> None:
    line = council.estate().line("dep-4g")
    idle = report_figures.LineFigures(line, down_p95=0.0)
    used = report_figures.LineFigures(line, down_p95=0.0, carried_hours=6)
    assert report_figures.value_for_money(idle) == "Backup: it was not needed."
    assert "6 hours" in report_figures.value_for_money(used)


@pytest.mark.parametrize(
    ("today", "level", "said"),
    [
        (date(2025, 1, 1), "ok", "Give notice by 31 December 2026"),
        (date(2026, 10, 1), "warn", "91 days left"),
        (date(2026, 12, 30), "bad", "1 day left"),
        (date(2027, 1, 1), "warn", "The last day for notice was 31 December 2026"),
        (date(2027, 4, 1), "warn", "Contract ended 1 day ago"),
    ],
)
def test_a_contract_reminds_of_its_notice_in_time(
    today: date, level: str, said: str
) -> None:
    found = report_figures.reminder(council.estate().line("th-wan"), today)
    assert found is not None
    assert found.level == level
    assert said in found.text


def test_a_line_without_dates_reminds_of_nothing() -> None:
    line = council.estate().line("dep-4g")
    assert report_figures.reminder(line, date(2026, 1, 1)) is None


# ---- people -------------------------------------------------------------------------


def test_home_and_office_are_both_there_and_small_groups_are_said_and_not_shown(
    october: ReportContent,
) -> None:
    assert [each.group for each in october.places] == ["office", "home"]
    assert all(each.values for each in october.places)
    assert _site(october, "depot").experience.values is None
    html = render_html(october)
    assert f"Calls at these sites are {figure_text.HIDDEN}: Highways Depot" in html
    table = list(csv.DictReader(io.StringIO(tables(october)["calls"])))
    depot = next(row for row in table if row["group"] == "depot")
    assert depot["note"] == figure_text.HIDDEN
    assert depot["poor calls (ratio of calls)"] == depot["test calls"] == ""


def test_no_question_of_the_report_is_about_one_laptop() -> None:
    store = AnswerStore(lambda query: [])
    _content(store=store)
    assert len(store.asked) >= 10
    for query in store.asked:
        check_query(query, CATALOGUE)
        assert not CATALOGUE.measurement(query.measurement).personal


# ---- incidents ----------------------------------------------------------------------


def _alert(since: int, end: int | None, **more: Any) -> Alert:
    state = "firing" if end is None else "resolved"
    given: dict[str, Any] = {"rule": "r", "subject": {"d": str(since)}, **more}
    return Alert(
        severity="critical",
        state=state,  # type: ignore[arg-type]
        since_ms=since,
        firing_ms=since + 1,
        resolved_ms=end,
        **given,
    )


def test_incidents_are_cut_to_the_month_and_folded_under_their_cause() -> None:
    start, end = OCTOBER.from_ms, OCTOBER.to_ms
    cause = _alert(start + HOUR_MS, start + 3 * HOUR_MS, rule="line_down")
    effect = _alert(start + HOUR_MS, start + 3 * HOUR_MS, suppressed_by=cause.key)
    before = _alert(start - HOUR_MS, start + HOUR_MS)
    open_still = _alert(end - 2 * HOUR_MS, None)
    # It outlived its cause by a little, and nobody was told of it.
    after = _alert(
        start + HOUR_MS, start + 3 * HOUR_MS, rule="x", explained_by=cause.key
    )
    outside = _alert(start - 2 * HOUR_MS, start - HOUR_MS)
    never_fired = Alert("p", {}, "critical", "resolved", start, resolved_ms=start + 5)
    found = report_figures.site_incidents(
        [cause, effect, after, before, open_still, outside, never_fired], start, end
    )
    lengths = {each.alert.key: each.to_ms - each.from_ms for each in found}
    assert lengths == {
        cause.key: 2 * HOUR_MS,
        before.key: HOUR_MS,
        open_still.key: 2 * HOUR_MS,
    }
    assert {each.alert.key: each.explains for each in found}[cause.key] == 2
    assert [each.ongoing for each in found if each.alert is open_still] == [True]


# ---- files --------------------------------------------------------------------------


@pytest.mark.parametrize("site", [None, "depot"])
def test_the_report_is_accessible_as_far_as_a_machine_can_tell(
    site: str | None,
) -> None:
    content = _content(council.alerts(OCTOBER.to_ms), site=site)
    html = render_html(content, "Borough of Example")
    css = html[html.index("<style>") : html.index("</style>")]
    assert accessible.findings(html, css) == []
    assert not re.findall(r'(?:src|href)="(?!#)', html)
    assert "<script" not in html


def test_names_cannot_bring_markup_or_formulas_into_a_report() -> None:
    evil = '=HYPERLINK("http://x","<script>")'
    alert = _alert(OCTOBER.from_ms, None, summary=evil, site="depot")
    content = _content([alert])
    assert "<script" not in render_html(content, evil)
    row = next(csv.DictReader(io.StringIO(tables(content)["incidents"])))
    assert row["what"] == "'" + evil


@given(st.text(max_size=30))
def test_no_text_in_a_spreadsheet_can_run(text: str) -> None:
    cell = safe(text)
    assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert cell.removeprefix("'") == text or cell == text


def test_numbers_in_a_spreadsheet_stay_numbers_and_unknown_is_empty() -> None:
    assert safe(-0.5) == "-0.5"
    assert safe(None) == ""
    assert safe(3) == "3"


async def test_files_are_written_whole_named_by_month_and_without_a_mark(
    tmp_path: Path,
) -> None:
    estate = council.estate()
    made = await site_report(
        OCTOBER,
        select_sites(estate, "depot"),
        STORE,
        estate,
        tmp_path,
        NOW_MS,
        ReportSettings(pdf=False),
    )
    names = sorted(path.name for path in made.files)
    assert names[0] == "site-depot-2026-10-calls.csv"
    assert "site-depot-2026-10.html" in names
    assert len(names) == 8
    for path in made.files:
        assert not path.read_bytes().startswith(b"\xef\xbb\xbf")
    text = next(p for p in made.files if p.name.endswith("lines.csv")).read_text()
    rows = list(csv.reader(io.StringIO(text)))
    assert [row[2] for row in rows[1:]] == ["dep-wan", "dep-4g"]
    assert all("(" in head or head.islower() for head in rows[0][4:])


async def test_a_pdf_is_made_with_tags_and_the_colours_of_the_page(
    tmp_path: Path,
) -> None:
    try:
        importlib.import_module("weasyprint")
    except OSError:
        services.absent("the system has no Pango (make services)")
    estate = council.estate()
    made = await site_report(
        OCTOBER, select_sites(estate, "depot"), STORE, estate, tmp_path, NOW_MS
    )
    (pdf,) = [path for path in made.files if path.suffix == ".pdf"]
    content = pdf.read_bytes()
    assert content.startswith(b"%PDF-1.7")
    text = _unpacked(content)
    for mark in (
        rb"/StructTreeRoot",
        rb"/Lang ?\(en-GB\)",
        rb"/Marked true",
        rb"pdfuaid",
    ):
        assert re.search(mark, text), mark
    assert made.note == ""


def _unpacked(content: bytes) -> bytes:
    """A PDF's bytes with its compressed streams as they are written."""
    parts = [content]
    for found in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL):
        with contextlib.suppress(zlib.error):
            parts.append(zlib.decompress(found[1]))
    return b"".join(parts)


def test_drawings_on_paper_bring_their_marks_in_the_colours_of_the_light_page() -> None:
    css = style_sheet()
    icon = '<span class="status bad"><svg viewBox="0"></svg></span>'
    paper = on_paper(f"{icon}{chart.bar(0.5, 'warn')}", css)
    assert "var(" not in paper
    assert paper.count("<style>") == 2
    assert '<svg fill="#a8201a" viewBox="0">' in paper
    assert re.search(r"\.b-warn\{fill: #8a4b00;\}", paper)
    # The dark page's colours are for the screen.
    assert "#f2b85c" not in paper


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("raise ImportError", "pip install 'towpath[pdf]'"),
        ("raise OSError('cannot load library libpango')", "apt-get install libpango"),
    ],
)
def test_without_what_a_pdf_needs_one_sentence_says_how_to_get_it(
    broken: str, says: str, tmp_path: Path
) -> None:
    (tmp_path / "weasyprint.py").write_text(broken)
    code = (
        "from pathlib import Path\n"
        "from dashboards.report.report_pdf import PdfUnavailable, write_pdf\n"
        "try:\n    write_pdf('', '', Path('none.pdf'))\n"
        "except PdfUnavailable as missing:\n    print(missing)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[1]}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    (line,) = done.stdout.splitlines()
    assert says in line
    assert line.endswith("the web page prints to PDF from any browser.")


async def test_incidents_and_maintenance_come_from_the_alert_engines_file(
    tmp_path: Path,
) -> None:
    estate = council.estate()
    made = await site_report(
        OCTOBER,
        select_sites(estate, None),
        STORE,
        estate,
        tmp_path,
        NOW_MS,
        ReportSettings(alerts=tmp_path / "none.db", pdf=False),
    )
    assert made.files[0].name == "site-2026-10.html"


async def test_a_store_that_is_away_makes_no_half_report(tmp_path: Path) -> None:
    store = AnswerStore(lambda query: [])
    store.broken = "away"
    estate = council.estate()
    with pytest.raises(ConnectionError):
        await site_report(
            OCTOBER, select_sites(estate, None), store, estate, tmp_path / "out", NOW_MS
        )
    assert not (tmp_path / "out").exists()


def test_a_site_that_is_not_there_is_named_with_a_suggestion() -> None:
    with pytest.raises(ReportError, match="did you mean 'depot'"):
        select_sites(council.estate(), "depo")


@pytest.mark.parametrize("text", ["2026-13", "2026-1", "October", "", "1999-01"])
def test_what_is_not_a_month_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="expected such as 2026-10"):
        Month.parse(text)


def test_months_follow_each_other_over_the_year() -> None:
    assert str(Month.parse("2026-12").after()) == "2027-01"
    assert str(Month.parse("2026-01").before()) == "2025-12"
    assert Month(2026, 9).to_ms == OCTOBER.from_ms


# ---- words and charts ---------------------------------------------------------------


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 3))
def test_less_than_all_is_never_said_to_be_all(ratio: float, digits: int) -> None:
    assert float(figure_text.percent(ratio, digits).rstrip("%")) < 100


@given(
    st.lists(
        st.tuples(st.integers(0, 10**7), st.floats(0, 1e12)),
        max_size=30,
        unique_by=lambda p: p[0],
    )
)
def test_a_chart_is_well_formed_and_stays_inside_itself(
    points: list[tuple[int, float]],
) -> None:
    drawn = chart.Chart(
        "x",
        "A <title>",
        (chart.ChartSeries("a & b", sorted(points)),),
        0,
        10**7,
        10**5,
        figure_text.rate,
        figure_text.hour,
    )
    svg = str(drawn.svg())
    assert "A &lt;title&gt;" in svg
    assert "nan" not in svg
    assert "inf" not in svg
    for path in re.findall(r' d="([^"]*)"', svg):
        for x, y in re.findall(r"[ML]([\d.-]+) ([\d.-]+)", path):
            assert 0 <= float(x) <= drawn.width
            assert 0 <= float(y) <= drawn.height


def test_a_gap_in_what_was_measured_is_a_gap_in_the_line() -> None:
    points = [(0, 1.0), (10, 1.0), (20, 1.0), (100, 1.0), (110, 1.0)]
    drawn = chart.Chart(
        "x",
        "T",
        (chart.ChartSeries("a", points),),
        0,
        120,
        10,
        figure_text.rate,
        figure_text.hour,
    )
    assert str(drawn.svg()).count('class="c1"') == 2


def test_availability_is_a_value() -> None:
    one = Availability(10, 5, 2, 1.0, 0, 0.0)
    assert one.observed_ratio == pytest.approx(5 / 8)
    assert one.open_ratio is None
