"""The formats of a report. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from probes.wire.catalogue import did_you_mean

ReportFormat = Literal["html", "pdf", "xlsx", "csv", "parquet"]
FORMATS: tuple[ReportFormat, ...] = get_args(ReportFormat)
# Parquet is for programs, which ask for it.
DEFAULT_FORMATS: tuple[ReportFormat, ...] = ("html", "pdf", "xlsx", "csv")


def parse_formats(names: Iterable[str]) -> tuple[ReportFormat, ...]:
    """Returns the formats of those names, each once. Raises `ValueError` with a
    sentence if there is no such format."""
    known = {str(name): name for name in FORMATS}
    chosen: dict[ReportFormat, None] = {}
    for name in names:
        if name not in known:
            raise ValueError(
                f"{name!r} is no format of reports, expected one of "
                f"{', '.join(FORMATS)}{did_you_mean(name, FORMATS)}"
            )
        chosen[known[name]] = None
    return tuple(chosen)
