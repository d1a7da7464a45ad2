"""The files of a report: HTML, CSV and PDF."""

from __future__ import annotations

import csv
import importlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import accessible
import council
import pytest
import services
from hypothesis import given
from hypothesis import strategies as st
from report_month import (
    NOW_MS,
    OCTOBER,
    STORE,
    alert_of_month,
    csv_tables,
    month_content,
)
from store_doubles import AnswerStore
from unpacked_pdf import unpacked_pdf

from collectors.store.parquet_store import EmbeddedStore
from collectors.store.store_config import StoreConfig
from dashboards import chart
from dashboards.report import select_sites, site_report
from dashboards.report.report_csv import safe
from dashboards.report.report_data import ReportSettings
from dashboards.report.report_html import render_html, style_sheet
from dashboards.report.report_pdf import on_paper
from towpath.config import TowpathConfig
from towpath.report_settings import report_store


@pytest.mark.parametrize("site", [None, "depot"])
def test_the_report_passes_the_automatic_accessibility_checks(
    site: str | None,
) -> None:
    content = month_content(council.alerts(OCTOBER.to_ms), site=site)
    html = render_html(content, "Borough of Example")
    css = html[html.index("<style>") : html.index("</style>")]
    assert accessible.findings(html, css) == []
    assert not re.findall(r'(?:src|href)="(?!#)', html)
    assert "<script" not in html


def test_markup_and_formulas_in_names_are_escaped_in_a_report() -> None:
    evil = '=HYPERLINK("http://x","<script>")'
    alert = alert_of_month(OCTOBER.from_ms, None, summary=evil, site="depot")
    content = month_content([alert])
    assert "<script" not in render_html(content, evil)
    row = next(csv.DictReader(io.StringIO(csv_tables(content)["incidents"])))
    assert row["what"] == "'" + evil


@given(st.text(max_size=30))
def test_no_text_in_a_spreadsheet_can_run(text: str) -> None:
    cell = safe(text)
    assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert cell.removeprefix("'") == text or cell == text


def test_numbers_in_a_spreadsheet_stay_numbers_and_unknown_is_empty() -> None:
    assert safe(-0.5) == "-0.5"
    assert safe(1_234_567.89) == "1234567.89"
    assert safe(36_412_983.0) == "36412983"
    assert safe(-0.0) == "0"
    assert safe(None) == ""
    assert safe(3) == "3"


async def test_files_are_complete_named_by_month_and_without_a_byte_order_mark(
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
        ReportSettings(formats=("html", "csv")),
    )
    names = sorted(path.name for path in made.files)
    assert "site-depot-2026-10-calls.csv" in names
    assert "site-depot-2026-10.html" in names
    assert len(names) == 15
    for path in made.files:
        assert not path.read_bytes().startswith(b"\xef\xbb\xbf")
    text = next(p for p in made.files if p.name.endswith("lines.csv")).read_text()
    rows = list(csv.reader(io.StringIO(text)))
    assert [row[3] for row in rows[1:]] == ["dep-wan", "dep-4g"]
    assert {row[2] for row in rows[1:]} == {"Highways Depot"}
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
    text = unpacked_pdf(content)
    for mark in (
        rb"/StructTreeRoot",
        rb"/Lang ?\(en-GB\)",
        rb"/Marked true",
        rb"pdfuaid",
    ):
        assert re.search(mark, text), mark
    assert made.note == ""


def test_drawings_on_paper_use_the_colours_of_the_light_page() -> None:
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
    ("broken", "advice"),
    [
        ("raise ImportError", "pip install 'towpath[pdf]'"),
        ("raise OSError('cannot load library libpango')", "apt-get install libpango"),
    ],
)
def test_if_pdf_libraries_are_missing_one_sentence_says_how_to_install_them(
    broken: str, advice: str, tmp_path: Path
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
    assert advice in line
    assert line.endswith("the web page prints to PDF from any browser.")


async def test_a_report_is_written_if_the_alerts_file_is_missing(
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
        ReportSettings(alerts=tmp_path / "none.db", formats=("html",)),
    )
    assert made.files[0].name == "site-2026-10.html"


async def test_if_the_store_does_not_answer_no_report_is_written(
    tmp_path: Path,
) -> None:
    store = AnswerStore(lambda query: [])
    store.broken = "away"
    estate = council.estate()
    with pytest.raises(ConnectionError):
        await site_report(
            OCTOBER, select_sites(estate, None), store, estate, tmp_path / "out", NOW_MS
        )
    assert not (tmp_path / "out").exists()


def test_a_report_waits_longer_for_its_store_than_a_page(tmp_path: Path) -> None:
    store = StoreConfig(folder=tmp_path, query_timeout_s=5)
    opened = report_store(TowpathConfig(store=store))
    assert isinstance(opened, EmbeddedStore)
    assert (opened._limits.timeout_s, opened._limits.threads) == (50, 1)
