"""Reads rows of Microsoft's logs of telephone calls: `getDirectRoutingCalls` and
`getPstnCalls` of Microsoft Graph. Pure.

Names, accounts and numbers are dropped here, in the first step.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from collectors.calls.call_record import PersonMask
from collectors.calls.phone_call import (
    Direction,
    PhoneCall,
    PhoneOutcome,
    refusal_outcome,
)
from collectors.calls.record_list import API, graph_time
from collectors.calls.record_values import Json, Odd, as_text, number, time_ms

PhoneLog = Literal["direct_routing", "calling_plan"]
_FUNCTIONS: Mapping[PhoneLog, str] = {
    "direct_routing": "getDirectRoutingCalls",
    "calling_plan": "getPstnCalls",
}
_LONGEST_CALL_S = 7 * 24 * 3600.0
_LONGEST_RING_MS = 600_000.0
_LONGEST_NAME = 253
# ByotIn, ByotOutUserForwarding, dr_in_ucap, user_out_transfer, emergency_out, conf_in.
_DIRECTION = re.compile(r"Byot(in|out)|(?:^|_)(in|out)(?=_|$)", re.IGNORECASE)
_ADDRESS = re.compile(r"@|\d[\d ()-]{3}|[0-9a-fA-F]{8}-")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?", re.ASCII)


def phone_log_url(graph_url: str, log: PhoneLog, from_ms: int, to_ms: int) -> str:
    """Returns the address of a log's calls that began in that time."""
    begin, end = graph_time(from_ms), graph_time(to_ms)
    function = f"{_FUNCTIONS[log]}(fromDateTime={begin},toDateTime={end})"
    return f"{graph_url}{API}/{function}"


def read_phone_rows(
    rows: Iterable[Json],
    log: PhoneLog,
    mask: PersonMask,
    odd: Odd,
    seen: set[str] | None = None,
) -> list[PhoneCall]:
    """Returns the calls of a page's rows; a row that cannot count is counted in `odd`
    by its reason. A row that comes twice, in a page or in those whose ids are in
    `seen`, counts once."""
    calls: list[PhoneCall] = []
    seen = set() if seen is None else seen
    for row in rows:
        id = as_text(row.get("id"))
        if id and id in seen:
            odd["phone_row_twice"] += 1
            continue
        seen.add(id)
        read = _direct if log == "direct_routing" else _charged
        call = read(row, mask, odd)
        if call is not None:
            calls.append(call)
    return calls


def _direct(row: Json, mask: PersonMask, odd: Odd) -> PhoneCall | None:
    invited_ms = time_ms(row.get("inviteDateTime"), odd)
    started_ms = time_ms(row.get("startDateTime"), odd)
    failed_ms = time_ms(row.get("failureDateTime"), odd)
    # Of calls that were not answered, Microsoft's start may be the failure.
    begun_ms = started_ms or invited_ms or failed_ms
    if begun_ms is None:
        odd["no_time"] += 1
        return None
    code = number(row.get("finalSipCode"), 0, 699, "sip_code", odd)
    sip_code = int(code) if code else None
    talk_s = _talk_s(row, odd)
    outcome = _outcome(row, sip_code, talk_s, odd)
    direction = _direction(row, odd)
    answer_ms = None
    if outcome == "answered":
        answer_ms = _answer_ms(invited_ms, started_ms, odd)
    return PhoneCall(
        _person(row, direction, mask),
        begun_ms,
        _trunk(row.get("trunkFullyQualifiedDomainName"), odd),
        direction,
        outcome,
        sip_code=None if outcome == "answered" else sip_code,
        talk_s=talk_s if outcome == "answered" else None,
        answer_ms=answer_ms,
    )


def _charged(row: Json, mask: PersonMask, odd: Odd) -> PhoneCall | None:
    begun_ms = time_ms(row.get("startDateTime"), odd)
    if begun_ms is None:
        odd["no_time"] += 1
        return None
    direction = _direction(row, odd)
    return PhoneCall(
        _person(row, direction, mask),
        begun_ms,
        _operator(row.get("operator"), odd),
        direction,
        "answered",
        is_attempt=False,
        talk_s=_talk_s(row, odd),
    )


def _outcome(
    row: Json, sip_code: int | None, talk_s: float | None, odd: Odd
) -> PhoneOutcome:
    successful = row.get("successfulCall")
    if successful is True:
        return "answered"
    if successful is False:
        return refusal_outcome(sip_code)
    odd["no_outcome"] += 1
    return "answered" if talk_s and sip_code is None else refusal_outcome(sip_code)


def _talk_s(row: Json, odd: Odd) -> float | None:
    return number(row.get("duration"), 0, _LONGEST_CALL_S, "duration", odd)


def _answer_ms(invited: int | None, started: int | None, odd: Odd) -> float | None:
    if invited is None or started is None:
        return None
    return number(started - invited, 0, _LONGEST_RING_MS, "answer_time", odd)


def _direction(row: Json, odd: Odd) -> Direction:
    found = _DIRECTION.search(as_text(row.get("callType")))
    if found is None:
        odd["unknown_call_type"] += 1
        return "unknown"
    return "in" if (found[1] or found[2]).lower() == "in" else "out"


def _trunk(value: object, odd: Odd) -> str:
    """The name of a border controller; nothing else may become the name of a group."""
    name = as_text(value).strip().rstrip(".").lower()
    if name and len(name) <= _LONGEST_NAME and _HOST.fullmatch(name):
        return name
    odd["no_trunk"] += 1
    return "unknown"


def _operator(value: object, odd: Odd) -> str:
    """The name of a company, which is no address, account or number."""
    name = as_text(value).strip()
    if name and len(name) <= _LONGEST_NAME and not _ADDRESS.search(name):
        return name
    odd["no_trunk"] += 1
    return "unknown"


def _person(row: Json, direction: Direction, mask: PersonMask) -> int:
    """Calls of bots (queues, attendants) have no account: there, the outside line
    stands for the person. Calls of nobody known count as one person's."""
    account = as_text(row.get("userId")) or as_text(row.get("userPrincipalName"))
    if not account and direction != "unknown":
        side = "callerNumber" if direction == "in" else "calleeNumber"
        account = as_text(row.get(side))
    return mask(account) if account else 0
