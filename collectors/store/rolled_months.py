"""Which roll-ups of days one file of a month has. Pure.

    <folder>/shared-1h-months/<measurement>/<YYYY-MM>-<digest>.parquet

The digest is of the names of all roll-ups of that step and month. So if a day gets late
rows and another roll-up, or is too old, the file is not that of the month's days any
more, and nothing reads it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from collectors.store.file_layout import day_name

_DIGITS = 16
_MONTH = len("2026-10")
_SUFFIX = "-months"


class RolledDay(NamedTuple):
    """A roll-up of a day. `is_asked`: a query needs it; the others are only known."""

    path: Path
    is_asked: bool = True


def months_label(label: str) -> str:
    """Returns the label of the files of months, from that of a step."""
    return f"{label}{_SUFFIX}"


def is_months_label(label: str) -> bool:
    """Returns True for the folder of files of months."""
    return label.endswith(_SUFFIX)


def month_of(start_ms: int) -> str:
    """Returns the month (UTC) of a day: `2026-10`."""
    return day_name(start_ms)[:_MONTH]


def month_file(days: Sequence[Path]) -> Path:
    """Returns the file of a month that has all these roll-ups of its days, in order."""
    of_measurement = days[0].parent.parent
    of_step = of_measurement.parent
    names = "\n".join(f"{path.parent.name}/{path.name}" for path in days)
    digest = hashlib.sha256(names.encode()).hexdigest()[:_DIGITS]
    folder = of_step.with_name(months_label(of_step.name)) / of_measurement.name
    return folder / f"{_month(days[0])}-{digest}.parquet"


def by_months(days: Sequence[RolledDay], exists: Callable[[Path], bool]) -> list[Path]:
    """Returns the files to read for those `days` that are asked for: that of a month
    instead of its days if it `exists`. What it has of others is of other times."""
    groups: dict[tuple[Path, str], list[RolledDay]] = {}
    for day in days:
        key = day.path.parent.parent, _month(day.path)
        groups.setdefault(key, []).append(day)
    chosen: dict[Path, Path] = {}
    for group in groups.values():
        asked = [day.path for day in group if day.is_asked]
        whole = month_file(sorted(day.path for day in group))
        is_whole = len(asked) > 1 and exists(whole)
        chosen |= {path: whole if is_whole else path for path in asked}
    return list(dict.fromkeys(chosen[day.path] for day in days if day.is_asked))


def _month(day: Path) -> str:
    return day.parent.name[:_MONTH]
