"""`towpath baseline`: what was already so when its device was first seen."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from probes.wire.clock import wall_ms
from towpath.commands.shared import (
    ConfigFile,
    ensure_folder,
    exit_with,
    read_config,
    read_estate,
    user_name,
)

app = typer.Typer(
    no_args_is_help=True,
    help="What was so when a device was first seen, and so pages nobody.",
)
Who = Annotated[str, typer.Option(help="your name; default: the user")]
Why = Annotated[str, typer.Option(help="why it is meant to be so, or not")]
Keys = Annotated[
    list[str], typer.Argument(help="as `towpath baseline list` shows it; * matches")
]


@app.command("list")
def list_(
    config: ConfigFile,
    everything: Annotated[
        bool, typer.Option("--all", help="also what has been accepted")
    ] = False,
    json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """List what was so when its device was first seen, for the engineer."""
    from alerts.baseline_commands import baseline_list

    settings = read_config(config).alerts
    exit_with(
        baseline_list(
            settings.standing, everything, json, settings.timezone, typer.echo
        )
    )


@app.command()
def accept(config: ConfigFile, keys: Keys, why: Why = "", who: Who = "") -> None:
    """Accept it: it is meant to be so, and no longer listed. A change still pages."""
    _choose(config, keys, "accept", who, why)


@app.command()
def alert(config: ConfigFile, keys: Keys, why: Why = "", who: Who = "") -> None:
    """Alert on it: it is a fault, and pages now."""
    _choose(config, keys, "alert", who, why)


@app.command()
def learn(
    config: ConfigFile,
    device: Annotated[str, typer.Argument(help="its id in the estate")],
    who: Who = "",
) -> None:
    """Learn a device again, after it was replaced or rebuilt."""
    from alerts.baseline_commands import baseline_learn

    settings = read_config(config)
    estate = read_estate(settings)
    standing = ensure_folder(settings.alerts.standing, "alerts.standing")
    known = [device.id for device in estate.devices]
    exit_with(
        baseline_learn(
            standing, device, known, who or user_name(), wall_ms(), typer.echo
        )
    )


def _choose(
    config: ConfigFile,
    keys: list[str],
    choice: Literal["accept", "alert"],
    who: str,
    why: str,
) -> None:
    from alerts.baseline_commands import baseline_choose

    standing = ensure_folder(read_config(config).alerts.standing, "alerts.standing")
    exit_with(
        baseline_choose(
            standing, keys, choice, who or user_name(), why, wall_ms(), typer.echo
        )
    )
