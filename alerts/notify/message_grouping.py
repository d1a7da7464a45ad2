"""Which notifications make one message: those of one cause. Pure.

A message has one subject, and who is woken reads little more. What has another cause
gets a message of its own, so that it is not buried.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence

from alerts.alert import Alert
from alerts.outbox_entry import OutboxEntry

# The same fault at more sites than this has one cause, such as a bad update.
_MANY_SITES = 5


def same_cause(first: OutboxEntry, entries: Sequence[OutboxEntry]) -> list[OutboxEntry]:
    """Those of `entries` that have a cause in common with `first`, in their order:
    alerts about one device, of one rule at a site, of one rule at many sites."""
    sites: dict[str, set[str]] = {}
    for entry in entries:
        sites.setdefault(entry.alert.rule, set()).add(entry.alert.site)
    keys = {id(entry): set(_keys(entry.alert, sites)) for entry in entries}
    reached = set(_keys(first.alert, sites))
    while True:
        joined = [key for key in keys.values() if key & reached and not key <= reached]
        if not joined:
            return [entry for entry in entries if keys[id(entry)] & reached]
        reached.update(*joined)


def _keys(alert: Alert, sites: Mapping[str, set[str]]) -> Iterable[Hashable]:
    yield "rule at site", alert.rule, alert.site
    if alert.subject.get("device"):
        yield "device", alert.subject["device"]
    if alert.domain:
        yield "domain", alert.domain
    if alert.suppressed_by:
        yield "cause", alert.suppressed_by
    if len(sites[alert.rule]) > _MANY_SITES:
        yield "rule", alert.rule
