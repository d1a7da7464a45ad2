"""What is worth telling the council, and what is nobody's business but the user's."""

from __future__ import annotations

from probes.wire.failure import Outcome
from probes.wire.report import Result

DAY_MS = 86_400_000
# Outcomes that stay as they are: said when they begin, and once a day.
STANDING = frozenset(
    {
        Outcome.NOT_CONFIGURED,
        Outcome.NOT_SUPPORTED,
        Outcome.NOT_PERMITTED,
        Outcome.METERED,
        Outcome.ON_BATTERY,
    }
)


class ChangeFilter:
    """`tells(result)` for each result in turn: whether it is sent."""

    def __init__(self) -> None:
        self._standing_ms: dict[str, tuple[str, int]] = {}

    def tells(self, result: Result) -> bool:
        """False for what stays as it was ("not configured" is said once a day), and for
        that the laptop is in use."""
        if result.outcome is Outcome.IN_USE:
            return False
        if result.outcome not in STANDING:
            self._standing_ms.pop(result.probe, None)
            return True
        outcome, since_ms = self._standing_ms.get(result.probe, ("", 0))
        if outcome == result.outcome and 0 <= result.time_ms - since_ms < DAY_MS:
            return False
        self._standing_ms[result.probe] = (result.outcome, result.time_ms)
        return True
