"""Whether a group's calls are good: the only place for the limits and the verdict.

Limits for "fair" are Microsoft's media targets (2018: round trip 100 ms, loss 1 %,
jitter 30 ms). Above 10 % of poor runs its own assessment tool fails a place, and the
rule `calls_poor_site` fires. MOS: below 3.6 some users are dissatisfied, below 3.1
nearly all (ITU-T G.107, Annex B). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from dashboards import figure_text
from dashboards.state_levels import Level
from probes.wire.service_diagnosis import SLOW_EDGE_MS


@dataclass(frozen=True)
class Criterion:
    """A figure of `experience`. Good up to `good`, poor beyond `poor`, fair between;
    if `poor` is the lower one, less is worse."""

    field: str
    title: str
    good: float
    poor: float
    unit: Literal["ratio", "ms", "MOS"]

    @property
    def is_less_worse(self) -> bool:
        return self.poor < self.good

    def level(self, value: float) -> Level:
        sign = -1 if self.is_less_worse else 1
        if sign * value > sign * self.poor:
            return "bad"
        return "warn" if sign * value > sign * self.good else "ok"

    def value_text(self, value: float) -> str:
        """Returns the value with its unit, for people."""
        if self.unit == "ratio":
            return figure_text.percent(value, 1)
        if self.unit == "ms":
            return figure_text.number(value, "ms")
        return figure_text.number(value, digits=1)

    def limit(self, value: float) -> str:
        return self.value_text(value).replace(".0%", "%")


CRITERIA = (
    Criterion("call_poor_ratio", "poor calls", 0.05, 0.1, "ratio"),
    Criterion("mos_estimated_p50", "estimated MOS", 3.6, 3.1, "MOS"),
    Criterion("rtt_p95_ms", "round trip", 100, 200, "ms"),
    Criterion("loss_mean_ratio", "loss", 0.01, 0.03, "ratio"),
    Criterion("jitter_p95_ms", "jitter", 30, 60, "ms"),
)
# Of the servers that take a team's calls (`media_edges`).
MEDIA_EDGE_CRITERIA = (
    Criterion("media_edge_ok_ratio", "answers of the media edge", 0.95, 0.8, "ratio"),
    Criterion(
        "media_edge_rtt_p95_ms",
        "round trip to the media edge",
        100,
        SLOW_EDGE_MS,
        "ms",
    ),
)
BY_FIELD = {one.field: one for one in (*CRITERIA, *MEDIA_EDGE_CRITERIA)}
_WORDS: dict[Level, str] = {"ok": "Good", "warn": "Fair", "bad": "Poor"}
LEVELS: tuple[Level, ...] = ("ok", "warn", "bad")


class CallVerdict(NamedTuple):
    """`why` names the deciding figure, unless all is good."""

    level: Level
    word: str
    why: str = ""


def verdict(
    values: Mapping[str, float],
    suffix: str = "_last",
    criteria: Iterable[Criterion] = CRITERIA,
) -> CallVerdict:
    """Returns the worst of the known criteria; keys of `values` are field + suffix."""
    known = [
        (criterion, value)
        for criterion in criteria
        if (value := values.get(criterion.field + suffix)) is not None
    ]
    if not known:
        return CallVerdict("none", "Not measured")
    worst, value = max(known, key=lambda pair: LEVELS.index(pair[0].level(pair[1])))
    level = worst.level(value)
    why = "" if level == "ok" else f"{worst.title} {worst.value_text(value)}"
    return CallVerdict(level, _WORDS[level], why)


def team_verdict(values: Mapping[str, float]) -> CallVerdict:
    """Returns the worse of a team's calls and of the servers that take them. These
    alone make no call good."""
    calls = verdict(values)
    edge = verdict(values, criteria=MEDIA_EDGE_CRITERIA)
    if edge.level in ("warn", "bad") and calls.level != "bad":
        return edge
    return calls


def criteria() -> str:
    """Returns what good, fair and poor mean."""

    def limits_text(which: str, less: str, more: str) -> str:
        limits = [
            f"{criterion.title} {less if criterion.is_less_worse else more} "
            f"{criterion.limit(getattr(criterion, which))}"
            for criterion in CRITERIA
        ]
        return f"{', '.join(limits[:-1])} and {limits[-1]}"

    good = limits_text("good", "at least", "at most")
    poor = limits_text("poor", "below", "above").replace(" and ", " or ")
    return f"Good: {good}. Poor: {poor}. Fair: in between. The worst figure decides."
