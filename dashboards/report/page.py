"""The report as one HTML file that stands alone: style inside, nothing loaded."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import jinja2
from markupsafe import Markup

from dashboards import chart, words
from dashboards.chart import Chart, Series, strip
from dashboards.report import causes, figures
from dashboards.report.gather import Content

_DAY_MS = 86_400_000


def render(content: Content, council: str = "") -> str:
    """Pure but for reading the style sheet and the template of the package."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("dashboards.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    month, zone = content.month, content.month.zone
    found = causes.broken(content)
    made = datetime.fromtimestamp(content.made_ms / 1000, UTC).astimezone(zone)
    return templates.get_template("report.html").render(
        c=content,
        council=council,
        css=Markup(style_sheet()),
        words=words,
        figures=figures,
        made=f"{words.day(made.date())}, {made:%H:%M}",
        when=lambda time_ms: words.when(time_ms, zone),
        strip=lambda found, n: strip(
            f"days-{n}",
            f"{found.site.name}: each day of {month.name}",
            found.days,
            width=620,
        ),
        line_chart=lambda found, n: line_chart(found, content, n),
        bar=chart.bar,
        use_level=_use_level,
        reminder=lambda line: figures.reminder(line, made.date()),
        lines=sorted(
            (line for site in content.sites for line in site.lines),
            key=lambda each: -(each.use_p95 or -1.0),
        ),
        headlines=headlines(content),
        broken=found,
        causes=words.CAUSES,
        broken_said=causes.said(found, month.before().name),
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
                f"opening hours: {words.percent(ratio, 2)} of what was observed."
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
            f"{words.counted(len(full), 'line was', 'lines were')} over 85% of the "
            f"contract at times; {worst_line.line.id} most, in "
            f"{words.counted(worst_line.busy_hours, 'hour')}."
        )
    by_place = {each.group: each.values for each in content.places}
    office, home = by_place.get("office"), by_place.get("home")
    if office and home:
        a = office.get("call_poor_ratio_mean")
        b = home.get("call_poor_ratio_mean")
        if a is not None and b is not None:
            said.append(
                f"Of test calls, {words.percent(a, 1)} were poor in offices and "
                f"{words.percent(b, 1)} at home."
            )
    today = datetime.fromtimestamp(content.made_ms / 1000, content.month.zone).date()
    urgent = [
        line.line.id
        for site in content.sites
        for line in site.lines
        if (r := figures.reminder(line.line, today)) is not None and r.level != "ok"
    ]
    if urgent:
        said.append(
            f"{words.counted(len(urgent), 'contract needs', 'contracts need')} a "
            f"decision: {', '.join(urgent)}."
        )
    if content.blind_ms >= 3_600_000:
        said.append(
            f"For {words.span(content.blind_ms)} nothing was observed at all: that "
            "time counts neither for nor against anybody."
        )
    return said


def line_chart(found: figures.LineFigures, content: Content, n: int) -> Chart:
    """Each hour's 95th percentile of the busier direction against the 85% mark."""
    zone = content.month.zone

    def tick(time_ms: int) -> str:
        at = datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone)
        return f"{at.day} {at:%b}"

    return Chart(
        id=f"line-{n}",
        title=f"{found.line.id}: use of its contract in {content.month.name}",
        series=(Series("Each hour, busier direction", found.hourly),),
        from_ms=content.month.from_ms,
        to_ms=content.month.to_ms,
        step_ms=3_600_000,
        say=words.percent,
        tick=tick,
        limit=figures.BUSY_RATIO,
        limit_name="85% of the contract",
        least_top=1.0,
        width=640,
        height=150,
        table_step_ms=_DAY_MS,
    )


def _use_level(ratio: float | None) -> str:
    if ratio is None:
        return "none"
    return "bad" if ratio > 0.95 else "warn" if ratio > figures.BUSY_RATIO else "ok"


def style_sheet() -> str:
    """The sheet of pages and reports."""
    return (Path(__file__).parent.parent / "look.css").read_text(encoding="utf-8")
