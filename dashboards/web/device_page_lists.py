"""What the page of a device lists beside its ports: neighbours, sensors, loads, and
what is not measured. Pure: rows in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from collectors.estate import Device
from collectors.natural_order import natural_order
from collectors.store.query import Row
from dashboards import figure_text
from dashboards.web.health import DevicePart, device_part
from dashboards.web.ports import PortNow
from dashboards.web.site_state import DeviceNow
from probes.wire.counted_text import counted

NAMELESS = "port without a name"


@dataclass(frozen=True)
class ShownNeighbour:
    """What is seen on a port. `device`: its id, if the estate has it."""

    port: str
    name: str
    remote_port: str
    protocol: str
    address: str
    device: str


@dataclass(frozen=True)
class DeviceLoad:
    """How full a processor, a memory or a disk is."""

    kind: str
    name: str
    use: float | None


def device_neighbours(
    rows: Iterable[Row], estate_devices: Iterable[str]
) -> list[ShownNeighbour]:
    known = frozenset(estate_devices)

    def neighbour(row: Row) -> ShownNeighbour:
        def text(name: str) -> str:
            return str(row.values.get(f"{name}_last") or "").strip()

        device = text("remote_device")
        return ShownNeighbour(
            row.tags.get("port", ""),
            text("remote_name") or text("remote_chassis") or row.tags.get("heard", ""),
            text("remote_port") or text("remote_port_descr"),
            text("protocol").upper(),
            text("remote_address"),
            device if device in known else "",
        )

    found = [neighbour(row) for row in rows]
    return sorted(
        found, key=lambda one: (natural_order(one.port), natural_order(one.name))
    )


def device_sensors(rows: Iterable[Row]) -> list[DevicePart]:
    """Returns all sensors, those with a problem first."""
    return sorted(
        map(device_part, rows),
        key=lambda part: (-(part.severity or 0), part.kind, natural_order(part.name)),
    )


def device_loads(
    kinds: Mapping[str, Sequence[Row] | None],
) -> list[DeviceLoad]:
    """Returns the loads of each kind, such as processors. `kinds`: kind → rows with one
    tag, the name."""
    loads = []
    for kind, rows in kinds.items():
        for row in rows or ():
            use = row.values.get("use_ratio_last")
            name = next(iter(row.tags.values()), "")
            ratio = float(use) if isinstance(use, int | float) else None
            loads.append(DeviceLoad(kind, name, ratio))
    return sorted(loads, key=lambda load: (load.kind, natural_order(load.name)))


def not_measured(
    now: DeviceNow,
    ports: Sequence[PortNow] | None,
    sensors: Sequence[DevicePart] | None,
    neighbours: Sequence[ShownNeighbour] | None,
    poll: Mapping[str, object],
) -> list[str]:
    """Returns a sentence for each thing that the page cannot show, and why. What the
    store did not answer (None) is not among them: the page says so in its place."""
    device = now.device
    if not device.poll:
        return ["Nothing: the estate has poll = false for this device."]
    if not device.snmp:
        return [
            "Ports, sensors and neighbours: the estate has snmp = false for this "
            "device, so it is only pinged."
        ]
    sentences = []
    if now.outcome not in ("", "ok"):
        reason = figure_text.identifier_text(now.outcome).lower()
        sentences.append(f"Anything at the moment: its last poll ended with {reason}.")
    if ports is not None:
        sentences += _ports_not_measured(ports)
    if sensors == []:
        sentences.append(
            "Temperature, power and fans: it has reported no sensors in the last "
            "quarter of an hour."
        )
    if neighbours == []:
        sentences.append(
            "Neighbours: none in the last hour. LLDP or CDP may be off, or not "
            "readable with its credentials."
        )
    if poll and poll.get("icmp_rtt_ms_last") is None:
        sentences.append("Ping: no echo in its latest polls.")
    return sentences


def above(device: Device, devices: Iterable[Device]) -> list[Device]:
    """Returns the next devices towards the core."""
    return [known for known in devices if known.id in device.above]


def _ports_not_measured(ports: Sequence[PortNow]) -> list[str]:
    if not ports:
        return ["Ports: it has reported none in the last hour."]
    up = [port for port in ports if port.up]
    silent = sum(port.in_bps is None and port.out_bps is None for port in up)
    without_use = sum(port.in_bps is not None and port.in_use is None for port in up)
    without_errors = sum(
        port.in_bps is not None and port.errors_per_s is None for port in up
    )
    sentences = []
    if silent:
        ports_have = counted(silent, "port that is up", "ports that are up")
        sentences.append(
            f"Traffic of {ports_have}: a rate needs two polls, and the device has to "
            "count octets there."
        )
    if without_use:
        sentences.append(
            f"Use of {counted(without_use, 'port')}: the device does not "
            "report a speed."
        )
    if without_errors:
        sentences.append(
            f"Errors of {counted(without_errors, 'port')}: the device does "
            "not count them."
        )
    return sentences
