"""The report in its plainest form: without charts, colours or layout, for screen
readers and e-mail. The same figures and tables as in the other formats. Pure, except
that it reads the package's template."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

from dashboards import figure_text
from dashboards.report.report_columns import Cell, Kind, ReportTable
from dashboards.report.report_data import ReportContent
from dashboards.report.report_summary import headlines, promise_parts, tiles
from dashboards.templating import environment
from probes.wire.display import displayable

_NOT_KNOWN = "not known"


def render_plain(
    content: ReportContent,
    title: str,
    tables: Sequence[ReportTable],
    council: str = "",
) -> str:
    """Returns the HTML. `tables`: those of `content`."""
    zone = content.month.zone
    return (
        environment("dashboards.report")
        .get_template("plain.html")
        .render(
            c=content,
            title=title,
            council=council,
            made=figure_text.day_and_time(content.made),
            headlines=headlines(content),
            tiles=tiles(content),
            promise=[part.sentence for part in promise_parts(content)],
            tables=tables,
            cell=lambda cell, kind: cell_text(cell, kind, zone),
        )
    )


def summary_text(content: ReportContent, title: str) -> str:
    """Returns the first page as plain text, for the text of an e-mail."""
    lines = [displayable(title), ""]
    if content.running:
        lines += [f"Provisional: the {content.month.noun} is not over.", ""]
    lines += [f"* {displayable(sentence)}" for sentence in headlines(content)]
    lines += [""]
    for tile in tiles(content):
        note = f" ({tile.note})" if tile.note else ""
        lines.append(displayable(f"{tile.title}: {tile.figure}{note}"))
    if promise := promise_parts(content):
        lines += ["", "Home beside offices"]
        lines += [f"* {displayable(part.sentence)}" for part in promise]
    return "\n".join(lines) + "\n"


def cell_text(cell: Cell, kind: Kind, zone: ZoneInfo) -> str:
    """Returns a cell of a table as people read it."""
    if cell is None:
        return _NOT_KNOWN
    if isinstance(cell, datetime):
        return figure_text.day_and_time(cell.astimezone(zone))
    if isinstance(cell, date):
        return figure_text.day(cell)
    if isinstance(cell, str):
        return cell
    match kind:
        case "ratio":
            return figure_text.percent(cell, 2)
        case "pounds":
            return figure_text.money(cell)
        case "pence":
            return f"£{cell:,.2f}"
        case "count":
            return f"{cell:,.0f}"
        case _:
            return f"{cell:,.2f}".rstrip("0").rstrip(".")
