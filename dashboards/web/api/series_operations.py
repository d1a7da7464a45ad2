"""Operations of the API on measurements: the catalogue, and any query of it.

A query may name what is in the catalogue, and nothing about a single laptop. It is
bounded before it runs: by its span, its buckets, and by how many groups there are.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Literal, get_args

import msgspec

from collectors.server_measurements import CATALOGUE
from collectors.store.query import Aggregate, Pick, Query, Row, Where, check_query
from dashboards.query_cache import QueryCache, rounded
from dashboards.web.api.api_paging import Paged
from dashboards.web.api.api_problem import ApiProblem, known_rows
from dashboards.web.api.api_route import ApiCall, ApiRoute
from dashboards.web.api.estate_documents import Moment, epoch_ms, utc, utc_time
from dashboards.web.visitors import Right
from probes.wire.catalogue import Measurement, Misfit, UnknownName
from probes.wire.durations import parse_duration_ms
from probes.wire.sample import Value

LONGEST_DAYS = 400
MOST_BUCKETS = 10_000
MOST_POINTS = 100_000
_DAY_MS = 86_400_000
_TO_FLOOR_MS = 10_000
# Counts of enrolled laptops by site and team, which may be below the smallest group.
_OF_LAPTOPS = frozenset({"self_agents", "self_team"})
_PAIR = r"^[a-z0-9_]{1,60}!?=[^\x00]{0,200}$"


class SeriesQuery(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True
):
    """Such as `measurement=interface&pick=in_bps.p95&where=device=core-1&every=15m`."""

    measurement: Annotated[str, msgspec.Meta(max_length=60, examples=["interface"])]
    pick: Annotated[
        tuple[
            Annotated[
                str,
                msgspec.Meta(
                    pattern=r"^[a-z0-9_]{1,60}(\.[a-z0-9]{2,6})?$",
                    examples=["in_bps.p95"],
                ),
            ],
            ...,
        ],
        msgspec.Meta(
            min_length=1,
            max_length=20,
            description=f"field.aggregate, of {', '.join(get_args(Aggregate))}; "
            "without one: mean",
        ),
    ]
    where: Annotated[
        tuple[
            Annotated[str, msgspec.Meta(pattern=_PAIR, examples=["device=core-1"])], ...
        ],
        msgspec.Meta(
            max_length=50,
            description="tag=value, or tag!=value; several of one tag: any of them",
        ),
    ] = ()
    group_by: Annotated[
        tuple[
            Annotated[
                str, msgspec.Meta(pattern="^[a-z0-9_]{1,60}$", examples=["port"])
            ],
            ...,
        ],
        msgspec.Meta(max_length=10, description="tags"),
    ] = ()
    every: Annotated[
        str,
        msgspec.Meta(
            pattern="^([1-9][0-9]{0,5}[smhd])?$",
            description="length of a bucket; without it: one row a group",
            examples=["15m"],
        ),
    ] = ""
    from_: Annotated[
        Moment | None, msgspec.Meta(description="24 hours before `to` without it")
    ] = msgspec.field(default=None, name="from")
    to: Annotated[Moment | None, msgspec.Meta(description="now without it")] = None


class SeriesRow(msgspec.Struct, frozen=True):
    """One group in one bucket. `at`: the start of the bucket; null without buckets.
    Absent values were not measured."""

    at: datetime | None
    tags: dict[str, str]
    values: dict[str, Value]


class SeriesDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a query of `[from, to)`. `units`: of each value."""

    measurement: str
    from_: datetime = msgspec.field(name="from")
    to: datetime
    every_s: float | None
    units: dict[str, str]
    rows: tuple[SeriesRow, ...]


class TagDocument(msgspec.Struct, frozen=True):
    name: str
    meaning: str


class FieldDocument(msgspec.Struct, frozen=True):
    name: str
    kind: Literal["int", "float", "str"]
    unit: str
    meaning: str


class MeasurementDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A measurement, as the catalogue has it."""

    name: str
    meaning: str
    period_s: int
    retention_days: int
    tags: tuple[TagDocument, ...]
    fields: tuple[FieldDocument, ...]


class SeriesOperations:
    """`answers` is of the API alone, so that its queries never hold up a page."""

    def __init__(self, answers: QueryCache) -> None:
        self._answers = answers

    @property
    def routes(self) -> list[ApiRoute]:
        see = Right.SEE_STATUS
        return [
            ApiRoute(
                "GET",
                "/measurements",
                "list_measurements",
                "What can be queried: the catalogue",
                see,
                self.measurements,
                MeasurementDocument,
                query=Paged,
                order=lambda one: (one.name,),
            ),
            ApiRoute(
                "GET",
                "/series",
                "query_series",
                "Measured values",
                see,
                self.series,
                SeriesDocument,
                query=SeriesQuery,
                problems=(404, 422, 503),
            ),
        ]

    async def measurements(self, call: ApiCall) -> list[MeasurementDocument]:
        return [_measurement(one) for one in CATALOGUE if _refusal(one, call) is None]

    async def series(self, call: ApiCall) -> SeriesDocument:
        query = read_series(call)
        await self._check_size(query)
        rows = known_rows(await self._answers.query(query))
        if len(rows) > MOST_POINTS:
            raise _too_many()
        return await asyncio.to_thread(_series, query, rows)

    async def _check_size(self, query: Query) -> None:
        """Raises `ApiProblem` before a query with too many groups runs: how many there
        are is counted first, without buckets."""
        if not (query.group_by and query.every_ms):
            return
        counted = Query(
            query.measurement,
            (Pick(query.picks[0].field, "count"),),
            query.from_ms,
            query.to_ms,
            query.where,
            query.group_by,
        )
        groups = len(known_rows(await self._answers.query(counted)))
        buckets = (query.to_ms - query.from_ms) // query.every_ms + 1
        if groups * buckets * len(query.picks) > MOST_POINTS:
            raise _too_many()


def read_series(call: ApiCall) -> Query:
    """The query of a request. Raises `ApiProblem`."""
    wanted: SeriesQuery = call.query
    try:
        declared = CATALOGUE.measurement(wanted.measurement)
    except UnknownName as unknown:
        raise ApiProblem(404, str(unknown)) from None
    if refusal := _refusal(declared, call):
        raise refusal
    to_ms = epoch_ms(wanted.to) if wanted.to else rounded(call.now_ms, _TO_FLOOR_MS)
    from_ms = epoch_ms(wanted.from_) if wanted.from_ else to_ms - _DAY_MS
    every_ms = parse_duration_ms(wanted.every) if wanted.every else None
    if to_ms - from_ms > LONGEST_DAYS * _DAY_MS:
        raise ApiProblem(422, f"from, to: expected at most {LONGEST_DAYS} days")
    if every_ms and (to_ms - from_ms) / every_ms > MOST_BUCKETS:
        raise ApiProblem(
            422, f"every: expected at most {MOST_BUCKETS:,} buckets between from and to"
        )
    query = Query(
        declared.name,
        tuple(_pick(text) for text in wanted.pick),
        from_ms,
        to_ms,
        _where(wanted.where),
        wanted.group_by,
        every_ms,
    )
    try:
        check_query(query, CATALOGUE)
    except Misfit as misfit:
        raise ApiProblem(422, str(misfit)) from None
    if len(set(query.group_by)) < len(query.group_by):
        raise ApiProblem(422, "group_by: a tag is named twice")
    return query


def _refusal(measurement: Measurement, call: ApiCall) -> ApiProblem | None:
    """Why the caller may not query it; None if they may."""
    rights = call.caller.rights
    if measurement.personal:
        return ApiProblem(
            403,
            f"{measurement.name!r} is about single laptops, which the API never shows; "
            "`experience` has the figures of groups",
        )
    if measurement.name in _OF_LAPTOPS and Right.SEE_FLEET not in rights:
        return ApiProblem(
            403, f"{measurement.name!r} needs the scope {Right.SEE_FLEET}"
        )
    if Right.SEE_DEVICES not in rights and any(
        tag.name == "device" for tag in measurement.tags
    ):
        return ApiProblem(
            403, f"{measurement.name!r} needs the scope {Right.SEE_DEVICES}"
        )
    return None


def _pick(text: str) -> Pick:
    field, _, aggregate = text.partition(".")
    known = get_args(Aggregate)
    if aggregate and aggregate not in known:
        raise ApiProblem(422, f"pick: {aggregate!r} is none of {', '.join(known)}")
    return Pick(field, aggregate or "mean")  # type: ignore[arg-type]


def _where(conditions: tuple[str, ...]) -> tuple[Where, ...]:
    """Values of the same tag are alternatives, and excluded ones are all excluded."""
    values: dict[tuple[str, bool], list[str]] = {}
    for text in conditions:
        tag, _, value = text.partition("=")
        values.setdefault((tag.removesuffix("!"), tag.endswith("!")), []).append(value)
    return tuple(
        Where(tag, tuple(texts), negate) for (tag, negate), texts in values.items()
    )


def _series(query: Query, rows: list[Row]) -> SeriesDocument:
    declared = CATALOGUE.measurement(query.measurement)
    return SeriesDocument(
        measurement=query.measurement,
        from_=utc_time(query.from_ms),
        to=utc_time(query.to_ms),
        every_s=query.every_ms / 1000 if query.every_ms else None,
        units={
            pick.name: "1"
            if pick.aggregate in ("count", "weight")
            else declared.field(pick.field).unit
            for pick in query.picks
        },
        rows=tuple(SeriesRow(utc(row.time_ms), row.tags, row.values) for row in rows),
    )


def _measurement(measurement: Measurement) -> MeasurementDocument:
    return MeasurementDocument(
        name=measurement.name,
        meaning=measurement.meaning,
        period_s=measurement.period_s,
        retention_days=measurement.retention_days,
        tags=tuple(TagDocument(tag.name, tag.meaning) for tag in measurement.tags),
        fields=tuple(
            FieldDocument(field.name, field.type, field.unit, field.meaning)
            for field in measurement.fields
        ),
    )


def _too_many() -> ApiProblem:
    return ApiProblem(
        422,
        f"the answer would have more than {MOST_POINTS:,} values: ask for fewer "
        "groups, longer buckets or a shorter time",
    )
