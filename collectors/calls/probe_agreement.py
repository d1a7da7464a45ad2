"""How often Towpath's test calls saw what Microsoft recorded: hour by hour and group by
group, as a test is compared with a reference. Pure, but for the queries that
`gather_agreement` makes.

Both sides are figures of groups that are shown already. An hour of a group counts if
both have enough in it. The record is the reference, though it is not the truth: it also
has poor streams because of devices, which no test call sees.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from collectors.calls.stream_figures import FEW_STREAMS
from collectors.store.query import Pick, Query, Row, Where

AskStore = Callable[[Query], Awaitable[list[Row]]]
# Begin and end in ms.
Span = tuple[int, int]
_HOUR_MS = 3_600_000
AgreementState = Literal["measured", "too few", "no record", "not measured"]
Name = tuple[str, str]
# Hour → (share that was poor, of how many).
Hours = Mapping[int, tuple[float, int]]
# The kinds of groups that both sides have, and their names for the same place.
KINDS = {
    "all": "Everybody",
    "place": "Offices, and outside",
    "site": "Sites",
    "provider": "Providers",
    "connection": "Connections",
}
_PLACES = {"office": "inside", "home": "outside"}
# No group in common: what one side does not know is not what the other does not know.
_NOT_COMMON = ("unknown", "elsewhere")


class AgreementLimits(NamedTuple):
    """What an hour of a group needs in order to count, and from which share on it is
    poor: those of the rules on the record and on test calls at a site. `least_hours`:
    with fewer hours there is no figure."""

    least_streams: int = FEW_STREAMS
    least_tests: int = 10
    record_poor: float = 0.08
    tests_poor: float = 0.1
    least_hours: int = 20


LIMITS = AgreementLimits()


@dataclass(frozen=True)
class ProbeAgreement:
    """Hours of one group (or, with an empty `group`, of all of a kind), by which side
    was poor. `streams` with a verdict and `poor_streams` are of these hours, and
    `poor_streams_seen` of those in which the tests were poor. `in_record` and
    `in_tests`: hours with anything on that side."""

    by: str
    group: str
    limits: AgreementLimits = LIMITS
    both: int = 0
    record_only: int = 0
    tests_only: int = 0
    neither: int = 0
    streams: int = 0
    poor_streams: float = 0.0
    poor_streams_seen: float = 0.0
    in_record: int = 0
    in_tests: int = 0

    @property
    def hours(self) -> int:
        return self.both + self.record_only + self.tests_only + self.neither

    @property
    def state(self) -> AgreementState:
        if not self.in_record:
            return "no record"
        if not self.in_tests:
            return "not measured"
        return "measured" if self.hours >= self.limits.least_hours else "too few"

    @property
    def agreement(self) -> float | None:
        """The share of hours in which both say the same."""
        return self._share(self.both + self.neither, self.hours)

    @property
    def recorded_poor(self) -> int:
        return self.both + self.record_only

    @property
    def sensitivity(self) -> float | None:
        """Of the hours that were poor in the record, the share that tests saw."""
        return self._share(self.both, self.recorded_poor)

    @property
    def streams_sensitivity(self) -> float | None:
        """Of all poor streams, the share in hours in which the tests were poor."""
        return self._share(self.poor_streams_seen, self.poor_streams)

    def _share(self, part: float, whole: float) -> float | None:
        return part / whole if whole and self.state == "measured" else None

    def plus(self, other: ProbeAgreement) -> ProbeAgreement:
        sums = {name: getattr(self, name) + getattr(other, name) for name in _COUNTS}
        return replace(self, **sums)


# By whether the record and the tests were poor.
_CELLS = {
    (True, True): "both",
    (True, False): "record_only",
    (False, True): "tests_only",
    (False, False): "neither",
}
_COUNTS = (
    *_CELLS.values(),
    "streams",
    "poor_streams",
    "poor_streams_seen",
    "in_record",
    "in_tests",
)


def agreement_of(
    name: Name, record: Hours, tests: Hours, limits: AgreementLimits = LIMITS
) -> ProbeAgreement:
    """Compares one group's hours."""
    counts = Counter({"in_record": len(record), "in_tests": len(tests)})
    poor_streams = seen_streams = 0.0
    for hour in record.keys() & tests.keys():
        (poor, streams), (tests_poor, runs) = record[hour], tests[hour]
        if streams < limits.least_streams or runs < limits.least_tests:
            continue
        is_seen = tests_poor > limits.tests_poor
        counts[_CELLS[poor > limits.record_poor, is_seen]] += 1
        counts["streams"] += streams
        poor_streams += poor * streams
        seen_streams += poor * streams * is_seen
    return ProbeAgreement(
        name[0],
        name[1],
        limits,
        poor_streams=poor_streams,
        poor_streams_seen=seen_streams,
        **counts,
    )


def with_kinds(
    groups: Iterable[ProbeAgreement], limits: AgreementLimits = LIMITS
) -> tuple[ProbeAgreement, ...]:
    """Returns each kind's sum, always, followed by its groups."""
    groups = sorted(groups, key=lambda one: one.group)
    found = []
    for kind in KINDS:
        of_kind = [one for one in groups if one.by == kind]
        total = ProbeAgreement(kind, "", limits)
        for one in of_kind:
            total = total.plus(one)
        found += [total, *(of_kind if kind != "all" else ())]
    return tuple(found)


def recorded_query(span: Span, every_ms: int | None = _HOUR_MS) -> Query:
    """Returns the query of audio streams in the record."""
    return Query(
        "teams_calls",
        (Pick("poor_ratio", "mean"), Pick("classified", "sum")),
        *span,
        (Where("by", tuple(KINDS)), Where("media", ("audio",))),
        ("by", "group"),
        every_ms,
    )


def tests_query(span: Span) -> Query:
    """Returns the query of test calls. A run counts once in `calls_once`."""
    return Query(
        "experience",
        (
            Pick("call_poor_ratio", "mean"),
            Pick("calls_once", "sum"),
            Pick("calls", "sum"),
        ),
        *span,
        (Where("by", tuple(KINDS)),),
        ("by", "group"),
        _HOUR_MS,
    )


async def gather_agreement(
    ask: AskStore,
    spans: Sequence[Span],
    sites: Sequence[str] | None,
    limits: AgreementLimits = LIMITS,
) -> tuple[ProbeAgreement, ...]:
    """Returns the agreement of each group in the hours of `spans`, day by day, so that
    few rows are in memory; of a report on some sites only theirs and everybody's."""
    record: GroupHours = {}
    tests: GroupHours = {}
    if spans and await ask(recorded_query((spans[0][0], spans[-1][1]), None)):
        for span in spans:
            for row in await ask(recorded_query(span)):
                _add(record, row, "poor_ratio_mean", ("classified_sum",))
            for row in await ask(tests_query(span)):
                counts = ("calls_once_sum", "calls_sum")
                _add(tests, row, "call_poor_ratio_mean", counts)
    groups = (
        agreement_of(name, record.get(name, {}), tests.get(name, {}), limits)
        for name in record.keys() | tests.keys()
        if sites is None or name[0] == "all" or (name[0] == "site" and name[1] in sites)
    )
    return with_kinds(groups, limits)


GroupHours = dict[Name, dict[int, tuple[float, int]]]


def _add(groups: GroupHours, row: Row, poor: str, counts: Sequence[str]) -> None:
    share = row.values.get(poor)
    found = (row.values.get(name) for name in counts)
    count = next((count for count in found if count is not None), None)
    by, group = row.tags["by"], row.tags["group"]
    group = _PLACES.get(group, group) if by == "place" else group
    if not isinstance(share, int | float) or not isinstance(count, int | float):
        return
    if count and row.time_ms is not None and group not in _NOT_COMMON:
        groups.setdefault((by, group), {})[row.time_ms] = (share, round(count))
