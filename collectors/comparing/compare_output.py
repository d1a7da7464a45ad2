"""`towpath compare`: a comparison as tables for a person, and as JSON. Pure."""

from __future__ import annotations

from rich.console import Console

from collectors.comparing.differences import Comparison, Lacks
from collectors.json_text import json_text
from collectors.terminal_tables import add, table


def show(found: Comparison, other: str, console: Console) -> None:
    """One table for what either side lacks; what is the same is counted."""
    for title, lacks in (
        (f"{other} has it, Towpath has not", found.here),
        (f"Towpath has it, {other} has not", found.there),
    ):
        if lacks.nothing:
            continue
        lacking = table(title, "device", "what")
        for device in lacks.devices:
            add(lacking, device, "the device")
        for device, what in lacks.ports:
            add(lacking, device, f"port {what}")
        for device, what in lacks.sensors:
            add(lacking, device, f"sensor {what}")
        console.print(lacking)
    if found.silent:
        console.print(
            f"Towpath has no data of {', '.join(found.silent)}: it did not answer",
            highlight=False,
            markup=False,
        )
    both = found.both
    console.print(
        f"the same on both sides: {both['devices']} devices, {both['ports']} ports, "
        f"{both['sensors']} sensors",
        highlight=False,
    )


def as_json(found: Comparison, other: str) -> str:
    """`missing_here` and `missing_there`, each with devices, ports and sensors."""

    def side(lacks: Lacks) -> dict[str, object]:
        return {
            "devices": lacks.devices,
            "ports": [{"device": d, "port": what} for d, what in lacks.ports],
            "sensors": [{"device": d, "sensor": what} for d, what in lacks.sensors],
        }

    return json_text(
        {
            "with": other,
            "same": found.same,
            "missing_here": side(found.here),
            "missing_there": side(found.there),
            "no_data_here": found.silent,
            "both": found.both,
        },
        indent=2,
    )
