"""The report as one HTML file that stands alone: style inside, nothing loaded."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from markupsafe import Markup

from dashboards import chart, figure_text
from dashboards.chart import Chart, ChartSeries, strip
from dashboards.report import poor_call_causes, report_figures
from dashboards.report.report_data import Content
from dashboards.templating import environment

_DAY_MS = 86_400_000


def render(content: Content, council: str = "") -> str:
    """Pure but for reading the style sheet and the template of the package."""
    templates = environment("dashboards.report")
    month, zone = content.month, content.month.zone
    found = poor_call_causes.broken(content)
    made = datetime.fromtimestamp(content.made_ms / 1000, UTC).astimezone(zone)
    return templates.get_template("report.html").render(
        c=content,
        council=council,
        css=Markup(style_sheet()),
        words=figure_text,
        figures=report_figures,
        made=f"{figure_text.day(made.date())}, {made:%H:%M}",
        when=lambda time_ms: figure_text.when(time_ms, zone),
        strip=lambda found, n: strip(
            f"days-{n}",
            f"{found.site.name}: each day of {month.name}",
            found.days,
            width=620,
        ),
        line_chart=lambda found, n: line_chart(found, content, n),
        bar=chart.bar,
        use_level=_use_level,
        reminder=lambda line: report_figures.reminder(line, made.date()),
        lines=sorted(
            (line for site in content.sites for line in site.lines),
            key=lambda each: -(each.use_p95 or -1.0),
        ),
        headlines=headlines(content),
        broken=found,
        causes=figure_text.CAUSES,
        behind=behind,
        absent_sites=_absent_sites(content),
        broken_said=poor_call_causes.said(found, month.before().name),
    )


def headlines(content: Content) -> list[str]:
    """The month in a few sentences, worst first; what cannot be said is not."""
    said = []
    known = [each for each in content.sites if each.availability.open_ratio is not None]
    if known:
        worst = min(known, key=lambda each: each.availability.open_ratio or 0.0)
        ratio = worst.availability.open_ratio or 0.0
        if ratio < 0.9995 and len(known) > 1:
            said.append(
                f"{worst.site.name} was reachable for the smallest share of its "
                f"opening hours: {figure_text.percent(ratio, 2)} of what was observed."
            )
        elif ratio >= 0.9995:
            said.append("Every site was reachable in its opening hours as far as seen.")
    full = [
        line
        for site in content.sites
        for line in site.lines
        if line.busy_hours and line.line.role == "primary"
    ]
    if full:
        worst_line = max(full, key=lambda each: each.busy_hours)
        said.append(
            f"{figure_text.counted(len(full), 'line was', 'lines were')} over 85% of "
            f"the contract at times; {worst_line.line.id} most, in "
            f"{figure_text.counted(worst_line.busy_hours, 'hour')}."
        )
    said.append(home_and_office(content))
    today = datetime.fromtimestamp(content.made_ms / 1000, content.month.zone).date()
    urgent = [
        line.line.id
        for site in content.sites
        for line in site.lines
        if (r := report_figures.reminder(line.line, today)) is not None
        and r.level != "ok"
    ]
    if urgent:
        said.append(
            f"{figure_text.counted(len(urgent), 'contract needs', 'contracts need')} a "
            f"decision: {', '.join(urgent)}."
        )
    if content.blind_ms >= 3_600_000:
        said.append(
            f"For {figure_text.duration(content.blind_ms)} nothing was observed at "
            "all: that time counts neither for nor against anybody."
        )
    return said


def home_and_office(content: Content) -> str:
    """Whether calls are as good at home as in offices, or why that is not known."""
    by_place = {each.group: each for each in content.places}
    office, home = by_place["office"], by_place["home"]
    hours = f"in working hours ({figure_text.hours(content.hours)})"
    poor = [(each.values or {}).get("call_poor_ratio_mean") for each in (office, home)]
    if poor[0] is not None and poor[1] is not None:
        return (
            f"Of test calls {hours}, {figure_text.percent(poor[0], 1)} were poor in "
            f"offices and {figure_text.percent(poor[1], 1)} at home. In offices: "
            f"{counted_calls(office)}; at home: {counted_calls(home)}."
        )
    why = [
        f"{label}: {each.absent or each.missing('call_poor_ratio')}"
        for label, each, known in zip(
            ("in offices", "at home"), (office, home), poor, strict=True
        )
        if known is None
    ]
    return f"Home and office cannot be compared {hours}; {'; '.join(why)}."


def counted_calls(found: report_figures.GroupFigures) -> str:
    """`1,204 calls in 210 windows on 22 days`."""
    return f"{figure_text.counted(found.calls, 'call')} {behind(found)}"


def behind(found: report_figures.GroupFigures) -> str:
    """`in 210 windows on 22 days`."""
    windows = figure_text.counted(found.windows, "window")
    return f"in {windows} on {figure_text.counted(found.days, 'day')}"


def _absent_sites(content: Content) -> list[tuple[str, list[str]]]:
    """Why sites have no figures of calls -> the names of those sites."""
    found: dict[str, list[str]] = {}
    for each in content.sites:
        if each.experience.values is None:
            found.setdefault(each.experience.absent, []).append(each.site.name)
    return sorted(found.items())


def line_chart(found: report_figures.LineFigures, content: Content, n: int) -> Chart:
    """Each hour's 95th percentile of the busier direction against the 85% mark."""
    zone = content.month.zone

    def tick(time_ms: int) -> str:
        at = datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone)
        return f"{at.day} {at:%b}"

    return Chart(
        id=f"line-{n}",
        title=f"{found.line.id}: use of its contract in {content.month.name}",
        series=(ChartSeries("Each hour, busier direction", found.hourly),),
        from_ms=content.month.from_ms,
        to_ms=content.month.to_ms,
        step_ms=3_600_000,
        say=figure_text.percent,
        tick=tick,
        limit=report_figures.BUSY_RATIO,
        limit_name="85% of the contract",
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
    """The sheet of pages and reports."""
    return (Path(__file__).parent.parent / "look.css").read_text(encoding="utf-8")
