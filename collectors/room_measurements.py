"""The measurements of rooms in which events must not fail."""

from __future__ import annotations

from collectors.declare import SITE, measurement
from probes.wire.catalogue import Field, Tag

_ROOM = Tag("room", "estate id of the room")
ROOM = measurement(
    "room",
    "a room of the estate: what it depends on, and the event that is there or is next",
    (_ROOM, SITE),
    Field("name", "str", "1", "its name in the estate, or else its id"),
    Field(
        "state",
        "int",
        "1",
        "0 down, 1 packets are damaged or lost, 2 not measured, 3 working",
    ),
    Field("text", "str", "1", "what is wrong, or what is not measured; else absent"),
    Field("up", "int", "flag", "1 if all it needs is up, 0 if something is not"),
    Field("ready", "int", "flag", "as up, but 0 too if packets are damaged or lost"),
    Field("places", "str", "1", "its ports as rows name them, a line for each"),
    Field("parts", "int", "1", "its ports and devices"),
    Field("parts_down", "int", "1", "those that are down, shut or not there"),
    Field("parts_unmeasured", "int", "1", "those of which nothing is known now"),
    Field("in_error_ratio", "float", "ratio", "damaged packets, of its worst port"),
    Field("in_errors_per_s", "float", "1/s", "damaged packets, of its worst port"),
    Field("rtt_ms", "float", "ms", "round trip to its slowest device"),
    Field("loss_ratio", "float", "ratio", "echoes lost, of its worst device"),
    Field(
        "stream_state",
        "int",
        "1",
        "live stream: 0 not there, 1 standing still, 2 not measured, 3 advancing; "
        "absent without a stream, and if no event is near",
    ),
    Field(
        "stream_up",
        "int",
        "flag",
        "1 if it advances, 0 if it stands still or is not there; absent if it is not "
        "known, or was ended",
    ),
    Field("stream_text", "str", "1", "why it does not advance, or is not measured"),
    Field("stream_age_s", "float", "s", "since its manifest had a new segment"),
    Field("event", "str", "1", "title of the event that is there or is next"),
    Field("event_text", "str", "1", "its title and local times"),
    Field("minutes_to_start", "float", "min", "until it starts; negative: since then"),
    Field("minutes_to_end", "float", "min", "until it ends"),
    Field("at_event", "int", "flag", "1 while it lasts, else 0"),
)
ROOM_PORT = measurement(
    "room_port",
    "one port that a room of the estate depends on, measured with its switch",
    (
        _ROOM,
        SITE,
        Tag("device", "estate id of the device"),
        Tag("port", "port, by its stable name; as in the estate if it is not there"),
    ),
    Field("there", "int", "flag", "1 if the device has the port, 0 if not"),
    Field("up", "int", "flag", "1 up, 0 down; absent if it is neither"),
    Field("shut", "int", "flag", "1 if an administrator has shut it"),
    Field("in_bps", "float", "bit/s", "received from the room"),
    Field("out_bps", "float", "bit/s", "sent to the room"),
    Field("in_errors_per_s", "float", "1/s", "ifInErrors"),
    Field("out_errors_per_s", "float", "1/s", "ifOutErrors"),
    Field("in_discards_per_s", "float", "1/s", "ifInDiscards"),
    Field("out_discards_per_s", "float", "1/s", "ifOutDiscards"),
    Field("in_error_ratio", "float", "ratio", "of the packets from the room"),
)
