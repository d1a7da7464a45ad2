"""The figures of `rtp_media` that far ends reported. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from collectors.rtp.far_reports import ReportedCounts
from collectors.rtp.loop_parts import Parts
from collectors.rtp.rtp_stream import RtpStream
from probes.wire.sample import Value


class _Figure(NamedTuple):
    """A mean: which count it is of, which sum, and how fields are called."""

    whole: str
    part: str
    whole_field: str
    field: str


_FIGURES = (
    _Figure("expected", "lost", "reported_expected", "reported_loss_ratio"),
    _Figure("timed", "jitter_sum_ms", "reported_timed", "reported_jitter_ms"),
    _Figure("round_trips", "rtt_sum_ms", "round_trips", "rtt_ms"),
    _Figure("extended", "discard_sum", "extended_reports", "reported_discard_ratio"),
    _Figure("rated", "mos_sum", "reported_rated", "reported_mos"),
)


def reported_fields(
    streams: Mapping[RtpStream, ReportedCounts],
    is_showable: Callable[[set[RtpStream]], bool],
) -> Parts[dict[str, Value]]:
    """The fields of a row, of those of its streams that were reported on. Each figure
    is left out if the streams it is of are not showable by themselves: not every
    telephone reports, so a row of many people may have figures of one. In parts, one
    for each figure."""
    fields: dict[str, Value] = {}
    if not streams:
        return {"reported": 0}
    if is_showable(set(streams)):
        fields["reported"] = len(streams)
    for whole, part, whole_field, field in _FIGURES:
        yield
        counted = {s: c for s, c in streams.items() if getattr(c, whole)}
        if not counted or not is_showable(set(counted)):
            continue
        total = sum(getattr(counts, whole) for counts in counted.values())
        sum_ = math.fsum(getattr(counts, part) for counts in counted.values())
        fields[whole_field] = total
        fields[field] = round(max(0.0, sum_) / total, 6)
    return fields
