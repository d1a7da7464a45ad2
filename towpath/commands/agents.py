"""`towpath agents`: who may report, and how a laptop becomes one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from towpath.commands.door import (
    ConfigFile,
    end,
    fail,
    folder_of,
    now_ms,
    read_config,
    run_loop,
    wrong,
)

if TYPE_CHECKING:
    from collectors.ingest import Registry

app = typer.Typer(no_args_is_help=True, help="Enrolled laptops and enrolment tokens.")

Agent = Annotated[str, typer.Argument(help="the laptop's pseudonym")]


@contextmanager
def _registry(config: Path) -> Iterator[Registry]:
    from collectors.ingest import Registry

    settings = read_config(config)
    folder_of(settings.ingest.registry.path, "ingest.registry.path")
    folder_of(settings.ingest.registry.key_file, "ingest.registry.key_file")
    try:
        with Registry(settings.ingest.registry) as registry:
            yield registry
    except typer.Exit:
        # A RuntimeError too, and no failure of the registry's.
        raise
    except (OSError, RuntimeError, ValueError) as error:
        fail(str(error))


@app.command()
def token(
    config: ConfigFile,
    site: Annotated[str, typer.Option(help="estate id of the site they belong to")],
    uses: Annotated[int, typer.Option(min=1, help="how many laptops may use it")] = 1,
    days: Annotated[float, typer.Option(min=0.01, help="how long it is good for")] = 7,
) -> None:
    """Make an enrolment token; it is shown once, and kept as a hash."""
    from collectors.estate import EstateError, load
    from probes.catalogue import did_you_mean

    try:
        known = [each.id for each in load(read_config(config).estate).sites]
    except EstateError as error:
        wrong(error.findings)
    if site not in known:
        wrong([f"no site is called {site!r}{did_you_mean(site, known)}"])
    with _registry(config) as registry:
        typer.echo(registry.make_token(site, uses, days, now_ms()))


@app.command("list")
def list_(config: ConfigFile) -> None:
    """Agents by home site: when last seen (to the hour), and whether revoked."""
    with _registry(config) as registry:
        agents = sorted(registry.agents(), key=lambda a: (a.home_site, a.agent))
    if not agents:
        typer.echo("no laptop is enrolled yet: towpath agents token --site SITE")
    for each in agents:
        seen = "never" if not each.last_seen_ms else _hour(each.last_seen_ms)
        state = "revoked" if each.revoked else "enrolled"
        typer.echo(f"{each.agent}  {each.home_site:<20}  {state:<8}  seen {seen}")


@app.command()
def tokens(config: ConfigFile) -> None:
    """Enrolment tokens that can still be used."""
    with _registry(config) as registry:
        for each in registry.tokens():
            ends = _hour(each.expires_ms)
            typer.echo(
                f"{each.id}  {each.site:<20}  {each.uses - each.used} left, to {ends}"
            )


@app.command()
def withdraw(
    config: ConfigFile, id: Annotated[str, typer.Argument(help="the token's id")]
) -> None:
    """Withdraw an enrolment token."""
    with _registry(config) as registry:
        end(_said(registry.withdraw_token(id), f"token {id} is withdrawn", id))


@app.command()
def revoke(config: ConfigFile, agent: Agent) -> None:
    """Take no more reports from a laptop (lost, stolen, leaver); within seconds."""
    with _registry(config) as registry:
        end(_said(registry.revoke(agent), f"{agent} is revoked", agent))


@app.command()
def restore(config: ConfigFile, agent: Agent) -> None:
    """Take reports from a revoked laptop again."""
    with _registry(config) as registry:
        end(_said(registry.restore(agent), f"{agent} may report again", agent))


@app.command()
def erase(config: ConfigFile, agent: Agent) -> None:
    """Forget a laptop and everything it measured (a request under data protection)."""
    from collectors.measurements import CATALOGUE
    from collectors.store import Away, Refused, Unanswered, open_store
    from collectors.store.compact import request_erasure

    settings = read_config(config)
    if settings.store.kind == "embedded":
        # The process that writes the files does it, when it next tidies up.
        with _registry(config) as registry:
            registry.forget(agent)
        request_erasure(settings.store.folder, agent)
        typer.echo(
            f"{agent} is forgotten; its rows go within a minute of Towpath running"
        )
        return

    async def erased() -> int:
        async with open_store(settings.store, CATALOGUE) as store:
            return await store.erase(agent)

    with _registry(config) as registry:
        was_known = registry.forget(agent)
    try:
        rows = run_loop(erased())
    except (Away, Refused, Unanswered, OSError, ValueError) as error:
        fail(f"no longer enrolled, but its rows are still in the store: {error}")
    if not was_known and not rows:
        fail(f"no agent is called {agent!r}")
    typer.echo(f"{agent} is forgotten: {rows} rows erased from the store")


def _said(done: bool, says: str, name: str) -> int:
    typer.echo(says if done else f"nothing is called {name!r}", err=not done)
    return 0 if done else 1


def _hour(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:00 UTC")
