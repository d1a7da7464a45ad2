"""Writes the files of a report."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alerts.alert_access import list_silences, recent_alerts
from collectors.estate import Estate, Site, known_names
from collectors.store.query import Store
from dashboards.report.month import Month
from dashboards.report.report_csv import tables
from dashboards.report.report_data import (
    AlertHistory,
    Progress,
    ReportSettings,
    gather_content,
)
from dashboards.report.report_html import render_html, style_sheet
from dashboards.report.report_pdf import PdfUnavailable, write_pdf
from probes.wire.atomic_file import replace_file


class ReportError(ValueError):
    """The report cannot be created; the text gives the reason."""


@dataclass(frozen=True)
class ReportFiles:
    """The files written; `note` names what was left out, and why."""

    files: tuple[Path, ...]
    note: str = ""


def select_sites(estate: Estate, site: str | None) -> list[Site]:
    """Returns the report's sites. Raises `ReportError`, with a suggestion if it can."""
    if site is None:
        if not estate.sites:
            raise ReportError("the estate lists no site to report on")
        return list(estate.sites)
    if unknown := known_names.unknown_name_text(estate, "site", site):
        raise ReportError(unknown)
    return [estate.site(site)]


async def site_report(
    month: Month,
    sites: Sequence[Site],
    store: Store,
    estate: Estate,
    out: Path,
    now_ms: int,
    settings: ReportSettings | None = None,
    progress: Progress = lambda step: None,
) -> ReportFiles:
    """Writes HTML, CSV and, if WeasyPrint is installed, PDF into `out`."""
    settings = settings or ReportSettings()
    history = AlertHistory()
    if settings.alerts is not None:
        # The month before is compared, so its alerts count, too.
        since_ms = month.before().from_ms
        history = AlertHistory(
            recent_alerts(settings.alerts, since_ms),
            list_silences(settings.alerts, since_ms),
        )
    content = await gather_content(
        month, sites, store, estate, now_ms, history, settings, progress
    )
    progress("writing")
    name = f"site-{month}" if content.whole else f"site-{sites[0].id}-{month}"
    html = render_html(content, settings.council)
    texts = {f"{name}.html": html}
    for table, text in tables(content).items():
        texts[f"{name}-{table}.csv"] = text
    files = await asyncio.to_thread(_write, out, texts)
    if not settings.pdf:
        return ReportFiles(tuple(files))
    path = out / f"{name}.pdf"
    try:
        note = await asyncio.to_thread(write_pdf, html, style_sheet(), path)
    except PdfUnavailable as missing:
        return ReportFiles(tuple(files), str(missing))
    return ReportFiles((*files, path), note)


def _write(out: Path, texts: dict[str, str]) -> list[Path]:
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in texts.items():
        path = out / name
        replace_file(path, text.encode(), durable=False, mode=None)
        written.append(path)
    return written
