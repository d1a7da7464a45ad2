"""The names of the sites as rows, for selectors and tables of boards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from collectors.batch import Batch, Schema
from collectors.estate import Estate, Site
from collectors.server_measurements import SITE_NAME

_SCHEMA = Schema.of(SITE_NAME)


def site_names(
    estate: Estate, now_ms: int, is_own: Callable[[Site], bool] = lambda _: True
) -> list[Batch]:
    """Returns a row for each site that is its own, whether or not it has devices.
    Pure."""
    sites = [site for site in estate.sites if is_own(site)]
    if not sites:
        return []
    polled = Counter(device.site for device in estate.devices if device.poll)
    columns = (
        [now_ms] * len(sites),
        [site.id for site in sites],
        [f"{site.name} ({site.id})" for site in sites],
        [site.id for site in sites],
        [site.name for site in sites],
        [polled[site.id] for site in sites],
    )
    return [Batch("poll/sites", now_ms, _SCHEMA, columns)]
