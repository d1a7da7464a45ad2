"""What a rule's data cannot say, as named functions.

Each takes the series of one subject, the topology and the time, and answers what it
finds: `RuleFinding`, or None where there is nothing to judge by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from alerts.estate_index import Topology

if TYPE_CHECKING:
    from alerts.window import Series


class RuleFinding(NamedTuple):
    bad: bool
    value: float | None = None


Function = Callable[[Sequence["Series"], Topology, int], RuleFinding | None]


def on_backup(
    lines: Sequence[Series], topology: Topology, now_ms: int
) -> RuleFinding | None:
    """Rows of `line` of one site: a backup line carries traffic while no primary line
    of the site is up and carrying."""
    primary = [s for s in lines if s.tags.get("role") == "primary"]
    backup = [s for s in lines if s.tags.get("role") == "backup"]
    if not primary or not backup:
        return None
    known = [s for s in backup if s.latest("carrying") is not None]
    if not known:
        return None
    carried = any(s.latest("up") == 1 and s.latest("carrying") == 1 for s in primary)
    working = sum(s.latest("carrying") == 1 for s in known)
    return RuleFinding(bool(working) and not carried, float(working))


def agents_silent(
    sites: Sequence[Series], topology: Topology, now_ms: int
) -> RuleFinding | None:
    """Rows of `self_agents`: nobody at all is heard in business hours, though as many
    are expected as the smallest group that is shown. Laptops sleep: a silent night says
    nothing."""
    open_now = [s for s in sites if topology.is_open(s.tags["home_site"], now_ms)]
    if not open_now:
        return None
    expected = sum(int(s.latest("expected") or 0) for s in open_now)
    if expected < topology.least_agents:
        return None
    # `heard` looks back an hour, so the first hour of the day may still be empty.
    an_hour_ago = now_ms - 3_600_000
    if not any(topology.is_open(s.tags["home_site"], an_hour_ago) for s in open_now):
        return None
    heard = sum(int(s.latest("heard") or 0) for s in sites)
    return RuleFinding(heard == 0, float(heard))


FUNCTIONS: dict[str, Function] = {
    "agents_silent": agents_silent,
    "on_backup": on_backup,
}
