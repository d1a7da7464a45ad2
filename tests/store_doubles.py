"""Test doubles of the stores that pages and reports read."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterable
from typing import Self

from alerts.alert import Alert
from alerts.silence import Silence
from collectors.batch import Batch
from collectors.server_measurements import CATALOGUE
from collectors.store.highest_groups import keep_highest_rows
from collectors.store.query import Pick, Query, Row, Where, means_query, weight_field
from probes.wire.sample import Sample, Value


class AlertList:
    """Alerts from a list; while `broken` is set, reading raises it as an `OSError`."""

    def __init__(
        self,
        alerts: Iterable[Alert] = (),
        broken: str = "",
        silences: Iterable[Silence] = (),
    ) -> None:
        self.alerts, self.broken = list(alerts), broken
        self._silences = list(silences)

    def silences(self, from_ms: int) -> list[Silence]:
        return [silence for silence in self._silences if silence.until_ms >= from_ms]

    def open(self) -> list[Alert]:
        if self.broken:
            raise OSError(self.broken)
        return [alert for alert in self.alerts if alert.state != "resolved"]

    def recent(self, since_ms: int) -> list[Alert]:
        if self.broken:
            raise OSError(self.broken)
        return [alert for alert in self.alerts if (alert.resolved_ms or 0) >= since_ms]


class _NullContext:
    """Entering and leaving does nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


class AnswerStore(_NullContext):
    """Answers each query by a function; `asked` lists the queries."""

    def __init__(self, answer: Callable[[Query], list[Row]]) -> None:
        self._answer = answer
        self.asked: list[Query] = []
        self.broken = ""

    async def write(self, batches: list[Batch]) -> None:
        raise NotImplementedError("this store only answers")

    async def query(self, query: Query) -> list[Row]:
        self.asked.append(query)
        if self.broken:
            raise ConnectionError(self.broken)
        return self._answer(query)


class MemoryStore(_NullContext):
    """A store in memory that answers as `collectors.store.query` specifies. Samples
    are gone through when the first query or write needs them."""

    def __init__(self, samples: Iterable[Sample] = ()) -> None:
        self._samples = samples
        self._answers: dict[Query, list[Row]] = {}

    @functools.cached_property
    def _by_measurement(self) -> dict[str, list[Sample]]:
        found: dict[str, list[Sample]] = {}
        for sample in self._samples:
            found.setdefault(sample.measurement, []).append(sample)
        return found

    async def write(self, batches: list[Batch]) -> None:
        self._answers.clear()
        for batch in batches:
            rows = self._by_measurement.setdefault(batch.measurement, [])
            rows.extend(batch.samples())

    async def query(self, query: Query) -> list[Row]:
        if query not in self._answers:
            work_out = self._of_means if query.mean_step_ms else self._of_rows
            rows = await work_out(query)
            self._answers[query] = keep_highest_rows(query, rows)
        return list(self._answers[query])

    async def _of_rows(self, query: Query) -> list[Row]:
        groups: dict[tuple[int | None, tuple[str, ...]], list[Sample]] = {}
        for sample in self._by_measurement.get(query.measurement, ()):
            if not query.from_ms <= sample.time_ms < query.to_ms:
                continue
            if any(
                _is_of(sample.tags.get(where.tag, ""), where) is where.negate
                for where in query.where
            ):
                continue
            if query.selections and not any(
                one.from_ms <= sample.time_ms < one.to_ms
                and sample.tags.get(one.tag, "") in one.values
                for one in query.selections
            ):
                continue
            bucket = _bucket(query, sample.time_ms)
            if bucket is None and query.has_buckets:
                continue
            group = tuple(sample.tags.get(name, "") for name in query.group_by)
            groups.setdefault((bucket, group), []).append(sample)
        declared = CATALOGUE.measurement(query.measurement)
        rows = []
        for (bucket, group), samples in sorted(
            groups.items(), key=lambda item: str(item[0])
        ):
            values = {
                pick.name: value
                for pick in query.picks
                if (value := aggregate(pick, samples, weight_field(pick, declared)))
                is not None
            }
            if values:
                tags = dict(zip(query.group_by, group, strict=True))
                rows.append(Row(bucket, tags, values))
        return rows

    async def _of_means(self, query: Query) -> list[Row]:
        groups: dict[tuple[str, ...], list[Sample]] = {}
        for row in await self.query(means_query(query)):
            means = {name.removesuffix("_mean"): v for name, v in row.values.items()}
            sample = Sample(query.measurement, row.tags, means, row.time_ms or 0)
            groups.setdefault(tuple(row.tags.values()), []).append(sample)
        return [
            Row(
                None,
                samples[0].tags,
                {
                    pick.name: value
                    for pick in query.picks
                    if (value := aggregate(pick, samples, "")) is not None
                },
            )
            for samples in groups.values()
        ]


def _is_of(tag: str, where: Where) -> bool:
    if where.pattern:
        return re.search(where.pattern, tag) is not None
    return tag in where.values


def _bucket(query: Query, time_ms: int) -> int | None:
    if query.every_ms:
        return time_ms - time_ms % query.every_ms
    return next((a for a, b in query.spans if a <= time_ms < b), None)


def aggregate(pick: Pick, samples: list[Sample], weight: str) -> Value | None:
    """Return one aggregate, or None if no row has the field. `weight`: the field that
    weights a mean."""
    if weight:
        pairs = [
            (float(s.fields[pick.field]), float(s.fields[weight]))
            for s in samples
            if pick.field in s.fields and weight in s.fields
        ]
        total = sum(weighs for _, weighs in pairs)
        if not total or pick.aggregate == "weight":
            return total or None
        return sum(value * weighs for value, weighs in pairs) / total
    held = [
        (s.time_ms, s.fields[pick.field]) for s in samples if pick.field in s.fields
    ]
    if not held:
        return None
    if pick.aggregate == "count":
        return len(held)
    if pick.aggregate == "weight":
        return float(len(held))
    if pick.aggregate == "last":
        return max(held, key=lambda pair: pair[0])[1]
    numbers = sorted(float(value) for _, value in held)
    if pick.aggregate.startswith("p"):
        rank = math.ceil(int(pick.aggregate[1:]) / 100 * len(numbers))
        return numbers[max(0, rank - 1)]
    if pick.aggregate == "mean":
        return sum(numbers) / len(numbers)
    if pick.aggregate == "sum":
        return sum(numbers)
    return numbers[0] if pick.aggregate == "min" else numbers[-1]
