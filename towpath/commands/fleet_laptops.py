"""`towpath fleet revoke`, `restore`, `team` and `ring`: what is done to one laptop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from probes.wire.clock import wall_ms
from towpath.commands.fleet_registry import (
    Agent,
    AgentOrSerial,
    Serial,
    look_up,
    need_one,
    need_ring,
    open_registry,
    registry_of,
)
from towpath.commands.shared import (
    ConfigFile,
    fail,
    read_config,
    read_estate,
    usage_error,
    user_name,
)

if TYPE_CHECKING:
    from collectors.ingest import Registry


def add_commands(app: typer.Typer) -> None:
    """Adds these commands to `towpath fleet`."""
    for command in (revoke, restore, team, ring):
        app.command()(command)


def revoke(config: ConfigFile, agent: AgentOrSerial = "", serial: Serial = "") -> None:
    """Stop accepting a laptop's reports (lost, stolen, leaver), within seconds."""
    need_one(agent, serial)
    with open_registry(config) as registry:
        # All that ever ran on a lost computer.
        names = [a.agent for a in look_up(registry, serial)] if serial else [agent]
        for name in names:
            done = registry.admin.revoke(name, wall_ms(), user_name())
            _report(done, f"{name} is revoked", name)


def restore(config: ConfigFile, agent: Agent) -> None:
    """Accept reports from a revoked laptop again."""
    _change(
        config,
        agent,
        lambda registry: registry.admin.restore(agent, wall_ms(), user_name()),
        f"{agent} may report again",
    )


def team(
    config: ConfigFile,
    agent: Agent,
    team: Annotated[str, typer.Argument(help="id of the team; none: leave it")] = "",
) -> None:
    """Move a laptop to a team of the estate, or out of any."""
    from collectors.estate import known_names

    estate = read_estate(read_config(config))
    if team and (unknown := known_names.unknown_name_text(estate, "team", team)):
        usage_error([unknown])
    _change(
        config,
        agent,
        lambda registry: registry.admin.set_team(agent, team, wall_ms(), user_name()),
        f"{agent} is in the team {team}" if team else f"{agent} is in no team",
    )


def ring(
    config: ConfigFile,
    agent: Agent,
    ring: Annotated[str, typer.Argument(help="the ring; none: leave it")] = "",
) -> None:
    """Move a laptop to a ring, or out of any."""
    ingest = read_config(config).ingest
    with registry_of(ingest) as registry:
        if ring:
            need_ring(ring, ingest.policy, registry.agents())
        done = registry.admin.set_ring(agent, ring, wall_ms(), user_name())
        text = f"{agent} is in the ring {ring}" if ring else f"{agent} is in no ring"
        _report(done, text, agent)


def _change(
    config: Path, agent: str, change: Callable[[Registry], bool], done: str
) -> None:
    with open_registry(config) as registry:
        _report(change(registry), done, agent)


def _report(done: bool, message: str, name: str) -> None:
    """Prints `message`, or exits because nothing has that name."""
    if not done:
        fail(f"nothing is called {name!r}")
    typer.echo(message)
