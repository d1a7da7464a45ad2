"""`towpath import rooms`: what Microsoft's portals export of Teams Rooms."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from probes.wire.clock import wall_ms
from probes.wire.counted_text import counted
from probes.wire.display import displayable
from towpath.commands.import_rows import append_imported
from towpath.commands.shared import (
    ConfigFile,
    fail,
    read_config,
    read_estate,
    reading_file,
    run_async,
    usage_error,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHOWN = 8


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
    dates: Annotated[
        str, typer.Option(metavar="dmy|mdy", help="the order in dates like 03/04/2026")
    ] = "",
) -> None:
    """Import health, use and quality of Teams Rooms from exports of Microsoft's."""
    from collectors.calls.exported_rooms import room_rows
    from collectors.calls.room_sheet import RoomsRefused, read_rooms

    if dates not in ("", "dmy", "mdy"):
        usage_error([f"--dates {dates!r}: expected dmy or mdy"])
    headings = _headings(columns or ())
    settings = read_config(config)
    estate = read_estate(settings)
    if not any(room.accounts for room in estate.rooms):
        fail(
            "no room of the estate has accounts (rooms.accounts), by which it is found"
        )
    with reading_file(file, RoomsRefused):
        sheet = read_rooms(file.read_bytes(), headings, dates or None)  # type: ignore[arg-type]
    today = datetime.fromtimestamp(wall_ms() / 1000, UTC).date()
    rows = room_rows(sheet.lines, estate.rooms, today)
    remarks = [*sheet.remarks[:_SHOWN]]
    if (more := len(sheet.remarks) - _SHOWN) > 0:
        remarks.append(f"and {more} more rows that cannot be read")
    if rows.others:
        remarks.append(
            f"{counted(rows.others, 'row')} left out: of accounts that are no room's"
        )
    if rows.missing:
        remarks.append(f"not in the file: {', '.join(rows.missing[:_SHOWN])}")
    for remark in remarks:
        typer.echo(displayable(f"{file}: {remark}"), err=True)
    if not rows.samples:
        fail(f"{file}: no row could be used")
    run_async(append_imported(settings, rows.samples, f"rooms/{file.name}"))
    count = len({sample.tags["room"] for sample in rows.samples})
    typer.echo(
        f"imported {counted(len(rows.samples), 'row')} of {counted(count, 'room')}"
    )


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
