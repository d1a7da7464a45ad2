"""`towpath alerts`: open alerts, acknowledgements, silences and test pages."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from probes.wire.clock import wall_ms
from towpath.commands.alert_tokens import token, tokens, withdraw
from towpath.commands.replay import replay
from towpath.commands.shared import (
    ConfigFile,
    ensure_folder,
    exit_with,
    read_config,
    read_estate,
    usage_error,
    user_name,
)

if TYPE_CHECKING:
    from alerts.rule_files import Rules
    from collectors.estate import Estate
    from towpath.config import TowpathConfig

app = typer.Typer(no_args_is_help=True, help="Open alerts, silences and test pages.")
Who = Annotated[str, typer.Option(help="your name; default: the user")]


@app.command("list")
def list_(
    config: ConfigFile,
    since: Annotated[
        str, typer.Option(help="also alerts ended since: 24h, 7d …", metavar="SPAN")
    ] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="also suppressed and pending alerts")
    ] = False,
    json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """List open alerts. Exit code 1 if any fires and is not suppressed."""
    from alerts.alert_commands import alerts_list
    from probes.wire.durations import parse_duration_ms

    settings = read_config(config).alerts
    since_ms = None
    if since:
        try:
            since_ms = wall_ms() - parse_duration_ms(since)
        except ValueError as error:
            usage_error([f"--since: {error}"])
    exit_with(
        alerts_list(
            settings.standing,
            wall_ms(),
            since_ms,
            everything,
            json,
            settings.timezone,
            typer.echo,
        )
    )


@app.command()
def ack(
    config: ConfigFile,
    key: Annotated[str, typer.Argument(help="as `towpath alerts list` shows it")],
    why: Annotated[str, typer.Option(help="what is being done")] = "",
    who: Who = "",
) -> None:
    """Acknowledge an alert: somebody is working on it."""
    from alerts.alert_commands import alerts_ack

    known = read_config(config)
    settings, share = known.alerts, None
    standing = ensure_folder(settings.standing, "alerts.standing")
    if settings.standby.enabled:
        from alerts.standby.shared_acknowledgements import share_once

        share = partial(share_once, known.nats)
    exit_with(
        alerts_ack(
            standing,
            key,
            who or user_name(),
            why,
            wall_ms(),
            typer.echo,
            settings.timezone,
            share,
        )
    )


@app.command()
def rooms(config: ConfigFile) -> None:
    """List rooms and their events, and locations of events that name no room."""
    from alerts.live_events.room_commands import rooms_list

    settings = read_config(config)
    estate = read_estate(settings)
    exit_with(rooms_list(settings.alerts, estate, wall_ms(), typer.echo))


@app.command()
def silence(
    config: ConfigFile,
    lasting: Annotated[str, typer.Argument(help="2h, 90m …", metavar="SPAN")],
    why: Annotated[str, typer.Option(help="what is being done")],
    site: Annotated[str, typer.Option()] = "",
    device: Annotated[str, typer.Option()] = "",
    line: Annotated[str, typer.Option()] = "",
    supplier: Annotated[str, typer.Option(help="all lines of this supplier")] = "",
    rule: Annotated[str, typer.Option()] = "",
    planned: Annotated[
        bool, typer.Option(help="planned maintenance: reports count it separately")
    ] = False,
    who: Who = "",
) -> None:
    """Send no pages for a while. Measuring and resolving continue."""
    from alerts.alert_commands import alerts_silence
    from alerts.silence import Silence

    settings = read_config(config)
    standing = ensure_folder(settings.alerts.standing, "alerts.standing")
    exit_with(
        alerts_silence(
            standing,
            lasting,
            Silence(
                id=0,
                from_ms=wall_ms(),
                until_ms=0,
                site=site,
                device=device,
                rule=rule,
                line=line,
                supplier=supplier,
                why=why,
                who=who or user_name(),
                planned=int(planned),
            ),
            known=known_names(settings),
            timezone=settings.alerts.timezone,
            out=typer.echo,
        )
    )


@app.command()
def silences(config: ConfigFile) -> None:
    """List silences that are active or planned."""
    from alerts.alert_commands import alerts_silences

    settings = read_config(config).alerts
    exit_with(
        alerts_silences(settings.standing, wall_ms(), settings.timezone, typer.echo)
    )


@app.command()
def unsilence(config: ConfigFile, id: Annotated[int, typer.Argument()]) -> None:
    """End a silence now."""
    from alerts.alert_commands import alerts_unsilence

    standing = ensure_folder(read_config(config).alerts.standing, "alerts.standing")
    exit_with(alerts_unsilence(standing, id, wall_ms(), typer.echo))


app.command()(replay)
app.command()(token)
app.command()(tokens)
app.command()(withdraw)


@app.command()
def rota(config: ConfigFile) -> None:
    """Show who is on call now, by each rota, and how old its calendar is."""
    from alerts.rota_commands import rotas_now

    exit_with(rotas_now(read_config(config).alerts, wall_ms(), typer.echo))


@app.command("test")
def send_test(config: ConfigFile, channel: Annotated[str, typer.Argument()]) -> None:
    """Send a test page to a channel, and report what happened."""
    from alerts.channel_trial import try_channel

    settings = read_config(config).alerts
    exit_with(
        try_channel(
            settings.notifiers(),
            channel,
            settings.base_url,
            settings.council,
            typer.echo,
        )
    )


def known_names(settings: TowpathConfig) -> tuple[Rules, Estate] | None:
    """Rules and estate, or None if they cannot be read: silencing must work even so."""
    from alerts.rule_files import RuleError, load_rules
    from collectors.estate import EstateError
    from collectors.estate import load as load_estate
    from collectors.server_measurements import CATALOGUE

    try:
        return load_rules(CATALOGUE, settings.alerts.rules), load_estate(
            settings.estate
        )
    except (EstateError, RuleError) as error:
        typer.echo(f"names are not checked: {error.findings[0]}", err=True)
        return None
