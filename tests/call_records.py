"""Call records as Graph returns them, with people in them who must not stay."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

TENANT = "5b0c7e1e-3a0d-4f52-9d3c-0a8f6f2f9d11"
OTHER_TENANT = "99999999-3a0d-4f52-9d3c-0a8f6f2f9d11"
BEGIN_MS = 1_790_000_100_000
SERVICE = {
    "userAgent": {
        "headerValue": None,
        "applicationVersion": None,
        "platform": "unknown",
        "productFamily": "unknown",
    }
}
# What is planted in every record, and must be found nowhere.
PLANTED = (
    "Winifred",
    "Ardingly",
    "winifred.ardingly",
    "example.gov.uk",
    "LAPTOP-7QX",
    "00-1B-44-11-3A-B7",
    "a0:b1:c2:d3:e4:f5",
    "Plantronics Blackwire",
    "10.150.",
    "81.2.69.",
    "+441632",
    "ac0ffee0",
    "the line was awful",
    "thread.v2",
)


def utc(ms: int) -> str:
    """A time in Graph's form, with seven digits."""
    at = datetime.fromtimestamp(ms / 1000, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond * 10:07d}Z"


def account(number: int) -> str:
    return f"ac0ffee0-0000-4000-8000-{number:012d}"


def user(number: int, tenant: str = TENANT) -> dict[str, Any]:
    return {
        "id": account(number),
        "displayName": f"Winifred Ardingly {number}",
        "tenantId": tenant,
        "userPrincipalName": f"winifred.ardingly{number}@example.gov.uk",
    }


def end(number: int, tenant: str = TENANT, older: bool = False) -> dict[str, Any]:
    """A participant's end of a session."""
    person = user(number, tenant)
    known = {"@odata.type": "#microsoft.graph.callRecords.participantEndpoint"}
    agent = {
        "@odata.type": "#microsoft.graph.callRecords.clientUserAgent",
        "headerValue": "releases/CL2026.R12 Winifred",
        "platform": "windows",
        "productFamily": "teams",
    }
    feedback = {"rating": "poor", "text": "the line was awful", "tokens": {}}
    if older:
        del person["userPrincipalName"]
        identity = {"user": person, "phone": None}
        return {**known, "userAgent": agent, "identity": identity, "feedback": feedback}
    return {
        **known,
        "name": "LAPTOP-7QX",
        "userAgent": agent,
        "associatedIdentity": person,
        "feedback": feedback,
    }


def network(address: str = "10.150.0.2", **more: Any) -> dict[str, Any]:
    return {
        "ipAddress": address,
        "subnet": address.rpartition(".")[0] + ".0",
        "linkSpeed": 54_000_000,
        "connectionType": "wifi",
        "port": 50_005,
        "reflexiveIPAddress": "81.2.69.142",
        "relayIPAddress": "52.114.188.32",
        "macAddress": "00-1B-44-11-3A-B7",
        "basicServiceSetIdentifier": "a0:b1:c2:d3:e4:f5",
        "dnsSuffix": "example.gov.uk",
        "wifiBand": "frequency50GHz",
        **more,
    }


def stream(direction: str, **figures: Any) -> dict[str, Any]:
    return {
        "streamId": "1504545584",
        "streamDirection": direction,
        "averageAudioDegradation": None,
        "averageJitter": "PT0.016S",
        "maxJitter": "PT0.021S",
        "averagePacketLossRate": 0.004,
        "averageRatioOfConcealedSamples": None,
        "averageRoundTripTime": "PT0.061S",
        "packetUtilization": 670,
        "wasMediaBypassed": False,
        **figures,
    }


def media(
    streams: Sequence[dict[str, Any]] | None = None,
    label: str = "main-audio",
    **more: Any,
) -> dict[str, Any]:
    if streams is None:
        streams = [stream("callerToCallee"), stream("calleeToCaller")]
    device = {
        "captureDeviceName": "Plantronics Blackwire of Winifred",
        "cpuInsufficentEventRatio": 0,
    }
    return {
        "label": label,
        "callerNetwork": network(),
        "calleeNetwork": {"ipAddress": "", "connectionType": "wired"},
        "callerDevice": device,
        "calleeDevice": {"captureDeviceName": None},
        "streams": list(streams),
        **more,
    }


def session(
    id: str,
    caller: dict[str, Any],
    callee: dict[str, Any] | None = None,
    medias: Sequence[dict[str, Any]] | None = None,
    **more: Any,
) -> dict[str, Any]:
    times = {"startDateTime": utc(BEGIN_MS), "endDateTime": utc(BEGIN_MS + 300_000)}
    segment = {"id": id, **times, "media": [media()] if medias is None else [*medias]}
    return {
        "id": id,
        "modalities": ["audio"],
        **times,
        "isTest": False,
        "caller": caller,
        "callee": SERVICE if callee is None else callee,
        "failureInfo": None,
        "segments": [segment],
        **more,
    }


def record(
    sessions: Sequence[dict[str, Any]], number: int = 1, **more: Any
) -> dict[str, Any]:
    """A record of a meeting, in the latest shape."""
    return {
        "id": f"e523d2ed-2966-4b6b-925b-{number:012d}",
        "version": 1,
        "type": "groupCall",
        "modalities": ["audio"],
        "lastModifiedDateTime": utc(BEGIN_MS + 600_000),
        "startDateTime": utc(BEGIN_MS),
        "endDateTime": utc(BEGIN_MS + 300_000),
        "joinWebUrl": "https://teams.microsoft.com/l/meetup-join/19%3ameeting@thread.v2",
        "organizer_v2": {"id": account(1), "identity": {"user": user(1)}},
        "participants_v2": [{"id": account(1), "identity": {"user": user(1)}}],
        "sessions": list(sessions),
        **more,
    }


def meeting(
    people: int, first: int = 1, number: int = 1, **more: Any
) -> dict[str, Any]:
    """A meeting of so many people of the council, each in a session of their own."""
    sessions = [
        session(f"s{at}", end(at), medias=[media(**more)])
        for at in range(first, first + people)
    ]
    return record(sessions, number)
