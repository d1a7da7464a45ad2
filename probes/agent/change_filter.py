"""Decides which results are worth sending to the council."""

from __future__ import annotations

from probes.wire.failure import Outcome
from probes.wire.report import Result

DAY_MS = 86_400_000
# Outcomes that last: sent when they begin, and once a day.
LASTING = frozenset(
    {
        Outcome.NOT_CONFIGURED,
        Outcome.NOT_SUPPORTED,
        Outcome.NOT_PERMITTED,
        Outcome.METERED,
        Outcome.ON_BATTERY,
    }
)


class ChangeFilter:
    """`should_send(result)` for each result in turn."""

    def __init__(self) -> None:
        self._lasting_ms: dict[str, tuple[str, int]] = {}

    def should_send(self, result: Result) -> bool:
        """Returns False for an outcome that lasts ("not configured" is sent once a
        day), and for one that shows that the laptop is in use: that is the user's
        business."""
        if result.outcome is Outcome.IN_USE:
            return False
        if result.outcome not in LASTING:
            self._lasting_ms.pop(result.probe, None)
            return True
        outcome, since_ms = self._lasting_ms.get(result.probe, ("", 0))
        if outcome == result.outcome and 0 <= result.time_ms - since_ms < DAY_MS:
            return False
        self._lasting_ms[result.probe] = (result.outcome, result.time_ms)
        return True
