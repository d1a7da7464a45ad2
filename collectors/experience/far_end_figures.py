"""Figures about the far ends of calls: Teams relays and media edges of teams. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from collectors.experience.agent_results import AgentResult
from collectors.experience.agent_statistics import (
    coarse_percentile,
    figures_of,
    mean_of,
)
from probes.wire.sample import Value


def relay(rows: Sequence[AgentResult], least: int) -> dict[str, Value]:
    blocked = 1.0 - mean_of(rows, "worked")
    return {"relay_blocked_ratio": blocked, **_delay(rows, least, "relay")}


def media_edge(rows: Sequence[AgentResult], least: int) -> dict[str, Value]:
    answered = mean_of(rows, "worked")
    return {"media_edge_ok_ratio": answered, **_delay(rows, least, "media_edge")}


def _delay(rows: Sequence[AgentResult], least: int, name: str) -> dict[str, Value]:
    delays = figures_of(rows, "rtt_ms", least)
    return {f"{name}_rtt_p95_ms": coarse_percentile(delays, 95)} if delays else {}
