"""Small estates, and neighbours that their devices report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from collectors.batch import Batch, check_batch
from collectors.estate.estate_model import Estate
from collectors.server_measurements import CATALOGUE
from collectors.topology import (
    DeviceNeighbour,
    LocalSystem,
)
from collectors.topology.neighbour_records import to_batches


def estate(*devices: str | dict[str, Any], line_on: str = "", **more: Any) -> Estate:
    entries = []
    for number, device in enumerate(devices, 1):
        entry = {"id": device} if isinstance(device, str) else device
        entries.append({"site": "hall", "address": f"10.0.0.{number}", **entry})
    lines = []
    if line_on:
        line = {"id": "wan", "site": "hall", "device": line_on, "port": "wan0"}
        lines.append({**line, "down_mbps": 100, "up_mbps": 100})
    return Estate.model_validate(
        {
            "sites": [{"id": "hall", "name": "Hall"}],
            "devices": entries,
            "lines": lines,
            **more,
        }
    )


def reports(
    device: str, port: str, other: str, its_port: str = "", **more: str
) -> DeviceNeighbour:
    return DeviceNeighbour(
        device, port, remote_name=other, remote_port=its_port, **more
    )


def report_both(a: str, port: str, b: str, its_port: str) -> list[DeviceNeighbour]:
    return [reports(a, port, b, its_port), reports(b, its_port, a, port)]


def batches(
    device: str, neighbours: Iterable[DeviceNeighbour], time_ms: int
) -> list[Batch]:
    system = LocalSystem(device, device.upper(), "")
    place = (device, "hall", "switch")
    made = to_batches(place, system, neighbours, time_ms, f"poll/{device}")
    # Checked as the journal checks them.
    return [check_batch(batch, CATALOGUE) for batch in made]
