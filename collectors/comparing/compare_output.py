"""`towpath compare`: a comparison as tables for a person, and as JSON. Pure."""

from __future__ import annotations

from rich.console import Console

from collectors.comparing.differences import Comparison, MissingItems
from collectors.json_text import json_text
from collectors.terminal_tables import add_row, table


def show(comparison: Comparison, other: str, console: Console) -> None:
    """Print a table of what each side is missing, and the count of what matches."""
    for title, missing in (
        (f"In {other}, missing in Towpath", comparison.missing_here),
        (f"In Towpath, missing in {other}", comparison.missing_there),
    ):
        if missing.is_empty:
            continue
        rows = table(title, "device", "missing")
        for device in missing.devices:
            add_row(rows, device, "the device")
        for device, port in missing.ports:
            add_row(rows, device, f"port {port}")
        for device, sensor in missing.sensors:
            add_row(rows, device, f"sensor {sensor}")
        console.print(rows)
    if comparison.no_data:
        console.print(
            f"Towpath has no data of {', '.join(comparison.no_data)}: no answer",
            highlight=False,
            markup=False,
        )
    matched = comparison.matched
    console.print(
        f"on both sides: {matched['devices']} devices, {matched['ports']} ports, "
        f"{matched['sensors']} sensors",
        highlight=False,
    )


def as_json(comparison: Comparison, other: str) -> str:
    """Return `missing_here` and `missing_there`, each with devices, ports, sensors."""

    def side(missing: MissingItems) -> dict[str, object]:
        return {
            "devices": missing.devices,
            "ports": [{"device": d, "port": port} for d, port in missing.ports],
            "sensors": [{"device": d, "sensor": s} for d, s in missing.sensors],
        }

    return json_text(
        {
            "with": other,
            "same": comparison.same,
            "missing_here": side(comparison.missing_here),
            "missing_there": side(comparison.missing_there),
            "no_data_here": comparison.no_data,
            "both": comparison.matched,
        },
        indent=2,
    )
