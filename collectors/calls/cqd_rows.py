"""`cqd_streams`: the rows of sites from counts of the Call Quality Dashboard. Pure.

The dashboard has no numbers of people for each medium. So a row needs as many streams
as `groups.least` people make on a busy day; if the sheet has numbers of people, it
needs these too. Rows are of whole sites and of whole days or months that are over: two
versions of one row would show whose call was added between them. A site's days and its
month are never both kept, as what is hidden would follow from their difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, timedelta

import msgspec

from collectors.calls.cqd_sheet import CqdCount, Step
from collectors.calls.stream_verdict import verdict_fields
from collectors.local_days import add_months, midnight_ms
from probes.wire.sample import Sample, Value

# 15 calls, each heard and spoken; and 20 working days.
STREAMS_OF_ONE: Mapping[Step, int] = {"day": 30, "month": 600}
# The dashboard has a call half an hour after its end; a call can last a day.
_OVER_DAYS = 1
_KEEP_DAYS = 400


class CqdRows(msgspec.Struct, frozen=True):
    """Rows, and what was left out: sites' rows with too few streams (`small`), rows of
    the sheet that are not over, that are too old, or whose place is at no site (with
    its name). `steps`: month → the step of its rows."""

    samples: tuple[Sample, ...]
    steps: Mapping[str, Step]
    small: int
    not_over: int
    too_old: int
    unplaced: tuple[str, ...]


class MixedSteps(ValueError):
    """Days and months of the same time. The text is one sentence."""


def cqd_rows(
    counts: Iterable[CqdCount],
    site_of: Callable[[CqdCount], str],
    known: Mapping[str, Step],
    least: int,
    today: date,
) -> CqdRows:
    """Returns the rows of all sites. `site_of`: the site of a count, or an empty text.
    `known`: month → the step of rows that are kept already. `least`: the smallest group
    of people. Raises `MixedSteps`."""
    sums: dict[tuple[str, Step, date, str], list[CqdCount]] = {}
    steps = dict(known)
    unplaced: set[str] = set()
    not_over: set[int] = set()
    too_old: set[int] = set()
    for count in counts:
        if _end(count) + timedelta(days=_OVER_DAYS) > today:
            not_over.add(count.line)
        elif (today - count.day).days >= _KEEP_DAYS:
            too_old.add(count.line)
        elif site := site_of(count):
            month = f"{count.day:%Y-%m}"
            if steps.setdefault(month, count.step) != count.step:
                raise MixedSteps(
                    f"{month} is already imported by {steps[month]}: what is not shown "
                    f"of it would follow from figures by {count.step}"
                )
            key = (site, count.step, count.day, count.media)
            sums.setdefault(key, []).append(count)
        else:
            unplaced.add(count.place or count.network)
    samples = []
    for (site, step, day, media), parts in sorted(sums.items()):
        if (fields := _fields(parts, step, least)) is not None:
            tags = {"site": site, "media": media, "step": step}
            time_ms = midnight_ms(day, UTC)
            samples.append(Sample("cqd_streams", tags, fields, time_ms))
    return CqdRows(
        tuple(samples),
        steps,
        len(sums) - len(samples),
        len(not_over),
        len(too_old),
        tuple(sorted(unplaced)),
    )


def _end(count: CqdCount) -> date:
    """Returns the first day after it."""
    if count.step == "month":
        return add_months(count.day, 1)
    return count.day + timedelta(days=1)


def _fields(parts: list[CqdCount], step: Step, least: int) -> dict[str, Value] | None:
    """Returns a site's figures, or None if they may be of too few people."""
    good, poor = sum(p.good for p in parts), sum(p.poor for p in parts)
    unclassified = sum(p.unclassified for p in parts)
    streams = good + poor + unclassified
    # The same people may be in several parts, so their numbers are not added. They are
    # of all media, so they only rule out.
    users = [part.users for part in parts if part.users is not None]
    if streams < least * STREAMS_OF_ONE[step] or (users and max(users) < least):
        return None
    return verdict_fields(good, poor, unclassified)
