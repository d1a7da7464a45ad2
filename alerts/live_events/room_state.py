"""Whether what a room needs is well now. Pure.

Down, damaged, not measured and working are four things: a port that was not polled is
neither up nor down.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from alerts.live_events.event_schedule import RoomEvent, event_text
from alerts.live_events.room_limits import RoomLimits
from alerts.live_events.stream_watch import StreamNow
from collectors.batch import Batch
from collectors.estate.estate_model import Estate, Room
from collectors.few_names import few_names
from probes.wire.number_text import percentage
from probes.wire.sample import Sample, Value

_MOST_TEXTS = 3
PartState = Literal["down", "damaged", "unmeasured", "working"]
# The number of each in the rows: the lowest is the worst, as of ports. But that
# something is not measured says less than that something is bad.
STATES: dict[PartState, int] = {"down": 0, "damaged": 1, "unmeasured": 2, "working": 3}


class _RoomPart(NamedTuple):
    """A port or a device of a room. `text`: what is wrong with it."""

    state: PartState
    text: str = ""


class _RowNow(NamedTuple):
    time_ms: int
    values: Mapping[str, Value]


class RoomReadings:
    """The newest rows of the ports and devices of rooms. `reach_ms`: how long one
    counts as current."""

    def __init__(self, reach_ms: int) -> None:
        self._reach_ms = reach_ms
        self._estate = Estate()
        self._devices: dict[str, _RowNow | None] = {}
        # Room and device → its ports by name.
        self._ports: dict[tuple[str, str], dict[str, _RowNow]] = {}

    def follow(self, estate: Estate) -> None:
        """Keeps the rows of what the rooms of this estate need."""
        if estate is self._estate:
            return
        self._estate = estate
        wanted = {device for room in estate.rooms for device in room.all_devices}
        self._devices = {device: self._devices.get(device) for device in wanted}
        rooms = {(room.id, d) for room in estate.rooms for d in room.switches}
        self._ports = {place: self._ports.get(place, {}) for place in rooms}

    def add(self, batch: Batch) -> None:
        """Keeps the rows of `batch` if they are about a room."""
        if batch.measurement == "device":
            if self._devices.keys().isdisjoint(batch.tag("device")):
                return
            for sample in batch.samples():
                device = sample.tags.get("device", "")
                last = self._devices.get(device)
                if device in self._devices and _is_newer(sample, last):
                    self._devices[device] = _RowNow(sample.time_ms, sample.fields)
        elif batch.measurement == "room_port":
            for sample in batch.samples():
                place = (sample.tags.get("room", ""), sample.tags.get("device", ""))
                port, ports = sample.tags.get("port", ""), self._ports.get(place)
                if ports is not None and _is_newer(sample, ports.get(port)):
                    ports[port] = _RowNow(sample.time_ms, sample.fields)

    def device(self, id: str, now_ms: int) -> Mapping[str, Value] | None:
        """The current row of a device; None if there is none."""
        return self._current(self._devices.get(id), now_ms)

    def ports(
        self, room: str, device: str, now_ms: int
    ) -> Iterator[tuple[str, Mapping[str, Value]]]:
        """Name and current row of each of the room's ports on `device`."""
        for port, reading in self._ports.get((room, device), {}).items():
            values = self._current(reading, now_ms)
            if values is not None:
                yield port, values

    def _current(
        self, reading: _RowNow | None, now_ms: int
    ) -> Mapping[str, Value] | None:
        if reading is None or reading.time_ms < now_ms - self._reach_ms:
            return None
        return reading.values


def _is_newer(sample: Sample, last: _RowNow | None) -> bool:
    return last is None or sample.time_ms >= last.time_ms


def room_row(
    room: Room,
    readings: RoomReadings,
    limits: RoomLimits,
    estate: Estate,
    event: RoomEvent | None,
    zone: ZoneInfo,
    now_ms: int,
    stream: StreamNow | None = None,
) -> Sample:
    """The row of `room` at `now_ms`."""
    names = {d.id: d.name or d.id for d in estate.devices}
    parts = list(_parts(room, readings, limits, names, now_ms))
    worst = min(parts, key=lambda part: STATES[part.state]).state
    texts = [part.text for part in parts if part.state == worst and part.text]
    fields: dict[str, Value | None] = {
        "name": room.name or room.id,
        "state": STATES[worst],
        "text": few_names(list(dict.fromkeys(texts)), _MOST_TEXTS) or None,
        "up": None,
        "ready": None,
        "places": "\n".join(_places(room, readings, now_ms)) or None,
        "parts": len(parts),
        "parts_down": sum(part.state == "down" for part in parts),
        "parts_unmeasured": sum(part.state == "unmeasured" for part in parts),
        **_figures(room, readings, now_ms),
        **({} if stream is None else stream.fields()),
    }
    if worst == "down":
        fields["up"] = fields["ready"] = 0
    elif not fields["parts_unmeasured"]:
        fields["up"], fields["ready"] = 1, int(worst == "working")
    elif worst == "damaged":
        fields["ready"] = 0
    if event is not None:
        fields["event"] = event.title
        fields["event_text"] = event_text(event, zone)
        fields["minutes_to_start"] = (event.start_ms - now_ms) / 60_000
        fields["minutes_to_end"] = (event.end_ms - now_ms) / 60_000
    fields["at_event"] = int(event is not None and event.start_ms <= now_ms)
    present = {name: value for name, value in fields.items() if value is not None}
    return Sample("room", {"room": room.id, "site": room.site}, present, now_ms)


def _places(room: Room, readings: RoomReadings, now_ms: int) -> Iterator[str]:
    """`sw-2 Gi1/0/12`: the estate may name a port by another of its names."""
    for device in room.switches:
        for port, _ in readings.ports(room.id, device, now_ms):
            yield f"{device} {port}"


def _parts(
    room: Room,
    readings: RoomReadings,
    limits: RoomLimits,
    names: Mapping[str, str],
    now_ms: int,
) -> Iterator[_RoomPart]:
    silent = set()
    for id in room.all_devices:
        values = readings.device(id, now_ms)
        if values is not None and values.get("answered") == 0:
            silent.add(id)
    measured = {
        device: dict(readings.ports(room.id, device, now_ms))
        for device in room.switches
    }
    for device, ports in measured.items():
        name = names.get(device, device)
        count = sum(id == device for id, _ in room.places)
        if device in silent:
            yield from [_RoomPart("down", f"{name} does not answer")] * count
            continue
        for port, values in ports.items():
            yield _port_part(f"port {port} of {name}", values, limits)
        for _ in range(count - len(ports)):
            yield _RoomPart("unmeasured", f"not every port of {name} is measured")
    for device in room.devices:
        name, values = names.get(device, device), readings.device(device, now_ms)
        if device in silent:
            yield _RoomPart("down", f"{name} does not answer")
        elif values is None or "answered" not in values:
            yield _RoomPart("unmeasured", f"{name} is not measured")
        elif _loss(values) > limits.loss_ratio:
            lost = percentage(_loss(values))
            yield _RoomPart("damaged", f"{name} loses {lost} of echoes")
        else:
            yield _RoomPart("working")


def _port_part(name: str, values: Mapping[str, Value], limits: RoomLimits) -> _RoomPart:
    if values.get("there") == 0:
        return _RoomPart("down", f"{name} is not there")
    if values.get("shut") == 1:
        return _RoomPart("down", f"{name} is shut by an administrator")
    if values.get("up") == 0:
        return _RoomPart("down", f"{name} is down")
    if values.get("up") is None:
        return _RoomPart("unmeasured", f"{name} is neither up nor down")
    ratio = _number(values, "in_error_ratio")
    per_s = _number(values, "in_errors_per_s")
    if ratio > limits.in_error_ratio and per_s > limits.in_errors_per_s:
        return _RoomPart("damaged", f"{name} receives damaged packets ({ratio:.2%})")
    return _RoomPart("working")


def _figures(
    room: Room, readings: RoomReadings, now_ms: int
) -> dict[str, Value | None]:
    """The worst of each figure among its ports and devices."""
    ports = [
        values
        for device in room.switches
        for _, values in readings.ports(room.id, device, now_ms)
    ]
    devices = [
        values
        for id in room.all_devices
        if (values := readings.device(id, now_ms)) and values.get("icmp_up") == 1
    ]
    return {
        "in_error_ratio": _highest(ports, "in_error_ratio"),
        "in_errors_per_s": _highest(ports, "in_errors_per_s"),
        "rtt_ms": _highest(devices, "icmp_rtt_ms"),
        "loss_ratio": _highest(devices, "icmp_loss_ratio"),
    }


def _highest(rows: list[Mapping[str, Value]], field: str) -> float | None:
    return max((_number(row, field) for row in rows if field in row), default=None)


def _number(values: Mapping[str, Value], field: str) -> float:
    value = values.get(field)
    return float(value) if isinstance(value, int | float) else 0.0


def _loss(values: Mapping[str, Value]) -> float:
    """The share of echoes that are lost. If none is answered, pings may be filtered."""
    return _number(values, "icmp_loss_ratio") if values.get("icmp_up") == 1 else 0.0
