"""Streams of sites that people imported from Microsoft's Call Quality Dashboard, for a
report of a council whose calls Towpath does not read. Pure, but for the query that
`gather_exports` makes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from collectors.local_days import add_months, local_date, midnight_ms
from collectors.natural_order import natural_order
from collectors.store.query import Pick, Query, Row, Where
from dashboards.observed import Span
from dashboards.report.report_queries import AskStore, site_filter
from dashboards.row_values import float_value, weighted_mean

_DAY_MS = 86_400_000
_UTC = ZoneInfo("UTC")
# The dashboard's months are of UTC, those of the report of the council's time zone.
_MOST_OFFSET_MS = 14 * 3_600_000


@dataclass(frozen=True)
class ExportedSite:
    """Audio of Teams of one site at all hours. `poor`: of the `streams` with a verdict;
    `unclassified`: of all."""

    site: str
    poor: float
    streams: int
    unclassified: float


def exports_query(span: Span, sites: Sequence[str] | None) -> Query:
    """Returns the query of the days and months of each site."""
    return Query(
        "cqd_streams",
        (
            Pick("poor_ratio", "mean"),
            Pick("classified", "sum"),
            Pick("unclassified_ratio", "mean"),
            Pick("streams", "sum"),
        ),
        *span,
        (Where("media", ("audio",)), *site_filter(sites)),
        ("site", "step"),
        _DAY_MS,
    )


async def gather_exports(
    ask: AskStore, span: Span, sites: Sequence[str] | None
) -> tuple[ExportedSite, ...]:
    """Returns the sites that have streams in `span`."""
    return exported_sites(await ask(exports_query(span, sites)), span)


def exported_sites(rows: Iterable[Row], span: Span) -> tuple[ExportedSite, ...]:
    """Returns each site's sums. A month counts only if all of it is in `span`."""
    of_site: dict[str, list[Row]] = {}
    for row in rows:
        if _is_within(row, span) and float_value(row, "classified_sum"):
            of_site.setdefault(row.tags["site"], []).append(row)
    return tuple(
        _exported(site, of_site[site]) for site in sorted(of_site, key=natural_order)
    )


def _is_within(row: Row, span: Span) -> bool:
    if row.time_ms is None:
        return False
    if row.tags["step"] != "month":
        return True
    after = add_months(local_date(row.time_ms, _UTC), 1)
    return midnight_ms(after, _UTC) <= span[1] + _MOST_OFFSET_MS


def _exported(site: str, rows: Sequence[Row]) -> ExportedSite:
    poor, classified = weighted_mean(rows, "poor_ratio", "classified")
    unclassified, _ = weighted_mean(rows, "unclassified_ratio", "streams")
    return ExportedSite(site, poor or 0.0, classified, unclassified or 0.0)
