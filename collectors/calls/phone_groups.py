"""`phone_calls`: the rows of one window of telephone calls. Pure.

Groups are trunks, directions and SIP codes; none is about fewer than `least` people
(`collectors.calls.grouped_figures`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from collectors.calls.grouped_figures import (
    CallFigures,
    Grouping,
    group_fields,
    joined_sums,
)
from collectors.calls.phone_call import PhoneCall
from collectors.experience.agent_statistics import coarse_percentile, share_of
from collectors.experience.disclosure_control import GroupName, GroupSum
from probes.wire.sample import Sample, Value

Atom = tuple[str, str, str]
_ALL: GroupName = ("all", "all")
_JOINED = (
    ("trunk", "trunk_direction", 0),
    ("direction", "trunk_direction", 1),
    ("trunk", "trunk_sip_code", 0),
    ("sip_code", "trunk_sip_code", 1),
)
_ANSWERED = "answered"
_UNKNOWN = "unknown"


def _has_outcome(call: PhoneCall) -> bool:
    return call.is_attempt and call.outcome != _UNKNOWN


def _outcomes(calls: Sequence[PhoneCall]) -> dict[str, Value]:
    return {
        "answered_ratio": share_of(calls, lambda c: c.outcome == _ANSWERED),
        "not_answered_ratio": share_of(calls, lambda c: c.outcome == "person"),
        "wrong_number_ratio": share_of(calls, lambda c: c.outcome == "wrong_number"),
        "fault_ratio": share_of(calls, lambda c: c.outcome == "fault"),
    }


def _talk(calls: Sequence[PhoneCall]) -> dict[str, Value]:
    return {"talk_mean_s": sum(call.talk_s or 0.0 for call in calls) / len(calls)}


def _answer_time(calls: Sequence[PhoneCall]) -> dict[str, Value]:
    times_ms = [call.answer_ms or 0.0 for call in calls]
    return {"answer_p95_ms": coarse_percentile(times_ms, 95)}


PHONE_FIGURES: tuple[CallFigures[PhoneCall], ...] = (
    CallFigures("rows", lambda call: True, lambda calls: {}),
    CallFigures("attempts", _has_outcome, _outcomes),
    CallFigures("talks", lambda call: call.talk_s is not None, _talk),
    CallFigures("timed", lambda call: call.answer_ms is not None, _answer_time),
)


def phone_rows(calls: Iterable[PhoneCall], time_ms: int, least: int) -> list[Sample]:
    """Returns the rows of the calls of one window, at its start `time_ms`."""
    rows = list(enumerate(calls))
    fields = group_fields(rows, PHONE_FIGURES, least, _GROUPING)
    for row in fields.values():
        # Each row of the log is one call.
        row.pop("rows", None)
    return [
        Sample("phone_calls", {"by": by, "group": group}, fields[by, group], time_ms)
        for by, group in sorted(fields)
    ]


def _atom(call: PhoneCall) -> Atom:
    code = str(call.sip_code) if call.sip_code is not None else call.outcome
    return call.trunk, call.direction, code


def _names(atom: Atom) -> list[GroupName]:
    trunk, direction, code = atom
    names = [
        _ALL,
        ("trunk", trunk),
        ("direction", direction),
        ("trunk_direction", f"{trunk}/{direction}"),
    ]
    # What was answered, or has no code, is in the other groups' shares.
    if code.isdecimal():
        names += [("sip_code", code), ("trunk_sip_code", f"{trunk}/{code}")]
    return names


def _sums(groups: Iterable[GroupName]) -> list[GroupSum]:
    names = sorted(groups)
    if not names:
        return []
    sums = [
        GroupSum(_ALL, tuple(name for name in names if name[0] == by))
        for by in ("trunk", "direction", "trunk_direction", "sip_code")
    ]
    return sums + joined_sums(names, _JOINED)


_GROUPING: Grouping[PhoneCall, Atom] = Grouping(_atom, _names, _sums)
