"""`WindowMetrics`: the newest rows that rules evaluate, for Prometheus.

A value is there as long as its row counts as current. Figures of a window are those
that the rules compare, so that an exported rule compares the same. The age of a row
(`towpath_…_row_age_s`) tells a row without a field from no row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Self

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from alerts.evaluation.conditions import aggregate_value
from alerts.prometheus.metric_names import age_name, duration, value_name
from alerts.rule import Condition
from alerts.series import Series
from alerts.window import FORGET_MS, Window, current_ms
from collectors.self_metrics import families
from collectors.server_measurements import CATALOGUE
from probes.wire.catalogue import Measurement
from probes.wire.clock import WallClock
from probes.wire.sample import Sample

_ANSWER_S = 30.0


class WindowMetrics(Collector):
    """A Prometheus collector. Scrapes come in a thread of their own, and the window
    belongs to the event loop in which `async with` runs: it is read there.

    Rows about Towpath itself are left out: each process exposes its own.
    """

    def __init__(self, window: Callable[[], Window], now_ms: WallClock) -> None:
        self._window, self._now_ms = window, now_ms
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._loop = None

    def collect(self) -> Iterator[Metric]:
        if self._loop is None:
            return iter(())
        reading = asyncio.run_coroutine_threadsafe(self._read(), self._loop)
        return iter(reading.result(_ANSWER_S))

    async def _read(self) -> list[Metric]:
        return window_families(self._window(), self._now_ms())


def window_families(
    window: Window, now_ms: int, of_towpath: bool = False
) -> list[Metric]:
    """The window as Prometheus sees it at `now_ms`; `of_towpath`: with the rows about
    Towpath itself."""
    made: list[Metric] = []
    samples: list[Sample] = []
    figures = _figures(window)
    for declared, fields, _ in window.needed_fields():
        reach_ms = current_ms(declared)
        ages = _family(age_name(declared.name), "Age of the newest row (s)", declared)
        oldest_ms = now_ms - FORGET_MS
        kept = [s for s in window.series(declared.name) if s.last_ms > oldest_ms]
        for series in kept:
            age_s = max(0, now_ms - series.last_ms) / 1000
            ages.add_metric(_label_values(series, declared), age_s)
        current = [s for s in kept if s.last_ms >= now_ms - reach_ms]
        made.append(ages)
        made += [
            _figure_family(declared, condition, current)
            for condition in figures.get(declared.name, {}).values()
        ]
        if of_towpath or not declared.name.startswith("self_"):
            samples += [
                Sample(
                    declared.name,
                    series.tags,
                    {
                        name: value
                        for name in fields
                        if (value := series.latest(name)) is not None
                    },
                    series.last_ms,
                )
                for series in current
            ]
    return made + families(samples, CATALOGUE)


def _figures(window: Window) -> dict[str, dict[str, Condition]]:
    """Measurement → metric → a condition that compares it, of those that look back."""
    figures: dict[str, dict[str, Condition]] = {}
    for rule in window.rules:
        for condition in rule.when:
            if condition.aggregate != "last":
                name = value_name(rule.measurement, condition)
                figures.setdefault(rule.measurement, {})[name] = condition
    return figures


def _figure_family(
    declared: Measurement, condition: Condition, current: list[Series]
) -> GaugeMetricFamily:
    field = declared.field(condition.field)
    family = _family(
        value_name(declared.name, condition),
        f"{field.meaning}: {condition.aggregate} of the {duration(condition.over)} up "
        "to the newest row",
        declared,
    )
    for series in current:
        value = aggregate_value(condition, series)
        if value is not None:
            family.add_metric(_label_values(series, declared), value)
    return family


def _family(name: str, meaning: str, declared: Measurement) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, labels=declared.identity)


def _label_values(series: Series, declared: Measurement) -> list[str]:
    tags = series.tags
    return [tags[name] for name in declared.identity]
