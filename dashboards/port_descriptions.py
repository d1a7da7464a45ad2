"""The descriptions of ports, for tables. Pure: a query, and what its rows mean.

The description is a tag, so a port that was described anew has rows under both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from collectors.store.query import Pick, Query, Row, Where


def descriptions_query(
    from_ms: int, to_ms: int, step_ms: int | None, *where: Where
) -> Query:
    """Returns the query of the descriptions that ports had in each step, or at any time
    if `step_ms` is None."""
    return Query(
        "interface",
        (Pick("expected_up", "count"),),
        from_ms,
        to_ms,
        where,
        ("device", "port", "description"),
        step_ms,
    )


def described_anew(rows: Iterable[Row]) -> set[str]:
    """Returns the devices with a port that had several descriptions at any time."""
    ports = Counter((row.tags["device"], row.tags["port"]) for row in rows)
    return {device for (device, _), count in ports.items() if count > 1}


def latest_descriptions(rows: Iterable[Row] | None) -> dict[tuple[str, str], str]:
    """Returns (device, port) → its description in its latest step, if it has one."""
    latest: dict[tuple[str, str], tuple[int, str]] = {}
    for row in rows or ():
        port = row.tags.get("device", ""), row.tags.get("port", "")
        found = row.time_ms or 0, row.tags.get("description", "")
        if port not in latest or found[0] >= latest[port][0]:
            latest[port] = found
    return {port: text for port, (_, text) in latest.items() if text}
