"""One laptop's last day for the service desk: a verdict now and for each hour, from the
same function that the laptop itself uses. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from collectors.natural_order import natural_order
from collectors.server_measurements import CATALOGUE
from collectors.store.query import Pick, Query, Row, Where
from probes.wire.catalogue import Measurement
from probes.wire.failure import Outcome
from probes.wire.report import Result, Whereabouts
from probes.wire.verdict import LaptopVerdict, verdict

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
_OWN_FIELDS = frozenset({"outcome", "ok", "state", "cost_bytes"})


class PlacedResult(msgspec.Struct, frozen=True):
    """A result, and where the laptop was when it measured."""

    result: Result
    where: Whereabouts
    home_site: str
    provider: str


class HourVerdict(msgspec.Struct, frozen=True):
    """The verdict at the end of an hour; None if nothing was measured in it."""

    from_ms: int
    until_ms: int
    verdict: LaptopVerdict | None
    where: Whereabouts


class LaptopDay(msgspec.Struct, frozen=True):
    """`at_ms` is when the laptop last measured, and `verdict` is of that time. `hours`
    has the newest first."""

    at_ms: int
    verdict: LaptopVerdict
    where: Whereabouts
    home_site: str
    provider: str
    latest: tuple[Result, ...]
    hours: tuple[HourVerdict, ...]

    @property
    def vpn_product(self) -> str:
        """The product of the VPN that is connected; empty without one."""
        if self.where.vpn != "up":
            return ""
        products = [r.values.get("product") for r in self.latest if r.probe == "vpn"]
        return next((text for text in products if isinstance(text, str)), "")


def personal_measurements() -> list[Measurement]:
    return [declared for declared in CATALOGUE if declared.personal]


def day_queries(agent: str, to_ms: int) -> list[Query]:
    """A query for each measurement of laptops: every row of the day before `to_ms`."""
    return [
        Query(
            declared.name,
            tuple(Pick(field.name, "last") for field in declared.fields),
            to_ms - DAY_MS,
            to_ms,
            (Where("agent", (agent,)),),
            tuple(tag.name for tag in declared.tags),
            1,
        )
        for declared in personal_measurements()
    ]


def read_rows(measurement: str, rows: Iterable[Row]) -> list[PlacedResult]:
    """The results that rows of a measurement were made of. A row of an outcome that
    this version does not know is left out."""
    read = []
    for row in rows:
        values = {
            name.removesuffix("_last"): value
            for name, value in row.values.items()
            if value is not None
        }
        try:
            outcome = Outcome(str(values.get("outcome", "")))
            where = msgspec.convert(
                {
                    name: row.tags.get(name) or default
                    for name, default in _WHERE.items()
                },
                Whereabouts,
            )
        except (ValueError, msgspec.ValidationError):
            continue
        result = Result(
            measurement,
            1,
            row.time_ms or 0,
            outcome,
            row.tags.get("target", ""),
            {name: v for name, v in values.items() if name not in _OWN_FIELDS},
        )
        tags = row.tags
        read.append(
            PlacedResult(
                result, where, tags.get("home_site", ""), tags.get("provider", "")
            )
        )
    return read


_WHERE: Mapping[str, str] = {
    "place": "unknown",
    "site": "",
    "connection": "unknown",
    "vpn": "unknown",
}


def laptop_day(placed: Sequence[PlacedResult], to_ms: int) -> LaptopDay | None:
    """The day before `to_ms`; None if nothing was measured."""
    ordered = sorted(placed, key=lambda each: each.result.time_ms)
    if not ordered:
        return None
    newest = ordered[-1]
    # The verdict counts what is younger than an hour: at the moment of the last result.
    at_ms = newest.result.time_ms
    latest = _latest(ordered)
    now = verdict(_latest(_since_joined(ordered)), at_ms + 1, newest.where)
    hours = []
    until_ms = to_ms - to_ms % HOUR_MS + HOUR_MS
    while until_ms > to_ms - DAY_MS:
        hours.append(_hour(ordered, until_ms))
        until_ms -= HOUR_MS
    return LaptopDay(
        at_ms,
        now,
        newest.where,
        newest.home_site,
        newest.provider,
        tuple(latest),
        tuple(hours),
    )


def _hour(ordered: Sequence[PlacedResult], until_ms: int) -> HourVerdict:
    from_ms = until_ms - HOUR_MS
    within = [each for each in ordered if from_ms <= each.result.time_ms < until_ms]
    if not within:
        return HourVerdict(from_ms, until_ms, None, Whereabouts())
    where = within[-1].where
    found = verdict(_latest(_since_joined(within)), until_ms, where)
    return HourVerdict(from_ms, until_ms, found, where)


def _since_joined(ordered: Sequence[PlacedResult]) -> Sequence[PlacedResult]:
    """What was measured since the laptop joined the network in which it is at the end.
    What it measured before, elsewhere or by cable, says nothing about that one."""
    last = ordered[-1].where
    at = (last.place, last.site, last.connection)
    for number in range(len(ordered) - 1, -1, -1):
        where = ordered[number].where
        if (where.place, where.site, where.connection) != at:
            return ordered[number + 1 :]
    return ordered


def _latest(ordered: Sequence[PlacedResult]) -> list[Result]:
    """The last result of each probe and target."""
    latest = {(each.result.probe, each.result.target): each.result for each in ordered}
    return sorted(
        latest.values(), key=lambda result: (result.probe, natural_order(result.target))
    )
