"""`Sample`: one row of results, as sources and tests write it.

Time is an integer number of milliseconds since 1970-01-01 UTC everywhere inside
Towpath (`*_ms`). Datetimes appear only in what a person sees.
"""

from __future__ import annotations

import msgspec

Value = int | float | str


class Sample(msgspec.Struct, frozen=True):
    """One row: the values of one measurement for one set of tags at one time.

    (measurement, tags, time_ms) identifies it: the same row twice is one row. A yes/no
    value is the integer 1 or 0, so that its mean is a ratio.
    """

    measurement: str
    tags: dict[str, str]
    fields: dict[str, Value]
    time_ms: int
