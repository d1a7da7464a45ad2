"""Charts as SVG: small, without scripts, readable by screen readers, printable.

Every chart has a title and a description, differs by line pattern as well as colour,
breaks its line where nothing was measured, and is meant to have its figures in a
table beside it (`Chart.table`). Colours are classes (`c1`, `c2`, `limit`), so that
one style sheet serves light, dark and paper.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter

from markupsafe import Markup
from markupsafe import escape as escape_html

from probes.wire.display import isolated

Point = tuple[int, float]
_VALUE = itemgetter(1)
# A character of an axis is no wider than this, in units of the drawing.
_CHARACTER = 6.6
# The same in a narrow drawing on a telephone.
_LARGE = 9.6
# The line above a drawing that shows the figures under the pointer.
_HOVER_LINE = 20
# The width of a drawing that also fits a telephone.
_NARROW = 420
# Characters that a time axis has room for, with some between its labels. Letters are
# larger on a telephone, in a drawing that is narrow.
_NARROW_ROOM, _WIDE_ROOM = 32, 90
_TICKS = 4


@dataclass(frozen=True)
class ChartSeries:
    """One line: points (time in ms, value), in order of time."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Chart:
    """A chart. `step_ms`: the distance between measured points; more than two steps
    without a point is a gap in the line, or `gap_ms` if it is given. `say` formats a
    value, `tick` a time. `axis` returns the marks of the time axis, for a number of
    characters that have room; without it they are at even distances. `table_start`
    returns the beginning of the table's step that a time is in. `hover`: the figures of
    a step are shown above the drawing while the pointer is over it, with its time in
    this form; nothing else needs them, as they are in the table."""

    id: str
    title: str
    series: tuple[ChartSeries, ...]
    from_ms: int
    to_ms: int
    step_ms: int
    say: Callable[[float], str]
    tick: Callable[[int], str]
    limit: float | None = None
    limit_name: str = ""
    least_top: float = 0.0
    width: int = _NARROW
    height: int = 130
    table_step_ms: int = field(default=3_600_000)
    table_step: str = "hour"
    gap_ms: int = 0
    axis: Callable[[int], Sequence[tuple[int, str]]] | None = None
    table_start: Callable[[int], int] | None = None
    hover: Callable[[int], str] | None = None

    @property
    def empty(self) -> bool:
        return not any(series.points for series in self.series)

    def description(self) -> str:
        """Returns a description with one sentence per line."""
        parts = []
        for series in self.series:
            values = list(map(_VALUE, series.points))
            if not values:
                parts.append(f"{series.name}: no data.")
                continue
            parts.append(
                f"{series.name}: from {self.say(min(values))} to "
                f"{self.say(max(values))}, last {self.say(values[-1])}."
            )
        if self.limit is not None:
            parts.append(f"{self.limit_name}: {self.say(self.limit)}.")
        return " ".join(parts)

    def table(self) -> list[tuple[str, list[str]]]:
        """Returns (time, a text per series), the highest of each `table_step_ms`."""
        rows: dict[int, list[float | None]] = {}
        start = self.table_start or (lambda at_ms: at_ms - at_ms % self.table_step_ms)
        for at, series in enumerate(self.series):
            for begin, points in itertools.groupby(
                series.points, lambda point: start(point[0])
            ):
                row = rows.setdefault(begin, [None] * len(self.series))
                row[at] = max(map(_VALUE, points))
        return [
            (self.tick(t), ["no data" if v is None else self.say(v) for v in row])
            for t, row in sorted(rows.items())
        ]

    def svg(self) -> Markup:
        """Returns the drawing, with `role="img"`, title and description."""
        ceiling = self._ceiling()
        marks = [ceiling * share for share in (0.0, 0.5, 1.0)]
        widest = max(len(self.say(value)) for value in marks)
        left, right, bottom = round(14 + _CHARACTER * widest), 6, 20
        top = _HOVER_LINE if self.hover else 8
        inner_w, inner_h = self.width - left - right, self.height - top - bottom

        def x(time_ms: int) -> float:
            share = (time_ms - self.from_ms) / max(1, self.to_ms - self.from_ms)
            return left + inner_w * min(1.0, max(0.0, share))

        def y(value: float) -> float:
            return top + inner_h * (1 - min(value, ceiling) / ceiling)

        size = self.width, self.height
        out = [begin_drawing("chart", self.id, size, self.title, self.description())]
        for value in marks:
            out.append(
                f'<line class="grid" x1="{left}" x2="{self.width - right}" '
                f'y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
                f'<text class="axis" x="{left - 6}" y="{y(value) + 4:.1f}" '
                f'text-anchor="end">{escape(self.say(value))}</text>'
            )
        for time_ms, label in self._marks():
            at = x(time_ms)
            anchor = "middle"
            if self.axis:
                out.append(
                    f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{top}" '
                    f'y2="{self.height - bottom}"/>'
                )
                # A label that would reach beyond the drawing has only its line.
                half = (
                    (_LARGE if self.width <= _NARROW else _CHARACTER) * len(label) / 2
                )
                if not left / 2 < at - half < at + half < self.width:
                    continue
            elif time_ms in (self.from_ms, self.to_ms):
                anchor = "start" if time_ms == self.from_ms else "end"
            out.append(
                f'<text class="axis" x="{at:.1f}" y="{self.height - 5}" '
                f'text-anchor="{anchor}">{escape(label)}</text>'
            )
        if self.limit is not None:
            out.append(
                f'<line class="limit" x1="{left}" x2="{self.width - right}" '
                f'y1="{y(self.limit):.1f}" y2="{y(self.limit):.1f}"/>'
            )
        column_ms = (self.to_ms - self.from_ms) / inner_w
        for at, series in enumerate(self.series, 1):
            for run in _runs(series.points, self.gap_ms or 2 * self.step_ms):
                path = " ".join(
                    f"{'M' if n == 0 else 'L'}{x(t):.1f} {y(v):.1f}"
                    for n, (t, v) in enumerate(_thinned(run, column_ms))
                )
                if len(run) == 1:
                    # One lonely point has no length of its own: it gets its step's.
                    length = x(self.from_ms + self.step_ms) - left
                    path += f" h{max(1.0, length):.1f}"
                out.append(f'<path class="c{at}" d="{path}"/>')
        if self.hover:
            width = x(self.from_ms + self.step_ms) - left
            out += self._hovers(self.hover, x, width, left, self.height - bottom)
        if self.empty:
            out.append(
                f'<text class="axis" x="{left + inner_w / 2:.0f}" '
                f'y="{top + inner_h / 2:.0f}" text-anchor="middle">no data</text>'
            )
        out.append("</svg>")
        return Markup("".join(out))

    def drawings(self) -> Markup:
        """Returns the drawing, and if it is wide another one for narrow windows, whose
        letters can be read there. The style sheet shows one of them."""
        if self.width <= _NARROW:
            return self.svg()
        narrow = replace(self, id=f"{self.id}-narrow", width=_NARROW, height=150)
        return Markup(
            '<div class="roomy">{}</div><div class="cramped">{}</div>'
        ).format(self.svg(), narrow.svg())

    def _marks(self) -> Iterable[tuple[int, str]]:
        """Returns the times of the axis with their labels."""
        if self.axis:
            return self.axis(_NARROW_ROOM if self.width <= _NARROW else _WIDE_ROOM)
        length_ms = self.to_ms - self.from_ms
        times = (self.from_ms + length_ms * n // _TICKS for n in range(_TICKS + 1))
        return [(time_ms, self.tick(time_ms)) for time_ms in times]

    def _hovers(
        self,
        moment: Callable[[int], str],
        x: Callable[[int], float],
        width: float,
        left: int,
        height: int,
    ) -> Iterator[str]:
        """Yields an area for each step, and the text that is shown over it."""
        by_time: dict[int, list[str]] = {}
        for series in self.series:
            for time_ms, value in series.points:
                text = f"{series.name} {self.say(value)}"
                by_time.setdefault(time_ms, []).append(text)
        for time_ms, texts in sorted(by_time.items()):
            # The last one would end outside.
            at = min(x(time_ms), self.width - width)
            yield (
                f'<g class="at"><rect x="{at:.1f}" y="0" width="{width:.1f}" '
                f'height="{height}"/><text class="axis" x="{left}" y="12">'
                f"{escape(f'{moment(time_ms)}: ' + ', '.join(texts))}</text></g>"
            )

    def _ceiling(self) -> float:
        values = (map(_VALUE, series.points) for series in self.series)
        highest = max(itertools.chain.from_iterable(values), default=0.0)
        return nice_ceiling(max(highest, self.limit or 0.0, self.least_top))


def nice_ceiling(value: float) -> float:
    """Returns the next 1, 2, 2.5 or 5 times a power of ten, so that axes read well; 1
    for zero, and for values too small to divide by."""
    if value < sys.float_info.min or not math.isfinite(value):
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(value))
    for step in (1.0, 2.0, 2.5, 5.0, 10.0):
        if value <= step * power * 1.0000001:
            return step * power
    return 10.0 * power


# What the parts of a bar mean, by default.
STRIP_WORDS = {
    "ok": "working",
    "part": "partly",
    "bad": "not answering",
    "none": "not observed",
}


def strip(
    id: str,
    title: str,
    parts: Sequence[str],
    width: int = 240,
    words: Mapping[str, str] = STRIP_WORDS,
) -> Markup:
    """Returns a bar of equal parts, each `ok`, `bad`, `part` or `none` (not observed).

    States differ in height as well as colour: what is down is a low block.
    """
    counts = [f"{parts.count(kind)} {word}" for kind, word in words.items()]
    total = max(1, len(parts))
    label = f"Of {len(parts)} intervals: {', '.join(counts)}."
    bar_width = width / total
    out = [begin_drawing("strip", id, (width, 16), title, label, is_stretched=True)]
    heights = {"ok": 16, "part": 10, "bad": 6, "none": 1}
    for n, kind in enumerate(parts):
        h = heights[kind]
        out.append(
            f'<rect class="s-{kind}" x="{n * bar_width:.2f}" y="{16 - h}" '
            f'width="{max(0.5, bar_width - 0.6):.2f}" height="{h}"/>'
        )
    out.append("</svg>")
    return Markup("".join(out))


def bar(ratio: float | None, level: str) -> Markup:
    """Returns a small bar to go with a figure. It is decoration: the figure is text."""
    if ratio is None:
        return Markup("")
    width = 60 * min(1.0, max(0.0, ratio))
    return Markup(
        '<svg class="bar" viewBox="0 0 60 8" aria-hidden="true" focusable="false">'
        '<rect class="rail" width="60" height="8" rx="2"/>'
        f'<rect class="b-{escape(level)}" width="{width:.1f}" height="8" rx="2"/></svg>'
    )


def _thinned(points: Sequence[Point], column_ms: float) -> Sequence[Point]:
    """Returns the points of a line that can be told apart: where several are in one
    column of the drawing, the first, the lowest, the highest and the last."""
    if len(points) <= 4 or (points[-1][0] - points[0][0]) > len(points) * column_ms / 4:
        return points
    kept: list[Point] = []
    for _, group in itertools.groupby(points, lambda point: point[0] // column_ms):
        own = list(group)
        kept += sorted({own[0], min(own, key=_VALUE), max(own, key=_VALUE), own[-1]})
    return kept


def _runs(points: Sequence[Point], gap_ms: int) -> list[list[Point]]:
    listed = list(points)
    gaps = [
        at
        for at, (before, point) in enumerate(itertools.pairwise(listed), 1)
        if point[0] - before[0] > gap_ms
    ]
    edges = itertools.pairwise([0, *gaps, len(listed)])
    return [listed[begin:end] for begin, end in edges if begin < end]


def begin_drawing(
    look: str,
    id: str,
    size: tuple[int, int],
    title: str,
    description: str,
    is_stretched: bool = False,
) -> str:
    """Returns the start of a drawing, with what screen readers say of it. `look`: its
    classes."""
    width, height = size
    name = escape(id)
    stretch = 'preserveAspectRatio="none" ' if is_stretched else ""
    return (
        f'<svg class="{look}" role="img" viewBox="0 0 {width} {height}" '
        f'{stretch}aria-labelledby="{name}-t {name}-d">'
        f'<title id="{name}-t">{escape(title)}</title>'
        f'<desc id="{name}-d">{escape(description)}</desc>'
    )


def escape(text: str) -> Markup:
    """Returns `text` escaped for a drawing."""
    return escape_html(isolated(text))
