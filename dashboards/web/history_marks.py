"""States over time as the marks of a bar. Pure: rows in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from collectors.store.query import Row
from dashboards.observed import Span
from dashboards.observed.time_spans import merged, within
from dashboards.web.site_rows import URGENCIES

# What the parts of a site's bar mean; each shows the worst state of its time.
STATE_WORDS = {
    "ok": "working",
    "part": "degraded",
    "bad": "with a problem or down",
    "none": "not known",
}
# How much of a step the monitor may have been blind if a fault in it is to count.
_LARGELY = 0.1
_STATE_MARKS = {
    URGENCIES["Working"]: "ok",
    URGENCIES["Degraded"]: "part",
    URGENCIES["Problem"]: "bad",
    URGENCIES["Down"]: "bad",
}


def state_marks(
    rows: Iterable[Row], span: tuple[int, int], step_ms: int
) -> dict[str, list[str]]:
    """Returns a mark for each step of `span`, by site. A step without a row is not
    known: nothing is recorded while the state of sites is not."""

    def mark(row: Row) -> str:
        return _STATE_MARKS.get(int(row.values.get("urgency_max", -1)), "none")

    return _marks(rows, "site", span, step_ms, mark)


def answer_marks(
    rows: Iterable[Row],
    span: tuple[int, int],
    step_ms: int,
    blind: Sequence[Span] = (),
) -> dict[str, list[str]]:
    """Returns a mark for each step of `span`, by device: whether it always, sometimes
    or never answered in it. `blind`: when the monitor was blind, by its alerts. A fault
    in a step that is largely blind is not known to be one: the first polls of such a
    time are made before the poller notices."""
    known = merged(blind)

    def mark(row: Row) -> str:
        lowest, highest = (row.values.get(f"answered_{how}") for how in ("min", "max"))
        if lowest is None or highest is None:
            return "none"
        if lowest:
            return "ok"
        at = row.time_ms or 0
        hidden = sum(end - begin for begin, end in within(known, [(at, at + step_ms)]))
        if hidden >= step_ms * _LARGELY:
            return "none"
        return "part" if highest else "bad"

    return _marks(rows, "device", span, step_ms, mark)


def unknown_marks(span: tuple[int, int], step_ms: int) -> list[str]:
    return ["none"] * ((span[1] - span[0]) // step_ms)


def _marks(
    rows: Iterable[Row],
    tag: str,
    span: tuple[int, int],
    step_ms: int,
    mark: Callable[[Row], str],
) -> dict[str, list[str]]:
    marks: dict[str, list[str]] = {}
    for row in rows:
        if row.time_ms is None or not span[0] <= row.time_ms < span[1]:
            continue
        own = marks.setdefault(row.tags.get(tag, ""), unknown_marks(span, step_ms))
        own[(row.time_ms - span[0]) // step_ms] = mark(row)
    return marks
