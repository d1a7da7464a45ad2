"""The `towpath` command. Each subcommand is a few lines that call the room that does
the work."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import Annotated

import typer

from probes.wire.display import guard_terminal
from probes.wire.software import installed_version
from towpath.commands import (
    alerts,
    api,
    baseline,
    compare,
    dashboards,
    fleet,
    imports,
    maintenance,
    profiles,
    reports,
    rules,
    store,
    users,
)
from towpath.commands.discover import discover
from towpath.commands.poll import poll
from towpath.commands.rtp import rtp
from towpath.commands.shared import (
    ConfigFile,
    ensure_folder,
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
    pretty_exceptions_enable=False,
    help="Monitor a council's network and the connections of its remote staff.",
)
# So many problems that differ in a name are summed up; fewer are listed.
_MANY_PROBLEMS = 5
# The panels of --help.
_RUN, _DEVICES, _ALERTS, _DATA = "Run", "Devices", "Alerts", "Data and reports"


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"towpath {installed_version()}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    pass


@app.command(rich_help_panel=_RUN)
def run(
    config: ConfigFile,
    role: Annotated[
        list[str] | None,
        typer.Option(
            help="poll, ingest, store, alert, web or calls; default: all. store-1, "
            "store-2 …: one of store.writers"
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="list what would run, and start nothing")
    ] = False,
) -> None:
    """Run Towpath, or some of its roles, until stopped."""
    from collectors.alike_sentences import group_alike
    from towpath.config import ROLES, Role
    from towpath.log_setup import configure
    from towpath.run import Installation, StartFailed
    from towpath.serve import serve
    from towpath.store_role import split_part

    restrict_umask()
    settings = read_config(config)
    requested = [name for names in role or ROLES for name in names.split(",")]
    try:
        requested, part = split_part(settings.store.writers, requested)
    except ValueError as error:
        usage_error([f"--role {error}"])
    for name in requested:
        if name not in ROLES:
            usage_error([f"--role {name!r}: expected one of {', '.join(ROLES)}"])
    roles: list[Role] = [name for name in ROLES if name in requested]
    configure(settings.log)
    try:
        installation = Installation(settings, roles, part=part)
    except (ValueError, LookupError, OSError) as error:
        usage_error(group_alike(str(error).splitlines(), _MANY_PROBLEMS))
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
    """Check settings, estate, rules and credentials, and report all problems."""
    from collectors.alike_sentences import group_alike
    from towpath.check import check_config
    from towpath.log_setup import configure

    settings = read_config(config)
    # What else is logged at a start is not about the check.
    configure(settings.log.model_copy(update={"level": "warning"}))
    result = check_config(settings)
    for warning in group_alike(result.warnings):
        typer.echo(f"warning: {warning}", err=True)
    if result.problems:
        usage_error(group_alike(result.problems, _MANY_PROBLEMS))
    for fact in result.facts:
        typer.echo(fact)


@app.command(rich_help_panel=_RUN)
def clock(
    config: ConfigFile,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="it is right: delete by it, although it is ahead"),
    ] = False,
) -> None:
    """Show if data is deleted by this machine's clock, or confirm that it is right."""
    from collectors.deletion_clock import CLOCK_FILE, clock_warning, write_note
    from probes.wire.clock import wall_ms

    file = ensure_folder(read_config(config).state / CLOCK_FILE, "state")
    now_ms = wall_ms()
    warning = clock_warning(file, now_ms)
    if warning and not trust:
        fail(warning)
    if trust:
        write_note(file, now_ms)
        typer.echo("Data is deleted by this machine's clock within a minute.")
    else:
        typer.echo("Data is deleted by this machine's clock.")


@app.command(rich_help_panel=_RUN)
def reflector(
    config: Annotated[
        Path | None,
        typer.Option("-c", "--config", metavar="FILE", help="settings (TOML)"),
    ] = None,
    stamp_port: Annotated[int | None, typer.Option(help="UDP, default 862")] = None,
    web_port: Annotated[int | None, typer.Option(help="TCP, default 8443")] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="TLS certificate (PEM)")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="its private key (PEM)")] = None,
) -> None:
    """Answer agents' tests: STAMP over UDP, ndt7 and an echo over HTTPS."""
    from collectors.reflector import ReflectorConfig
    from towpath.config import ConfigError, read_part
    from towpath.log_setup import LogConfig, configure
    from towpath.run import StartFailed
    from towpath.run_reflector import reflect

    options = {
        "stamp_port": stamp_port,
        "web_port": web_port,
        "tls_certificate": certificate,
        "tls_key": key,
    }
    options = {name: value for name, value in options.items() if value is not None}
    restrict_umask()
    configure(LogConfig())
    try:
        run_async(reflect(read_part(ReflectorConfig, config, options)))
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
            help="stop after this time, once the report is written",
        ),
    ] = "",
    port: Annotated[int, typer.Option(help="port of the status page")] = 8080,
    keep: Annotated[
        Path | None, typer.Option(help="keep all files in this folder")
    ] = None,
) -> None:
    """Run a simulated council on this machine, break a line, and show the result."""
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
app.command("rtp", rich_help_panel=_DEVICES)(rtp)
app.command("query", rich_help_panel=_DATA)(store.query)
app.command("export", rich_help_panel=_DATA)(store.export)
app.add_typer(fleet.app, name="fleet", rich_help_panel=_RUN)
# What it was called before.
app.add_typer(fleet.app, name="agents", hidden=True)
app.add_typer(users.app, name="users", rich_help_panel=_RUN)
app.add_typer(imports.app, name="import", rich_help_panel=_DEVICES)
app.add_typer(profiles.app, name="profile", rich_help_panel=_DEVICES)
app.add_typer(compare.app, name="compare", rich_help_panel=_DEVICES)
app.add_typer(alerts.app, name="alerts", rich_help_panel=_ALERTS)
app.add_typer(baseline.app, name="baseline", rich_help_panel=_ALERTS)
app.add_typer(maintenance.app, name="maintenance", rich_help_panel=_ALERTS)
app.add_typer(rules.app, name="rules", rich_help_panel=_ALERTS)
app.add_typer(dashboards.app, name="dashboards", rich_help_panel=_DATA)
app.add_typer(reports.app, name="report", rich_help_panel=_DATA)
app.add_typer(api.app, name="api", rich_help_panel=_DATA)


def main() -> None:
    """Runs the `towpath` command."""
    guard_terminal()
    try:
        app()
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:
        # A folder that does not exist or cannot be written, or a full disk.
        typer.echo(f"towpath: {sentence_of(error)}", err=True)
        sys.exit(1)
    except sqlite3.OperationalError as error:
        typer.echo(f"towpath: a database in the state folder: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
