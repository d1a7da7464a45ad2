"""Towpath about itself: one set of samples, through its own pipe and at `/metrics`.

Every component hands in a function that turns its counters into samples of a
`self_*` measurement; nothing is counted twice and nothing is declared twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from collectors.background_tasks import BackgroundTasks
from collectors.batch import batch_samples
from collectors.failure_log import FailureLog
from collectors.journal import Append
from collectors.server_measurements import CATALOGUE
from probes.wire.catalogue import Catalogue, UnknownName
from probes.wire.clock import WallClock
from probes.wire.sample import Sample

Source = Callable[[int], Iterable[Sample]]


class SelfMonitor(Collector):
    """Asks every source once a period and appends what they say.

    It is also a Prometheus collector: a scrape asks the same sources. A source that
    fails is left out, said once, and asked again next time.
    """

    def __init__(
        self,
        process: str,
        sources: Sequence[tuple[str, Source]],
        append: Append,
        now_ms: WallClock,
        period_s: float = 60.0,
    ) -> None:
        self._process, self._sources = process, sources
        self._append, self._now_ms, self._period_s = append, now_ms, period_s
        self._source_failures = FailureLog("self_source_failed")
        self._append_failures = FailureLog("self_samples_not_kept")
        self._tasks = BackgroundTasks()

    async def __aenter__(self) -> Self:
        self._tasks.start(self._run(), "itself")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._tasks.stop()

    def samples(self) -> list[Sample]:
        """What every source says now."""
        now_ms = self._now_ms()
        found: list[Sample] = []
        for name, source in self._sources:
            try:
                found.extend(source(now_ms))
                self._source_failures.recovered(name)
            except Exception as error:  # noqa: BLE001 - one source must not hide the rest
                self._source_failures.failed(error, key=name, source=name)
        return found

    def collect(self) -> Iterator[Metric]:
        """For prometheus-client: `towpath_<measurement>_<field>`, counters with
        `_total`."""
        return iter(families(self.samples(), CATALOGUE))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._period_s)
            samples = self.samples()
            if not samples:
                continue
            source = f"self/{self._process}"
            try:
                await self._append.append(
                    *batch_samples(samples, source, self._now_ms())
                )
                self._append_failures.recovered()
            except Exception as error:  # noqa: BLE001 - a full disk must not end this
                self._append_failures.failed(error)


def families(samples: Iterable[Sample], catalogue: Catalogue) -> list[Metric]:
    """`samples` as Prometheus counters and gauges, one family a field; texts are left
    out."""
    found: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
    for sample in samples:
        try:
            declared = catalogue.measurement(sample.measurement)
        except UnknownName:
            continue
        labels = [tag.name for tag in declared.tags]
        for name, value in sample.fields.items():
            if isinstance(value, str):
                continue
            metric = f"towpath_{sample.measurement}_{name}"
            if metric not in found:
                field = declared.field(name)
                family = CounterMetricFamily if field.counter else GaugeMetricFamily
                found[metric] = family(
                    metric, f"{field.meaning} ({field.unit})", labels=labels
                )
            found[metric].add_metric(
                [sample.tags.get(label, "") for label in labels], float(value)
            )
    return list(found.values())
