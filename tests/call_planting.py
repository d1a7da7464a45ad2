"""Names in every field of a call record, known to Microsoft's schema or not."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from call_records import BEGIN_MS, TENANT, meeting, user, utc

NAME = "Quillfeather"


def nothing_in(fields: str) -> dict[str, Any]:
    return dict.fromkeys(fields.split())


# What the schema has beside that of the usual record of the tests, by the field that
# has the object. None is only a place for a name.
_MORE: dict[str, dict[str, Any]] = {
    "": {"modalities": ["audio"], "joinWebUrl": None, "organizer": {"user": {}}},
    "tokens": nothing_in(
        "BackgroundNoise DistortedSound DistortedSpeech Echo "
        "ElectronicFeedback Interruptions LowVolume MuffledSpeech NoSound "
        "Noisy OtherNoSound Stopped"
    ),
    "caller": nothing_in("cpuName cpuCoresCount cpuProcessorSpeedInMhz name"),
    "associatedIdentity": nothing_in("registrantId identityProvider"),
    "identity": nothing_in(
        "application device guest encrypted onPremises assertedIdentity "
        "acsUser azureCommunicationServicesUser endpointType "
        "acsApplicationInstance applicationInstance phone "
        "spoolApplicationInstance spoolUser"
    ),
    "userAgent": nothing_in("communicationServiceId azureADAppId role"),
    "feedback": nothing_in("text rating"),
    "failureInfo": {"reason": None, "stage": "midcall"},
    "callerNetwork": nothing_in(
        "traceRouteHops networkTransportProtocol wifiVendorDriver "
        "wifiRadioType wifiVendorDriverVersion wifiMicrosoftDriver "
        "wifiMicrosoftDriverVersion wifiChannel wifiSignalStrength "
        "wifiBatteryCharge relayPort bandwidthLowEventRatio delayEventRatio "
        "receivedQualityEventRatio sentQualityEventRatio"
    ),
    "callerDevice": nothing_in(
        "captureDeviceDriver renderDeviceDriver renderDeviceName "
        "micGlitchRate speakerGlitchRate howlingEventCount "
        "captureNotFunctioningEventRatio deviceClippingEventRatio "
        "deviceGlitchEventRatio sentNoiseLevel "
        "initialSignalLevelRootMeanSquare lowSpeechLevelEventRatio "
        "sentSignalLevel lowSpeechToNoiseEventRatio receivedNoiseLevel "
        "receivedSignalLevel renderMuteEventRatio "
        "renderNotFunctioningEventRatio renderZeroVolumeEventRatio"
    ),
    "streams": nothing_in(
        "audioCodec videoCodec averageFreezeDuration rmsFreezeDuration "
        "endDateTime startDateTime averageVideoFrameRate "
        "averageBandwidthEstimate averageAudioNetworkJitter "
        "averageReceivedFrameRate maxRoundTripTime "
        "averageVideoFrameLossPercentage averageVideoPacketLossRate maxJitter "
        "isAudioForwardErrorCorrectionUsed lowFrameRateRatio "
        "maxAudioNetworkJitter lowVideoProcessingCapabilityRatio "
        "maxPacketLossRate maxRatioOfConcealedSamples "
        "postForwardErrorCorrectionPacketLossRate"
    ),
}
_MORE["callee"] = _MORE["caller"]
_MORE["calleeNetwork"], _MORE["calleeDevice"] = (
    _MORE["callerNetwork"],
    _MORE["callerDevice"],
)
Path = tuple[str | int, ...]


def whole_record(people: int = 2, number: int = 1) -> dict[str, Any]:
    """A record with every field of the schema."""
    raw = copy.deepcopy(meeting(people, number=number))
    raw["sessions"][0]["failureInfo"] = {}
    raw["organizer_v2"]["administrativeUnitInfos"] = [{"id": None}]
    raw["participants"] = [{"user": user(1)}]
    raw["participants_v2"].append(copy.deepcopy(raw["organizer_v2"]))
    _complete(raw, "")
    return raw


def _complete(value: Any, field: str) -> None:
    if isinstance(value, list):
        for part in value:
            _complete(part, field)
    elif isinstance(value, dict):
        for name, default in _MORE.get(field, {}).items():
            value.setdefault(name, copy.deepcopy(default))
        for name, part in value.items():
            _complete(part, name)


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where a name can be."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(part, (*path, name))
        yield (*path, f"of {NAME}")
    elif isinstance(value, list):
        for at, part in enumerate(value):
            yield from leaves(part, (*path, at))
    else:
        yield path


def plant(raw: dict[str, Any], path: Path) -> None:
    """Puts a name there; a text keeps what it says before it."""
    parent: Any = raw
    for step in path[:-1]:
        parent = parent[step]
    old = parent.get(path[-1]) if isinstance(parent, dict) else parent[path[-1]]
    parent[path[-1]] = f"{old if isinstance(old, str) else ''} {NAME}"


# Without these a record would not be read at all, or not as one of ours.
_NEEDED = {
    *("id", "version", "startDateTime", "endDateTime", "tenantId", "@odata.type"),
    *("streamDirection", "label", "isTest", "type", "stage", "connectionType"),
    *("averageJitter", "averagePacketLossRate", "averageRoundTripTime"),
    *("ipAddress", "reflexiveIPAddress", "subnet"),
}


def planted_records(people: int) -> list[dict[str, Any]]:
    """Two records: one that is read, with a name in every field that it can do without;
    one with a name everywhere but in what its list needs."""
    read, spoilt = whole_record(people), whole_record(people, 2)
    for path in list(leaves(read)):
        if path[-1] not in _NEEDED:
            plant(read, path)
    for path in list(leaves(spoilt)):
        if path not in (("id",), ("startDateTime",), ("version",)):
            plant(spoilt, path)
    assert read["sessions"][0]["caller"]["associatedIdentity"]["tenantId"] == TENANT
    assert read["endDateTime"] == utc(BEGIN_MS + 300_000)
    return [read, spoilt]
