"""The report as one HTML file: its style is inside, and it loads nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from markupsafe import Markup

from collectors.calls.probe_agreement import KINDS, LIMITS
from collectors.few_names import few_names
from dashboards import chart, figure_text
from dashboards.chart import Chart, ChartSeries, strip
from dashboards.report import poor_call_causes, report_figures
from dashboards.report.line_value import line_name
from dashboards.report.parity import points
from dashboards.report.promise_chart import promise_chart
from dashboards.report.recorded_call_texts import agreement_why, phone_sentence
from dashboards.report.report_data import ReportContent
from dashboards.report.report_summary import (
    behind,
    headlines,
    promise_parts,
    site_level,
    tiles,
    worst_first,
    worst_sites,
)
from dashboards.report.site_map import far_sites, site_map
from dashboards.state_levels import BUSY_RATIO, use_level
from dashboards.templating import environment
from probes.wire.display import shortened

_DAY_MS = 86_400_000


def render_html(content: ReportContent, council: str = "") -> str:
    """Returns the HTML. Pure, except that it reads the package's style sheet and
    template."""
    return "".join(html_parts(content, council))


def html_parts(content: ReportContent, council: str = "") -> Iterator[str]:
    """Yields the same in small parts: that of a year of 200 sites is 23 MB."""
    templates = environment("dashboards.report")
    month, zone = content.month, content.month.zone
    parts = promise_parts(content)
    causes_by_group = poor_call_causes.causes_by_group(content)
    site_names = {site.site.id: site.site.name for site in content.sites}
    device_names = {
        device.device.id: device.name
        for site in content.sites
        for device in site.devices
    }
    today = content.made.date()
    return templates.get_template("report.html").generate(
        c=content,
        council=council,
        title=report_title(content, council),
        css=Markup(style_sheet()),
        figure_text=figure_text,
        figures=report_figures,
        made=figure_text.day_and_time(content.made),
        when=lambda time_ms: figure_text.when(time_ms, zone),
        strip=lambda site, id, width: strip(
            id, f"{site.site.name}: each day of {month.name}", site.days, width=width
        ),
        line_chart=lambda line, n: line_chart(line, content, n),
        bar=chart.bar,
        points=points,
        advice={value.figures.line.id: value for value in content.line_values},
        site_name=lambda id: site_names.get(id, id),
        device_name=lambda id: device_names.get(id, id),
        use_level=use_level,
        reminder=lambda line: report_figures.reminder(line, today),
        lines=sorted(content.lines, key=lambda line: -(line.use_p95 or -1.0)),
        headlines=headlines(content),
        tiles=tiles(content),
        promise=promise_chart(parts, f"Home beside offices {month.during}"),
        promise_words=[part.sentence for part in parts],
        promise_has_margin=any(part.least is not None for part in parts),
        sites_worst_first=worst_first(content.sites),
        worst=worst_sites(content),
        site_level=site_level,
        site_map=site_map(content.sites, f"Where sites were reached {month.during}"),
        far_sites=[shortened(site.site.name, 44) for site in far_sites(content.sites)],
        few_names=few_names,
        anchors={site.site.id: n for n, site in enumerate(content.sites, 1)},
        causes_by_group=causes_by_group,
        causes=figure_text.CAUSES,
        behind=behind,
        kinds=KINDS,
        limits=LIMITS,
        agreement_why=agreement_why,
        phone_sentence=phone_sentence(content.recorded.phone),
        absent_sites=_absent_sites(content),
        cause_sentences=poor_call_causes.cause_sentences(
            causes_by_group, month.before().name
        ),
    )


def report_title(content: ReportContent, council: str = "") -> str:
    """Returns `Borough of Example: network report, October 2026`."""
    parts = [f"{council}: network report" if council else "Network report"]
    parts.append(content.month.name)
    if not content.whole:
        parts.append(content.sites[0].site.name)
    return ", ".join(parts)


def _absent_sites(content: ReportContent) -> list[tuple[str, list[str]]]:
    """Returns why sites have no call figures → the names of those sites."""
    sites: dict[str, list[str]] = {}
    for site in content.sites:
        if site.experience.values is None:
            sites.setdefault(site.experience.absent, []).append(site.site.name)
    return sorted(sites.items())


def line_chart(
    line: report_figures.LineFigures, content: ReportContent, n: int
) -> Chart:
    """Returns each hour's 95th percentile of the busier direction and the 85% limit."""
    return Chart(
        id=f"line-{n}",
        title=f"{line_name(line.line)}: use of the contracted speed "
        f"{content.month.during}",
        series=(ChartSeries("Each hour, busier direction", line.hourly),),
        from_ms=content.month.from_ms,
        to_ms=content.month.to_ms,
        step_ms=3_600_000,
        say=figure_text.percent,
        tick=lambda time_ms: figure_text.short_day(time_ms, content.month.zone),
        limit=BUSY_RATIO,
        limit_name="85% of the contracted speed",
        least_top=1.0,
        height=150,
        table_step_ms=_DAY_MS,
    )


def style_sheet() -> str:
    """Returns the style sheet of reports: that of pages, and what only reports have."""
    here = Path(__file__).parent
    sheets = (here.parent / "look.css", here / "report.css")
    return "".join(sheet.read_text(encoding="utf-8") for sheet in sheets)
