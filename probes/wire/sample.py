"""`Sample`: what a source or a test speaks at the edge.

Time is an integer number of milliseconds since 1970-01-01 UTC everywhere inside
Towpath (`*_ms`); datetimes appear only where something is shown to a person.
"""

from __future__ import annotations

import msgspec

Value = int | float | str


class Sample(msgspec.Struct, frozen=True):
    """One row: the values of one measurement for one set of tags at one time.

    (measurement, tags, time_ms) identifies it: the same row twice is one row.
    A yes/no value is the integer 1 or 0, so that a mean of it is a ratio.
    """

    measurement: str
    tags: dict[str, str]
    fields: dict[str, Value]
    time_ms: int
