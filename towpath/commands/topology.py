"""`towpath topology`: who hangs on whom, by the estate and by what devices hear."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from probes.wire.clock import wall_ms
from towpath.commands.shared import (
    ConfigFile,
    fail,
    read_config,
    run_loop,
    wrong,
)


def topology(
    config: ConfigFile,
    site: Annotated[str, typer.Option(help="estate id of one site")] = "",
    json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
    dot: Annotated[bool, typer.Option("--dot", help="for Graphviz")] = False,
) -> None:
    """Show links, parents and uplinks, and who is heard but not in the estate."""
    from rich.console import Console

    from collectors.estate import EstateError, known_names, load
    from collectors.server_measurements import CATALOGUE
    from collectors.store import Away, Unanswered, open_store
    from collectors.topology import Graph, Sighting, Who, graph, topology_output
    from collectors.topology.sighting import answered, questions
    from collectors.topology.topology_view import REMEMBER_MS

    settings = read_config(config)
    try:
        estate = load(settings.estate)
    except EstateError as error:
        wrong(error.findings)
    if site and (unknown := known_names.unknown(estate, "site", site)):
        wrong([unknown])

    async def asked() -> Graph:
        sightings: list[Sighting] = []
        who: dict[str, Who] = {}
        now = wall_ms()
        async with open_store(settings.store, CATALOGUE) as store:
            for question in questions(now - REMEMBER_MS, now):
                for _, each in answered(await store.ask(question)):
                    if isinstance(each, Who):
                        who[each.device] = each
                    else:
                        sightings.append(each)
        return graph(estate, sightings, who)

    try:
        found = topology_output.of_site(run_loop(asked()), estate, site)
    except (Away, Unanswered, OSError, ValueError) as error:
        fail(f"the store gave no answer: {error}")
    if json:
        sys.stdout.write(topology_output.as_json(found, estate) + "\n")
    elif dot:
        sys.stdout.write(topology_output.as_dot(found, estate))
    else:
        topology_output.show(found, estate, Console())
