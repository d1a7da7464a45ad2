"""`towpath query` and `towpath export`: read the store from the shell."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from probes.wire.clock import wall_ms
from probes.wire.counted_text import counted
from towpath.commands.option_groups import expand_options
from towpath.commands.shared import (
    ConfigFile,
    fail,
    read_config,
    run_async,
    usage_error,
)

Measurement = Annotated[str, typer.Argument(help="see docs/catalogue.md")]
From = Annotated[str, typer.Option("--from", help="-6h, 2026-11-23, an ISO time")]
To = Annotated[str, typer.Option("--to", help="now, -1h, an ISO time")]


@dataclass(frozen=True)
class _QueryFilter:
    where: Annotated[list[str] | None, typer.Option(help="tag=value or tag!=value")] = (
        None
    )
    by: Annotated[list[str] | None, typer.Option(help="group by this tag")] = None
    every: Annotated[str, typer.Option(help="buckets: 5m, 1h …")] = ""


@dataclass(frozen=True)
class _QueryPeriod:
    from_: From = "-1h"
    to: To = "now"


@dataclass(frozen=True)
class _QueryOutput:
    csv: Annotated[bool, typer.Option("--csv")] = False
    json: Annotated[bool, typer.Option("--json")] = False


@expand_options
def query(
    measurement: Measurement,
    config: ConfigFile,
    pick: Annotated[
        list[str], typer.Option(help="field or field:aggregate (mean, p95, last …)")
    ],
    filter: _QueryFilter,
    period: _QueryPeriod,
    output: _QueryOutput,
) -> None:
    """Query the store. Prints a table, or CSV or JSON for a program."""
    from collectors.estate import Estate, EstateError, load
    from collectors.server_measurements import CATALOGUE
    from collectors.store import Away, QueryFailed, open_store, query_command
    from collectors.store.query import Query, Row

    settings = read_config(config)
    try:
        estate = load(settings.estate)
    except EstateError:
        # The store can be queried without an estate.
        estate = Estate()
    try:
        options = query_command.QueryOptions(
            measurement,
            pick,
            filter.where or (),
            filter.by or (),
            filter.every,
            period.from_,
            period.to,
        )
        asked = query_command.query_from_options(options, CATALOGUE, wall_ms())
    except ValueError as error:
        usage_error([str(error)])

    async def answer(asked: Query) -> list[Row]:
        async with open_store(settings.store, CATALOGUE) as store:
            rows = await store.query(asked)
            unknown = await query_command.unknown_names(asked, rows, estate, store)
            if unknown:
                usage_error(unknown)
            return rows

    try:
        rows = run_async(answer(asked))
    except (Away, QueryFailed, OSError, ValueError) as error:
        fail(f"the store does not answer: {error}")
    write = query_command.table
    if output.csv:
        write = query_command.comma_separated
    elif output.json:
        write = query_command.as_json
    sys.stdout.write(write(rows, asked))


def export(
    measurement: Measurement,
    config: ConfigFile,
    out: Annotated[Path, typer.Option(help="file to write")],
    format: Annotated[str, typer.Option(help="csv, json, parquet")] = "csv",
    from_: From = "-24h",
    to: To = "now",
) -> None:
    """Write every row of a measurement to a file."""
    from typing import get_args

    from rich.progress import Progress

    from collectors.server_measurements import CATALOGUE
    from collectors.store import Away, QueryFailed, open_store, query_command
    from collectors.store.export import Format
    from collectors.store.export import export as export_rows
    from probes.wire.catalogue import did_you_mean

    settings = read_config(config)
    chosen: Format | None = next((f for f in get_args(Format) if f == format), None)
    if chosen is None:
        hint = did_you_mean(format, get_args(Format))
        usage_error([f"no format is called {format!r}{hint}"])
    try:
        now = wall_ms()
        from_ms, to_ms = (
            query_command.parse_time_ms(from_, now),
            query_command.parse_time_ms(to, now),
        )
    except ValueError as error:
        usage_error([str(error)])

    async def write_rows(form: Format) -> int:
        # A progress bar only on a terminal.
        with Progress(disable=not sys.stderr.isatty(), transient=True) as progress:
            task = progress.add_task(measurement, total=1.0)
            async with open_store(settings.store, CATALOGUE) as store:
                return await export_rows(
                    store,
                    CATALOGUE,
                    measurement,
                    from_ms,
                    to_ms,
                    form,
                    out,
                    lambda share: progress.update(task, completed=share),
                )

    try:
        rows = run_async(write_rows(chosen))
    except query_command.QueryRefused as error:
        usage_error([str(error)])
    except (Away, QueryFailed, OSError) as error:
        fail(f"the export could not be made: {error}")
    typer.echo(f"{out}: {counted(rows, 'row')}", err=True)
