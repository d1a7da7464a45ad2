"""Writes the files of a report."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from alerts.alert_access import list_silences, recent_alerts
from collectors.estate import Estate, Site, known_names
from collectors.natural_order import natural_order
from collectors.store.memory_release import SparingStore, release_memory
from collectors.store.query import Store
from dashboards.report.month import ReportPeriod
from dashboards.report.plain_report import render_plain, summary_text
from dashboards.report.report_csv import csv_text
from dashboards.report.report_data import (
    AlertHistory,
    ReportContent,
    ReportSettings,
    gather_content,
)
from dashboards.report.report_html import html_parts, report_title, style_sheet
from dashboards.report.report_parquet import parquet_bytes
from dashboards.report.report_pdf import PdfUnavailable, write_pdf
from dashboards.report.report_summary import headlines
from dashboards.report.report_tables import report_tables
from dashboards.report.report_workbook import workbook_bytes
from dashboards.step_progress import Progress, untold
from probes.wire.atomic_file import replace_file


class ReportError(ValueError):
    """The report cannot be created; the text gives the reason."""


@dataclass(frozen=True)
class ReportFiles:
    """The files written; `note` names what was left out, and why. `title` and `summary`
    are for the message that they are sent with."""

    files: tuple[Path, ...]
    note: str = ""
    title: str = ""
    summary: str = ""


def select_sites(estate: Estate, site: str | None) -> list[Site]:
    """Returns the report's sites. Raises `ReportError`, with a suggestion if it can."""
    if site is None:
        if not estate.sites:
            raise ReportError("the estate lists no site to report on")
        return sorted(estate.sites, key=lambda site: natural_order(site.name))
    if unknown := known_names.unknown_name_text(estate, "site", site):
        raise ReportError(unknown)
    return [estate.site(site)]


async def site_report(
    month: ReportPeriod,
    sites: Sequence[Site],
    store: Store,
    estate: Estate,
    out: Path,
    now_ms: int,
    settings: ReportSettings | None = None,
    progress: Progress = untold,
) -> ReportFiles:
    """Writes the report in its formats into `out`. A PDF is left out, with a note, if
    WeasyPrint is not installed."""
    settings = settings or ReportSettings()
    history = AlertHistory()
    if settings.alerts is not None:
        # The month before is compared, so its alerts count, too.
        since_ms = month.before().from_ms
        history = AlertHistory(
            recent_alerts(settings.alerts, since_ms),
            list_silences(settings.alerts, since_ms),
        )
    store = SparingStore(store)
    content = await gather_content(
        month, sites, store, estate, now_ms, history, settings, progress
    )
    await release_memory(store)
    return await _write_files(content, settings, out, progress)


async def _write_files(
    content: ReportContent, settings: ReportSettings, out: Path, progress: Progress
) -> ReportFiles:
    name = f"site-{content.month}"
    if not content.whole:
        name = f"site-{content.sites[0].site.id}-{content.month}"
    if settings.plain:
        name += "-plain"
    formats, title = settings.formats, report_title(content, settings.council)
    summary = summary_text(content, title)
    files: dict[str, bytes | bytearray] = {}
    page = bytearray()
    # The page with charts has none of the tables.
    has_tables = settings.plain or not {"html", "pdf"}.issuperset(formats)
    tables = report_tables(content) if has_tables else ()
    if "html" in formats or "pdf" in formats:
        progress("writing the page")
        # As bytes, part by part: whole, its text is three times as large.
        for part in (
            [render_plain(content, title, tables, settings.council)]
            if settings.plain
            else html_parts(content, settings.council)
        ):
            page += part.encode()
    if "html" in formats:
        files[f"{name}.html"] = page
    if "xlsx" in formats:
        progress("writing the workbook")
        facts = headlines(content)
        files[f"{name}.xlsx"] = workbook_bytes(title, facts, tables, content.made_ms)
    for table in tables:
        if "csv" in formats:
            files[f"{name}-{table.name}.csv"] = csv_text(table).encode()
        if "parquet" in formats:
            files[f"{name}-{table.name}.parquet"] = parquet_bytes(
                table, title, content.made_ms
            )
    written = await asyncio.to_thread(_write, out, files)
    if "pdf" not in formats:
        return ReportFiles(tuple(written), "", title, summary)
    progress("writing the PDF")
    path = out / f"{name}.pdf"
    try:
        html = page.decode()
        note = await asyncio.to_thread(write_pdf, html, style_sheet(), path, progress)
    except PdfUnavailable as missing:
        return ReportFiles(tuple(written), str(missing), title, summary)
    return ReportFiles((*written, path), note, title, summary)


def _write(out: Path, files: Mapping[str, bytes | bytearray]) -> list[Path]:
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in files.items():
        path = out / name
        replace_file(path, memoryview(content), durable=False, mode=None)
        written.append(path)
    return written
