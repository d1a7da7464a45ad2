"""The settings `[report]`: what the council promises and aims at, and which report is
sent by e-mail."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from collectors.estate.opening_hours import Opens
from collectors.strict_model import StrictModel
from dashboards.report_formats import ReportFormat

MarginPoints = Annotated[float, Field(gt=0, le=50)]
TargetRatio = Annotated[float, Field(gt=0, lt=1)]


class ParityMargins(StrictModel):
    """How far home and office may differ, in percentage points of good quarters of an
    hour, for each part of the promise."""

    systems: MarginPoints = 3.0
    bandwidth: MarginPoints = 5.0
    telephony: MarginPoints = 3.0


class ReportTargets(StrictModel):
    """What the council aims at; None: no target. `answered`: the least share of polls
    that devices answer. `poor_calls`: the most test calls that are poor."""

    answered: TargetRatio | None = None
    poor_calls: TargetRatio | None = None


class ReportSchedule(StrictModel):
    """A report that is sent by e-mail when its time is over, on `day` at `at`.
    `channel`: the channel (kind `email`) whose mail server and sender it uses."""

    channel: str
    to: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[^@\s,]+@[^@\s,]+$")], ...],
        Field(min_length=1),
    ]
    report: Literal["month", "quarter", "year", "financial-year"] = "month"
    day: Annotated[int, Field(ge=1, le=28)] = 1
    at: Opens = "07:00"
    site: str = ""
    formats: tuple[ReportFormat, ...] = ("html", "pdf")
    plain: bool = False


class ReportConfig(StrictModel):
    """All settings `[report]`."""

    margins: ParityMargins = ParityMargins()
    targets: ReportTargets = ReportTargets()
    schedule: ReportSchedule | None = None
