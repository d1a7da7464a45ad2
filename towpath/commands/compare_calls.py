"""`towpath compare calls`: how often test calls saw what Microsoft recorded."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from probes.wire.clock import wall_ms
from probes.wire.counted_text import counted
from towpath.commands.shared import (
    ConfigFile,
    fail,
    read_config,
    read_estate,
    run_async,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collectors.calls.probe_agreement import ProbeAgreement
    from collectors.terminal_tables import TerminalTable

_DAY_MS = 86_400_000


def add_commands(app: typer.Typer) -> None:
    """Adds this command to `towpath compare`."""
    app.command()(calls)


def calls(
    config: ConfigFile,
    days: Annotated[
        int, typer.Option(min=1, max=400, help="working hours of the last days")
    ] = 30,
    json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> None:
    """Show in how many hours test calls and Microsoft's record of calls were poor."""
    from collectors.calls.probe_agreement import gather_agreement
    from collectors.estate.opening_hours import open_spans, usual_hours
    from collectors.server_measurements import CATALOGUE
    from collectors.store import Away, QueryFailed, open_store
    from collectors.terminal_tables import output_console

    settings = read_config(config)
    hours = usual_hours(site.hours for site in read_estate(settings).sites)
    now_ms = wall_ms()
    spans = open_spans(hours, now_ms - days * _DAY_MS, now_ms)

    async def read_agreement() -> tuple[ProbeAgreement, ...]:
        async with open_store(settings.store, CATALOGUE) as store:
            return await gather_agreement(store.query, spans, None)

    try:
        groups = run_async(read_agreement())
    except (Away, QueryFailed, OSError, ValueError) as error:
        fail(f"the store does not answer: {error}")
    if json:
        sys.stdout.write(_as_json(groups, days) + "\n")
    else:
        output_console().print(_table(groups, days))


def _table(groups: Sequence[ProbeAgreement], days: int) -> TerminalTable:
    from collectors.calls.probe_agreement import KINDS
    from collectors.terminal_tables import TerminalTable
    from dashboards import figure_text

    counts = ("both poor", "record only", "tests only", "neither")
    shares = ("seen, of recorded", "same on both sides")
    table = TerminalTable(
        f"Hours of groups in working hours of {counted(days, 'day')}",
        "group",
        "state",
        *counts,
        *shares,
        right=(*counts, *shares),
    )
    for one in groups:
        cells = (one.both, one.record_only, one.tests_only, one.neither)
        table.add_row(
            f"  {one.group}" if one.group else KINDS[one.by],
            one.state,
            *(f"{count:,}" if one.hours else "" for count in cells),
            *(
                "" if share is None else figure_text.percent(share)
                for share in (one.sensitivity, one.agreement)
            ),
        )
    return table


def _as_json(groups: Sequence[ProbeAgreement], days: int) -> str:
    import msgspec

    shown = [
        {
            "by": one.by,
            "group": one.group,
            "state": one.state,
            "both": one.both,
            "record_only": one.record_only,
            "tests_only": one.tests_only,
            "neither": one.neither,
            "hours_in_record": one.in_record,
            "hours_in_tests": one.in_tests,
            "seen_of_recorded_ratio": one.sensitivity,
            "seen_of_poor_streams_ratio": one.streams_sensitivity,
            "same_ratio": one.agreement,
        }
        for one in groups
    ]
    return msgspec.json.encode({"days": days, "groups": shown}).decode()
