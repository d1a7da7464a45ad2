"""`towpath import rooms`: what Microsoft's portals export of Teams Rooms."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from probes.wire.clock import wall_ms
from probes.wire.counted_text import counted
from towpath.commands.import_rows import (
    SHOWN,
    DatesOption,
    date_order,
    import_rows,
    report_left_out,
)
from towpath.commands.shared import (
    ConfigFile,
    fail,
    read_config,
    read_estate,
    reading_file,
    usage_error,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


def add_commands(app: typer.Typer) -> None:
    """Adds this command to `towpath import`."""
    app.command()(rooms)


def rooms(
    config: ConfigFile,
    file: Annotated[Path, typer.Argument(help="rooms by their accounts, as CSV")],
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--column", metavar="OURS=HEADING", help="account=Benutzername, for example"
        ),
    ] = None,
    dates: DatesOption = "",
) -> None:
    """Import health, use and quality of Teams Rooms from exports of Microsoft's."""
    from collectors.calls.exported_rooms import room_rows
    from collectors.calls.room_sheet import RoomsRefused, read_rooms
    from collectors.local_days import local_date

    order = date_order(dates)
    headings = _headings(columns or ())
    settings = read_config(config)
    estate = read_estate(settings)
    if not any(room.accounts for room in estate.rooms):
        fail(
            "no room of the estate has accounts (rooms.accounts), by which it is found"
        )
    with reading_file(file, RoomsRefused):
        sheet = read_rooms(file.read_bytes(), headings, order)
    rows = room_rows(sheet.lines, estate.rooms, local_date(wall_ms(), UTC))
    left_out = []
    if rows.others:
        left_out.append(
            f"{counted(rows.others, 'row')} left out: of accounts that are no room's"
        )
    if rows.missing:
        left_out.append(f"not in the file: {', '.join(rows.missing[:SHOWN])}")
    report_left_out(file, sheet.remarks, left_out, rows.samples)
    import_rows(settings, rows.samples, f"rooms/{file.name}", "room")


def _headings(columns: Sequence[str]) -> dict[str, str]:
    from collectors.calls.room_sheet import COLUMNS

    headings = {}
    for text in columns:
        ours, _, heading = text.partition("=")
        if ours not in COLUMNS or not heading:
            names = ", ".join(COLUMNS)
            usage_error([f"--column {text!r}: expected NAME=HEADING, NAME of {names}"])
        headings[ours] = heading
    return headings
