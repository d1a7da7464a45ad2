"""The report for programs and spreadsheets: workbook and Parquet."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import council
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_month import NOW_MS, OCTOBER, STORE, alert_of_month, month_content
from workbook_reader import sheets

from dashboards.report import select_sites, site_report
from dashboards.report.report_columns import CellColumn, ReportTable
from dashboards.report.report_data import ReportContent, ReportSettings
from dashboards.report.report_parquet import parquet_bytes
from dashboards.report.report_tables import report_tables
from dashboards.report.report_workbook import workbook_bytes
from dashboards.report_formats import parse_formats

EVIL = '=HYPERLINK("http://x","\u202e<script>")'
SERIAL_OF_1_NOVEMBER_2026 = 46_327


@pytest.fixture(scope="module")
def october() -> ReportContent:
    fault = alert_of_month(OCTOBER.from_ms, None, summary=EVIL, site="depot")
    return month_content([fault])


@pytest.fixture(scope="module")
def workbook(october: ReportContent) -> bytes:
    tables = report_tables(october)
    return workbook_bytes(f"Report {EVIL}", ["A fact.", EVIL], tables, NOW_MS)


def test_a_workbook_has_a_sheet_for_each_table_after_one_that_says_what_it_is(
    october: ReportContent, workbook: bytes
) -> None:
    found = sheets(workbook)
    titles = [table.title for table in report_tables(october)]
    assert list(found) == ["Summary", *titles]
    first = [str(cell) for cell in found["Summary"].cells.values()]
    assert "A fact." in first
    assert any("never means zero" in text for text in first)
    assert set(titles) <= set(first)


def test_the_header_of_each_table_stays_in_view_and_filters_its_rows(
    workbook: bytes,
) -> None:
    for name, sheet in sheets(workbook).items():
        if name != "Summary":
            assert 'state="frozen"' in sheet.xml, name
            assert 'ySplit="1"' in sheet.xml, name
            assert "<autoFilter ref=" in sheet.xml, name


def test_shares_money_dates_and_times_are_numbers_with_their_format(
    workbook: bytes,
) -> None:
    found = sheets(workbook)
    lines, incidents = found["Lines"], found["Incidents"]
    for header, form in (
        ("to site p95 (ratio of contract)", "0.00%"),
        ("cost (GBP a year)", "£#,##0"),
        ("contract ends", "d mmm yyyy"),
    ):
        at = f"{lines.column(header)}2"
        assert isinstance(lines.cells[at], float), header
        assert lines.formats[at] == form
    began = f"{incidents.column('began (UTC)')}2"
    whole_days = datetime(2026, 9, 30, 23, tzinfo=UTC) - datetime(
        2026, 11, 1, tzinfo=UTC
    )
    assert incidents.cells[began] == pytest.approx(
        SERIAL_OF_1_NOVEMBER_2026 + whole_days.total_seconds() / 86_400
    )
    assert incidents.formats[began] == "d mmm yyyy hh:mm"


def test_a_date_before_those_of_excel_is_written_as_text() -> None:
    days = (date(1899, 12, 30), date(1900, 2, 28), date(1900, 3, 1), date(9999, 12, 31))
    columns, rows = (CellColumn("end", "date"),), tuple((day,) for day in days)
    book = workbook_bytes("T", [], [ReportTable("t", "Ends", "", columns, rows)], 0)
    cells = sheets(book)["Ends"].cells
    values = [cells[f"A{number}"] for number in range(2, 6)]
    assert values == ["1899-12-30", "1900-02-28", 61, 2_958_465]


def test_a_figure_that_is_not_known_is_an_empty_cell(workbook: bytes) -> None:
    calls = sheets(workbook)["Test calls"]
    group, poor = calls.column("group"), calls.column("poor calls (ratio of calls)")
    row = next(
        at[len(group) :]
        for at, cell in calls.cells.items()
        if cell == "depot" and at.startswith(group)
    )
    assert f"{poor}{row}" not in calls.cells


def test_a_hostile_name_is_text_and_shows_what_it_hides(workbook: bytes) -> None:
    found = sheets(workbook)
    with zipfile.ZipFile(io.BytesIO(workbook)) as packed:
        parts = {name: packed.read(name).decode() for name in packed.namelist()}
    for name, xml in parts.items():
        assert "\u202e" not in xml, name
        if name.startswith("xl/worksheets/"):
            assert "<f>" not in xml, name
            assert "http://x" not in xml, name
    incidents = found["Incidents"]
    shown = incidents.cells[f"{incidents.column('what')}2"]
    assert shown == EVIL.replace("\u202e", "\\u202e")


def test_the_chart_of_a_workbook_has_its_figures_in_words(workbook: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(workbook)) as packed:
        drawing = packed.read("xl/drawings/drawing1.xml").decode()
    assert 'descr="Bar chart of the 3 sites' in drawing


@given(st.text(max_size=40))
def test_no_text_becomes_a_formula_a_link_or_a_number(text: str) -> None:
    table = ReportTable("t", "Table", "About.", (CellColumn("name"),), ((text,),))
    sheet = sheets(workbook_bytes("R", [text], [table], 0))["Table"]
    assert "<f>" not in sheet.xml
    assert "<hyperlink" not in sheet.xml
    if "A2" in sheet.cells:
        assert isinstance(sheet.cells["A2"], str)


def test_two_files_of_one_report_are_the_same_bytes(
    october: ReportContent, workbook: bytes
) -> None:
    tables = report_tables(october)
    again = workbook_bytes(f"Report {EVIL}", ["A fact.", EVIL], tables, NOW_MS)
    assert again == workbook
    first, second = (parquet_bytes(tables[0], "R", NOW_MS) for _ in range(2))
    assert first == second


def test_parquet_has_typed_columns_with_their_units(october: ReportContent) -> None:
    lines = next(table for table in report_tables(october) if table.name == "lines")
    read = pq.read_table(io.BytesIO(parquet_bytes(lines, "R", NOW_MS)))
    speed = read.schema.field("contracted to site (Mbit/s)")
    assert speed.metadata[b"unit"] == b"Mbit/s"
    assert str(read.schema.field("contract ends").type) == "date32[day]"
    assert date(2027, 3, 31) in read["contract ends"].to_pylist()
    assert read.schema.metadata[b"title"] == b"Lines"
    assert None in read["cost (GBP a year)"].to_pylist()


async def test_only_the_formats_that_are_asked_for_are_written(tmp_path: Path) -> None:
    estate = council.estate()
    made = await site_report(
        OCTOBER,
        select_sites(estate, None),
        STORE,
        estate,
        tmp_path,
        NOW_MS,
        ReportSettings(formats=("parquet", "xlsx")),
    )
    kinds = [path.suffix for path in made.files]
    assert kinds.count(".xlsx") == 1
    assert kinds.count(".parquet") == len(kinds) - 1 >= 7


def test_an_unknown_format_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="html, pdf, xlsx, csv, parquet"):
        parse_formats(["xls"])
    assert parse_formats(["pdf", "pdf", "html"]) == ("pdf", "html")
