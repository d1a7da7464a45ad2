"""The settings `[report]`: what the council promises and aims at."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from collectors.strict_model import StrictModel

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


class ReportConfig(StrictModel):
    """All settings `[report]`."""

    margins: ParityMargins = ParityMargins()
    targets: ReportTargets = ReportTargets()
