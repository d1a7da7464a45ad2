"""Rows of a UPS, a probe, a PDU, a controller and a PoE switch (with a disk, and a path
that it tests), for tests of boards.

They are not in the made-up council's estate: they only measure, at the Town Hall.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from collectors.server_measurements import CATALOGUE
from probes.wire.sample import Sample, Value

MINUTE_MS = 60_000
SITE = "town-hall"
UPS, PROBE, PDU = "th-ups", "th-probe", "th-pdu"
CONTROLLER, POE_SWITCH = "th-wlc", "th-poe"
ROLES = {
    UPS: "ups",
    PROBE: "environment",
    PDU: "environment",
    CONTROLLER: "controller",
    POE_SWITCH: "switch",
}
# Device, class, name of the sensor, port, fields.
_Reading = tuple[str, str, str, str, dict[str, Value]]
_SENSORS: tuple[_Reading, ...] = (
    (UPS, "state", "Output", "", {"state": "onLine", "severity": 0, "on_battery": 0}),
    (UPS, "runtime", "Battery runtime left", "", {"value": 41.0, "severity": 0}),
    # How long it has run on battery, which is not how long it will last.
    (UPS, "runtime", "Time on battery", "", {"value": 0.0, "on_battery": 0}),
    (UPS, "charge", "Battery charge", "", {"value": 97.0, "low": 20.0}),
    (UPS, "load", "Output", "", {"value": 38.0, "high": 90.0, "severity": 0}),
    (UPS, "voltage", "Input", "", {"value": 231.0}),
    (UPS, "temperature", "Battery", "", {"value": 29.0, "severity": 1, "high": 28.0}),
    (PROBE, "temperature", "Comms room", "", {"value": 24.5, "severity": 0}),
    (PROBE, "humidity", "Comms room", "", {"value": 46.0, "severity": 0}),
    (PDU, "current", "Bank 1", "", {"value": 6.2, "high": 16.0, "severity": 0}),
    (PDU, "power", "Bank 1", "", {"value": 1420.0}),
    (POE_SWITCH, "power", "PoE budget 1", "", {"value": 370.0}),
    (POE_SWITCH, "power", "PoE drawn 1", "", {"value": 122.0}),
    (POE_SWITCH, "power", "PoE Gi1/0/1", "Gi1/0/1", {"value": 6.4}),
    (POE_SWITCH, "dbm", "Te1/1/1 receive", "Te1/1/1", {"value": -7.0, "low": -14.0}),
    (POE_SWITCH, "fanspeed", "Fan 1", "", {"value": 5200.0, "severity": 0}),
    (POE_SWITCH, "state", "Stack ring", "", {"state": "closed", "severity": 0}),
)
_RADIOS = (
    ("ap-count", "Access points", 12.0),
    ("clients", "Clients", 96.0),
    ("clients", "ap-1 radio 0", 21.0),
    ("utilization", "ap-1 radio 0", 37.0),
    ("noise-floor", "ap-1 radio 0", -93.0),
    ("channel", "ap-1 radio 0", 11.0),
    ("frequency", "ap-1 radio 0", 2462.0),
    ("power", "ap-1 radio 0", 17.0),
)


def hardware_rows(from_ms: int, to_ms: int) -> Iterator[Sample]:
    """Rows of all these devices, one per minute and subject."""
    for at in range(from_ms + MINUTE_MS // 2, to_ms, MINUTE_MS):
        for device in ROLES:
            yield Sample("device", _tags(device), {"up": 1, "answered": 1}, at)
        for device, name, sensor, port, fields in _SENSORS:
            own = {"class": name, "sensor": sensor, **({"port": port} if port else {})}
            yield Sample("sensor", {**_tags(device), **own}, fields, at)
        for name, radio, value in _RADIOS:
            own = {"class": name, "radio": radio}
            yield Sample("wireless", {**_tags(CONTROLLER), **own}, {"value": value}, at)
        disk = {"use_ratio": 0.41, "used_bytes": 410_000_000}
        yield Sample("storage", {**_tags(POE_SWITCH), "volume": "flash"}, disk, at)
        tags = {**_tags(POE_SWITCH), "operation": "to the data centre"}
        answered = {"kind": "echo", "up": 1, "sense": "ok", "rtt_ms": 6.5}
        yield Sample("ip_sla", tags, answered, at)
        for port, speed in (("Gi1/0/1", 1e9), ("Te1/1/1", 1e10)):
            rates = {"in_bps": speed / 50, "out_bps": speed / 90}
            yield Sample(
                "interface",
                {**_tags(POE_SWITCH), "port": port},
                {**rates, "in_use_ratio": 0.02, "out_use_ratio": 0.011, "state": 3},
                at,
            )
        yield from _rooms(at)


def _rooms(at: int) -> Iterator[Sample]:
    """A room with an event that depends on one port."""
    tags = {"room": "chamber", "site": SITE}
    port = {"device": POE_SWITCH, "port": "Gi1/0/1"}
    for name, its_tags in (("room", tags), ("room_port", tags | port)):
        fields: dict[str, Any] = {
            field.name: {"int": 1, "float": 1.5, "str": "ok"}[field.type]
            for field in CATALOGUE.measurement(name).fields
        }
        yield Sample(name, its_tags, fields, at)


def _tags(device: str) -> dict[str, str]:
    return {"device": device, "site": SITE, "role": ROLES[device]}
