"""When a site or a device was in planned maintenance. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from alerts.silence import Silence
from collectors.estate.estate_model import Estate, Line
from dashboards.observed import Span
from dashboards.observed.time_spans import merged, within


def planned_spans(
    silences: Iterable[Silence], estate: Estate, site: str, device: str | None = None
) -> list[Span]:
    """Returns planned maintenance of everything, of the site and of the device, and
    the times when all lines of the site were in maintenance: then nothing at the site
    could be measured."""
    planned = [s for s in silences if s.planned and not s.rule]
    spans = [
        (silence.from_ms, silence.until_ms)
        for silence in planned
        if not (silence.line or silence.supplier)
        and silence.site in ("", site)
        and silence.device in ("", device)
    ]
    lines = [line for line in estate.lines if line.site == site]
    return spans + _cut_off(planned, lines, device)


def _cut_off(
    planned: Sequence[Silence], lines: Sequence[Line], device: str | None
) -> list[Span]:
    by_line = [
        merged(
            (silence.from_ms, silence.until_ms)
            for silence in planned
            if (silence.line or silence.supplier)
            and silence.line in ("", line.id)
            and silence.supplier in ("", line.supplier)
            and silence.site in ("", line.site)
            and silence.device in ("", device)
        )
        for line in lines
    ]
    if not by_line:
        return []
    all_at_once = by_line[0]
    for spans in by_line[1:]:
        all_at_once = within(all_at_once, spans)
    return all_at_once
