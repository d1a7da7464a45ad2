"""Which events of a calendar are maintenance, and of what. Pure.

An event names what it is about in lines of its description, such as `site: library` or
`supplier: Severn Telecom, Wye Fibre`, or by a site as its location.
"""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from alerts.calendars.calendar_events import CalendarEvent
from alerts.calendars.calendar_feed import CalendarConfig
from alerts.maintenance_windows import Scope
from alerts.silence import Silence
from collectors.estate import known_names
from collectors.estate.estate_model import Estate
from probes.wire.catalogue import did_you_mean
from probes.wire.display import displayable

_LINE = re.compile(
    r"^\s*(site|device|line|supplier)s?\s*[:=]\s*(.+?)\s*$",
    re.IGNORECASE | re.MULTILINE,
)
_MOST_NAMES = 200
_LONGEST_WHY = 200


class MaintenanceCalendar(CalendarConfig, Scope):
    """`[alerts.calendars.NAME]`: its events are planned maintenance. `site`, `device`,
    `line` or `supplier`: of events that name none."""


class CalendarMaintenance(NamedTuple):
    """`problems`: a sentence for each event that names nothing of the estate."""

    silences: list[Silence]
    problems: list[str]


class _NotInEstate(ValueError):
    """The text says which name is wrong."""


def maintenance_from_events(
    name: str,
    default: Scope,
    events: Sequence[CalendarEvent],
    estate: Estate,
) -> CalendarMaintenance:
    """Returns the maintenance that the events of calendar `name` announce."""
    silences: list[Silence] = []
    problems: dict[str, None] = {}
    for event in events:
        try:
            scopes = list(_scopes(event, default, estate))
        except _NotInEstate as error:
            problems[f"{displayable(event.summary)!r}: {error}"] = None
            continue
        silences += [
            Silence(
                0,
                event.start_ms,
                event.end_ms,
                why=displayable(event.summary)[:_LONGEST_WHY],
                who=f"calendar {name}",
                planned=1,
                source=source_of(name),
                # One event may be about several sites.
                uid=f"{event.uid} {n}" if n else event.uid,
                **scope,
            )
            for n, scope in enumerate(scopes)
        ]
    return CalendarMaintenance(silences, list(problems))


def source_of(name: str) -> str:
    return f"calendar {name}"


def _scopes(
    event: CalendarEvent, default: Scope, estate: Estate
) -> Iterator[dict[str, str]]:
    named: dict[str, list[str]] = {}
    text = html.unescape(re.sub(r"<[^<>]{0,200}>", "\n", event.description))
    for kind, names in _LINE.findall(text):
        for wanted in names.split(",")[:_MOST_NAMES]:
            if wanted.strip():
                named.setdefault(kind.lower(), []).append(wanted.strip())
    if not named:
        location = _site_called(event.location, estate)
        named = {kind: [value] for kind, value in default.named.items()}
        if location and not named:
            named = {"site": [location]}
    if not named:
        raise _NotInEstate(
            "names no site, device, line or supplier: write `site: ID` into its "
            "description"
        )
    resolved = {
        kind: [_resolved(kind, value, estate) for value in values]
        for kind, values in named.items()
    }
    combinations = list(
        itertools.islice(itertools.product(*resolved.values()), _MOST_NAMES)
    )
    for combination in combinations:
        yield dict(zip(resolved, combination, strict=True))


def _resolved(kind: str, value: str, estate: Estate) -> str:
    """The id that `value` means: an id, or the name of a site in any case."""
    if kind == "rule":
        return value
    if kind == "supplier":
        suppliers = {line.supplier for line in estate.lines if line.supplier}
        for supplier in suppliers:
            if supplier.casefold() == value.casefold():
                return supplier
        hint = did_you_mean(value, suppliers)
        raise _NotInEstate(f"no line has the supplier {value!r}{hint}")
    if kind == "site" and (site := _site_called(value, estate)):
        return site
    if wrong := known_names.unknown_name_text(estate, kind, value):
        raise _NotInEstate(wrong)
    return value


def _site_called(text: str, estate: Estate) -> str:
    wanted = text.strip().casefold()
    for site in estate.sites:
        if wanted and wanted in (site.id.casefold(), site.name.casefold()):
            return site.id
    return ""
