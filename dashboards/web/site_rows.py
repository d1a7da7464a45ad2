"""`SiteRows`: records the state of every site each minute, as the status page shows it.

So boards show the same word as the page at any time in the past. Nothing is written
while the store or the alerts cannot be read: then the state of a site is not known,
which is something else than "no data from its devices".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

from collectors.background_tasks import BackgroundTasks
from collectors.batch import batch_samples
from collectors.failure_log import FailureLog
from collectors.journal import Append
from collectors.store.query import Row
from collectors.wake_times import repeat_with_others
from dashboards.web.laptop_groups import groups
from dashboards.web.page_views import Views
from dashboards.web.site_state import SiteNow
from probes.wire.sample import Sample, Value

STATES = {
    "Working": 0,
    "Degraded": 1,
    "Problem": 2,
    "Down": 3,
    "No data": 4,
    "Not monitored": 5,
}
# The page's order, so that the highest is the worst: a larger number is more urgent.
URGENCIES = {
    "Working": 0,
    "Not monitored": 1,
    "No data": 2,
    "Degraded": 3,
    "Problem": 4,
    "Down": 5,
}


class SiteRows:
    """`async with SiteRows(views, append)`: appends rows of `site` until it is left."""

    def __init__(self, views: Views, append: Append, period_s: float = 60.0) -> None:
        self._views, self._append, self._period_s = views, append, period_s
        self._failures = FailureLog("sites_not_recorded", "sites_recorded_again")
        self._tasks = BackgroundTasks()

    async def __aenter__(self) -> Self:
        rows = repeat_with_others(self._period_s, self.record, self._failures)
        self._tasks.start(rows, "site-rows")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()

    async def record(self) -> None:
        """Appends a row for each site, unless their state is not known."""
        view = await self._views.overview()
        if not view.is_complete:
            return
        samples = site_samples(view.sites, await self._views.experience(), view.now_ms)
        if samples:
            await self._append.append(*batch_samples(samples, "sites", view.now_ms))


def site_samples(
    sites: Iterable[SiteNow], experience: Sequence[Row] | None, now_ms: int
) -> list[Sample]:
    """Returns a row of `site` for each site. `experience`: the latest figures of groups
    of laptops, or None if they are not known. Pure."""
    poor = {
        group.group: group.values.get("call_poor_ratio_last")
        for group in groups(experience, "site")
    }
    return [_sample(site, poor.get(site.site.id), now_ms) for site in sites]


def _sample(site: SiteNow, call_poor_ratio: float | None, now_ms: int) -> Sample:
    known_lines = [line for line in site.lines if line.word != "No data"]
    fields: dict[str, Value | None] = {
        "state": STATES[site.word],
        "urgency": URGENCIES[site.word],
        "state_text": site.word,
        "why": site.why or None,
        "name": site.site.name,
        "devices": sum(device.device.poll for device in site.devices),
        "devices_up": site.up,
        "lines": len(site.lines),
        "lines_up": sum(line.word != "Down" for line in known_lines),
        "alerts_firing": sum(not alert.suppressed_by for alert in site.alerts),
        "call_poor_ratio": call_poor_ratio,
        "latitude": site.site.latitude,
        "longitude": site.site.longitude,
    }
    if site.busiest is not None:
        fields["busiest_line"] = site.busiest.line.id
        fields["busiest_line_use_ratio"] = site.busiest.use
    return Sample(
        "site",
        {"site": site.site.id},
        {name: value for name, value in fields.items() if value is not None},
        now_ms,
    )
