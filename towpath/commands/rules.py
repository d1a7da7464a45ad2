"""`towpath rules`: the rules, against the catalogue and against recorded windows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from towpath.commands.dashboards import export_rules
from towpath.commands.shared import OptionalConfig, exit_with, read_config, usage_error

app = typer.Typer(no_args_is_help=True, help="Alert rules: list, check, test, export.")
Folder = Annotated[
    Path | None,
    typer.Option(
        "--rules", help="the council's own rules and overrides", metavar="PATH"
    ),
]


@app.command("list")
def list_(
    rules: Folder = None, json: Annotated[bool, typer.Option("--json")] = False
) -> None:
    """Every rule that is on: severity, how long before it pages, what it says."""
    from alerts.alert_commands import rules_list

    exit_with(rules_list(rules, json, typer.echo))


@app.command()
def check(rules: Folder = None, config: OptionalConfig = None) -> None:
    """Whether all rules can be used, with a sentence for each that cannot; with
    settings also whether the estate has what they name."""
    from alerts.alert_commands import rules_check
    from alerts.unknown_names import known_values, unknown_names_check
    from collectors.estate import EstateError, load
    from collectors.snmp.traps import CatalogError
    from collectors.snmp.traps.trap_catalog import load as load_traps

    if config is None:
        exit_with(rules_check(rules, typer.echo))
        return
    settings = read_config(config)
    try:
        estate, traps = load(settings.estate), load_traps(settings.traps.catalog)
    except (EstateError, CatalogError) as error:
        usage_error(error.findings)
    known = known_values(estate, traps.events)
    exit_with(
        rules_check(
            rules or settings.alerts.rules, typer.echo, unknown_names_check(known)
        )
    )


@app.command("test")
def play(
    files: Annotated[list[Path], typer.Argument(help="recorded windows (YAML)")],
    rules: Folder = None,
) -> None:
    """Play recorded windows and say where the rules come to another verdict."""
    from alerts.alert_commands import rules_test

    exit_with(rules_test(files, rules, typer.echo))


@app.command()
def export(
    to: Annotated[str, typer.Argument(help="grafana")],
    out: Annotated[Path, typer.Option(help="folder to write into")],
    config: Annotated[
        Path | None, typer.Option("-c", "--config", metavar="FILE")
    ] = None,
    grafana: Annotated[
        int | None, typer.Option(help="oldest version to work with: 9 to 13")
    ] = None,
) -> None:
    """Write the rules for another engine; paused, so that two never page for one."""
    if to != "grafana":
        usage_error([f"rules can be exported for grafana, not for {to!r}"])
    export_rules(out, config, grafana)
