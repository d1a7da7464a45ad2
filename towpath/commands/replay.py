"""`towpath alerts replay`: what the rules would have paged in the past."""

from __future__ import annotations

import sys
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


def replay(
    config: ConfigFile,
    from_: Annotated[
        str, typer.Option("--from", help="-7d, 2026-11-23, an ISO time")
    ] = "-7d",
    to: Annotated[str, typer.Option("--to", help="now, -1h, an ISO time")] = "now",
    rules: Annotated[
        Path | None,
        typer.Option("--rules", help="other rules than those in use", metavar="PATH"),
    ] = None,
    rule: Annotated[
        list[str] | None, typer.Option(help="only this rule; may be repeated")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="list every page, not only the summary")
    ] = False,
    json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Replay the store's history: what would these rules have paged?

    With the estate and the silences as they are now."""
    from zoneinfo import ZoneInfo

    from rich.progress import Progress

    from alerts.alert_access import list_silences
    from alerts.estate_index import EstateIndex
    from alerts.history_replay import HistoryReplay, replay_history
    from alerts.replay_command import replay_json, replay_text
    from alerts.rule_files import RuleError, Rules, load_rules
    from collectors.estate import EstateError, load
    from collectors.server_measurements import CATALOGUE
    from collectors.store import Away, QueryFailed, open_store, query_command
    from collectors.topology import TopologyView
    from probes.wire.catalogue import did_you_mean

    settings = read_config(config)
    try:
        estate = load(settings.estate)
        loaded = load_rules(CATALOGUE, rules or settings.alerts.rules)
        now_ms = wall_ms()
        from_ms = query_command.parse_time_ms(from_, now_ms)
        to_ms = query_command.parse_time_ms(to, now_ms)
    except (EstateError, RuleError) as error:
        usage_error(error.findings)
    except ValueError as error:
        usage_error([str(error)])
    if to_ms <= from_ms:
        usage_error([f"--to {to} is not after --from {from_}"])
    for name in rule or ():
        if name not in loaded.ids:
            hint = did_you_mean(name, loaded.ids)
            usage_error([f"no rule is called {name!r}{hint}"])
    if rule:
        loaded = Rules([one for one in loaded if one.id in rule])

    async def run() -> tuple[HistoryReplay, int]:
        with Progress(disable=not sys.stderr.isatty(), transient=True) as progress:
            task = progress.add_task("replay", total=1.0)
            async with open_store(settings.store, CATALOGUE) as store:
                topology = TopologyView(lambda: estate, store, lambda: to_ms)
                async with topology:
                    known = estate
                    if settings.alerts.discovered_parents:
                        known = topology.estate()
                replayed = HistoryReplay(
                    loaded,
                    EstateIndex(known, settings.groups.least),
                    list_silences(settings.alerts.standing, from_ms),
                    from_ms,
                )
                rows = await replay_history(
                    store,
                    replayed,
                    from_ms,
                    to_ms,
                    lambda share: progress.update(task, completed=share),
                )
        return replayed, rows

    try:
        replayed, rows = run_async(run())
    except (Away, QueryFailed, OSError) as error:
        fail(f"the store does not answer: {error}")
    if json:
        typer.echo(replay_json(replayed.pages, rows))
        return
    zone = ZoneInfo(settings.alerts.timezone)
    for line in replay_text(replayed.pages, zone, rows, everything):
        typer.echo(line)
