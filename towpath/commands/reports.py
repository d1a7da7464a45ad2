"""`towpath report`: reports for managers."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Annotated

import typer

from probes.wire.clock import wall_ms
from towpath.commands.shared import (
    ConfigFile,
    fail,
    read_config,
    run_async,
    usage_error,
)

app = typer.Typer(no_args_is_help=True, help="Reports for managers.")


@app.callback()
def _group() -> None:
    """Keeps `site` a subcommand although it is the only one."""


@app.command()
def site(
    config: ConfigFile,
    month: Annotated[str, typer.Option(metavar="YYYY-MM")],
    out: Annotated[Path, typer.Option(help="folder to write into")],
    site: Annotated[str | None, typer.Option(help="one site; default: all")] = None,
    pdf: Annotated[
        bool, typer.Option(help="also write a PDF; needs WeasyPrint and Pango")
    ] = True,
) -> None:
    """Write a month's availability, lines, calls and incidents as HTML, CSV and PDF."""
    from collectors.estate import EstateError, load
    from collectors.server_measurements import CATALOGUE
    from collectors.store import Away, QueryFailed, open_store
    from dashboards.report import (
        Month,
        ReportError,
        ReportFiles,
        select_sites,
        site_report,
    )
    from towpath.report_settings import report_settings

    settings = read_config(config)
    try:
        wanted = Month.parse(month)
        estate = load(settings.estate)
        sites = select_sites(estate, site)
    except EstateError as error:
        usage_error(error.findings)
    except (ValueError, ReportError) as error:
        usage_error([str(error)])

    async def made() -> ReportFiles:
        async with open_store(settings.store, CATALOGUE) as store:
            return await site_report(
                wanted,
                sites,
                store,
                estate,
                out,
                wall_ms(),
                report_settings(settings, pdf),
            )

    # Half a million rows live until this command ends. Searching them for cycles takes
    # a tenth of its time and finds none.
    gc.disable()
    try:
        files = run_async(made())
    except (Away, QueryFailed, OSError, ReportError, ValueError) as error:
        fail(f"the report could not be made: {error}")
    finally:
        gc.enable()
    for path in files.files:
        typer.echo(path)
    if files.note and pdf:
        typer.echo(files.note, err=True)
