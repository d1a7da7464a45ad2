"""Real calls in the report: Microsoft's record of Teams inside and outside offices in
working hours, and of telephone calls. Pure, but for the queries that
`gather_recorded_calls` makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from collectors.calls.probe_agreement import (
    ProbeAgreement,
    gather_agreement,
    with_kinds,
)
from collectors.calls.stream_figures import FEW_STREAMS
from collectors.store.query import Pick, Query, Row, Where
from dashboards.observed import Span
from dashboards.report.dashboard_exports import ExportedSite, gather_exports
from dashboards.report.report_queries import AskStore
from dashboards.row_values import float_value, weighted_mean

RecordState = Literal[
    "measured", "too few", "not shown", "not recorded", "unread", "no record"
]
PLACES = {"inside": "Inside offices", "outside": "Outside"}
_WHY = {
    "measured": "",
    "too few": f"fewer than {FEW_STREAMS} streams with a verdict",
    "not shown": "not shown: too few people at once, here or in a related group",
    "not recorded": "none recorded",
    "unread": "Microsoft's record could not be read",
    "no record": "no record of Microsoft's is read",
}


@dataclass(frozen=True)
class RecordedPlace:
    """Audio of Teams at one place. `poor`: of the `streams` with a verdict;
    `unclassified`: of all. `people`: the most in one quarter of an hour, rounded to
    5."""

    place: str
    state: RecordState
    poor: float | None = None
    streams: int = 0
    people: int = 0
    unclassified: float | None = None

    @property
    def title(self) -> str:
        return PLACES[self.place]

    @property
    def why(self) -> str:
        """Why there is no figure, or why it says little; empty if neither."""
        return _WHY[self.state]


@dataclass(frozen=True)
class RecordedPhone:
    """Telephone calls at all hours. Shares are of the `attempts` whose outcome the log
    states; `people`: the most in one hour, rounded to 5."""

    state: RecordState
    calls: int = 0
    attempts: int = 0
    people: int = 0
    answered: float | None = None
    faults: float | None = None

    @property
    def why(self) -> str:
        return _WHY[self.state]


@dataclass(frozen=True)
class RecordedCalls:
    """What Microsoft recorded, and how often Towpath's tests saw it. `exports`: instead
    of a record, sums from Microsoft's dashboard."""

    places: tuple[RecordedPlace, ...]
    phone: RecordedPhone
    agreement: tuple[ProbeAgreement, ...]
    exports: tuple[ExportedSite, ...] = ()

    @property
    def is_off(self) -> bool:
        """Whether no record was to be read in this time."""
        return all(place.state == "no record" for place in self.places)


NO_RECORDED_CALLS = RecordedCalls(
    tuple(RecordedPlace(place, "no record") for place in PLACES),
    RecordedPhone("no record"),
    with_kinds(()),
)


def places_query(spans: Sequence[Span]) -> Query:
    """Returns the query of audio inside and outside in each span."""
    return Query(
        "teams_calls",
        (
            Pick("people", "max"),
            Pick("poor_ratio", "mean"),
            Pick("classified", "sum"),
            Pick("unclassified_ratio", "mean"),
            Pick("streams", "sum"),
        ),
        spans[0][0],
        spans[-1][1],
        (
            Where("by", ("place",)),
            Where("group", tuple(PLACES)),
            Where("media", ("audio",)),
        ),
        ("group",),
        spans=tuple(spans),
    )


def phone_query(span: Span) -> Query:
    """Returns the query of all telephone calls."""
    return Query(
        "phone_calls",
        (
            Pick("people", "max"),
            Pick("calls", "sum"),
            Pick("attempts", "sum"),
            Pick("answered_ratio", "mean"),
            Pick("fault_ratio", "mean"),
        ),
        *span,
        (Where("by", ("all",)),),
    )


def read_query(span: Span) -> Query:
    """Returns the query of whether records could be read, and how many."""
    return Query("self_calls", (Pick("reading", "max"), Pick("records", "max")), *span)


async def gather_recorded_calls(
    ask: AskStore, span: Span, spans: Sequence[Span], sites: Sequence[str] | None
) -> RecordedCalls:
    """Returns what was recorded in `span`, of Teams in `spans`: the working hours."""
    places = await ask(places_query(spans)) if spans else []
    phone = await ask(phone_query(span))
    read = await ask(read_query(span))
    if not (read or places or phone):
        exports = await gather_exports(ask, span, sites)
        return replace(NO_RECORDED_CALLS, exports=exports)
    absent: RecordState = "unread"
    if any(float_value(row, "records_max") for row in read):
        absent = "not shown"
    elif any(float_value(row, "reading_max") for row in read):
        absent = "not recorded"
    return RecordedCalls(
        tuple(
            place_figures(
                place, [r for r in places if r.tags["group"] == place], absent
            )
            for place in PLACES
        ),
        phone_figures(phone, absent),
        await gather_agreement(ask, spans, sites),
    )


def place_figures(
    place: str, rows: Sequence[Row], absent: RecordState
) -> RecordedPlace:
    """Returns one place's figures: each span weighs as many streams as it has."""
    poor, streams = weighted_mean(rows, "poor_ratio", "classified")
    unclassified, _ = weighted_mean(rows, "unclassified_ratio", "streams")
    if not streams:
        return RecordedPlace(place, absent)
    return RecordedPlace(
        place,
        "measured" if streams >= FEW_STREAMS else "too few",
        poor,
        streams,
        max(int(float_value(row, "people_max") or 0) for row in rows),
        unclassified,
    )


def phone_figures(rows: Sequence[Row], absent: RecordState) -> RecordedPhone:
    """Returns the figures of telephone calls."""
    row = rows[0] if rows else None
    calls = int(float_value(row, "calls_sum") or 0)
    if not calls:
        return RecordedPhone(absent)
    return RecordedPhone(
        "measured",
        calls,
        int(float_value(row, "attempts_sum") or 0),
        int(float_value(row, "people_max") or 0),
        float_value(row, "answered_ratio_mean"),
        float_value(row, "fault_ratio_mean"),
    )
