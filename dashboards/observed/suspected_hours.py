"""Hours in which the monitor may have been cut off, from counts of polls. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from dashboards.observed.poll_counts import HOUR_MS, DeviceKey, PollCount, day_start
from dashboards.observed.time_spans import Span, merged

_Counts = Mapping[DeviceKey, Mapping[int, PollCount]]


def suspected_hours(
    days: _Counts, hours: _Counts, recorded: Sequence[Span]
) -> set[int]:
    """Returns the hours in which no device answered every poll in that hour and one
    next to it, and those of `recorded`.

    `days`: in which a device always answered. `hours`: those of its other days.
    """
    well = {start for of_device in days.values() for start in of_device}
    counted: dict[int, set[DeviceKey]] = {}
    failed: dict[int, set[DeviceKey]] = {}
    for key, of_device in hours.items():
        for hour, bucket in of_device.items():
            counted.setdefault(hour, set()).add(key)
            if bucket.answered < bucket.polls:
                failed.setdefault(hour, set()).add(key)
    suspected: set[int] = set()
    for first in sorted(failed.keys() | {hour - HOUR_MS for hour in failed}):
        both = [hour for hour in (first, first + HOUR_MS) if hour in counted]
        here = {key for hour in both for key in counted[hour]}
        silent = {key for hour in both for key in failed.get(hour, ())}
        if here <= silent and not any(day_start(hour) in well for hour in both):
            suspected.update(both)
    for begin, end in recorded:
        first = begin - begin % HOUR_MS - HOUR_MS
        hours_of_it = range(first, end + HOUR_MS, HOUR_MS)
        suspected.update(hour for hour in hours_of_it if hour in failed)
    return suspected


def doubtful_spans(
    hours: _Counts, suspected: Collection[int], recorded: Sequence[Span]
) -> list[Span]:
    """Returns the spans of suspected hours whose polls tell when the monitor was cut
    off, without those at an end in which some device always answered.

    While it answers, the monitor is not cut off. So of such an hour only the polls next
    to the hours before or after it count. `recorded` times are read as they are.
    """
    well = {
        hour
        for of_device in hours.values()
        for hour, bucket in of_device.items()
        if bucket.is_up and hour in suspected
    }
    spans: list[Span] = []
    for begin, end in merged((hour, hour + HOUR_MS) for hour in suspected):
        inside = [
            hour
            for hour in range(begin, end, HOUR_MS)
            if hour not in well
            or any(a < hour + 2 * HOUR_MS and hour - HOUR_MS < b for a, b in recorded)
        ]
        if inside:
            spans.append((inside[0], inside[-1] + HOUR_MS))
    return spans
