"""Rows of Microsoft's logs of telephone calls, with people who must not stay."""

from __future__ import annotations

from typing import Any

from call_records import account, utc

BEGIN_MS = 1_790_000_000_000
PLANTED = ("Ann Example", "ann@example.gov.uk", "+441632960001", "+441632960002")


def direct_row(**more: Any) -> dict[str, Any]:
    """A row of the log of Direct Routing."""
    return {
        "id": "row-1",
        "userId": account(1),
        "userPrincipalName": PLANTED[1],
        "userDisplayName": PLANTED[0],
        "inviteDateTime": utc(BEGIN_MS),
        "startDateTime": utc(BEGIN_MS + 8_000),
        "failureDateTime": "0001-01-01T00:00:00Z",
        "endDateTime": utc(BEGIN_MS + 68_000),
        "duration": 60,
        "callType": "ByotIn",
        "successfulCall": True,
        "callerNumber": PLANTED[2],
        "calleeNumber": PLANTED[3],
        "finalSipCode": 0,
        "trunkFullyQualifiedDomainName": "SBC1.example.gov.uk",
        **more,
    }


def charged_row(**more: Any) -> dict[str, Any]:
    """A row of the log of Calling Plans."""
    return {
        "id": "row-2",
        "userId": account(1),
        "userPrincipalName": PLANTED[1],
        "startDateTime": utc(BEGIN_MS),
        "endDateTime": utc(BEGIN_MS + 219_000),
        "duration": 219,
        "callType": "user_out",
        "callerNumber": PLANTED[2],
        "calleeNumber": PLANTED[3],
        "operator": "Microsoft",
        **more,
    }
