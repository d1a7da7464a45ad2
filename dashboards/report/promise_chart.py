"""The chart of the promise: for each part, how good it was at home beside offices, with
the interval of home and what is still within the council's margin. Pure.

A share of laptops at home is drawn as a disc with its interval, that in offices as a
square, and the least that keeps the promise as an upright mark: they differ by shape,
not by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from dashboards import figure_text
from dashboards.chart import begin_drawing, escape

_LEFT, _RIGHT, _TOP, _ROW, _BOTTOM, _WIDTH = 150, 16, 8, 34, 22, 640
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5)
_MOST_MARKS = 6


@dataclass(frozen=True)
class PromisePart:
    """One part of the promise: the shares that were good in offices and at home. `low`
    and `high`: the 95% interval of home, beside the office's share; `least`: the share
    at home that still keeps the promise. `verdict`: in words."""

    title: str
    office: float
    home: float
    low: float | None = None
    high: float | None = None
    least: float | None = None
    verdict: str = ""

    @property
    def sentence(self) -> str:
        text = (
            f"{self.title}: {figure_text.percent(self.home, 1)} good at home"
            f"{self._interval()}, {figure_text.percent(self.office, 1)} in offices"
        )
        if self.least is not None:
            least = figure_text.percent(self.least, 1)
            text += f"; the promise needs {least} at home"
        return f"{text}{f': {self.verdict}' if self.verdict else ''}."

    def _interval(self) -> str:
        if self.low is None or self.high is None:
            return ""
        low, high = (figure_text.percent(v, 1) for v in (self.low, self.high))
        return f" (95% interval {low} to {high})"


def promise_chart(parts: Sequence[PromisePart], title: str) -> Markup:
    """Returns the drawing, with its figures in its description; empty without parts."""
    if not parts:
        return Markup("")
    values = [
        value
        for part in parts
        for value in (part.office, part.home, part.low, part.high, part.least)
        if value is not None
    ]
    low, high, step = _axis(min(values), max(values))
    height = _TOP + _ROW * len(parts) + _BOTTOM

    def x(value: float) -> float:
        share = (min(max(value, low), high) - low) / (high - low)
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * share

    words = " ".join(part.sentence for part in parts)
    out = [begin_drawing("chart promise", "promise", (_WIDTH, height), title, words)]
    bottom = _TOP + _ROW * len(parts)
    digits = 0 if step >= 0.01 else 1
    for n in range(round((high - low) / step) + 1):
        at = low + n * step
        anchor = "end" if at > high - step / 2 else "middle"
        out.append(
            f'<line class="grid" x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{_TOP}" '
            f'y2="{bottom}"/><text class="axis" x="{x(at):.1f}" y="{height - 6}" '
            f'text-anchor="{anchor}">{figure_text.percent(at, digits)}</text>'
        )
    for row, part in enumerate(parts):
        out.append(_row(part, _TOP + _ROW * row + _ROW / 2, x))
    out.append("</svg>")
    return Markup("".join(out))


def _row(part: PromisePart, y: float, at: Callable[[float], float]) -> str:
    out = [
        f'<text class="axis name" x="{_LEFT - 10}" y="{y + 4:.1f}" '
        f'text-anchor="end">{escape(part.title)}</text>'
    ]
    if part.least is not None:
        out.append(
            f'<line class="limit" x1="{at(part.least):.1f}" x2="{at(part.least):.1f}" '
            f'y1="{y - 13:.1f}" y2="{y + 13:.1f}"/>'
        )
    if part.low is not None and part.high is not None:
        begin, end = at(part.low), at(part.high)
        out.append(
            f'<path class="c1 whisker" d="M{begin:.1f} {y - 4:.1f}v8M{begin:.1f} '
            f'{y:.1f}H{end:.1f}M{end:.1f} {y - 4:.1f}v8"/>'
        )
    out.append(
        f'<rect class="dot office" x="{at(part.office) - 5.5:.1f}" y="{y - 5.5:.1f}" '
        'width="11" height="11"/>'
        f'<circle class="dot home" cx="{at(part.home):.1f}" cy="{y:.1f}" r="5.5"/>'
    )
    return "".join(out)


def _axis(least: float, most: float) -> tuple[float, float, float]:
    """Returns the ends of an axis of shares, and the distance of its marks: the axis
    ends at whole marks, and never beyond all or nothing."""
    for step in _STEPS:
        low = max(0.0, math.floor(least / step - 0.2) * step)
        high = min(1.0, math.ceil(most / step + 0.2) * step)
        if high - low >= step and round((high - low) / step) <= _MOST_MARKS:
            return low, high, step
    return 0.0, 1.0, 0.25
