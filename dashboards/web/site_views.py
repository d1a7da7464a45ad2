"""Gathers what the pages of sites show beyond their state: charts, history, devices'
health, events and ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from collectors.estate import Estate, Site
from collectors.natural_order import natural_order
from dashboards.chart import Chart, strip
from dashboards.figure_text import percent, rate
from dashboards.port_descriptions import latest_descriptions
from dashboards.query_cache import rounded
from dashboards.web import device_queries, page_queries
from dashboards.web.health import DeviceHealth, health
from dashboards.web.history_marks import STATE_WORDS, answer_marks, state_marks
from dashboards.web.latest_events import LatestEvent, notable_events
from dashboards.web.page_queries import DAY_MS, HOUR_MS, MINUTE_MS, of_site
from dashboards.web.page_ranges import PageRange
from dashboards.web.page_views import Views
from dashboards.web.ports import PortList, ports
from dashboards.web.range_charts import range_chart, row_series
from dashboards.web.site_state import SiteNow

_EVENTS = 10
SHOWN_DAYS = 90


class SiteViews:
    """Reads what `Views` does not, with the same estate, alerts and store."""

    def __init__(self, views: Views) -> None:
        self._views, self._answers, self._now_ms = views, views.answers, views.now_ms

    async def history(self, sites: Sequence[SiteNow]) -> Mapping[str, Markup]:
        """Returns a strip of the last 24 hours for each site that has one."""
        to_ms = rounded(self._now_ms(), HOUR_MS)
        span = to_ms - DAY_MS, to_ms
        ids = tuple(sorted(site.site.id for site in sites))
        if not ids:
            return {}
        rows = await self._answers.query(page_queries.site_states(span, ids, HOUR_MS))
        found = state_marks(rows or (), span, HOUR_MS)
        return {
            site.site.id: strip(
                f"day-{n}",
                f"{site.name}: the last 24 hours",
                found[site.site.id],
                words=STATE_WORDS,
            )
            for n, site in enumerate(sites)
            if site.site.id in found
        }

    async def days(self, site: SiteNow) -> Markup | None:
        """Returns a strip of the last 90 days of a site, each day by its worst state;
        None if nothing is recorded. Days are of UTC, as those of roll-ups."""
        today_ms = self._now_ms() // DAY_MS * DAY_MS
        span = today_ms - (SHOWN_DAYS - 1) * DAY_MS, today_ms + DAY_MS
        ids = (site.site.id,)
        rows = await self._answers.query(page_queries.site_states(span, ids, DAY_MS))
        marks = state_marks(rows or (), span, DAY_MS).get(site.site.id)
        if marks is None:
            return None
        title = f"{site.name}: the last {SHOWN_DAYS} days"
        return strip("days", title, marks, 720, words=STATE_WORDS)

    async def presence(self, site: Site, shown: PageRange) -> dict[str, Markup]:
        """Returns a strip of `shown` for each device."""
        span = shown.marked(rounded(self._now_ms(), MINUTE_MS))
        rows = await self._answers.query(
            device_queries.answers(span, of_site(site.id), shown.mark_ms)
        )
        blind = await self._views.blind_spans(*span)
        found = answer_marks(rows or (), span, shown.mark_ms, blind)
        return {
            device: strip(f"day-{n}", f"{device}: the last {shown.label}", marks)
            for n, (device, marks) in enumerate(
                sorted(found.items(), key=lambda item: natural_order(item[0]))
            )
        }

    async def line_charts(
        self, site: Site, estate: Estate, shown: PageRange
    ) -> list[Chart]:
        now_ms = self._now_ms()
        rows = await self._answers.query(
            page_queries.line_traffic(shown.span(now_ms), site.id, shown.step_ms)
        )
        charts = []
        for n, line in enumerate(line for line in estate.lines if line.site == site.id):
            own = [row for row in rows or () if row.tags.get("line") == line.id]
            series = (
                row_series("To the site", own, "down_bps_p95"),
                row_series("From the site", own, "up_bps_p95"),
            )
            charts.append(
                range_chart(
                    f"line-{n}",
                    line.id,
                    shown,
                    now_ms,
                    self._views.zone,
                    series,
                    rate,
                    limit=line.down_mbps * 1e6,
                    limit_name="Contracted to the site",
                )
            )
        return charts

    async def calls_chart(self, site: Site, shown: PageRange) -> Chart:
        now_ms = self._now_ms()
        rows = await self._answers.query(
            page_queries.group_calls(
                shown.span(now_ms), "site", (site.id,), shown.step_ms
            )
        )
        return range_chart(
            "experience",
            "Share of test calls that missed a media target",
            shown,
            now_ms,
            self._views.zone,
            (row_series("Poor calls", rows or [], "call_poor_ratio_mean"),),
            percent,
            least_top=0.1,
        )

    async def ports(self, site: Site) -> PortList | None:
        to_ms = rounded(self._now_ms(), MINUTE_MS)
        rows, described = await self._answers.all(
            page_queries.ports_hour(to_ms, of_site(site.id)),
            page_queries.port_descriptions(to_ms, of_site(site.id)),
        )
        if rows is None:
            return None
        return ports(rows, descriptions=latest_descriptions(described))

    async def health(self, site: Site) -> DeviceHealth:
        to_ms = rounded(self._now_ms(), MINUTE_MS)
        where = of_site(site.id)
        return health(
            *await self._answers.all(
                page_queries.sensors_now(to_ms, where),
                page_queries.inventory_now(to_ms, where),
                page_queries.wireless_now(to_ms, where),
                page_queries.findings_now(to_ms, where),
            )
        )

    async def latest_events(self, site: Site) -> list[LatestEvent] | None:
        """Returns the events of the last day that matter."""
        to_ms = rounded(self._now_ms(), MINUTE_MS)
        rows = await self._answers.query(
            page_queries.events(to_ms - DAY_MS, to_ms, of_site(site.id))
        )
        return None if rows is None else notable_events(rows, _EVENTS)
