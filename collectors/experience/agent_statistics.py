"""Statistics of the results of several agents. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from collectors.experience.agent_results import AgentResult
from probes.wire.percentiles import percentile

_Row = TypeVar("_Row")


def latest_results(rows: Sequence[AgentResult]) -> list[AgentResult]:
    by_time = sorted(rows, key=lambda row: row.time_ms)
    return list({row.agent: row for row in by_time}.values())


def figures_of(rows: Sequence[AgentResult], name: str, least: int) -> list[float]:
    """Returns the values of that name; none if fewer than `least` agents have one."""
    values = [(row.agent, v) for row in rows if (v := row.figure(name)) is not None]
    agents = {agent for agent, _ in values}
    return [value for _, value in values] if len(agents) >= least else []


def mean_of(rows: Sequence[AgentResult], name: str) -> float:
    return sum(row.figure(name) or 0.0 for row in rows) / len(rows)


def share_of(rows: Sequence[_Row], holds: Callable[[_Row], bool]) -> float:
    """Returns the share of rows for which something holds."""
    return sum(map(holds, rows)) / len(rows)


def coarse_percentile(values: Sequence[float], percent: int) -> float:
    """Returns the percentile to two digits. The exact one is a value that one laptop
    measured: if two groups had the same, a laptop would be known to be in both."""
    return float(f"{percentile(values, percent):.1e}")
