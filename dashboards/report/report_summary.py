"""What the first page of a report says: the month in a few figures and sentences. Pure.

A figure that is not known is shown as not known, and a count says what it leaves out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from collectors.few_names import few_names
from collectors.natural_order import natural_order
from dashboards import figure_text
from dashboards.report import report_figures
from dashboards.report.parity import ParityFigures
from dashboards.report.promise_chart import PromisePart
from dashboards.report.report_data import ReportContent
from probes.wire.counted_text import counted
from probes.wire.display import isolated, shortened

# From this share of its opening hours on, a site counts as always reached.
ALWAYS_RATIO = 0.9995
_WELL_RATIO = 0.99
_WORST_SITES = 5
_BLIND_MS = 3_600_000
_NAMED_CONTRACTS = 3
_LONGEST_NAME = 60


@dataclass(frozen=True)
class HeadlineTile:
    """One figure in large type: what it is, the figure, and what it stands for."""

    title: str
    figure: str
    note: str = ""


def site_level(site: report_figures.SiteFigures) -> str:
    """Returns how well a site was reached in its opening hours: `ok`, `warn`, `bad` or,
    if nothing was observed, `none`."""
    ratio = site.availability.open_ratio
    if ratio is None:
        return "none"
    if ratio >= ALWAYS_RATIO:
        return "ok"
    return "warn" if ratio >= _WELL_RATIO else "bad"


def worst_first(
    sites: Iterable[report_figures.SiteFigures],
) -> list[report_figures.SiteFigures]:
    """Returns the sites that were reached least first, and those that were not observed
    last."""

    def order(site: report_figures.SiteFigures) -> tuple[float, float, str]:
        a = site.availability
        # As they are shown: sites with the same figure are in the order of names.
        name = natural_order(site.site.name)
        return round(a.open_rank, 4), round(a.rank, 4), name

    return sorted(sites, key=order)


def worst_sites(content: ReportContent) -> list[report_figures.SiteFigures]:
    """Returns the few sites that the first page names: none if all were reached."""
    below = [s for s in content.sites if site_level(s) in ("warn", "bad")]
    return worst_first(below)[:_WORST_SITES]


def tiles(content: ReportContent) -> list[HeadlineTile]:
    """Returns the figures of the first page."""
    found = [
        _promise(content),
        _reached(content),
        _full_lines(content),
        _cost(content),
        _incidents(content),
        _observed(content),
    ]
    return [tile for tile in found if tile is not None]


def _promise(content: ReportContent) -> HeadlineTile:
    verdicts = [parity.verdict for parity in _council_parity(content)]
    title = "As good at home as in offices"
    for verdict in ("not kept", "kept"):
        if verdict in verdicts:
            count = verdicts.count(verdict)
            of = f"for {count} of {len(verdicts)} parts of the promise"
            return HeadlineTile(title, verdict.capitalize(), of)
    home, office = _poor_calls(content)
    if home is None or office is None:
        return HeadlineTile(title, "Cannot tell", "not measured at both places")
    note = (
        f"poor test calls: {figure_text.percent(home, 1)} at home, "
        f"{figure_text.percent(office, 1)} in offices"
    )
    return HeadlineTile(title, "Cannot tell", note)


def _reached(content: ReportContent) -> HeadlineTile:
    levels = [site_level(site) for site in content.sites]
    known = len(levels) - levels.count("none")
    if len(levels) == 1:
        ratio = content.sites[0].availability.open_ratio
        figure = "not observed" if ratio is None else figure_text.percent(ratio, 2)
        return HeadlineTile("Reached", figure, "of its observed opening hours")
    if not known:
        # Such as on a Sunday.
        is_closed = any(site.availability.ratio is not None for site in content.sites)
        figure = "not open" if is_closed else "not observed"
        return HeadlineTile("Sites always reached", figure)
    note = "in opening hours, as far as observed"
    if missing := levels.count("none"):
        note += f"; {counted(missing, 'site')} not observed"
    return HeadlineTile(
        "Sites always reached", f"{levels.count('ok')} of {known}", note
    )


def _full_lines(content: ReportContent) -> HeadlineTile | None:
    lines = content.lines
    if not lines:
        return None
    known = [line for line in lines if line.observed_hours]
    if not known:
        return HeadlineTile("Lines full at times", "not observed")
    full = sum(bool(line.busy_hours) for line in known)
    note = "above 85% of the contract in some hours"
    if missing := len(lines) - len(known):
        note += f"; {counted(missing, 'line')} not observed"
    return HeadlineTile("Lines full at times", f"{full} of {len(known)}", note)


def _cost(content: ReportContent) -> HeadlineTile | None:
    lines = content.lines
    costs = [line.line.cost_per_year for line in lines]
    priced = [cost for cost in costs if cost is not None]
    if not priced:
        return None
    notes = []
    if saved := sum(value.saved_per_year for value in content.line_values):
        notes.append(f"up to {figure_text.money(saved)} could be saved")
    if needed := sum(value.needed_per_year for value in content.line_values):
        notes.append(f"{figure_text.money(needed)} more needed")
    notes.append(f"for {counted(len(priced), 'line')}")
    if unpriced := len(lines) - len(priced):
        notes.append(f"{unpriced} without a price")
    note = "; ".join(notes)
    return HeadlineTile("Lines cost a year", figure_text.money(sum(priced)), note)


def _incidents(content: ReportContent) -> HeadlineTile:
    if not content.incidents:
        return HeadlineTile("Incidents", "none")
    longest = max(incident.to_ms - incident.from_ms for incident in content.incidents)
    note = f"the longest took {figure_text.duration(longest)}"
    return HeadlineTile("Incidents", f"{len(content.incidents):,}", note)


def _observed(content: ReportContent) -> HeadlineTile | None:
    if not content.sites:
        return None
    ratios = [site.availability.observed_ratio for site in content.sites]
    return HeadlineTile(
        "Time observed",
        figure_text.percent(sum(ratios) / len(ratios), 1),
        "the rest counts neither for nor against",
    )


def headlines(content: ReportContent) -> list[str]:
    """Returns the month in a few sentences, worst first, without what is not known."""
    sentences = []
    names = {
        value.figures.line.id: f"{_short(value.site_name)} ({_short(value.name)})"
        for value in content.line_values
    }

    def named(line: report_figures.LineFigures) -> str:
        return names.get(line.line.id, line.line.id)

    known = [site for site in content.sites if site.availability.open_ratio is not None]
    if known:
        worst = worst_first(known)[0]
        ratio = worst.availability.open_ratio or 0.0
        alike = sum(round(s.availability.open_rank - ratio, 4) == 0 for s in known) - 1
        if ratio < ALWAYS_RATIO and len(known) > 1:
            others = f" and {counted(alike, 'other')}" if alike else ""
            were, their = ("were", "their") if alike else ("was", "its")
            sentences.append(
                f"{_short(worst.site.name)}{others} {were} reachable least: in "
                f"{figure_text.percent(ratio, 2)} of {their} observed opening hours."
            )
        elif ratio >= ALWAYS_RATIO:
            sentences.append(
                "Every site was reachable in its opening hours, as far as observed."
            )
    full = [
        line
        for line in content.lines
        if line.busy_hours and line.line.role == "primary"
    ]
    if full:
        worst_line = max(full, key=lambda line: line.busy_hours)
        sentences.append(
            f"{counted(len(full), 'line was', 'lines were')} above 85% of "
            f"the contracted speed at times, most of all {named(worst_line)}: "
            f"in {counted(worst_line.busy_hours, 'hour')}."
        )
    if verdict := verdict_sentence(content):
        sentences.insert(0, verdict)
    sentences.append(home_and_office(content))
    if urgent := _urgent_contracts(content):
        dates = [by for by, _ in urgent if by is not None]
        first = f", the first by {figure_text.day(dates[0])}" if dates else ""
        shown = few_names([named(line) for _, line in urgent], _NAMED_CONTRACTS)
        sentences.append(
            f"{counted(len(urgent), 'contract needs', 'contracts need')} a "
            f"decision{first}: {shown}."
        )
    if content.blind_ms >= _BLIND_MS:
        sentences.append(
            f"For {figure_text.duration(content.blind_ms)} nothing at all "
            "was observed. That time is not counted."
        )
    return sentences


def _short(name: str) -> str:
    """A name in a sentence of the first page, which has to stay one page."""
    return shortened(isolated(name), _LONGEST_NAME)


def _urgent_contracts(
    content: ReportContent,
) -> list[tuple[date | None, report_figures.LineFigures]]:
    """Returns the lines whose contract needs a decision, each with the day by which, if
    that is still to come: the next day first."""
    today = content.made.date()
    urgent = []
    for line in content.lines:
        reminder = report_figures.reminder(line.line, today)
        if reminder is None or reminder.level == "ok":
            continue
        days = (report_figures.notice_day(line.line), line.line.contract_end)
        ahead = [day for day in days if day is not None and day >= today]
        urgent.append((min(ahead, default=None), line))
    return sorted(urgent, key=lambda one: one[0] or date.max)


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
    """Returns `1,204 calls on 22 days`."""
    return f"{counted(group.calls, 'call')} {behind(group)}"


def behind(group: report_figures.GroupFigures) -> str:
    """Returns `on 22 days`."""
    return f"on {counted(group.days, 'day')}"


def promise_parts(content: ReportContent) -> list[PromisePart]:
    """Returns what the chart of the promise shows: the parts of the whole council that
    have a figure. Without any it shows good test calls, if they are known both at home
    and in offices: those are not paired, so they have no interval."""
    parts = [
        PromisePart(
            parity.part.title,
            parity.office,
            parity.home,
            max(0.0, parity.office + parity.low),
            min(1.0, parity.office + parity.high),
            max(0.0, parity.office - parity.margin),
            parity.verdict,
        )
        for parity in _council_parity(content)
        if parity.office is not None
        and parity.home is not None
        and parity.low is not None
        and parity.high is not None
    ]
    if parts:
        return parts
    home, office = _poor_calls(content)
    if home is None or office is None:
        return []
    return [PromisePart("Good test calls", 1 - office, 1 - home)]


def _council_parity(content: ReportContent) -> list[ParityFigures]:
    return [parity for parity in content.parity if parity.by == "all"]


def _poor_calls(content: ReportContent) -> tuple[float | None, float | None]:
    """Returns the shares of test calls that were poor, at home and in offices."""
    by_place = {group.group: group.values or {} for group in content.places}
    home, office = (
        by_place.get(place, {}).get("call_poor_ratio_mean")
        for place in ("home", "office")
    )
    return home, office


def verdict_sentence(content: ReportContent) -> str:
    """Returns whether the promise is kept, part by part; empty if nothing was
    measured that could say so."""
    verdicts: dict[str, list[str]] = {}
    for parity in _council_parity(content):
        verdicts.setdefault(parity.verdict, []).append(parity.part.title.lower())
    if not verdicts.keys() - {"cannot tell"}:
        return ""
    parts = [
        f"{verdict} for {_joined(names)}"
        for verdict in ("not kept", "kept", "cannot tell")
        if (names := verdicts.get(verdict))
    ]
    return f"Equally good from anywhere: {'; '.join(parts)}."


def _joined(names: list[str]) -> str:
    """Returns `a, b and c`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
