"""`towpath`: the door. Each command is a few lines that call the room that does it."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import Annotated

import typer

from probes.wire.display import guard_terminal
from towpath.commands import (
    agents,
    alerts,
    compare,
    dashboards,
    imports,
    reports,
    rules,
    store,
)
from towpath.commands.discover import discover
from towpath.commands.poll import poll
from towpath.commands.shared import (
    ConfigFile,
    exit_with,
    fail,
    read_config,
    restrict_umask,
    run_async,
    usage_error,
)
from towpath.commands.topology import topology
from towpath.error_sentences import sentence_of

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Shows whether a council's network and its remote staff are well served.",
)
# The panels of --help.
_RUN, _DEVICES, _NOW, _FIGURES = (
    "Run it",
    "Devices",
    "What is wrong",
    "Figures and reports",
)


@app.command(rich_help_panel=_RUN)
def run(
    config: ConfigFile,
    role: Annotated[
        list[str] | None,
        typer.Option(help="poll, ingest, store, alert, web; default: all of them"),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="build everything, start nothing, say what")
    ] = False,
) -> None:
    """Run Towpath, or some of its roles, until stopped."""
    from towpath.config import ROLES, Role
    from towpath.log_setup import configure
    from towpath.run import Installation, StartFailed, serve

    restrict_umask()
    settings = read_config(config)
    wanted = [part for each in role or ROLES for part in each.split(",")]
    for each in wanted:
        if each not in ROLES:
            usage_error([f"--role {each!r}: expected one of {', '.join(ROLES)}"])
    roles: list[Role] = [each for each in ROLES if each in wanted]
    configure(settings.log)
    try:
        installation = Installation(settings, roles)
    except (ValueError, LookupError, OSError) as error:
        usage_error(str(error).splitlines())
    if check:
        for name, _ in installation.pieces:
            typer.echo(name)
        return
    try:
        run_async(serve(installation))
    except StartFailed as error:
        fail(str(error))


@app.command(rich_help_panel=_RUN)
def check(config: ConfigFile) -> None:
    """Check settings, estate, rules and credentials; say everything that is wrong."""
    from towpath.check import check_config
    from towpath.log_setup import configure

    settings = read_config(config)
    configure(settings.log)
    wrong_ones, warnings, facts = check_config(settings)
    for each in warnings:
        typer.echo(f"warning: {each}", err=True)
    if wrong_ones:
        usage_error(wrong_ones)
    for each in facts:
        typer.echo(each)


@app.command(rich_help_panel=_RUN)
def reflector(
    config: Annotated[
        Path | None,
        typer.Option("-c", "--config", metavar="FILE", help="TOML with its settings"),
    ] = None,
    stamp_port: Annotated[int | None, typer.Option(help="UDP, default 862")] = None,
    web_port: Annotated[int | None, typer.Option(help="TCP, default 8443")] = None,
    certificate: Annotated[Path | None, typer.Option(help="TLS, PEM")] = None,
    key: Annotated[Path | None, typer.Option(help="TLS, PEM")] = None,
) -> None:
    """The far end of agents' tests: STAMP over UDP, ndt7 and an echo over HTTPS."""
    from collectors.reflector import ReflectorConfig
    from towpath.config import ConfigError, read_part
    from towpath.log_setup import LogConfig, configure
    from towpath.run import StartFailed, reflect

    given = {
        "stamp_port": stamp_port,
        "web_port": web_port,
        "tls_certificate": certificate,
        "tls_key": key,
    }
    given = {name: value for name, value in given.items() if value is not None}
    restrict_umask()
    configure(LogConfig())
    try:
        run_async(reflect(read_part(ReflectorConfig, config, given)))
    except ConfigError as error:
        usage_error(error.findings)
    except StartFailed as error:
        fail(str(error))


@app.command(rich_help_panel=_RUN)
def demo(
    for_: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="90s",
            help="end by itself after this long, once the report is made",
        ),
    ] = "",
    port: Annotated[int, typer.Option(help="of the status page")] = 8080,
    keep: Annotated[
        Path | None, typer.Option(help="keep all it writes in this folder")
    ] = None,
) -> None:
    """Start a small council on this machine, with a fault in it."""
    from probes.wire.durations import parse_duration_ms
    from towpath.demo.demo_run import run_demo

    restrict_umask()
    try:
        for_s = parse_duration_ms(for_) / 1000 if for_ else None
    except ValueError as error:
        usage_error([f"--for: {error}"])
    exit_with(run_demo(for_s, port, keep))


app.command("poll", rich_help_panel=_DEVICES)(poll)
app.command("discover", rich_help_panel=_DEVICES)(discover)
app.command("topology", rich_help_panel=_DEVICES)(topology)
app.command("query", rich_help_panel=_FIGURES)(store.query)
app.command("export", rich_help_panel=_FIGURES)(store.export)
app.add_typer(agents.app, name="agents", rich_help_panel=_RUN)
app.add_typer(imports.app, name="import", rich_help_panel=_DEVICES)
app.add_typer(compare.app, name="compare", rich_help_panel=_DEVICES)
app.add_typer(alerts.app, name="alerts", rich_help_panel=_NOW)
app.add_typer(rules.app, name="rules", rich_help_panel=_NOW)
app.add_typer(dashboards.app, name="dashboards", rich_help_panel=_FIGURES)
app.add_typer(reports.app, name="report", rich_help_panel=_FIGURES)


def main() -> None:
    """The entry point of the `towpath` command."""
    guard_terminal()
    try:
        app()
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:
        # A folder that is missing or may not be written, a disk that is full.
        typer.echo(f"towpath: {sentence_of(error)}", err=True)
        sys.exit(1)
    except sqlite3.OperationalError as error:
        typer.echo(f"towpath: a file of its state: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
