"""Makes a `CallRecord` of a record from Microsoft Graph. Pure.

Names, sign-in names, accounts, addresses and device names are dropped here: what is
returned has no field for them. Both shapes are read: the latest, and the one before it
(`identity` instead of `associatedIdentity`, `participants` instead of
`participants_v2`, no list of segments' own ends). Whatever is odd is counted by reason;
the rest of the record is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from collectors.calls.call_record import (
    CallPlace,
    CallRecord,
    EndAddresses,
    Leg,
    Locate,
    Media,
    SessionEnd,
    Side,
    Size,
    Stage,
    StreamEnd,
)
from collectors.calls.record_ends import (
    ParseContext,
    RecordEnd,
    meeting_size,
    read_end,
    read_participants,
)
from collectors.calls.record_values import (
    Json,
    Odd,
    as_object,
    as_objects,
    as_text,
    duration_ms,
    number,
    one_of,
    time_ms,
)
from collectors.calls.stream_verdict import StreamFigures, StreamRules

_KINDS = {name: name for name in ("groupCall", "peerToPeer", "unknown")}
_CONNECTIONS = {name: name for name in ("unknown", "wired", "wifi", "mobile", "tunnel")}
_STAGES: Mapping[str, Stage] = {
    "callSetup": "setup",
    "midcall": "midcall",
    "unknown": "unknown",
}
_SIDES = ("caller", "callee")
_DIRECTIONS: Mapping[str, str] = {
    "callerToCallee": "caller",
    "calleeToCaller": "callee",
}
# No network delays packets for an hour: such a figure is an error of the record.
_HIGHEST_MS = 3_600_000.0
# A device itself disturbs a call if this happened in a tenth of it (Towpath's own
# choice: Microsoft publishes the figures without a limit).
_DEVICE_RATIOS = (
    "cpuInsufficentEventRatio",
    "captureNotFunctioningEventRatio",
    "renderNotFunctioningEventRatio",
    "deviceGlitchEventRatio",
)
_DEVICE_RATIO = 0.1
# If listeners on so many networks, and half of all, have it poor at once, it is neither
# their clients nor their networks.
_NETWORKS_OF_SERVER = 3


class _SeenStream(NamedTuple):
    """A stream, and what else is needed to find the cause if it is poor."""

    stream: StreamEnd
    network: str
    is_device_disturbed: bool


def parse_record(
    body: bytes, context: ParseContext, odd: Odd, pages: Sequence[bytes] = ()
) -> CallRecord | None:
    """Returns what is kept of a record, or None if it cannot count. `pages`: further
    pages of its sessions. Never raises because of what is in it."""
    raw = as_object(_decode(body, odd))
    if not _has_time(raw, odd):
        odd["no_time"] += 1
        return None
    # Only to count new kinds: nothing else depends on it.
    one_of(raw.get("type"), _KINDS, "unknown", "call_kind", odd)
    sessions: list[SessionEnd] = []
    seen: list[_SeenStream] = []
    real = [s for s in _sessions(raw, pages, odd) if not _is_test(s, odd)]
    of_session = [_ends(session, context, odd) for session in real]
    ends = [end for both in of_session for end in both]
    ends += read_participants(raw, context, odd)
    size = meeting_size(ends)
    for session, both in zip(real, of_session, strict=True):
        streams, places = _streams(session, both, size, context, odd)
        seen += streams
        failed = _failed_stage(session, odd)
        sessions += (
            SessionEnd(
                end.person, end.room, places[at], _leg(both[1 - at]), failed, size
            )
            for at, end in enumerate(both)
            if end.is_ours
        )
    if not seen:
        odd["no_streams"] += 1
    return CallRecord(tuple(_with_sides(seen)), tuple(sessions))


def _decode(body: bytes, odd: Odd) -> object:
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        # The error may quote the text, which may name people.
        odd["unreadable_record"] += 1
        return None


def _has_time(raw: Json, odd: Odd) -> bool:
    started_ms = time_ms(raw.get("startDateTime"), odd)
    ended_ms = time_ms(raw.get("endDateTime"), odd)
    if started_ms is None or ended_ms is None:
        return started_ms is not None or ended_ms is not None
    if ended_ms < started_ms:
        odd["ends_before_start"] += 1
    return True


def _sessions(raw: Json, pages: Sequence[bytes], odd: Odd) -> Iterator[Json]:
    """Yields each session once: pages may overlap when a record changes meanwhile."""
    lists = [raw.get("sessions")]
    lists += (as_object(_decode(page, odd)).get("value") for page in pages)
    ids: set[str] = set()
    for sessions in lists:
        for session in as_objects(sessions):
            id = as_text(session.get("id"))
            if id and id in ids:
                odd["session_twice"] += 1
                continue
            ids.add(id)
            yield session


def _is_test(session: Json, odd: Odd) -> bool:
    if session.get("isTest") is not True:
        return False
    odd["test_session"] += 1
    return True


def _ends(
    session: Json, context: ParseContext, odd: Odd
) -> tuple[RecordEnd, RecordEnd]:
    return (
        read_end(as_object(session.get("caller")), context, odd),
        read_end(as_object(session.get("callee")), context, odd),
    )


def _failed_stage(session: Json, odd: Odd) -> Stage:
    """The stage at which a session failed. The reason is free text and is not read."""
    for raw in (session, *as_objects(session.get("segments"))):
        if failure := as_object(raw.get("failureInfo")):
            stage = failure.get("stage")
            return one_of(stage, _STAGES, "unknown", "failure_stage", odd)
    return ""


def _streams(
    session: Json,
    both: tuple[RecordEnd, RecordEnd],
    size: Size,
    context: ParseContext,
    odd: Odd,
) -> tuple[list[_SeenStream], list[CallPlace]]:
    """Returns the streams of our ends, and the place of each end."""
    seen: list[_SeenStream] = []
    places, networks = [CallPlace(), CallPlace()], ["", ""]
    if not any(end.is_ours for end in both):
        odd["session_of_others"] += 1
        return seen, places
    segments = as_objects(session.get("segments"))
    medias = [one for each in segments for one in as_objects(each.get("media"))]
    for at, side in enumerate(_SIDES):
        if both[at].is_ours:
            places[at], networks[at] = _place(medias, side, context.locate, odd)
    for media in medias:
        label = as_text(media.get("label")).lower()
        kind = _media_kind(label, context.rules, odd)
        if not kind:
            continue
        disturbed = [
            _is_disturbed(as_object(media.get(f"{s}Device")), odd) for s in _SIDES
        ]
        for stream in as_objects(media.get("streams")):
            figures = _figures(stream, odd)
            direction = stream.get("streamDirection")
            sender = one_of(direction, _DIRECTIONS, "", "direction", odd)
            verdict, due_to = context.rules.by_media[kind].verdict(figures)
            for at, side in enumerate(_SIDES):
                if not both[at].is_ours:
                    continue
                one = StreamEnd(
                    both[at].person,
                    both[at].room,
                    places[at],
                    _leg(both[1 - at]),
                    kind,
                    sender == side if sender else None,
                    verdict,
                    due_to,
                    jitter_ms=figures["jitter_ms"],
                    rtt_ms=figures["rtt_ms"],
                    loss_ratio=figures["loss_ratio"],
                    size=size,
                )
                seen.append(_SeenStream(one, networks[at], disturbed[at]))
    return seen, places


def _place(
    medias: Sequence[Json], side: str, locate: Locate, odd: Odd
) -> tuple[CallPlace, str]:
    """Returns the first place of an end that is known, and what tells its network from
    others. All media of an end nearly always have the same addresses."""
    networks = [as_object(media.get(f"{side}Network")) for media in medias]
    places: dict[EndAddresses, CallPlace] = {}
    for network in networks:
        if (addresses := _addresses(network, odd)) not in places:
            places[addresses] = locate(addresses)
    for addresses, place in places.items():
        if place.place != "unknown":
            return place, place.site or addresses.reflexive or addresses.subnet
    return next(iter(places.values()), CallPlace()), ""


def _media_kind(label: str, rules: StreamRules, odd: Odd) -> Media | None:
    known = rules.labels.get(label)
    if known is None:
        odd["unknown_label"] += 1
    return known or None


def _addresses(network: Json, odd: Odd) -> EndAddresses:
    return EndAddresses(
        as_text(network.get("ipAddress")),
        as_text(network.get("subnet")),
        as_text(network.get("reflexiveIPAddress")),
        one_of(
            network.get("connectionType"), _CONNECTIONS, "unknown", "connection", odd
        ),
    )


def _is_disturbed(device: Json, odd: Odd) -> bool:
    ratios = (number(device.get(n), 0, 1, "device", odd) for n in _DEVICE_RATIOS)
    return any((ratio or 0) > _DEVICE_RATIO for ratio in ratios)


def _figures(stream: Json, odd: Odd) -> StreamFigures:
    get = stream.get
    return {
        "jitter_ms": duration_ms(get("averageJitter"), _HIGHEST_MS, "jitter", odd),
        "rtt_ms": duration_ms(get("averageRoundTripTime"), _HIGHEST_MS, "rtt", odd),
        "loss_ratio": number(get("averagePacketLossRate"), 0, 1, "loss", odd),
        "degradation_mos": number(
            get("averageAudioDegradation"), 0, 5, "degradation", odd
        ),
        "concealed_ratio": number(
            get("averageRatioOfConcealedSamples"), 0, 1, "concealed", odd
        ),
        "frame_loss_percent": number(
            get("averageVideoFrameLossPercentage"), 0, 100, "frame_loss", odd
        ),
        "frame_rate": number(get("averageVideoFrameRate"), 0, 1000, "frame_rate", odd),
        "late_loss_ratio": number(
            get("postForwardErrorCorrectionPacketLossRate"), 0, 1, "late_loss", odd
        ),
        "packets": number(get("packetUtilization"), 0, 2**53, "packets", odd),
    }


def _leg(other: RecordEnd) -> Leg:
    if other.who == "service":
        return "meeting"
    return "phone" if other.who == "phone" else "direct"


def _with_sides(seen: Sequence[_SeenStream]) -> Iterator[StreamEnd]:
    """The streams of one call, poor ones with the side on which they went wrong."""
    poor = {one.network for one in seen if _is_last_leg(one, "poor")}
    good = {one.network for one in seen if _is_last_leg(one, "good")} - poor
    is_server = len(poor) >= max(_NETWORKS_OF_SERVER, len(good))
    for one in seen:
        if one.stream.verdict != "poor":
            yield one.stream
            continue
        side: Side = "unknown"
        if one.is_device_disturbed:
            side = "client"
        elif is_server and _is_last_leg(one, "poor"):
            side = "server"
        elif one.stream.leg != "direct":
            # To another client, the fault may be at either end.
            side = "network"
        yield msgspec.structs.replace(one.stream, side=side)


def _is_last_leg(one: _SeenStream, verdict: str) -> bool:
    """Whether it came from Microsoft to a known network, with that verdict."""
    stream = one.stream
    return bool(
        one.network
        and stream.leg == "meeting"
        and stream.sent is False
        and stream.verdict == verdict
    )
