"""`towpath dashboards`: builds, checks and pushes Grafana's dashboards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from probes.wire.catalogue import did_you_mean
from probes.wire.counted_text import counted
from towpath.commands.option_groups import expand_options
from towpath.commands.shared import fail, read_config, read_rules, usage_error

if TYPE_CHECKING:
    from alerts.rule_files import Rules
    from dashboards.grafana.board import Board
    from dashboards.grafana.push import PushReport
    from dashboards.grafana_config import GrafanaConfig

app = typer.Typer(
    no_args_is_help=True, help="Dashboards, rules and data sources for Grafana."
)
Config = Annotated[
    Path | None,
    typer.Option(
        "-c",
        "--config",
        metavar="FILE",
        help="towpath.toml, for Grafana's settings and the rules",
    ),
]
Grafana = Annotated[
    int | None,
    typer.Option("--grafana", help="oldest Grafana version to support: 9 to 13"),
]


_ACCESS = "How to reach Grafana"
_WRITES = "What is written"


@dataclass(frozen=True)
class Push:
    """How `push` reaches Grafana, and what it may write."""

    token: Annotated[
        str,
        typer.Option(
            envvar="TOWPATH_GRAFANA_TOKEN",
            help="of a service account with the role Editor",
            show_default=False,
            rich_help_panel=_ACCESS,
        ),
    ] = ""
    ca_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="authorities to trust instead of the system's; default: "
            "grafana.ca_file",
            rich_help_panel=_ACCESS,
        ),
    ] = None
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="write nothing; show what would change, panel by panel",
            rich_help_panel=_WRITES,
        ),
    ] = False
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="also replace boards that somebody has changed",
            rich_help_panel=_WRITES,
        ),
    ] = False
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="remove boards that an earlier version pushed",
            rich_help_panel=_WRITES,
        ),
    ] = False
    create_data_sources: Annotated[
        bool,
        typer.Option(
            "--create-data-sources",
            help="create those that are missing; needs the role Admin",
            rich_help_panel=_WRITES,
        ),
    ] = False


@app.command()
def build(
    out: Annotated[Path, typer.Option(help="folder to write into")],
    config: Config = None,
    grafana: Grafana = None,
) -> None:
    """Write dashboards and provisioning files."""
    from dashboards.grafana import BoardError, build_folder

    settings, rules = _settings(config, grafana)
    _warn(settings)
    try:
        built = build_folder(out, settings, rules, _boards(config))
    except BoardError as error:
        usage_error(str(error).splitlines())
    for path in built.files:
        typer.echo(path)
    if built.unsupported and settings.export_rules:
        typer.echo(
            counted(len(built.unsupported), "rule")
            + " cannot be expressed in Grafana; towpath-rules.yaml ends with the "
            "reasons",
            err=True,
        )


@app.command()
def check(
    folder: Annotated[
        Path | None, typer.Argument(help="dashboards (*.json); default: our own")
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHECK", help="leave out a check, named at the end of its findings"
        ),
    ] = None,
) -> None:
    """Check dashboards for whatever would be misread, shared or never answered.

    Each finding ends with the name of its check; docs/dashboards.md lists them.
    """
    from collectors.server_measurements import CATALOGUE
    from dashboards.grafana import BOARDS, CHECKS, check_boards, check_folder

    unknown = [name for name in without or () if name not in CHECKS]
    if unknown:
        usage_error(
            [
                f"--without: there is no check {name!r}{did_you_mean(name, CHECKS)}"
                for name in unknown
            ]
        )
    if folder is None:
        findings = check_boards(BOARDS, CATALOGUE)
    else:
        findings = check_folder(folder, CATALOGUE)
    findings = [finding for finding in findings if finding.check not in (without or ())]
    if findings:
        fail("\n".join(map(str, findings)))
    typer.echo(
        f"{len(BOARDS)} dashboards are valid" if folder is None else f"{folder}: valid"
    )


@app.command()
def fields(
    measurement: Annotated[
        str | None, typer.Argument(help="one measurement; default: all")
    ] = None,
) -> None:
    """Show on which boards, in which rules and on which pages each field is."""
    from collectors.server_measurements import CATALOGUE
    from probes.wire.catalogue import UnknownName
    from towpath.commands.field_places import field_places, reason

    try:
        chosen = [CATALOGUE.measurement(measurement)] if measurement else [*CATALOGUE]
    except UnknownName as unknown:
        usage_error([str(unknown)])
    places = field_places(CATALOGUE)
    for declared in chosen:
        for field in declared.fields:
            shown = ", ".join(places[declared.name, field.name]) or (
                f"({reason(declared.name, field.name, declared.personal)})"
            )
            typer.echo(f"{declared.name}.{field.name:<28} {shown}")


@app.command()
@expand_options
def push(
    options: Push,
    url: Annotated[
        str | None,
        typer.Option(help="https://grafana.example; default: web.grafana_url"),
    ] = None,
    config: Config = None,
) -> None:
    """Put the dashboards into a running Grafana.

    Boards that are the same already get no new version, boards that somebody has
    changed are kept, and boards that are not Towpath's are never touched. Exits with 1
    if a board is not as Towpath has it.
    """
    from dashboards.grafana.grafana_connection import PushError
    from dashboards.grafana.grafana_server import GrafanaServer
    from dashboards.grafana.push import PushOptions
    from dashboards.grafana.push import push as push_boards

    whole = None if config is None else read_config(config)
    settings, _ = _settings(config, None)
    address = url or (whole.web.grafana_url if whole else "")
    if not address:
        usage_error(["--url is missing: expected the address of Grafana"])
    if not options.token:
        usage_error(
            [
                "--token is missing: expected the token of a service account of "
                "Grafana, best in the environment as TOWPATH_GRAFANA_TOKEN"
            ]
        )
    _warn(settings)
    try:
        with GrafanaServer(
            address, options.token, options.ca_file or settings.ca_file
        ) as server:
            report = push_boards(
                server,
                settings,
                PushOptions(
                    options.dry_run,
                    options.overwrite,
                    options.prune,
                    options.create_data_sources,
                ),
                _boards(config),
            )
    except PushError as error:
        fail(str(error))
    for line in _push_lines(report, options.dry_run):
        typer.echo(line)
    for note in report.notes:
        typer.echo(f"note: {note}", err=True)
    if report.problems:
        fail("\n".join(report.problems))


def _push_lines(report: PushReport, dry_run: bool) -> Iterator[str]:
    """One line per board, its address, and what differs."""
    words = {
        "new": "would create" if dry_run else "created",
        "changed": "would change" if dry_run else "changed",
        "unchanged": "unchanged",
        "edited": "kept: edited",
        "refused": "not written",
        "gone": "would remove" if dry_run else "removed",
    }
    for name in report.created:
        yield f"{words['new']:12}  {name}"
    for board in report.boards:
        yield f"{words[board.outcome]:12}  {board.title}  {board.address}".rstrip()
        if dry_run or board.outcome == "edited":
            yield from (f"    {line}" for line in board.details)


def export_rules(out: Path, config: Path | None, grafana: int | None) -> None:
    """Writes only the provisioning file of the alert rules."""
    from dashboards.grafana import BoardError, render_files

    settings, rules = _settings(config, grafana)
    try:
        texts, unsupported = render_files(settings, rules)
    except BoardError as error:
        usage_error(str(error).splitlines())
    for name, text in texts.items():
        if name.startswith("provisioning/alerting/"):
            path = out / Path(name).name
            out.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            typer.echo(path)
    for omitted in unsupported:
        typer.echo(f"not for Grafana: rule {omitted.rule}: {omitted.why}", err=True)


def _boards(config: Path | None) -> tuple[Board, ...]:
    """Returns the boards, with the names of the council's sites if these are known."""
    from collectors.estate import EstateError, load
    from dashboards.grafana import BOARDS
    from dashboards.grafana.site_texts import name_sites

    if config is None:
        return BOARDS
    path = read_config(config).estate
    try:
        estate = load(path)
    except EstateError as error:
        typer.echo(
            "warning: some lines and bars show ids of sites instead of names: "
            f"{error.findings[0]}",
            err=True,
        )
        return BOARDS
    return name_sites(BOARDS, {site.id: site.name for site in estate.sites})


def _warn(settings: GrafanaConfig) -> None:
    for exposure in settings.exposures:
        typer.echo(f"warning: {exposure}", err=True)


def _settings(config: Path | None, grafana: int | None) -> tuple[GrafanaConfig, Rules]:
    from dashboards.grafana_config import GrafanaConfig

    whole = None if config is None else read_config(config)
    settings = GrafanaConfig() if whole is None else whole.grafana
    if grafana is not None:
        try:
            settings = GrafanaConfig(**{**settings.model_dump(), "target": grafana})
        except ValueError:
            usage_error([f"--grafana {grafana}: expected a version from 9 to 13"])
    return settings, read_rules(whole)
