"""Towpath's samples about itself, for the journal and for `/metrics`.

Every component has a function that returns its counters as samples of a `self_*`
measurement. Nothing is counted twice or declared twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Self

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from collectors.background_tasks import BackgroundTasks
from collectors.batch import batch_samples
from collectors.failure_log import FailureLog
from collectors.journal import Append
from collectors.server_measurements import CATALOGUE
from collectors.wake_times import sleep_with_others
from probes.wire.catalogue import Catalogue, UnknownName
from probes.wire.clock import WallClock
from probes.wire.sample import Sample

Source = Callable[[int], Iterable[Sample]]


class SelfMonitor(Collector):
    """Reads every source once a period and appends the samples to the journal.

    It is also a Prometheus collector: a scrape reads the same sources. A source that
    fails is left out, logged once, and read again the next time.
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
        self._tasks.start(self._run(), "self-monitor")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()

    def samples(self) -> list[Sample]:
        """The samples of every source now."""
        now_ms = self._now_ms()
        samples: list[Sample] = []
        for name, source in self._sources:
            try:
                samples.extend(source(now_ms))
                self._source_failures.recovered(name)
            except Exception as error:  # noqa: BLE001 - one source must not hide the rest
                self._source_failures.failed(error, key=name, source=name)
        return samples

    def collect(self) -> Iterator[Metric]:
        """For prometheus-client: `towpath_<measurement>_<field>`, counters with
        `_total`."""
        return iter(families(self.samples(), CATALOGUE))

    async def _run(self) -> None:
        while True:
            await sleep_with_others(self._period_s)
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


def family_name(measurement: str, field: str) -> str:
    """The name of a metric; Prometheus appends `_total` if it is a counter."""
    return f"towpath_{measurement}_{field}"


def families(samples: Iterable[Sample], catalogue: Catalogue) -> list[Metric]:
    """`samples` as Prometheus counters and gauges, one family per field, without
    texts."""
    families_by_name: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
    for sample in samples:
        try:
            declared = catalogue.measurement(sample.measurement)
        except UnknownName:
            continue
        labels = [tag.name for tag in declared.tags]
        for name, value in sample.fields.items():
            if isinstance(value, str):
                continue
            metric = family_name(sample.measurement, name)
            if metric not in families_by_name:
                field = declared.field(name)
                family = CounterMetricFamily if field.counter else GaugeMetricFamily
                families_by_name[metric] = family(
                    metric, f"{field.meaning} ({field.unit})", labels=labels
                )
            families_by_name[metric].add_metric(
                [sample.tags.get(label, "") for label in labels], float(value)
            )
    return list(families_by_name.values())
