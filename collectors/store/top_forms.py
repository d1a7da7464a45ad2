"""Which fields have tops (`day_tops`), of what, and how many. Pure.

A quarter of a day's values is kept, so that the 5 % highest of weeks are among them,
unless a day was five times as busy as the others.
"""

from __future__ import annotations

from typing import NamedTuple

from collectors.store.percentile_sql import HIGH_PERCENT, kept
from collectors.store.query import PERCENTILES, Pick, Query
from probes.wire.catalogue import Measurement

STEP_MS = 300_000
# Tops have bounds of this percentile.
BOUND_PERCENT = 95
_MARKS = 4
# Of a month, this many times as many values are from one mark to the next.
_MONTH_APART, _MONTH_MARKS = 4, 24


class TopForm(NamedTuple):
    """The tops of a measurement: of the means of `step_ms`, or (None) of its rows.
    `kept`: how many values of a day. Each mark is the last of so many (`apart`)."""

    fields: tuple[str, ...]
    step_ms: int | None
    kept: int
    apart: int

    @property
    def marks(self) -> tuple[int, ...]:
        return tuple(n * self.apart for n in range(1, _MARKS + 1))

    @property
    def month_apart(self) -> int:
        return _MONTH_APART * self.apart

    @property
    def month_marks(self) -> tuple[int, ...]:
        return tuple(n * self.month_apart for n in range(1, _MONTH_MARKS + 1))

    @property
    def month_kept(self) -> int:
        """How many values of a month are kept: 16 % of all."""
        return self.month_marks[-1]

    def most_values(self, query: Query) -> int | None:
        """Returns how many values a group can have in all; None if rows have to be
        counted."""
        if self.step_ms is None:
            return None
        return (query.to_ms - query.from_ms) // self.step_ms + 2


_FORMS = {
    # As suppliers bill: 288 means a day.
    "interface": TopForm(("in_use_ratio", "out_use_ratio"), STEP_MS, 72, 15),
    # By the minute: 1,440 rows a day.
    "line": TopForm(("down_use_ratio", "up_use_ratio"), None, 360, 75),
}


def form_of(declared: Measurement) -> TopForm | None:
    return None if declared.personal else _FORMS.get(declared.name)


def known_form(declared: Measurement) -> TopForm:
    """Returns the form of a measurement that has tops."""
    return _FORMS[declared.name]


def have_answer(query: Query, declared: Measurement) -> bool:
    """Returns True if tops answer `query`: high percentiles, and the highest, of fields
    that have tops; of means, those of each series."""
    form = form_of(declared)
    if form is None or query.has_buckets or query.mean_step_ms != form.step_ms:
        return False
    tags = {*query.group_by, *(where.tag for where in query.where)}
    return (
        bool(query.group_by)
        and tags <= set(declared.identity)
        and (form.step_ms is None or set(query.group_by) >= set(declared.identity))
        and {pick.field for pick in query.picks} <= set(form.fields)
        and all(percent_of(pick) >= HIGH_PERCENT for pick in query.picks)
        and any(pick.aggregate in PERCENTILES for pick in query.picks)
    )


def have_bounds(query: Query) -> bool:
    """Returns True if the bounds of tops are above all picks of `query`."""
    return all(percent_of(pick) <= BOUND_PERCENT for pick in query.picks)


def percent_of(pick: Pick) -> int:
    """Returns the percentile that a pick is; 0 if tops cannot have it."""
    return 100 if pick.aggregate == "max" else PERCENTILES.get(pick.aggregate, 0)


def fields_of(query: Query) -> list[str]:
    return list(dict.fromkeys(pick.field for pick in query.picks))


def lowest_percent(query: Query, field: str) -> int:
    """Returns the lowest percentile of `field` that is picked."""
    return min(percent_of(pick) for pick in query.picks if pick.field == field)


def most_kept(query: Query, field: str, most: int) -> int:
    """Returns how many of the highest of up to `most` values of `field` have all that
    is picked."""
    return kept(lowest_percent(query, field), most)
