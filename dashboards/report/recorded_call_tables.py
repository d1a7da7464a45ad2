"""The tables of calls as Microsoft recorded them, and of how often Towpath's tests saw
the same. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dashboards.report.report_columns import (
    Cell,
    CellColumn,
    TableLayout,
    utc_time,
)
from dashboards.report.report_data import ReportContent

_RECORDED = (
    CellColumn("month"),
    CellColumn("calls"),
    CellColumn("place"),
    CellColumn("poor (ratio of streams with a verdict)", "ratio"),
    CellColumn("streams with a verdict", "count"),
    CellColumn("without a verdict (ratio of streams)", "ratio"),
    CellColumn("answered (ratio of attempts)", "ratio"),
    CellColumn("failed (ratio of attempts)", "ratio"),
    CellColumn("attempts", "count"),
    CellColumn("people at most at once (rounded to 5)", "count"),
    CellColumn("note"),
)


def _recorded(content: ReportContent) -> Iterable[Sequence[Cell]]:
    month, nothing = str(content.month), (None,) * 3
    for place in content.recorded.places:
        yield (
            month,
            "Teams, audio, in working hours",
            place.title,
            place.poor,
            place.streams or None,
            place.unclassified,
            *nothing,
            place.people or None,
            place.why,
        )
    phone = content.recorded.phone
    yield (
        month,
        "telephone, all hours",
        "everywhere",
        *nothing,
        phone.answered,
        phone.faults,
        phone.attempts or None,
        phone.people or None,
        phone.why,
    )
    yield from _exported(content)


def _exported(content: ReportContent) -> Iterable[Sequence[Cell]]:
    for site in content.recorded.exports:
        yield (
            str(content.month),
            "Teams, audio, all hours",
            site.site,
            site.poor,
            site.streams,
            site.unclassified,
            *(None,) * 4,
            "sums exported from Microsoft's Call Quality Dashboard",
        )


_AGREEMENT = (
    CellColumn("month"),
    CellColumn("grouped by"),
    CellColumn("group"),
    CellColumn("state"),
    CellColumn("poor in both (hours of groups)", "count"),
    CellColumn("poor in the record only (hours of groups)", "count"),
    CellColumn("poor in tests only (hours of groups)", "count"),
    CellColumn("poor in neither (hours of groups)", "count"),
    CellColumn("compared (hours of groups)", "count"),
    CellColumn("in the record (hours of groups)", "count"),
    CellColumn("tested (hours of groups)", "count"),
    CellColumn("same on both sides (ratio of hours)", "ratio"),
    CellColumn("seen by tests (ratio of hours poor in the record)", "ratio"),
    CellColumn("seen by tests (ratio of poor streams)", "ratio"),
    CellColumn("streams compared", "count"),
)


def _agreement(content: ReportContent) -> Iterable[Sequence[Cell]]:
    for one in content.recorded.agreement:
        cells = (one.both, one.record_only, one.tests_only, one.neither)
        yield (
            str(content.month),
            one.by,
            one.group or "all of them",
            one.state,
            *(cells if one.hours else (None,) * 4),
            one.hours,
            one.in_record,
            one.in_tests,
            one.agreement,
            one.sensitivity,
            one.streams_sensitivity,
            one.streams or None,
        )


RECORDED_LAYOUT = TableLayout(
    "recorded-calls",
    "Recorded calls",
    "Real calls as Microsoft recorded them, of groups of enough people.",
    _RECORDED,
    _recorded,
)
AGREEMENT_LAYOUT = TableLayout(
    "agreement",
    "Tests and the record",
    "Hours of groups in which test calls, Microsoft's record, both or neither were "
    "poor.",
    _AGREEMENT,
    _agreement,
)
_EVENTS = (
    CellColumn("month"),
    CellColumn("room"),
    CellColumn("site"),
    CellColumn("event"),
    CellColumn("first whole quarter-hour (UTC)", "time"),
    CellColumn("poor at the site (ratio of streams with a verdict)", "ratio"),
    CellColumn("streams with a verdict", "count"),
    CellColumn("poor in the room (ratio of streams with a verdict)", "ratio"),
    CellColumn("streams of the room with a verdict", "count"),
    CellColumn("note"),
)


def _events(content: ReportContent) -> Iterable[Sequence[Cell]]:
    for one in content.events:
        yield (
            str(content.month),
            one.event.room,
            one.site,
            one.event.text,
            utc_time(one.event.from_ms),
            one.poor,
            one.streams or None,
            one.room_poor,
            one.room_streams or None,
            one.why,
        )


EVENTS_LAYOUT = TableLayout(
    "events",
    "Calls during events",
    "Audio in Teams at the site of each event in a room, as Microsoft recorded it, in "
    "calls that ended from its first whole quarter-hour until half an hour after it. "
    "The event's own local times are in its name.",
    _EVENTS,
    _events,
)
