"""Whether a group's calls are good: the one place of the limits, and of the verdict.

Limits for "fair" are Microsoft's media targets (2018: round trip 100 ms, loss 1 %,
jitter 30 ms); over 10 % of poor runs its own assessment tool fails a place, and so does
the rule `calls_poor_site`. MOS: under 3.6 some, under 3.1 nearly all users are
dissatisfied (ITU-T G.107, Annex B). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from dashboards import figure_text

Level = Literal["ok", "warn", "bad", "none"]


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

    def said(self, value: float) -> str:
        """The value as a person reads it."""
        if self.unit == "ratio":
            return figure_text.percent(value, 1)
        if self.unit == "ms":
            return figure_text.number(value, "ms")
        return figure_text.number(value, digits=1)

    def limit(self, value: float) -> str:
        return self.said(value).replace(".0%", "%")


CRITERIA = (
    Criterion("call_poor_ratio", "poor calls", 0.05, 0.1, "ratio"),
    Criterion("mos_estimated_p50", "estimated MOS", 3.6, 3.1, "MOS"),
    Criterion("rtt_p95_ms", "round trip", 100, 200, "ms"),
    Criterion("loss_mean_ratio", "loss", 0.01, 0.03, "ratio"),
    Criterion("jitter_p95_ms", "jitter", 30, 60, "ms"),
)
BY_FIELD = {each.field: each for each in CRITERIA}
_WORDS: dict[Level, str] = {"ok": "Good", "warn": "Fair", "bad": "Poor"}
_ORDER: tuple[Level, ...] = ("ok", "warn", "bad")


class CallVerdict(NamedTuple):
    """`why` names what decides, unless all is good."""

    level: Level
    word: str
    why: str = ""


def verdict(values: Mapping[str, float], suffix: str = "_last") -> CallVerdict:
    """The worst of the criteria that are known; `values` by field and `suffix`."""
    known = [
        (each, value)
        for each in CRITERIA
        if (value := values.get(each.field + suffix)) is not None
    ]
    if not known:
        return CallVerdict("none", "Not measured")
    worst, value = max(known, key=lambda pair: _ORDER.index(pair[0].level(pair[1])))
    level = worst.level(value)
    why = "" if level == "ok" else f"{worst.title} {worst.said(value)}"
    return CallVerdict(level, _WORDS[level], why)


def criteria() -> str:
    """What the words mean, in two sentences."""

    def told(which: str, less: str, more: str) -> str:
        limits = [
            f"{each.title} {less if each.is_less_worse else more} "
            f"{each.limit(getattr(each, which))}"
            for each in CRITERIA
        ]
        return f"{', '.join(limits[:-1])} and {limits[-1]}"

    good = told("good", "at least", "at most")
    poor = told("poor", "under", "over").replace(" and ", " or ")
    return f"Good: {good}. Poor: {poor}. Fair: between them. The worst figure decides."
