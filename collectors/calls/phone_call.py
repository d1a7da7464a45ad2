"""What is kept of a call in Microsoft's logs of telephony: no number, name or account.

There are two logs: of Direct Routing (the council's own trunks: every attempt, with its
final SIP code) and of Calling Plans (Microsoft as the provider: only calls that were
charged or connected, so nothing about attempts that failed).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Literal

import msgspec

PhoneOutcome = Literal["answered", "person", "wrong_number", "fault", "unknown"]
Direction = Literal["in", "out", "unknown"]
# Codes from 300: lower ones are no final answers that refuse (RFC 3261, section 7.2).
_FIRST_REFUSAL, _LAST_REFUSAL = 300, 699


class PhoneCall(msgspec.Struct, frozen=True):
    """One attempt to call. `person`: a number of this run for the account, or for the
    outside line if no account took part. `trunk`: name of the border controller, or the
    operator of a calling plan. `sip_code`: None if there is none. `is_attempt`: its log
    has failed attempts too. `answer_ms`: from the invitation until it was answered,
    ringing included."""

    person: int
    started_ms: int
    trunk: str
    direction: Direction
    outcome: PhoneOutcome
    is_attempt: bool = True
    sip_code: int | None = None
    talk_s: float | None = None
    answer_ms: float | None = None


class _Outcomes(msgspec.Struct, frozen=True):
    by_class: Mapping[int, PhoneOutcome]
    by_code: Mapping[int, PhoneOutcome]


@cache
def _outcomes() -> _Outcomes:
    text = resources.files(__package__).joinpath("phone_outcomes.toml").read_text()
    return msgspec.convert(tomllib.loads(text), _Outcomes, strict=False)


def refusal_outcome(sip_code: int | None) -> PhoneOutcome:
    """Returns what an attempt that was not answered came to, by its final SIP code."""
    if sip_code is None or not _FIRST_REFUSAL <= sip_code <= _LAST_REFUSAL:
        return "unknown"
    known = _outcomes()
    return known.by_code.get(sip_code) or known.by_class[sip_code // 100]
