"""Ranks of days tell which groups may be among the highest: never too few."""

from __future__ import annotations

import random
from typing import Any

import pytest

from collectors.server_measurements import CATALOGUE
from collectors.store.day_ranks import day_ranks
from collectors.store.highest_groups import highest_groups
from collectors.store.influx_http import InfluxSeries
from collectors.store.percentile_sql import rank
from collectors.store.query import Highest, Pick, Query
from collectors.store.rank_bounds import (
    bounded_days,
    bounds_text,
    by_subject,
    groups_within,
    outside_texts,
)
from dashboards.report import report_queries

INTERFACE = CATALOGUE.measurement("interface")
HOUR, DAY = 3_600_000, 86_400_000
Means = list[list[float]]


def _percentile(values: list[float], percent: int) -> float | None:
    ordered = sorted(values)
    return ordered[rank(len(ordered), percent) - 1] if ordered else None


def _query(count: int, to_ms: int = 31 * DAY) -> Query:
    return Query(
        "interface",
        (Pick("in_use_ratio", "p95"),),
        0,
        to_ms,
        group_by=("site", "device", "port"),
        mean_step_ms=300_000,
        highest=Highest(count, "site", ("device", "port")),
    )


def _answer(port: str, days: Means) -> InfluxSeries:
    """What InfluxDB answers to `bounds_text`."""
    ranks = [value for means in days for value in day_ranks(means)]
    cells: list[Any] = [
        _percentile(ranks, 91),
        max(ranks, default=None),
        len(ranks),
        len(days),
    ]
    return InfluxSeries(_tags(port), ["time"], [[0, *cells]])


def _tags(port: str) -> dict[str, str]:
    return {"site": "s", "device": f"d{port}", "port": port}


@pytest.mark.parametrize("seed", range(6))
def test_the_highest_are_among_those_that_may_be_and_most_others_are_not(
    seed: int,
) -> None:
    chance = random.Random(seed)
    ports: dict[str, Means] = {}
    for port in range(40):
        level, spread = chance.random() ** 3, chance.choice((0.05, 0.5, 2.0))
        # Bursts on a few days, in some hours of each, or anywhere.
        ports[str(port)] = [
            [
                level * (1 + spread * chance.random() * (at % 24 < 3 or day % 7 < 2))
                for at in range(chance.choice((288, 288, 285)))
            ]
            for day in range(31)
        ]
    query = _query(3)
    values = {
        tuple(_tags(port).values()): _percentile([v for day in days for v in day], 95)
        for port, days in ports.items()
    }
    found = groups_within(query, [_answer(p, days) for p, days in ports.items()], ())
    assert found >= highest_groups(query, values)  # type: ignore[arg-type]
    assert len(found) < 20


def test_a_port_with_few_means_a_day_or_only_before_whole_days_may_be_the_highest() -> (
    None
):
    full = [[0.5] * 288] * 31
    brief = [[0.1] * 11 + [0.9]] * 31
    answers = [_answer("full", full), _answer("low", [[0.1] * 288] * 31)]
    answers.append(_answer("brief", brief))
    outside = [InfluxSeries(_tags("new"), ["time"], [[0, 9, None]])]
    ports = {group[2] for group in groups_within(_query(1), answers, outside)}
    assert ports == {"full", "brief", "new"}
    subjects = by_subject(_query(1), [("s", "a", "1"), ("s", "a", "2")], "device")
    assert [(w.tag, w.values) for w in subjects["a"]] == [("port", ("1", "2"))]


def test_only_percentiles_of_the_highest_over_nearly_whole_days_have_bounds() -> None:
    def days(query: Query, is_complete: bool = True) -> tuple[int, int] | None:
        return bounded_days(
            query, INTERFACE, lambda step, span: [span] if is_complete else []
        )

    month = report_queries.ports_use(-HOUR, 31 * DAY, None)
    assert days(month) == (0, 31 * DAY)
    [before] = outside_texts(month, INTERFACE, (0, 31 * DAY))
    assert '"interface_5m" WHERE time >= -3600000ms AND time < 0ms' in before
    assert 'percentile("in_use_ratio_rank", 91)' in bounds_text(
        month, INTERFACE, (0, 31 * DAY)
    )
    assert days(month, is_complete=False) is None
    assert days(report_queries.ports_use(0, 3 * DAY + HOUR, None)) is None
    assert days(report_queries.ports_month(0, 31 * DAY, None)) is None
