"""Makes a report's files."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alerts.alert_access import list_silences, recent_alerts
from collectors.estate import Estate, Site, known_names
from collectors.experience.groups import LEAST
from collectors.store.query import Store
from dashboards.report.month import Month
from dashboards.report.report_csv import tables
from dashboards.report.report_data import PollPeriods, Progress, gather
from dashboards.report.report_html import render, style_sheet
from dashboards.report.report_pdf import NoPdf, write_pdf
from probes.wire.atomic_file import replace_file


class ReportError(ValueError):
    """The report cannot be made; the text says why."""


@dataclass(frozen=True)
class Made:
    """The files written; `note` says what was left out and why."""

    files: tuple[Path, ...]
    note: str = ""


def chosen(estate: Estate, site: str | None) -> list[Site]:
    """The sites a report is about. `ReportError` with a suggestion."""
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
    alerts: Path | None = None,
    council: str = "",
    progress: Progress = lambda said: None,
    pdf: bool = True,
    least: int = LEAST,
    periods: PollPeriods | None = None,
) -> Made:
    """HTML, CSV and, where WeasyPrint is there, PDF in `out`.

    `alerts`: the alert engine's file, for incidents, planned maintenance, and when the
    monitor was cut off. `least`: the smallest group of laptops that is shown
    (`groups.least`). `periods`: how often devices and gateways are polled.
    """
    # The month before is counted, too.
    since_ms = month.before().from_ms
    stories = [] if alerts is None else recent_alerts(alerts, since_ms)
    planned = [] if alerts is None else list_silences(alerts, since_ms)
    content = await gather(
        month,
        sites,
        store,
        estate,
        now_ms,
        stories,
        planned,
        progress,
        least,
        periods,
    )
    progress("writing")
    name = f"site-{month}" if content.whole else f"site-{sites[0].id}-{month}"
    html = render(content, council)
    texts = {f"{name}.html": html}
    for table, text in tables(content).items():
        texts[f"{name}-{table}.csv"] = text
    files = await asyncio.to_thread(_write, out, texts)
    if not pdf:
        return Made(tuple(files))
    path = out / f"{name}.pdf"
    try:
        note = await asyncio.to_thread(write_pdf, html, style_sheet(), path)
    except NoPdf as missing:
        return Made(tuple(files), str(missing))
    return Made((*files, path), note)


def _write(out: Path, texts: dict[str, str]) -> list[Path]:
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in texts.items():
        path = out / name
        replace_file(path, text.encode(), durable=False, mode=None)
        written.append(path)
    return written
