"""Months that are not like others: the clocks change, a leap day, a site that was added
or closed in them, no data; and a year over the end of a financial year. Each format has
the same figures."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Iterable

import pyarrow.parquet as pq
import pytest
from report_month import ALWAYS, HOUR_MS, utc_ms
from store_doubles import MemoryStore
from workbook_reader import sheets

from collectors.estate import Device, Estate, Site
from dashboards import figure_text
from dashboards.report import Month, PollPeriods
from dashboards.report.month import ReportPeriod, parse_period
from dashboards.report.plain_report import render_plain
from dashboards.report.report_csv import csv_text
from dashboards.report.report_data import ReportContent, ReportSettings, gather_content
from dashboards.report.report_html import render_html
from dashboards.report.report_parquet import parquet_bytes
from dashboards.report.report_tables import report_tables
from dashboards.report.report_workbook import workbook_bytes
from probes.wire.sample import Sample

STEP_MS = HOUR_MS // 2
NAMES = ("old", "added", "closed")
ESTATE = Estate(
    sites=tuple(Site(id=name, name=name, hours=ALWAYS) for name in NAMES),
    devices=tuple(
        Device(id=f"sw-{name}", site=name, address=f"10.0.0.{n}")  # type: ignore[arg-type]
        for n, name in enumerate(NAMES, 1)
    ),
)
FIGURES = ("reachable at all hours", "observed (ratio", "not reachable (h)")


def polls(
    site: str, from_ms: int, to_ms: int, outage: tuple[int, int] = (0, 0)
) -> Iterable[Sample]:
    tags = {"device": f"sw-{site}", "site": site, "role": "switch"}
    for at in range(from_ms, to_ms, STEP_MS):
        up = 0 if outage[0] <= at < outage[1] else 1
        yield Sample("device", tags, {"up": up, "answered": up}, at)


def content_of(period: ReportPeriod, samples: Iterable[Sample]) -> ReportContent:
    return asyncio.run(
        gather_content(
            period,
            ESTATE.sites,
            MemoryStore(samples),
            ESTATE,
            period.to_ms + HOUR_MS,
            settings=ReportSettings(periods=PollPeriods(STEP_MS, STEP_MS)),
        )
    )


def figures_by_format(content: ReportContent) -> dict[str, dict[str, list[object]]]:
    """Format → site → the figures of the table of sites in that format."""
    tables = report_tables(content)
    (table,) = (one for one in tables if one.name == "sites")
    headers = [column.header for column in table.columns]
    wanted = [next(h for h in headers if h.startswith(name)) for name in FIGURES]
    rows = list(csv.DictReader(io.StringIO(csv_text(table))))
    typed = pq.read_table(io.BytesIO(parquet_bytes(table, "t", 0))).to_pylist()
    sheet = sheets(workbook_bytes("t", [], tables, 0))[table.title]
    cells = {
        str(sheet.cells[f"{sheet.column('site')}{n}"]): [
            sheet.cells.get(f"{sheet.column(header)}{n}") for header in wanted
        ]
        for n in range(2, len(table.rows) + 2)
    }
    return {
        "csv": {
            row["site"]: [float(row[h]) if row[h] else None for h in wanted]
            for row in rows
        },
        "parquet": {row["site"]: [row[h] for h in wanted] for row in typed},
        "xlsx": cells,
    }


def check_formats(
    content: ReportContent, expected: dict[str, list[float | None]]
) -> None:
    """`expected`: share reachable, share observed, hours not reachable of each site."""
    for kind, figures in figures_by_format(content).items():
        for site, values in expected.items():
            known = [pytest.approx(v, rel=1e-5) if v else v for v in values]
            assert figures[site] == known, (kind, site)
    pages = render_html(content), render_plain(content, "t", report_tables(content))
    for site, (reachable, observed, _) in expected.items():
        text = figure_text.percent(reachable, 2) if reachable else "not observed"
        for page in pages:
            row = page[page.index(f">{site}<") :]
            assert text in row, (site, text)
            assert figure_text.percent(observed, 1)[:-1] in row, (site, observed)


@pytest.mark.parametrize(
    ("given", "hours", "days"),
    [
        # The clocks go forward on 29 March and back on 25 October.
        ({"month": "2026-03"}, 743, 31),
        ({"month": "2026-10"}, 745, 31),
        ({"month": "2028-02"}, 696, 29),
        ({"month": "2027-02"}, 672, 28),
    ],
)
def test_a_month_has_the_hours_and_days_of_its_place(
    given: dict[str, str | None], hours: int, days: int
) -> None:
    period = parse_period(given)
    begin, end = period.from_ms, period.to_ms
    # Two hours of the day on which the clocks change, or else of the last day.
    day = {743: 28, 745: 24}.get(hours, days - 1)
    outage = period.days()[day][0] + HOUR_MS
    content = content_of(
        period,
        [
            *polls("old", begin, end, (outage, outage + 2 * HOUR_MS)),
            *polls("added", begin, end),
        ],
    )
    (site, *_) = content.sites
    assert site.availability.month_ms == site.availability.observed_ms
    assert site.availability.month_ms == hours * HOUR_MS
    assert site.availability.open_observed_ms == hours * HOUR_MS
    assert len(site.days) == days
    assert [n for n, mark in enumerate(site.days) if mark != "ok"] == [day]
    expected = {"old": [1 - 2 / hours, 1.0, 2.0], "added": [1.0, 1.0, 0.0]}
    check_formats(content, expected)  # type: ignore[arg-type]


def test_the_days_on_which_the_clocks_change_have_23_and_25_hours() -> None:
    lengths = {
        month: sorted({(end - begin) // HOUR_MS for begin, end in month.days()})
        for month in (Month(2026, 3), Month(2026, 10), Month(2028, 2))
    }
    assert list(lengths.values()) == [[23, 24], [24, 25], [24]]


def test_a_site_is_observed_from_when_it_was_added_and_until_it_was_closed() -> None:
    month = Month(2026, 4)
    middle = utc_ms(2026, 4, 15, 23)
    outage = middle + HOUR_MS, middle + 2 * HOUR_MS
    content = content_of(
        month,
        [
            *polls("old", month.from_ms, month.to_ms),
            *polls("added", middle, month.to_ms, outage),
            *polls("closed", month.from_ms, middle),
        ],
    )
    expected = {
        "old": [1.0, 1.0, 0.0],
        # Its outage is a share of what was observed of it, not of the month.
        "added": [1 - 1 / 360, 0.5, 1.0],
        "closed": [1.0, 0.5, 0.0],
    }
    check_formats(content, expected)  # type: ignore[arg-type]
    marks = {site.site.id: site.days for site in content.sites}
    assert marks["added"] == ("none",) * 15 + ("part",) + ("ok",) * 14
    assert marks["closed"] == ("ok",) * 15 + ("none",) * 15
    # One site or another was observed all month, so the monitor was never blind.
    assert content.blind_ms == 0
    assert {site.before.ratio for site in content.sites} == {None}


def test_a_month_without_data_has_no_figure_in_any_format() -> None:
    content = content_of(Month(2026, 2), [])
    check_formats(content, {name: [None, 0.0, 0.0] for name in NAMES})
    assert content.blind_ms == 28 * 24 * HOUR_MS
    assert {mark for site in content.sites for mark in site.days} == {"none"}


def test_a_year_over_two_financial_years_has_every_day_once() -> None:
    """September 2027 to August 2028: both changes of the clocks, a leap day, and
    1 April."""
    period = parse_period({"from": "2027-09-01", "to": "2028-08-31"})
    assert (period.noun, len(period.days()), len(period.months())) == ("year", 366, 12)
    outage = utc_ms(2028, 3, 31, 22), utc_ms(2028, 4, 1, 2)
    content = content_of(period, polls("old", period.from_ms, period.to_ms, outage))
    hours = 366 * 24
    expected = {"old": [1 - 4 / hours, 1.0, 4.0], "added": [None, 0.0, 0.0]}
    check_formats(content, expected)  # type: ignore[arg-type]
    (old,) = (site for site in content.sites if site.site.id == "old")
    # One hour of it was in March, in local time.
    assert [n for n, mark in enumerate(old.days) if mark != "ok"] == [212, 213]
    april = parse_period({"financial-year": "2027-28"})
    assert (april.to_ms - april.from_ms) // HOUR_MS == hours
