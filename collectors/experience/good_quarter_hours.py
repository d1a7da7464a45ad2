"""What makes a quarter of an hour good for a laptop, part by part of the promise. Pure.

`PARTS` lists for each part which results count, their limits, and the source of each
limit. A quarter of an hour counts for a part if at least one of its results was
measured, and it is good if all of those were good. A failure of the network is bad.
What was not there or not measured, and failures that are not the network's (a sign-in
page, a wrong clock, flight mode), count neither way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from collectors.experience.agent_results import NETWORK_FAILURES, as_number
from collectors.store.query import Pick, Query, Row

QUARTER_HOUR_MS = 900_000
PartName = Literal["systems", "bandwidth", "telephony"]


class PartResult(msgspec.Struct, frozen=True):
    """The results of one measurement that count for a part. `picks` are queried for
    each laptop, target and quarter of an hour; `is_good` returns None if they do not
    show it."""

    measurement: str
    picks: tuple[Pick, ...]
    is_good: Callable[[Row], bool | None]


class ExperiencePart(msgspec.Struct, frozen=True):
    """One part of the promise. `good`: what a good quarter of an hour is, in words;
    `source`: where its limits are from."""

    name: PartName
    title: str
    good: str
    source: str
    results: tuple[PartResult, ...]


def _number(row: Row, name: str) -> float | None:
    return as_number(row.values.get(name))


_OUTCOMES = (Pick("ok", "min"), Pick("outcome", "last"))
# The limits, named in `good` and `source` of each part.
FIRST_BYTE_MS = 1_800.0
LOOKUP_MS = 1_000.0
LEAST_DOWN_BPS, LEAST_UP_BPS = 4_000_000.0, 2_500_000.0


def _worked(row: Row) -> bool | None:
    """Whether all worked; None if one ended as something else than worked or failed."""
    if _number(row, "ok_min") == 1:
        return True
    return False if row.values.get("outcome_last") in NETWORK_FAILURES else None


def _good_request(row: Row) -> bool | None:
    phases = ("lookup", "connect", "tls", "first_byte")
    times = [_number(row, f"{phase}_ms_max") for phase in phases]
    taken_ms = sum(time for time in times if time is not None)
    worked = _worked(row)
    return worked and taken_ms <= FIRST_BYTE_MS if worked is not None else None


def _good_lookup(row: Row) -> bool | None:
    worked = _worked(row)
    took_ms = _number(row, "lookup_ms_max") or 0.0
    return worked and took_ms < LOOKUP_MS if worked is not None else None


def _good_call(row: Row) -> bool | None:
    poor = _number(row, "poor_max")
    if poor == 1:
        return False
    worked = _worked(row)
    return worked if poor == 0 or worked is False else None


def _good_speed(row: Row) -> bool | None:
    worked = _worked(row)
    if worked is not True:
        return worked
    known = True
    for way, least_bps in (("down", LEAST_DOWN_BPS), ("up", LEAST_UP_BPS)):
        bps = _number(row, f"{way}_bps_min")
        if bps is None:
            known = False
        elif bps < least_bps:
            # What held the test back was not the line.
            if _number(row, f"{way}_at_least_max") == 1:
                known = False
            else:
                return False
    return True if known else None


PARTS: tuple[ExperiencePart, ...] = (
    ExperiencePart(
        "systems",
        "Systems access",
        "every request to the services in the policy, and every name lookup, worked; "
        "the first byte came within 1.8 s and the name within 1 s",
        "Google's Web Vitals: above 1.8 s a time to first byte is poor; the limit for "
        "names is that of the laptop's own page",
        (
            PartResult(
                "web",
                (
                    *_OUTCOMES,
                    Pick("lookup_ms", "max"),
                    Pick("connect_ms", "max"),
                    Pick("tls_ms", "max"),
                    Pick("first_byte_ms", "max"),
                ),
                _good_request,
            ),
            PartResult(
                "name_lookup", (*_OUTCOMES, Pick("lookup_ms", "max")), _good_lookup
            ),
        ),
    ),
    ExperiencePart(
        "bandwidth",
        "Bandwidth",
        "the speed test reached 4 Mbit/s down and 2.5 Mbit/s up",
        "Microsoft: recommended bandwidth of a video meeting in Teams",
        (
            PartResult(
                "bandwidth",
                (
                    *_OUTCOMES,
                    Pick("down_bps", "min"),
                    Pick("up_bps", "min"),
                    Pick("down_at_least", "max"),
                    Pick("up_at_least", "max"),
                ),
                _good_speed,
            ),
        ),
    ),
    ExperiencePart(
        "telephony",
        "Telephony",
        "no test call was poor: round trip below 100 ms, loss below 1%, jitter below "
        "30 ms",
        "Microsoft's network targets for Teams media (table of 2018), from the laptop "
        "to the council's own reflector",
        (PartResult("call_path", (*_OUTCOMES, Pick("poor", "max")), _good_call),),
    ),
)


class SeenQuarterHour(msgspec.Struct, frozen=True):
    """One quarter of an hour of one laptop at one place."""

    agent: str
    place: str
    home_site: str
    time_ms: int
    is_good: bool


def quarter_hours_query(result: PartResult, from_ms: int, to_ms: int) -> Query:
    """Returns the query of what `seen_quarter_hours` reads. It is of single laptops."""
    return Query(
        result.measurement,
        result.picks,
        from_ms,
        to_ms,
        (),
        ("agent", "place", "home_site", "target"),
        QUARTER_HOUR_MS,
    )


def seen_quarter_hours(
    answers: Iterable[tuple[PartResult, Iterable[Row]]],
) -> list[SeenQuarterHour]:
    """Returns the quarters of an hour that count for one part, from the rows of all of
    its results. A laptop that moved within one counts for neither place."""
    good: dict[tuple[str, int], dict[tuple[str, str], bool]] = {}
    for result, rows in answers:
        for row in rows:
            is_good = result.is_good(row)
            if is_good is None or row.time_ms is None:
                continue
            where = (row.tags.get("place", ""), row.tags.get("home_site", ""))
            places = good.setdefault((row.tags.get("agent", ""), row.time_ms), {})
            places[where] = places.get(where, True) and is_good
    return [
        SeenQuarterHour(agent, *where, time_ms, is_good)
        for (agent, time_ms), places in good.items()
        if len(places) == 1
        for where, is_good in places.items()
    ]
