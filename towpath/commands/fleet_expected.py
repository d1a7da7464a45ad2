"""`towpath fleet expected`: the laptops that device management knows, and those that
enrolled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from probes.wire.clock import wall_ms
from probes.wire.counted_text import counted
from probes.wire.display import displayable
from towpath.commands.fleet_registry import registry_of
from towpath.commands.shared import (
    ConfigFile,
    read_config,
    reading_file,
    user_name,
)

if TYPE_CHECKING:
    from collectors.ingest.device_lists import DeviceComparison

_SHOWN = 50


def add_commands(app: typer.Typer) -> None:
    """Adds this command to `towpath fleet`."""
    app.command()(expected)


def expected(
    config: ConfigFile,
    file: Annotated[
        Path, typer.Argument(help="devices exported from Intune (CSV) or Graph (JSON)")
    ],
    all_: Annotated[
        bool, typer.Option("--all", help=f"list all, not only the first {_SHOWN}")
    ] = False,
) -> None:
    """Compare the devices that the council manages with the laptops that enrolled."""
    from collectors.ingest.device_lists import (
        DeviceListRefused,
        compare_devices,
        read_device_file,
    )
    from collectors.ingest.pseudonym import read_key, serial_hash

    with reading_file(file, DeviceListRefused):
        devices = read_device_file(file)
    ingest = read_config(config).ingest
    with registry_of(ingest) as registry:
        agents = registry.agents()
        key = read_key(ingest.registry.key_file)
        comparison = compare_devices(
            devices, agents, lambda serial: serial_hash(key, serial)
        )
        registry.admin.note_comparison(len(devices), wall_ms(), user_name())
    for line in _lines(comparison, None if all_ else _SHOWN):
        typer.echo(line)


def _lines(comparison: DeviceComparison, most: int | None) -> list[str]:
    """What is printed. Serial numbers are only printed, never stored."""
    found = comparison
    if found.has_no_numbers:
        enrolled = len(found.unlisted) + found.laptops_without_number
        return [
            f"expected {found.expected}, enrolled {enrolled}: no device of the list "
            "has a serial number of its own, so they cannot be compared (expected a "
            'column called "Serial number")'
        ]
    lines = [
        f"expected {found.expected}, enrolled {len(found.matched)}, missing "
        f"{len(found.missing)}, enrolled but not on the list {len(found.unlisted)}"
    ]
    if found.devices_without_number:
        lines.append(
            counted(
                found.devices_without_number,
                "device of the list has no serial number of its own",
                "devices of the list have no serial number of their own",
            )
            + ", and cannot be compared"
        )
    if found.laptops_without_number:
        lines.append(
            counted(found.laptops_without_number, "enrolled laptop")
            + " gave no serial number, and may be among the missing"
        )
    if found.hand_held:
        lines.append(f"{found.hand_held} telephones and tablets were left out")
    missing = [
        "  ".join(part for part in (d.serial, d.name, d.system, d.seen) if part)
        for d in sorted(found.missing, key=lambda device: (device.name, device.serial))
    ]
    unlisted = [f"{a.agent}  {a.home_site}" for a in found.unlisted]
    for title, entries in (("missing", missing), ("not on the list", unlisted)):
        if entries:
            lines.append(f"{title}:")
            lines += [f"  {displayable(entry)}" for entry in entries[:most]]
            if most is not None and len(entries) > most:
                lines.append(f"  … and {len(entries) - most} more (--all)")
    return lines
