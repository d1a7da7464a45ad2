"""`towpath agents`: who may report, and how a laptop becomes one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from probes.wire.clock import wall_ms
from towpath.commands.shared import (
    ConfigFile,
    ensure_folder,
    exit_with,
    fail,
    read_config,
    run_async,
    usage_error,
)
from towpath.error_sentences import sentence_of

if TYPE_CHECKING:
    from collectors.ingest import Registry

app = typer.Typer(no_args_is_help=True, help="Enrolled laptops and enrolment tokens.")

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
    from collectors.estate import EstateError, known_names, load

    try:
        estate = load(read_config(config).estate)
    except EstateError as error:
        usage_error(error.findings)
    if unknown := known_names.unknown_name_text(estate, "site", site):
        usage_error([unknown])
    with _registry(config) as registry:
        typer.echo(registry.make_token(site, uses, days, wall_ms()))


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
        exit_with(_said(registry.withdraw_token(id), f"token {id} is withdrawn", id))


@app.command()
def revoke(config: ConfigFile, agent: Agent) -> None:
    """Take no more reports from a laptop (lost, stolen, leaver); within seconds."""
    with _registry(config) as registry:
        exit_with(_said(registry.revoke(agent), f"{agent} is revoked", agent))


@app.command()
def restore(config: ConfigFile, agent: Agent) -> None:
    """Take reports from a revoked laptop again."""
    with _registry(config) as registry:
        exit_with(_said(registry.restore(agent), f"{agent} may report again", agent))


@app.command()
def erase(config: ConfigFile, agent: Agent) -> None:
    """Forget a laptop and everything it measured (a request under data protection)."""
    from collectors.personal_data import count as count_lines
    from collectors.personal_data import erase as erase_files
    from collectors.server_measurements import CATALOGUE
    from collectors.store import Away, RowsRefused, Unanswered, open_store
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
            # Noted first, so that nothing comes back from the journal. The process
            # that writes an embedded store's files erases them, when it tidies up.
            requests.request(agent, wall_ms(), done=not embedded)
            if not embedded:
                await store.erase(agent)

    with _registry(config) as registry:
        # Unreadable bodies may be of any laptop, and all of them are erased with one:
        # so nothing is erased until it is known that there is such a laptop.
        try:
            lines, rows = count_lines(folders, agent), run_async(count_rows())
        except OSError as error:
            fail(f"nothing was erased: {sentence_of(error)}")
        except (Away, RowsRefused, Unanswered, ValueError) as error:
            fail(f"nothing was erased: {error}")
        enrolled = any(known.agent == agent for known in registry.agents())
        if not (enrolled or rows or lines):
            fail(f"no laptop is called {agent!r}, and nothing of it is kept")
        registry.forget(agent)
    try:
        erase_files(folders, agent)
    except OSError as error:
        fail(f"no longer enrolled, but a file still names it: {sentence_of(error)}")
    try:
        run_async(erase_rows())
    except (Away, RowsRefused, Unanswered, OSError, ValueError) as error:
        fail(f"no longer enrolled, but its rows are still in the store: {error}")
    when = "within a minute of Towpath running" if embedded else "already"
    typer.echo(f"{agent} is forgotten: its {rows} rows are gone {when}")


def _said(done: bool, says: str, name: str) -> int:
    typer.echo(says if done else f"nothing is called {name!r}", err=not done)
    return 0 if done else 1


def _hour(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:00 UTC")
