"""The names of the sites as rows, for selectors and tables of boards."""

from __future__ import annotations

from collections import Counter

from collectors.batch import Batch, Schema
from collectors.estate import Estate
from collectors.server_measurements import SITE_NAME

_SCHEMA = Schema.of(SITE_NAME)


def site_names(estate: Estate, now_ms: int) -> list[Batch]:
    """Returns a row for each site, whether or not it has devices. Pure."""
    if not estate.sites:
        return []
    polled = Counter(device.site for device in estate.devices if device.poll)
    columns = (
        [now_ms] * len(estate.sites),
        [site.id for site in estate.sites],
        [f"{site.name} ({site.id})" for site in estate.sites],
        [site.id for site in estate.sites],
        [site.name for site in estate.sites],
        [polled[site.id] for site in estate.sites],
    )
    return [Batch("poll/sites", now_ms, _SCHEMA, columns)]
