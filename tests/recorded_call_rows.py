"""Rows of calls as Microsoft recorded them, of pollers that share the estate, and
of a journal in NATS, for tests of boards and rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from collectors.server_measurements import CATALOGUE
from probes.wire.sample import Sample

SITE, TRUNK = "town-hall", "sbc1.example.gov.uk"
_GROUPS = (
    ("all", "all"),
    ("site", SITE),
    ("provider", "Severn Broadband"),
    ("gateway", "vpn-1"),
)


def recorded_call_rows(end_ms: int) -> Iterator[Sample]:
    """One row of each kind of group, of a room, a trunk, a code, two subnets, and of
    those that read and listen, shortly before `end_ms`."""
    at_ms, now_ms = end_ms - 1_800_000, end_ms - 30_000
    for by, group in _GROUPS:
        for media in ("audio", "video", "screen_sharing", "session"):
            tags = {"by": by, "group": group, "media": media}
            yield _sample("teams_calls", tags, at_ms)
    for by, group in (("all", "all"), ("site", SITE)):
        yield _sample("probe_agreement", {"by": by, "group": group}, at_ms)
    room = {"room": "chamber", "site": SITE, "media": "audio"}
    yield _sample("room_calls", room, at_ms)
    yield _sample("teams_room", {"room": "chamber", "site": SITE}, at_ms)
    for by, group in (("trunk", TRUNK), ("sip_code", "486")):
        yield _sample("phone_calls", {"by": by, "group": group}, at_ms)
    yield _sample("self_calls", {"process": "calls"}, now_ms)
    yield _sample("self_share", {"process": "poll+depot"}, now_ms)
    yield _sample("self_standby", {"process": "alert+hall"}, now_ms)
    for by, group in (("all", "all"), ("sip_code", "486")):
        tags = {"by": by, "group": group, "interface": "one"}
        yield _sample("sip_calls", tags, now_ms)
    yield _sample("self_nats", {"process": "alert"}, now_ms)
    yield _sample("self_dmz", {"process": "ingest", "node": "outside"}, now_ms)
    yield _sample("self_dmz_node", {"process": "dmz+outside"}, now_ms)
    stream = {"process": "alert", "stream": "towpath-ingest"}
    yield _sample("self_stream", stream, now_ms)
    for measurement in ("rtp_media", "rtp_capture"):
        names = CATALOGUE.measurement(measurement).tags
        tags = {tag.name: SITE if tag.name == "site" else "one" for tag in names}
        yield _sample(measurement, tags, now_ms)


def _sample(measurement: str, tags: dict[str, str], at_ms: int) -> Sample:
    fields: dict[str, Any] = {
        field.name: {"int": 40, "float": 0.5, "str": "ok"}[field.type]
        for field in CATALOGUE.measurement(measurement).fields
    }
    return Sample(measurement, tags, fields, at_ms)
