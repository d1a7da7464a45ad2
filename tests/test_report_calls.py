"""Calls in the report: weighted by what was counted, in working hours, and why not."""

from __future__ import annotations

import asyncio
import csv
import io
import itertools
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import services
from hypothesis import given, settings
from hypothesis import strategies as st
from store_doubles import MemoryStore
from stores import embedded, influx

from collectors.batch import batch_samples as batches
from collectors.estate import Estate, Site
from collectors.estate.opening_hours import OpeningHours, OpenRange, is_open
from collectors.experience.groups import LEAST, ExperienceWindow, GroupsConfig
from collectors.server_measurements import CATALOGUE
from collectors.store.query import Row, Store
from dashboards import figure_text
from dashboards.report import Month
from dashboards.report.group_calls import (
    MergedFigures,
    gather_calls,
    stretches,
    usual_hours,
)
from dashboards.report.report_csv import tables
from dashboards.report.report_data import ReportContent, ReportSettings, gather_content
from dashboards.report.report_html import headlines, render_html
from dashboards.report.report_queries import GROUP_FIELDS
from probes.wire.sample import Sample, Value

LONDON = ZoneInfo("Europe/London")
OCTOBER = Month(2026, 10)
MINUTE_MS = 60_000
PERIOD_MS = 5 * MINUTE_MS
NIGHT_SHIFT = OpeningHours(opens="22:00", closes="06:00", days=(0, 1, 2, 3, 4, 5, 6))
# As long as a month, but not one of the sites shown.
COUNCIL = Estate(
    sites=(
        Site(id="town-hall", name="Town Hall"),
        Site(id="library", name="Central Library"),
        Site(id="depot", name="Highways Depot", hours=NIGHT_SHIFT),
    )
)


def at(day: int, hour: int, minute: int = 0) -> int:
    """A time of October 2026 on the wall, in ms."""
    return int(datetime(2026, 10, day, hour, minute, tzinfo=LONDON).timestamp() * 1000)


def content(
    store: Store, estate: Estate = COUNCIL, least: int = LEAST
) -> ReportContent:
    now_ms = OCTOBER.to_ms + 1
    return asyncio.run(
        gather_content(
            OCTOBER,
            estate.sites,
            store,
            estate,
            now_ms,
            settings=ReportSettings(least=least),
        )
    )


def told(
    by: str, group: str, calls: int, poor: float, time_ms: int, **more: Value
) -> Sample:
    """A row of `experience`."""
    fields: dict[str, Value] = {
        "agents": 20,
        "calls": calls,
        "call_poor_ratio": poor,
        **more,
    }
    return Sample("experience", {"by": by, "group": group}, fields, time_ms)


def laptops(
    place: str, agents: int, poor: Iterable[bool], time_ms: int
) -> list[Sample]:
    """A test call of each laptop."""
    tags = {"place": place, "site": "town-hall", "home_site": "town-hall"}
    return [
        Sample(
            "call_path",
            {**tags, "provider": "bt", "connection": "wifi", "agent": f"{place}{n}"},
            {"outcome": "ok", "poor": int(is_poor), "loss_ratio": 0.01 * is_poor},
            time_ms,
        )
        for n, is_poor in zip(range(agents), poor, strict=False)
    ]


def every(share: float) -> Iterable[bool]:
    """So many of all, evenly spread."""
    total = 0.0
    while True:
        total += share
        yield total >= 1
        total -= total >= 1


def a_month_of_calls() -> list[Sample]:
    """Five working days: of 40 laptops in offices 3 % of the calls are poor, of 30 at
    home 7.1 %. At night those left on call now and then, nearly always well."""
    poor = {"office": every(0.03), "home": every(0.071)}
    night = {"office": every(0.001), "home": every(0.001)}
    window = ExperienceWindow(GroupsConfig())
    found: list[Sample] = []
    for end_ms in range(at(5, 0) + PERIOD_MS, at(10, 0) + 1, PERIOD_MS):
        time_ms = end_ms - PERIOD_MS + MINUTE_MS
        working = is_open(OpeningHours(), time_ms)
        rows = []
        if (end_ms // PERIOD_MS) % 2 == 0:
            for place, agents in (("office", 40), ("home", 30)):
                shares = poor[place] if working else night[place]
                rows += laptops(place, agents if working else 12, shares, time_ms)
        for batch in batches(rows, "laptops", time_ms):
            window.add(batch)
        found += window.samples(end_ms)
        window.forget(window.needed_from_ms(end_ms))
    return found


@pytest.fixture(scope="module")
def month_of_groups() -> list[Sample]:
    return a_month_of_calls()


SENTENCE = (
    "Of test calls in working hours (Monday to Friday, 08:00 to 18:00), 3.0% were poor "
    "in offices and 7.1% at home."
)


@pytest.mark.parametrize("kind", ["embedded", "rolled up", "influx"])
async def test_home_against_office_is_of_the_calls_and_not_of_the_windows(
    tmp_path: Path, month_of_groups: list[Sample], kind: str
) -> None:
    async def said(store: Store) -> ReportContent:
        await store.write(batches(month_of_groups, "groups", 0))
        if kind == "rolled up":
            await store.tidy(at(28, 0))  # type: ignore[attr-defined]
        now_ms = OCTOBER.to_ms + 1
        return await gather_content(OCTOBER, COUNCIL.sites, store, COUNCIL, now_ms)

    if kind == "influx":
        with services.running(services.influxd(tmp_path)) as server:
            async with influx(server, CATALOGUE) as database:
                found = await said(database)
    else:
        async with embedded(tmp_path, CATALOGUE) as files:
            found = await said(files)
    [sentence] = [text for text in headlines(found) if "at home" in text]
    assert sentence.startswith(SENTENCE)
    assert sentence in render_html(found).replace("&#39;", "'")
    office, home = found.places
    # Calls of the last minutes of a day are partly of windows after hours.
    assert office.calls == pytest.approx(5 * 60 * 40, rel=0.01)
    assert home.calls == pytest.approx(5 * 60 * 30, rel=0.01)
    assert (home.windows, home.days) == (5 * 120, 5)
    assert f"at home: {home.calls:,} calls in 600 windows on 5 days" in sentence
    naive = [
        float(row.fields["call_poor_ratio"])
        for row in month_of_groups
        if row.tags == {"by": "place", "group": "home"}
    ]
    assert sum(naive) / len(naive) < 0.04


def test_the_table_states_hours_and_what_stands_behind_each_figure() -> None:
    rows = [
        told("place", "home", 40, 0.1, at(5, 10)),
        told("place", "home", 10, 0.6, at(6, 10)),
        # Not in working hours: Saturday, and the night.
        told("place", "home", 900, 0.9, at(10, 10)),
        told("place", "home", 900, 0.9, at(6, 18)),
        told("site", "depot", 30, 0.2, at(6, 23)),
        told("site", "depot", 900, 0.9, at(6, 12)),
    ]
    found = content(MemoryStore(rows))
    table = {
        row["group"]: row for row in csv.DictReader(io.StringIO(tables(found)["calls"]))
    }
    home, depot = table["home"], table["depot"]
    assert home["hours"] == "Monday to Friday, 08:00 to 18:00"
    assert float(home["poor calls (ratio of calls)"]) == pytest.approx(10 / 50)
    assert (home["test calls"], home["windows"], home["days"]) == ("50", "2", "2")
    assert depot["hours"] == "every day, 22:00 to 06:00"
    assert float(depot["poor calls (ratio of calls)"]) == pytest.approx(0.2)
    page = render_html(found)
    assert "every day, 22:00 to 06:00" in page
    assert "in 2 windows on 2 days" in page


# ---- failed, not there, not measured, too few ---------------------------------------


def heard(**agents: tuple[int, int]) -> list[Sample]:
    """Laptops enrolled and heard, by home site."""
    return [
        Sample(
            "self_agents",
            {"home_site": site.replace("_", "-")},
            {"expected": expected, "heard": there},
            at(6, 10),
        )
        for site, (expected, there) in agents.items()
    ]


def notes(found: ReportContent) -> dict[str, str]:
    return {
        row["group"]: row["note"]
        for row in csv.DictReader(io.StringIO(tables(found)["calls"]))
    }


def test_without_a_row_nothing_was_measured_and_no_laptop_is_too_few() -> None:
    found = content(MemoryStore())
    assert set(notes(found).values()) == {figure_text.NOT_MEASURED}
    assert figure_text.HIDDEN not in render_html(found)
    assert any(
        "cannot be compared" in text and "at home: not measured" in text
        for text in headlines(found)
    )


def test_a_site_without_agents_is_not_one_with_too_few() -> None:
    rows = [
        told("all", "all", 40, 0.1, at(6, 10)),
        told("site", "town-hall", 40, 0.1, at(6, 10)),
        *heard(town_hall=(30, 25), library=(7, 6)),
    ]
    found = content(MemoryStore(rows))
    known = notes(found)
    assert known["library"] == figure_text.HIDDEN
    assert known["depot"] == figure_text.NO_LAPTOPS
    page = render_html(found)
    assert f"{figure_text.HIDDEN}: Central Library" in page
    assert f"{figure_text.NO_LAPTOPS}: Highways Depot" in page


def test_before_groups_are_made_nothing_is_measured_though_laptops_are_heard() -> None:
    found = content(MemoryStore(heard(town_hall=(48, 48))))
    assert notes(found)["home"] == figure_text.NOT_MEASURED
    few = content(MemoryStore(heard(town_hall=(8, 8))))
    assert notes(few)["home"] == figure_text.HIDDEN


def test_laptops_that_were_not_heard_are_not_too_few() -> None:
    rows = [told("all", "all", 40, 0.1, at(6, 10)), *heard(library=(20, 0))]
    assert notes(content(MemoryStore(rows)))["library"] == figure_text.NOT_MEASURED


def test_calls_that_all_failed_have_no_quality_and_say_so() -> None:
    rows = [
        told("place", "home", 20, 1.0, at(6, 10), web_ok_ratio=0.9, web_checks=50),
        told("place", "office", 20, 0.5, at(6, 10), mos_estimated_p50=4.0),
    ]
    found = content(MemoryStore(rows))
    known = notes(found)
    failed = "estimated MOS, round trip, loss, jitter: no call succeeded"
    assert known["home"] == f"{failed}; VPN up: too few laptops"
    assert "no call succeeded" not in known["office"]
    assert "VPN up: not counted in offices" in known["office"]
    assert ">no call succeeded<" in render_html(found)


@pytest.mark.parametrize(("least", "shown"), [(5, True), (10, False), (20, False)])
def test_the_least_of_the_settings_is_the_least_of_the_report(
    least: int, shown: bool
) -> None:
    row = told("site", "library", 9, 0.1, at(6, 10))
    few = replace_field(row, "agents", 5)
    found = content(MemoryStore([few]), least=least)
    library = next(each for each in found.sites if each.site.id == "library")
    assert (library.experience.values is not None) is shown
    assert f"Groups of fewer than {least} laptops are not shown" in render_html(found)


def replace_field(row: Sample, name: str, value: Value) -> Sample:
    return Sample(row.measurement, row.tags, {**row.fields, name: value}, row.time_ms)


def test_a_day_on_which_the_store_held_a_smaller_group_is_left_out() -> None:
    rows = [
        told("place", "home", 40, 0.1, at(5, 10)),
        replace_field(told("place", "home", 40, 0.9, at(6, 10)), "agents", 5),
    ]
    home = next(g for g in content(MemoryStore(rows)).places if g.group == "home")
    assert home.values is not None
    assert home.values["call_poor_ratio_mean"] == pytest.approx(0.1)
    assert home.days == 1


# ---- the pure parts -----------------------------------------------------------------

_hours = st.builds(
    lambda opens, length, days: OpeningHours(
        opens=f"{opens // 2:02d}:{opens % 2 * 30:02d}",
        closes=f"{(opens + length) % 48 // 2:02d}:{(opens + length) % 2 * 30:02d}",
        days=tuple(sorted(days)),
    ),
    st.integers(0, 47),
    st.integers(1, 47),
    st.sets(st.integers(0, 6), min_size=1),
)


@settings(max_examples=60, deadline=None)
@given(hours=st.sets(_hours, min_size=1, max_size=4), step=st.integers(1, 97))
def test_stretches_are_when_hours_are_open_each_minute_once(
    hours: set[OpeningHours], step: int
) -> None:
    span = (at(21, 0), at(28, 0))
    midnights = [begin for begin, _ in OCTOBER.days()]
    found = stretches(hours, span, midnights)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(found))
    for time_ms in range(span[0], span[1], step * 10 * MINUTE_MS):
        opened = {each for each in hours if is_open(each, time_ms)}
        inside = [each for begin, end, each in found if begin <= time_ms < end]
        assert inside == ([opened] if opened else [])


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(1, 500), st.floats(0, 1), st.integers(0, 3)),
        min_size=1,
        max_size=20,
    )
)
def test_figures_of_stretches_merge_to_the_figure_of_all_of_them(
    rows: list[tuple[int, float, int]],
) -> None:
    whole = MergedFigures()
    for calls, poor, day in rows:
        values: dict[str, Value] = {"calls_count": 1, "calls_sum": calls}
        values |= {"call_poor_ratio_mean": poor, "call_poor_ratio_weight": float(calls)}
        whole.add(Row(None, {}, values), date(2026, 10, 5 + day))
    total = sum(calls for calls, _, _ in rows)
    expected = sum(calls * poor for calls, poor, _ in rows) / total
    assert whole.values == {"call_poor_ratio_mean": pytest.approx(expected)}
    assert (whole.calls, whole.windows) == (total, len(rows))
    assert len(whole.days) == len({day for _, _, day in rows})


def test_every_figure_the_report_tells_of_groups_has_a_weight() -> None:
    declared = CATALOGUE.measurement("experience")
    assert all(declared.field(name).weight for name in GROUP_FIELDS)


async def test_few_questions_are_asked_however_many_sites_there_are() -> None:
    asked = 0

    async def ask(query: object) -> list[Row]:
        nonlocal asked
        asked += 1
        return []

    sites = [Site(id=f"s{n}", name=f"S{n}") for n in range(60)]
    await gather_calls(ask, OCTOBER, OCTOBER.to_ms, sites, LEAST)
    # One for the working hours of each month, and what laptops there were.
    assert asked == 1 + 1 + 2


def test_the_hours_of_most_sites_are_the_council_s() -> None:
    assert usual_hours([NIGHT_SHIFT, OpeningHours(), OpeningHours()]) == OpeningHours()
    assert usual_hours([]) == OpeningHours()


@pytest.mark.parametrize(
    ("hours", "text"),
    [
        (OpeningHours(), "Monday to Friday, 08:00 to 18:00"),
        (
            OpeningHours(days=(0, 2, 5, 6)),
            "Monday, Wednesday, Saturday and Sunday, 08:00 to 18:00",
        ),
        (OpeningHours(days=(3,)), "Thursday, 08:00 to 18:00"),
        (NIGHT_SHIFT, "every day, 22:00 to 06:00"),
        (
            OpeningHours(opens="00:00", closes="24:00", days=tuple(range(7))),
            "at all hours",
        ),
        (
            OpeningHours(
                ranges=(
                    OpenRange(opens="09:00", closes="12:30"),
                    OpenRange(opens="10:00", closes="14:00", days=(5,)),
                )
            ),
            "Monday to Friday, 09:00 to 12:30; Saturday, 10:00 to 14:00",
        ),
    ],
)
def test_hours_are_said_as_a_person_says_them(hours: OpeningHours, text: str) -> None:
    assert figure_text.hours(hours) == text
