"""`towpath maintenance`: planned work, once or again and again, and its calendars."""

from __future__ import annotations

from typing import Annotated

import typer

from probes.wire.clock import wall_ms
from towpath.commands.shared import (
    ConfigFile,
    ensure_folder,
    exit_with,
    read_config,
    user_name,
)

app = typer.Typer(
    no_args_is_help=True, help="Planned maintenance: nobody is paged while it lasts."
)
Who = Annotated[str, typer.Option(help="your name; default: the user")]


@app.command()
def add(
    config: ConfigFile,
    why: Annotated[str, typer.Option(help="what is being done")],
    start: Annotated[
        str,
        typer.Option("--from", metavar="TIME", help="2026-12-01 22:00; default: now"),
    ] = "",
    lasts: Annotated[str, typer.Option("--for", metavar="SPAN", help="2h, 90m …")] = "",
    end: Annotated[str, typer.Option("--until", metavar="TIME")] = "",
    rrule: Annotated[
        str, typer.Option(help="repeats it, as in iCalendar: FREQ=WEEKLY;BYDAY=SU")
    ] = "",
    site: Annotated[str, typer.Option()] = "",
    device: Annotated[str, typer.Option()] = "",
    line: Annotated[str, typer.Option()] = "",
    supplier: Annotated[str, typer.Option(help="all lines of this supplier")] = "",
    rule: Annotated[str, typer.Option()] = "",
    who: Who = "",
) -> None:
    """Plan maintenance. Times are local times of the council."""
    from alerts.maintenance_commands import maintenance_add
    from towpath.commands.alerts import known_names

    settings = read_config(config)
    standing = ensure_folder(settings.alerts.standing, "alerts.standing")
    wanted = {
        **{"why": why, "who": who or user_name()},
        **{"start": start, "end": end, "lasts": lasts, "rrule": rrule},
        **{"site": site, "device": device, "line": line, "supplier": supplier},
        "rule": rule,
    }
    exit_with(
        maintenance_add(
            standing,
            wanted,
            settings.alerts.timezone,
            wall_ms(),
            known_names(settings),
            typer.echo,
        )
    )


@app.command("list")
def list_(
    config: ConfigFile,
    everything: Annotated[
        bool, typer.Option("--all", help="every time of windows that recur")
    ] = False,
    json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """List maintenance in force and planned, and how old its calendars are."""
    from alerts.maintenance_commands import maintenance_list
    from towpath.commands.alerts import known_names

    settings = read_config(config)
    known = None if json else known_names(settings)
    exit_with(
        maintenance_list(
            settings.alerts,
            known[1] if known else None,
            wall_ms(),
            everything,
            json,
            typer.echo,
        )
    )


@app.command()
def end(
    config: ConfigFile,
    number: Annotated[int, typer.Argument(help="as `towpath maintenance list` shows")],
    who: Who = "",
) -> None:
    """End maintenance now, or cancel one planned time."""
    from alerts.maintenance_commands import maintenance_end

    standing = ensure_folder(read_config(config).alerts.standing, "alerts.standing")
    exit_with(
        maintenance_end(standing, number, who or user_name(), wall_ms(), typer.echo)
    )


@app.command()
def stop(config: ConfigFile, window: Annotated[int, typer.Argument()]) -> None:
    """Stop a window that recurs, with all its times."""
    from alerts.maintenance_commands import maintenance_stop

    settings = read_config(config).alerts
    standing = ensure_folder(settings.standing, "alerts.standing")
    exit_with(
        maintenance_stop(standing, window, settings.timezone, wall_ms(), typer.echo)
    )
