"""`RolledQueries`: answers queries of an InfluxDB that has roll-ups, in pieces that the
server answers in seconds. What the pieces are: `collectors.store.rolled_reading`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial

import msgspec

from collectors.store.influx_http import InfluxSeries, InfluxServer
from collectors.store.influxql import conditions, show_tag_values
from collectors.store.query import PERCENTILES, Query, Row, Where
from collectors.store.rank_bounds import (
    bounded_days,
    bounds_text,
    by_subject,
    groups_within,
    outside_texts,
)
from collectors.store.rolled_buckets import RolledBuckets
from collectors.store.rolled_measurements import STEPS_MS, rolled_name
from collectors.store.rolled_reading import (
    Merged,
    Piece,
    Span,
    means_pieces,
    means_text,
    of_rows,
    parts_of_row,
    pieces,
    rolled_text,
    rows_query,
)
from probes.wire.catalogue import Measurement
from probes.wire.clock import WallClock

AnswerRows = Callable[[Query, str], Awaitable[list[Row]]]
# Percentiles are asked for some subjects at a time (devices, lines): so many at first,
# then as many as the server answers in about so long.
_SUBJECTS_AT_FIRST, _PIECE_S = 4, 4.0
# Percentiles of a shorter range are of few values.
_LEAST_MS = 24 * 3_600_000


class RolledQueries:
    """`answer_rows(query, text)` returns the answer's rows of one SELECT; without a
    text, that of the query from rows."""

    def __init__(
        self,
        server: InfluxServer,
        database: str,
        buckets: RolledBuckets,
        answer_rows: AnswerRows,
        now_ms: WallClock,
    ) -> None:
        self._server, self._database, self._buckets = server, database, buckets
        self._answer_rows, self._now_ms = answer_rows, now_ms

    async def answer(self, query: Query, declared: Measurement) -> list[Row]:
        """Returns the rows of the answer, in any order. Raises `NoDatabase` and
        `QueryFailed`."""
        complete = partial(self._buckets.spans, declared)
        if query.mean_step_ms:
            found = means_pieces(query, declared, complete, self._now_ms())
            days = bounded_days(query, declared, complete)
            if days and declared.tags[0].name in query.group_by:
                return await self._of_highest(query, declared, found, days)
            return await self._by_subjects(
                query, declared, lambda own: means_text(own, declared, found)
            )
        unrolled = of_rows(query, declared)
        rolled = tuple(pick for pick in query.picks if pick not in unrolled)
        own = msgspec.structs.replace(query, picks=rolled, highest=None)
        planned = pieces(own, declared, complete, self._now_ms()) if rolled else []
        if not any(piece.step for piece in planned):
            return await self._by_subjects(query, declared)
        merged = Merged(own, declared)
        for piece in planned:
            if piece.step:
                text = rolled_text(own, declared, piece)
                for one in await self._server.query(self._database, text):
                    _add_series(merged, one)
            else:
                for row in await self._answer_rows(
                    rows_query(own, declared, piece), ""
                ):
                    merged.add(row.time_ms, row.tags, parts_of_row(row, merged.parts))
        if not unrolled:
            return merged.rows()
        others = msgspec.structs.replace(query, picks=unrolled, highest=None)
        return _joined(
            query,
            merged.rows(),
            await self._by_subjects(others, declared),
        )

    async def _of_highest(
        self, query: Query, declared: Measurement, found: list[Piece], days: Span
    ) -> list[Row]:
        """Returns the rows of the groups that may be among the highest, and of some
        others."""
        tag = declared.tags[0].name
        bounds = await self._server.query(
            self._database, bounds_text(query, declared, days)
        )
        outside = [
            series
            for text in outside_texts(query, declared, days)
            for series in await self._server.query(self._database, text)
        ]
        groups = groups_within(query, bounds, outside)
        rows: list[Row] = []
        for subject, others in by_subject(query, groups, tag).items():
            where = (*query.where, Where(tag, (subject,)), *others)
            own = msgspec.structs.replace(query, where=where)
            rows += await self._answer_rows(own, means_text(own, declared, found))
        return rows

    async def _by_subjects(
        self,
        query: Query,
        declared: Measurement,
        text_of: Callable[[Query], str] = lambda own: "",
    ) -> list[Row]:
        tag = declared.tags[0].name
        if (
            tag not in query.group_by
            or query.to_ms - query.from_ms < _LEAST_MS
            or not any(pick.aggregate in PERCENTILES for pick in query.picks)
        ):
            return await self._answer_rows(query, text_of(query))
        subjects = await self._subjects(query, declared, tag)
        rows: list[Row] = []
        at, count = 0, _SUBJECTS_AT_FIRST
        while at < len(subjects):
            where = Where(tag, tuple(subjects[at : at + count]))
            own = msgspec.structs.replace(query, where=(*query.where, where))
            began = time.monotonic()
            rows += await self._answer_rows(own, text_of(own))
            at += count
            fits = count * _PIECE_S / max(time.monotonic() - began, 0.001)
            count = max(1, min(4 * count, int(fits)))
        return rows

    async def _subjects(
        self, query: Query, declared: Measurement, tag: str
    ) -> Sequence[str]:
        """Returns the values of the tag, those that `query` names if it does."""
        for where in query.where:
            if where.tag == tag and not where.negate and not where.pattern:
                return where.values
        # Roll-ups may be kept of what has no rows any more.
        names = [declared.name, *(rolled_name(declared.name, s) for s in STEPS_MS)]
        text = show_tag_values(names, tag, conditions(query.where))
        answer = await self._server.query(self._database, text)
        # Rows without the tag have the empty text.
        return sorted({str(row[1]) for one in answer for row in one.values} | {""})


def _add_series(merged: Merged, series: InfluxSeries) -> None:
    tags = {tag: series.tags.get(tag, "") for tag in merged.query.group_by}
    names = series.columns[1:]
    for time_ms, *cells in series.values:
        merged.add(
            int(time_ms) if merged.query.every_ms else None,
            tags,
            dict(zip(names, cells, strict=True)),
        )


def _joined(query: Query, *answers: Iterable[Row]) -> list[Row]:
    """Returns the rows of several answers to picks of one query as one."""
    found: dict[tuple[object, ...], Row] = {}
    for row in (row for rows in answers for row in rows):
        key = (row.time_ms, *(row.tags[tag] for tag in query.group_by))
        known: Mapping[str, object] = found[key].values if key in found else {}
        found[key] = msgspec.structs.replace(row, values={**known, **row.values})
    return list(found.values())
