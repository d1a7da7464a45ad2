"""`sip_calls`: what became of the calls on a mirrored port. Pure.

A row is about at least `least` callers. Calls of fewer wait for those of the next
minutes, for an hour at most; then they are only counted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from collectors.calls.phone_call import refusal_outcome
from collectors.rtp.sip_calls import FIRST_REFUSAL, SettledCall
from probes.wire.sample import Sample, Value

_MOST_WAITING, _MOST_MINUTES = 10_000, 60
_FIELDS = {
    "person": "not_answered_ratio",
    "wrong_number": "wrong_number_ratio",
    "fault": "fault_ratio",
}


class SipMinutes:
    """`close_minute` makes the rows of the calls that were over since the last."""

    def __init__(self, interface: str, least: int) -> None:
        self._interface, self._least = interface, least
        self._waiting: list[SettledCall] = []
        self._minutes = 0

    def close_minute(
        self, calls: Iterable[SettledCall], time_ms: int
    ) -> tuple[list[Sample], int]:
        """The rows, and how many calls are in none as they had too few callers."""
        self._waiting += calls
        self._minutes = self._minutes + 1 if self._waiting else 0
        is_full = len(self._waiting) > _MOST_WAITING
        if _is_of_enough(self._waiting, self._least):
            waiting, self._waiting = self._waiting, []
            minutes, self._minutes = self._minutes, 0
            return self._rows(waiting, minutes, time_ms), 0
        if self._minutes < _MOST_MINUTES and not is_full:
            return [], 0
        withheld = len(self._waiting)
        self._waiting, self._minutes = [], 0
        return [], withheld

    def _rows(
        self, calls: list[SettledCall], minutes: int, time_ms: int
    ) -> list[Sample]:
        rows = [self._row("all", "all", _fields(calls, minutes), time_ms)]
        refused: dict[int, list[SettledCall]] = {}
        for call in calls:
            if call.code >= FIRST_REFUSAL:
                refused.setdefault(call.code, []).append(call)
        for code, same in sorted(refused.items()):
            if _is_of_enough(same, self._least):
                fields: dict[str, Value] = {"calls": len(same), "minutes": minutes}
                rows.append(self._row("sip_code", str(code), fields, time_ms))
        return rows

    def _row(
        self, by: str, group: str, fields: dict[str, Value], time_ms: int
    ) -> Sample:
        tags = {"by": by, "group": group, "interface": self._interface}
        return Sample("sip_calls", tags, fields, time_ms)


def _is_of_enough(calls: list[SettledCall], least: int) -> bool:
    return len({call.caller for call in calls}) >= least


def _fields(calls: list[SettledCall], minutes: int) -> dict[str, Value]:
    outcomes = Counter(
        _FIELDS.get(refusal_outcome(call.code), "")
        for call in calls
        if call.code >= FIRST_REFUSAL
    )
    outcomes["answered_ratio"] = sum(0 < call.code < FIRST_REFUSAL for call in calls)
    outcomes["no_reply_ratio"] = sum(call.is_unheard for call in calls)
    names = ("answered_ratio", *_FIELDS.values(), "no_reply_ratio")
    fields: dict[str, Value] = {"calls": len(calls), "minutes": minutes}
    fields |= {name: round(outcomes[name] / len(calls), 6) for name in names}
    delays = [call.delay_ms for call in calls if call.delay_ms is not None]
    fields["timed"] = len(delays)
    if delays:
        fields["delay_ms"] = round(math.fsum(delays) / len(delays), 1)
    return fields
