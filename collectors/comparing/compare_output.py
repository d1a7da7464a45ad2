"""`towpath compare`: a comparison as tables for a person, and as JSON. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rich.console import Console

from collectors.comparing.differences import Comparison, MissingItems
from collectors.few_names import few_names
from collectors.json_text import json_text
from collectors.terminal_tables import TerminalTable
from probes.wire.counted_text import counted

_MOST_NAMED = 3


def show(
    comparison: Comparison, other: str, console: Console, details: bool = False
) -> None:
    """Prints a summary of at most ten lines; with `details` what each side is missing
    comes first, in tables."""
    if details:
        for missing, title in _sides(comparison, other):
            if not missing.is_empty:
                console.print(_table(missing, title))
    for line in _summary(comparison, other):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if not details and not comparison.same:
        console.print("--details lists them", highlight=False)


def _sides(
    comparison: Comparison, other: str
) -> tuple[tuple[MissingItems, str], tuple[MissingItems, str]]:
    return (
        (comparison.missing_here, f"In {other}, missing in Towpath"),
        (comparison.missing_there, f"In Towpath, missing in {other}"),
    )


def _table(missing: MissingItems, title: str) -> TerminalTable:
    rows = TerminalTable(title, "device", "missing")
    for device in missing.devices:
        rows.add_row(device, "the device")
    for device, port in missing.ports:
        rows.add_row(device, f"port {port}")
    for device, sensor in missing.sensors:
        rows.add_row(device, f"sensor {sensor}")
    return rows


def _summary(comparison: Comparison, other: str) -> Iterator[str]:
    matched = comparison.matched
    yield (
        f"on both sides: {counted(matched['devices'], 'device')}, "
        f"{counted(matched['ports'], 'port')}, "
        f"{counted(matched['sensors'], 'sensor')}"
    )
    for devices, side in (
        (comparison.no_data, "Towpath"),
        (comparison.no_data_there, other),
    ):
        if devices:
            names = few_names(devices, _MOST_NAMED)
            yield f"{side} has no data of {names}: not compared"
    for missing, title in _sides(comparison, other):
        if missing.devices:
            names = few_names(missing.devices, _MOST_NAMED)
            yield f"{title}: {counted(len(missing.devices), 'device')} ({names})"
        for items, what in ((missing.ports, "ports"), (missing.sensors, "sensors")):
            if items:
                counts = Counter(device for device, _ in items).most_common()
                most = [f"{device} {count}" for device, count in counts]
                yield f"{title}: {len(items)} {what} ({few_names(most, _MOST_NAMED)})"


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
            "no_data_there": comparison.no_data_there,
            "both": comparison.matched,
        },
        indent=2,
    )
