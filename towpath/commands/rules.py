"""`towpath rules`: lists, checks, tests and exports the alert rules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from probes.wire.atomic_file import replace_file
from probes.wire.catalogue import did_you_mean
from towpath.commands.dashboards import export_rules
from towpath.commands.shared import (
    OptionalConfig,
    exit_with,
    read_config,
    read_rules,
    usage_error,
)

app = typer.Typer(
    no_args_is_help=True, help="List, check, test and export alert rules."
)
_TARGETS = ("grafana", "prometheus")
Folder = Annotated[
    Path | None,
    typer.Option("--rules", help="your own rules and overrides", metavar="PATH"),
]


@app.command("list")
def list_(
    rules: Folder = None, json: Annotated[bool, typer.Option("--json")] = False
) -> None:
    """List the rules that are on: severity, time until they page, and message."""
    from alerts.alert_commands import rules_list

    exit_with(rules_list(rules, json, typer.echo))


@app.command()
def check(rules: Folder = None, config: OptionalConfig = None) -> None:
    """Check all rules and report all problems; with -c, also the names they use."""
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
    """Replay recorded windows and report where the rules decide differently."""
    from alerts.alert_commands import rules_test

    exit_with(rules_test(files, rules, typer.echo))


@app.command()
def export(
    to: Annotated[str, typer.Argument(help="grafana or prometheus")],
    out: Annotated[Path, typer.Option(help="folder to write into")],
    config: Annotated[
        Path | None, typer.Option("-c", "--config", metavar="FILE")
    ] = None,
    grafana: Annotated[
        int | None, typer.Option(help="oldest Grafana version to support: 9 to 13")
    ] = None,
) -> None:
    """Write the rules for Grafana, paused so that only Towpath pages, or Prometheus."""
    if to not in _TARGETS:
        hint = did_you_mean(to, _TARGETS)
        usage_error([f"rules are exported for grafana or prometheus, not {to!r}{hint}"])
    if to == "grafana":
        export_rules(out, config, grafana)
        return
    if grafana is not None:
        usage_error(["--grafana is the version of Grafana: leave it out"])
    _export_for_prometheus(out, config)


def _export_for_prometheus(out: Path, config: Path | None) -> None:
    from alerts.prometheus.prometheus_rules import FILE_NAME, prometheus_document

    settings = None if config is None else read_config(config)
    text, unsupported = prometheus_document(read_rules(settings))
    path = out / FILE_NAME
    out.mkdir(parents=True, exist_ok=True)
    replace_file(path, text.encode(), durable=False, mode=None)
    typer.echo(path)
    for omitted in unsupported:
        typer.echo(f"not for Prometheus: rule {omitted.rule}: {omitted.why}", err=True)
    if settings is not None and not (settings.metrics.rows and settings.metrics.port):
        typer.echo(
            "note: the rules read rows that /metrics does not have yet: set "
            "metrics.rows = true and a metrics.port",
            err=True,
        )
