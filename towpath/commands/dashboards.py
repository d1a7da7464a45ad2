"""`towpath dashboards`: builds, checks and pushes Grafana's dashboards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from towpath.commands.shared import fail, read_config, usage_error

if TYPE_CHECKING:
    from alerts.rule_files import Rules
    from dashboards.grafana import GrafanaConfig

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
        built = build_folder(out, settings, rules)
    except BoardError as error:
        usage_error(str(error).splitlines())
    for path in built.files:
        typer.echo(path)
    for omitted in built.unsupported:
        typer.echo(f"not for Grafana: rule {omitted.rule}: {omitted.why}", err=True)


@app.command()
def check(
    folder: Annotated[
        Path | None, typer.Argument(help="dashboards (*.json); default: our own")
    ] = None,
) -> None:
    """Check that all fields are in the catalogue and no personal data is shared."""
    from collectors.server_measurements import CATALOGUE
    from dashboards.grafana import BOARDS, check_boards, check_folder

    if folder is None:
        findings = check_boards(BOARDS, CATALOGUE)
    else:
        findings = check_folder(folder, CATALOGUE)
    if findings:
        fail("\n".join(findings))
    typer.echo(
        f"{len(BOARDS)} dashboards are valid" if folder is None else f"{folder}: valid"
    )


@app.command()
def push(
    url: Annotated[str, typer.Option(help="https://grafana.example")],
    token: Annotated[str, typer.Option(envvar="TOWPATH_GRAFANA_TOKEN")],
    config: Config = None,
) -> None:
    """Put the dashboards into a running Grafana."""
    from dashboards.grafana.push import PushError
    from dashboards.grafana.push import push as push_boards

    settings, _ = _settings(config, None)
    _warn(settings)
    try:
        for address in push_boards(url, token, settings):
            typer.echo(address)
    except PushError as error:
        fail(str(error))


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


def _warn(settings: GrafanaConfig) -> None:
    for exposure in settings.exposures:
        typer.echo(f"warning: {exposure}", err=True)


def _settings(config: Path | None, grafana: int | None) -> tuple[GrafanaConfig, Rules]:
    from alerts.rule_files import RuleError, load_rules
    from collectors.server_measurements import CATALOGUE
    from dashboards.grafana import GrafanaConfig

    settings, folder = GrafanaConfig(), None
    if config is not None:
        whole = read_config(config)
        settings, folder = whole.grafana, whole.alerts.rules
    if grafana is not None:
        try:
            settings = GrafanaConfig(**{**settings.model_dump(), "target": grafana})
        except ValueError:
            usage_error([f"--grafana {grafana}: expected a version from 9 to 13"])
    try:
        return settings, load_rules(CATALOGUE, folder)
    except RuleError as error:
        usage_error(error.findings)
