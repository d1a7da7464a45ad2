"""`towpath fleet`: enrolled laptops and enrolment tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from probes.wire.clock import wall_ms
from towpath.commands import fleet_rings, fleet_stop
from towpath.commands.shared import (
    ConfigFile,
    ensure_folder,
    exit_with,
    fail,
    read_config,
    run_async,
    usage_error,
    user_name,
)
from towpath.error_sentences import sentence_of

if TYPE_CHECKING:
    from collectors.ingest import Registry

app = typer.Typer(no_args_is_help=True, help="Enrolled laptops and enrolment tokens.")
for part in (fleet_rings, fleet_stop):
    part.add_commands(app)

Agent = Annotated[str, typer.Argument(help="the laptop's pseudonym")]


@contextmanager
def _registry(config: Path) -> Iterator[Registry]:
    from collectors.ingest import Registry

    settings = read_config(config)
    ensure_folder(settings.ingest.registry.path, "ingest.registry.path")
    ensure_folder(settings.ingest.registry.key_file, "ingest.registry.key_file")
    try:
        with Registry(settings.ingest.registry) as registry:
            yield registry
    except typer.Exit:
        # Also a RuntimeError, but not an error of the registry.
        raise
    except (OSError, RuntimeError, ValueError) as error:
        fail(str(error))


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
    from collectors.estate import EstateError, known_names, load
    from collectors.ingest.enrolment_tokens import TokenWish
    from probes.wire.catalogue import did_you_mean

    settings = read_config(config)
    try:
        estate = load(settings.estate)
    except EstateError as error:
        usage_error(error.findings)
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
    with _registry(config) as registry:
        typer.echo(registry.admin.add_token(wish, wall_ms(), user_name()))


@app.command("list")
def list_(config: ConfigFile) -> None:
    """List laptops by home site: enrolled or revoked, and the hour last seen."""
    with _registry(config) as registry:
        agents = sorted(registry.agents(), key=lambda a: (a.home_site, a.agent))
    if not agents:
        typer.echo("no laptop is enrolled yet: towpath fleet token --site SITE")
    for agent in agents:
        seen = "never" if not agent.last_seen_ms else _hour(agent.last_seen_ms)
        state = "revoked" if agent.revoked else "enrolled"
        parts = [
            f"{agent.agent}  {agent.home_site:<20}  {state:<8}  seen {seen}",
            f"team {agent.team}" if agent.team else "",
            f"ring {agent.ring}" if agent.ring else "",
        ]
        typer.echo("  ".join(part for part in parts if part))


@app.command()
def tokens(config: ConfigFile) -> None:
    """List enrolment tokens: what is left of them, their ring and networks."""
    from collectors.ingest.enrolment_tokens import token_state

    with _registry(config) as registry:
        listed = registry.admin.tokens()
    if not listed:
        typer.echo("there is no token: towpath fleet token --site SITE")
    now_ms = wall_ms()
    for token in listed:
        parts = [
            f"{token.id}  {token.site:<20}  {token_state(token, now_ms):<9}",
            f"used {token.used} of {token.uses}, to {_hour(token.expires_ms)}",
            f"team {token.team}" if token.team else "",
            f"ring {token.ring}" if token.ring else "",
            f"from {', '.join(token.sources)}" if token.sources else "",
        ]
        typer.echo("  ".join(part for part in parts if part))


@app.command()
def audit(config: ConfigFile) -> None:
    """Show who made and withdrew tokens, and revoked, restored or erased laptops."""
    with _registry(config) as registry:
        entries = registry.admin.audit()
    if not entries:
        typer.echo("nothing was done yet")
    for entry in entries:
        when = datetime.fromtimestamp(entry.time_ms / 1000, UTC)
        typer.echo(
            f"{when:%Y-%m-%d %H:%M UTC}  {entry.who or 'Towpath':<16}  "
            f"{entry.what:<15}  {entry.subject}"
        )


@app.command()
def withdraw(
    config: ConfigFile, id: Annotated[str, typer.Argument(help="the token's id")]
) -> None:
    """Withdraw an enrolment token."""
    with _registry(config) as registry:
        done = registry.admin.withdraw_token(id, wall_ms(), user_name())
        exit_with(_report(done, f"token {id} is withdrawn", id))


@app.command()
def revoke(config: ConfigFile, agent: Agent) -> None:
    """Stop accepting a laptop's reports (lost, stolen, leaver), within seconds."""
    with _registry(config) as registry:
        done = registry.admin.revoke(agent, wall_ms(), user_name())
        exit_with(_report(done, f"{agent} is revoked", agent))


@app.command()
def restore(config: ConfigFile, agent: Agent) -> None:
    """Accept reports from a revoked laptop again."""
    with _registry(config) as registry:
        done = registry.admin.restore(agent, wall_ms(), user_name())
        exit_with(_report(done, f"{agent} may report again", agent))


@app.command()
def team(
    config: ConfigFile,
    agent: Agent,
    team: Annotated[str, typer.Argument(help="id of the team; none: leave it")] = "",
) -> None:
    """Move a laptop to a team of the estate, or out of any."""
    from collectors.estate import EstateError, known_names, load

    try:
        estate = load(read_config(config).estate)
    except EstateError as error:
        usage_error(error.findings)
    if team and (unknown := known_names.unknown_name_text(estate, "team", team)):
        usage_error([unknown])
    with _registry(config) as registry:
        done = f"{agent} is in the team {team}" if team else f"{agent} is in no team"
        exit_with(
            _report(
                registry.admin.set_team(agent, team, wall_ms(), user_name()),
                done,
                agent,
            )
        )


@app.command()
def erase(config: ConfigFile, agent: Agent) -> None:
    """Erase a laptop and everything it measured (a data protection request)."""
    from collectors.personal_data import count_agent_lines as count_lines
    from collectors.personal_data import erase_agent as erase_files
    from collectors.server_measurements import CATALOGUE
    from collectors.store import Away, QueryFailed, RowsRefused, open_store
    from collectors.store.erasure import Erasures
    from towpath.config import personal_folders

    settings = read_config(config)
    folders = personal_folders(settings)
    requests = Erasures(settings.store.folder)
    embedded = settings.store.kind == "embedded"

    async def count_rows() -> int:
        async with open_store(settings.store, CATALOGUE) as store:
            return await store.count_rows(agent)

    async def erase_rows() -> None:
        async with open_store(settings.store, CATALOGUE) as store:
            # Recorded first, so that nothing comes back from the journal. The process
            # that writes an embedded store's files erases the rows when it tidies up.
            requests.request(agent, wall_ms(), done=not embedded)
            if not embedded:
                await store.erase(agent)

    with _registry(config) as registry:
        # Unreadable bodies may be from any laptop, so all of them are erased. Nothing
        # is erased until it is known that there is such a laptop.
        try:
            lines, rows = count_lines(folders, agent), run_async(count_rows())
        except OSError as error:
            fail(f"nothing was erased: {sentence_of(error)}")
        except (Away, RowsRefused, QueryFailed, ValueError) as error:
            fail(f"nothing was erased: {error}")
        enrolled = any(known.agent == agent for known in registry.agents())
        if not (enrolled or rows or lines):
            fail(f"no laptop is called {agent!r}, and no data about it is stored")
        registry.admin.forget(agent, wall_ms(), user_name())
    try:
        erase_files(folders, agent)
    except OSError as error:
        fail(f"no longer enrolled, but a file still names it: {sentence_of(error)}")
    try:
        run_async(erase_rows())
    except (Away, RowsRefused, QueryFailed, OSError, ValueError) as error:
        fail(f"no longer enrolled, but its rows are still in the store: {error}")
    when = "will be erased within a minute of Towpath running"
    typer.echo(f"{agent} is erased: its {rows} rows {when if embedded else 'are gone'}")


def _report(done: bool, message: str, name: str) -> int:
    """Prints `message`, or that nothing has that name. Returns the exit code."""
    typer.echo(message if done else f"nothing is called {name!r}", err=not done)
    return 0 if done else 1


def _hour(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:00 UTC")
