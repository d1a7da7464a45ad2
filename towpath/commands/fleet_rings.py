"""`towpath fleet rings`: the parts of the fleet that a policy reaches one by one."""

from __future__ import annotations

import typer

from probes.wire.clock import wall_ms
from probes.wire.counted_text import counted
from towpath.commands.fleet_registry import registry_of
from towpath.commands.shared import ConfigFile, read_config


def add_commands(app: typer.Typer) -> None:
    """Adds this command to `towpath fleet`."""
    app.command()(rings)


def rings(config: ConfigFile) -> None:
    """List rings: laptops, those that reported in the last day, what is different."""
    from collectors.ingest.rings import RingState, ring_states

    ingest = read_config(config).ingest
    with registry_of(ingest) as registry:
        agents = registry.agents()
    now_ms = wall_ms()

    def line(ring: RingState) -> str:
        name = ring.name or "(no ring)"
        laptops = counted(ring.laptops, "laptop")
        text = f"{name:<20}  {laptops}, {ring.reporting} in the last day"
        versions = [f"{count} on {name or 'none'}" for name, count in ring.software]
        if versions:
            text += f" ({', '.join(versions[:5])})"
        if not ring.named:
            text += "; no settings name it"
        changes = ", ".join(f"{key} = {value}" for key, value in ring.changes.items())
        return f"{text}; {changes}" if changes else text

    for ring in ring_states(agents, ingest.policy, now_ms):
        typer.echo(line(ring))
