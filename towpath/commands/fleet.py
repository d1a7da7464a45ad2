"""`towpath fleet`: enrolled laptops and enrolment tokens."""

from __future__ import annotations

from typing import Annotated

import typer

from probes.wire.clock import wall_ms
from towpath.commands import (
    fleet_expected,
    fleet_laptops,
    fleet_personal,
    fleet_rings,
    fleet_stop,
)
from towpath.commands.fleet_registry import hour_text, minute_text, open_registry
from towpath.commands.shared import (
    ConfigFile,
    fail,
    read_config,
    read_estate,
    usage_error,
    user_name,
)

app = typer.Typer(no_args_is_help=True, help="Enrolled laptops and enrolment tokens.")


@app.command()
def token(
    config: ConfigFile,
    site: Annotated[str, typer.Option(help="id of the laptops' home site")],
    uses: Annotated[int, typer.Option(min=1, help="how many laptops may use it")] = 1,
    days: Annotated[float, typer.Option(min=0.01, help="days until it expires")] = 7,
    team: Annotated[str, typer.Option(help="id of the team they join")] = "",
    ring: Annotated[str, typer.Option(help="ring of the laptops, such as pilot")] = "",
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--from", metavar="NETWORK", help="network it may be used from; repeatable"
        ),
    ] = None,
) -> None:
    """Make an enrolment token. It is shown once; only its hash is stored."""
    from collectors.estate import known_names
    from collectors.ingest.enrolment_tokens import TokenWish
    from probes.wire.catalogue import did_you_mean

    settings = read_config(config)
    estate = read_estate(settings)
    if unknown := known_names.unknown_name_text(estate, "site", site):
        usage_error([unknown])
    if team and (unknown := known_names.unknown_name_text(estate, "team", team)):
        usage_error([unknown])
    wish = TokenWish(site, uses, days, team, ring, tuple(sources or ()))
    try:
        wish.check()
    except ValueError as error:
        usage_error([str(error)])
    if ring and ring not in settings.ingest.policy.rings:
        known = did_you_mean(ring, settings.ingest.policy.rings)
        typer.echo(
            f"no ring of ingest.policy.rings is called {ring!r}{known}: its laptops "
            "get the policy of all",
            err=True,
        )
    with open_registry(config, may_make=True) as registry:
        typer.echo(registry.admin.add_token(wish, wall_ms(), user_name()))


@app.command("list")
def list_(
    config: ConfigFile,
    site: Annotated[str, typer.Option(help="only laptops of this home site")] = "",
    ring: Annotated[str, typer.Option(help="only laptops of this ring")] = "",
    state: Annotated[
        str, typer.Option(help="only enrolled, silent, replaced or revoked ones")
    ] = "",
    silent: Annotated[
        float | None,
        typer.Option(metavar="DAYS", help="only those silent for so many days"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="for other programs")] = False,
) -> None:
    """List laptops by home site: their state, and the hour last seen."""
    from collectors.ingest.fleet_list import (
        SILENT_DAYS,
        STATES,
        FleetFilter,
        count_text,
        fleet_row,
        remarks_of,
        select,
    )
    from collectors.json_text import json_text
    from probes.wire.catalogue import did_you_mean

    if state and state not in STATES:
        hint = did_you_mean(state, STATES)
        usage_error([f"--state {state!r}: expected one of {', '.join(STATES)}{hint}"])
    days = SILENT_DAYS if silent is None else silent
    wish = FleetFilter(site, ring, state, days, only_silent=silent is not None)
    with open_registry(config) as registry:
        agents = registry.agents()
    chosen = select(agents, wish, wall_ms())
    if json:
        typer.echo(json_text([fleet_row(*laptop) for laptop in chosen]))
        return
    if not agents:
        typer.echo("no laptop is enrolled yet: towpath fleet token --site SITE")
        return
    for agent, now in chosen:
        seen = "never" if not agent.last_seen_ms else hour_text(agent.last_seen_ms)
        parts = [
            f"{agent.agent}  {agent.home_site:<20}  {now:<8}  seen {seen}",
            f"team {agent.team}" if agent.team else "",
            f"ring {agent.ring}" if agent.ring else "",
            agent.software,
            *remarks_of(agent),
        ]
        typer.echo("  ".join(part for part in parts if part))
    typer.echo(count_text(chosen))


@app.command()
def tokens(config: ConfigFile) -> None:
    """List enrolment tokens: what is left of them, their ring and networks."""
    from collectors.ingest.enrolment_tokens import token_state

    with open_registry(config) as registry:
        listed = registry.admin.tokens()
    if not listed:
        typer.echo("there is no token: towpath fleet token --site SITE")
    now_ms = wall_ms()
    for token in listed:
        parts = [
            f"{token.id}  {token.site:<20}  {token_state(token, now_ms):<9}",
            f"used {token.used} of {token.uses}, to {hour_text(token.expires_ms)}",
            f"team {token.team}" if token.team else "",
            f"ring {token.ring}" if token.ring else "",
            f"from {', '.join(token.sources)}" if token.sources else "",
        ]
        typer.echo("  ".join(part for part in parts if part))


@app.command()
def audit(config: ConfigFile) -> None:
    """Show who made tokens, looked up serial numbers, exported or changed laptops."""
    with open_registry(config) as registry:
        entries = registry.admin.audit()
    if not entries:
        typer.echo("nothing was done yet")
    for entry in entries:
        typer.echo(
            f"{minute_text(entry.time_ms)}  {entry.who or 'Towpath':<16}  "
            f"{entry.what:<15}  {entry.subject}"
        )


@app.command()
def withdraw(
    config: ConfigFile, id: Annotated[str, typer.Argument(help="the token's id")]
) -> None:
    """Withdraw an enrolment token."""
    with open_registry(config) as registry:
        if not registry.admin.withdraw_token(id, wall_ms(), user_name()):
            fail(f"nothing is called {id!r}")
    typer.echo(f"token {id} is withdrawn")


# In the order of the help: these follow what a fleet begins with.
for part in (
    fleet_laptops,
    fleet_personal,
    fleet_expected,
    fleet_rings,
    fleet_stop,
):
    part.add_commands(app)
