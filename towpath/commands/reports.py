"""`towpath report`: reports for managers."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from probes.wire.clock import wall_ms
from towpath.commands.option_groups import expand_options
from towpath.commands.shared import (
    ConfigFile,
    fail,
    read_config,
    run_async,
    usage_error,
)

app = typer.Typer(no_args_is_help=True, help="Reports for managers.")


@dataclass(frozen=True)
class _PeriodOptions:
    """The time of a report, in one of several ways."""

    month: Annotated[str | None, typer.Option(metavar="YYYY-MM")] = None
    quarter: Annotated[
        str | None,
        typer.Option(
            metavar="YYYY-QN",
            help="Q1 is January to March; YYYY-YY-Q1 is April to June",
        ),
    ] = None
    year: Annotated[str | None, typer.Option(metavar="YYYY")] = None
    financial_year: Annotated[
        str | None, typer.Option(metavar="YYYY-YY", help="April to March")
    ] = None
    first: Annotated[
        str | None,
        typer.Option("--from", metavar="YYYY-MM-DD", help="first day, with --to"),
    ] = None
    last: Annotated[
        str | None, typer.Option("--to", metavar="YYYY-MM-DD", help="last day")
    ] = None

    def by_name(self) -> dict[str, str | None]:
        return {
            "month": self.month,
            "quarter": self.quarter,
            "year": self.year,
            "financial-year": self.financial_year,
            "from": self.first,
            "to": self.last,
        }


@app.command()
@expand_options
def site(
    config: ConfigFile,
    out: Annotated[Path, typer.Option(help="folder to write into")],
    period: _PeriodOptions = _PeriodOptions(),
    site: Annotated[str | None, typer.Option(help="one site; default: all")] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="html, pdf, xlsx, csv or parquet; may be given several times "
            "(default: all but parquet)",
        ),
    ] = None,
    pdf: Annotated[
        bool, typer.Option(help="also write a PDF; needs WeasyPrint and Pango")
    ] = True,
    plain: Annotated[
        bool, typer.Option("--plain", help="without charts, for screen readers")
    ] = False,
) -> None:
    """Write availability, lines, calls and incidents of a month, a quarter, a year or
    any other days, for people and programs."""
    from collectors.estate import EstateError, load
    from collectors.store import Away, QueryFailed
    from dashboards.report import (
        ReportError,
        ReportFiles,
        parse_period,
        select_sites,
        site_report,
    )
    from dashboards.report_formats import DEFAULT_FORMATS, parse_formats
    from towpath.report_settings import report_settings, report_store

    settings = read_config(config)
    try:
        wanted = parse_period(period.by_name())
        chosen = parse_formats(formats or DEFAULT_FORMATS)
        estate = load(settings.estate)
        sites = select_sites(estate, site)
    except EstateError as error:
        usage_error(error.findings)
    except (ValueError, ReportError) as error:
        usage_error([str(error)])

    if not pdf:
        chosen = tuple(kind for kind in chosen if kind != "pdf")

    async def made(progress: Callable[[str], None]) -> ReportFiles:
        async with report_store(settings) as store:
            return await site_report(
                wanted,
                sites,
                store,
                estate,
                out,
                wall_ms(),
                report_settings(settings, chosen, plain),
                progress,
            )

    # Half a million rows live until this command ends. Searching them for cycles takes
    # a tenth of its time and finds none.
    gc.disable()
    try:
        with _progress() as progress:
            files = run_async(made(progress))
    except (Away, QueryFailed, OSError, ReportError, ValueError) as error:
        fail(f"the report could not be made: {error}")
    finally:
        gc.enable()
    for path in files.files:
        typer.echo(path)
    if files.note:
        typer.echo(files.note, err=True)


@app.command()
@expand_options
def send(
    config: ConfigFile,
    period: _PeriodOptions = _PeriodOptions(),
    address: Annotated[
        list[str] | None, typer.Option(help="send to this address only; repeatable")
    ] = None,
) -> None:
    """Make the report of `report.schedule` and send it by e-mail now, whether or not it
    was sent before. Without a time it is the last one that was due."""
    from zoneinfo import ZoneInfo

    from alerts.notify.delivery_result import DeliveryRefused, RetryLater
    from alerts.notify.email import ServerAnswer
    from dashboards.report import ReportFiles, parse_period
    from dashboards.report.report_dispatch import (
        refusals_text,
        report_channel,
        send_report,
    )
    from dashboards.report.report_due import last_due
    from towpath.report_process import ReportNotMade, make_scheduled
    from towpath.report_settings import reports_folder

    settings = read_config(config)
    schedule = settings.report.schedule
    if schedule is None:
        usage_error(["[report.schedule] is not set: it says to whom, and by which way"])
    zone = ZoneInfo(settings.web.timezone)
    try:
        named = period.by_name()
        wanted = (
            parse_period(named)
            if any(named.values())
            else last_due(schedule, zone, wall_ms()).period
        )
    except ValueError as error:
        usage_error([str(error)])
    email = report_channel(settings.alerts.channels, schedule)
    addresses = tuple(address or schedule.to)
    out = reports_folder(settings)

    async def work() -> tuple[ReportFiles, dict[str, ServerAnswer]]:
        made = await make_scheduled(settings, schedule, wanted, out)
        base_url = settings.alerts.base_url
        return made, await send_report(
            email, made, addresses, addresses, wall_ms(), base_url
        )

    try:
        made, refused = run_async(work())
    except (ReportNotMade, RetryLater, DeliveryRefused) as error:
        fail(str(error))
    if made.note:
        typer.echo(made.note, err=True)
    for to in addresses:
        if to not in refused:
            typer.echo(f"sent to {to}: {made.title}")
    if refused:
        fail(refusals_text(email, refused))


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Shows the step that the report is at: on a terminal only, and on stderr."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda step: None
        return
    with console.status("reading the estate") as status:
        yield lambda step: status.update(step)
