"""The report as one HTML file: its style is inside, and it loads nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from markupsafe import Markup

from dashboards import chart, figure_text
from dashboards.chart import Chart, ChartSeries, strip
from dashboards.report import poor_call_causes, report_figures
from dashboards.report.parity import points
from dashboards.report.report_data import ReportContent
from dashboards.templating import environment

_DAY_MS = 86_400_000


def render_html(content: ReportContent, council: str = "") -> str:
    """Returns the HTML. Pure, except that it reads the package's style sheet and
    template."""
    templates = environment("dashboards.report")
    month, zone = content.month, content.month.zone
    causes_by_group = poor_call_causes.causes_by_group(content)
    site_names = {site.site.id: site.site.name for site in content.sites}
    made = datetime.fromtimestamp(content.made_ms / 1000, UTC).astimezone(zone)
    return templates.get_template("report.html").render(
        c=content,
        council=council,
        title=report_title(content, council),
        css=Markup(style_sheet()),
        figure_text=figure_text,
        figures=report_figures,
        made=f"{figure_text.day(made.date())}, {made:%H:%M}",
        when=lambda time_ms: figure_text.when(time_ms, zone),
        strip=lambda site, n: strip(
            f"days-{n}",
            f"{site.site.name}: each day of {month.name}",
            site.days,
            width=620,
        ),
        line_chart=lambda line, n: line_chart(line, content, n),
        bar=chart.bar,
        points=points,
        advice={value.figures.line.id: value for value in content.line_values},
        site_name=lambda id: site_names.get(id, id),
        use_level=_use_level,
        reminder=lambda line: report_figures.reminder(line, made.date()),
        lines=sorted(
            (line for site in content.sites for line in site.lines),
            key=lambda line: -(line.use_p95 or -1.0),
        ),
        headlines=headlines(content),
        causes_by_group=causes_by_group,
        causes=figure_text.CAUSES,
        behind=behind,
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


def headlines(content: ReportContent) -> list[str]:
    """Returns the month in a few sentences, worst first, without what is not known."""
    sentences = []
    names = {
        value.figures.line.id: f"{value.site_name} ({value.name})"
        for value in content.line_values
    }
    known = [site for site in content.sites if site.availability.open_ratio is not None]
    if known:
        worst = min(known, key=lambda site: site.availability.open_ratio or 0.0)
        ratio = worst.availability.open_ratio or 0.0
        if ratio < 0.9995 and len(known) > 1:
            sentences.append(
                f"{worst.site.name} was reachable least: in "
                f"{figure_text.percent(ratio, 2)} of its observed opening hours."
            )
        elif ratio >= 0.9995:
            sentences.append(
                "Every site was reachable in its opening hours, as far as observed."
            )
    full = [
        line
        for site in content.sites
        for line in site.lines
        if line.busy_hours and line.line.role == "primary"
    ]
    if full:
        worst_line = max(full, key=lambda line: line.busy_hours)
        sentences.append(
            f"{figure_text.counted(len(full), 'line was', 'lines were')} above 85% of "
            f"the contracted speed at times, most of all {names[worst_line.line.id]}: "
            f"in {figure_text.counted(worst_line.busy_hours, 'hour')}."
        )
    sentences.append(home_and_office(content))
    today = datetime.fromtimestamp(content.made_ms / 1000, content.month.zone).date()
    urgent = [
        names[line.line.id]
        for site in content.sites
        for line in site.lines
        if (r := report_figures.reminder(line.line, today)) is not None
        and r.level != "ok"
    ]
    if urgent:
        sentences.append(
            f"{figure_text.counted(len(urgent), 'contract needs', 'contracts need')} a "
            f"decision: {', '.join(urgent)}."
        )
    if content.blind_ms >= 3_600_000:
        sentences.append(
            f"For {figure_text.duration(content.blind_ms)} nothing at all "
            "was observed. That time is not counted."
        )
    return sentences


def home_and_office(content: ReportContent) -> str:
    """Returns whether calls are as good at home as in offices, or why not known."""
    by_place = {group.group: group for group in content.places}
    office, home = by_place["office"], by_place["home"]
    hours = f"in working hours ({figure_text.hours(content.hours)})"
    poor = [
        (group.values or {}).get("call_poor_ratio_mean") for group in (office, home)
    ]
    if poor[0] is not None and poor[1] is not None:
        return (
            f"Of test calls {hours}, {figure_text.percent(poor[0], 1)} were poor in "
            f"offices and {figure_text.percent(poor[1], 1)} at home. In offices: "
            f"{counted_calls(office)}; at home: {counted_calls(home)}."
        )
    why = [
        f"{label}: {group.absent or group.missing('call_poor_ratio')}"
        for label, group, known in zip(
            ("in offices", "at home"), (office, home), poor, strict=True
        )
        if known is None
    ]
    return f"Home and office cannot be compared {hours}; {'; '.join(why)}."


def counted_calls(group: report_figures.GroupFigures) -> str:
    """Returns `1,204 calls in 210 windows on 22 days`."""
    return f"{figure_text.counted(group.calls, 'call')} {behind(group)}"


def behind(group: report_figures.GroupFigures) -> str:
    """Returns `in 210 windows on 22 days`."""
    windows = figure_text.counted(group.windows, "window")
    return f"in {windows} on {figure_text.counted(group.days, 'day')}"


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
    zone = content.month.zone

    def tick(time_ms: int) -> str:
        at = datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone)
        return f"{at.day} {at:%b}"

    return Chart(
        id=f"line-{n}",
        title=f"{line.line.id}: use of the contracted speed in {content.month.name}",
        series=(ChartSeries("Each hour, busier direction", line.hourly),),
        from_ms=content.month.from_ms,
        to_ms=content.month.to_ms,
        step_ms=3_600_000,
        say=figure_text.percent,
        tick=tick,
        limit=report_figures.BUSY_RATIO,
        limit_name="85% of the contracted speed",
        least_top=1.0,
        width=640,
        height=150,
        table_step_ms=_DAY_MS,
    )


def _use_level(ratio: float | None) -> str:
    if ratio is None:
        return "none"
    return (
        "bad" if ratio > 0.95 else "warn" if ratio > report_figures.BUSY_RATIO else "ok"
    )


def style_sheet() -> str:
    """Returns the style sheet of pages and reports."""
    return (Path(__file__).parent.parent / "look.css").read_text(encoding="utf-8")
