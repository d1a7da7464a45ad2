"""`towpath topology`: shows links, parents and uplinks."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from probes.wire.clock import wall_ms
from towpath.commands.shared import (
    ConfigFile,
    fail,
    read_config,
    read_estate,
    run_async,
    usage_error,
)


def topology(
    config: ConfigFile,
    site: Annotated[str, typer.Option(help="estate id of one site")] = "",
    json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
    dot: Annotated[bool, typer.Option("--dot", help="for Graphviz")] = False,
) -> None:
    """Show links, parents and uplinks, and neighbours that are not in the estate."""
    from collectors.estate import known_names
    from collectors.server_measurements import CATALOGUE
    from collectors.store import Away, QueryFailed, open_store
    from collectors.terminal_tables import output_console
    from collectors.topology import (
        DeviceNeighbour,
        LocalSystem,
        TopologyGraph,
        build_graph,
        topology_output,
    )
    from collectors.topology.neighbour_records import from_rows, history_queries
    from collectors.topology.topology_view import REMEMBER_MS

    settings = read_config(config)
    estate = read_estate(settings)
    if site and (unknown := known_names.unknown_name_text(estate, "site", site)):
        usage_error([unknown])

    async def read_graph() -> TopologyGraph:
        neighbours: list[DeviceNeighbour] = []
        local_systems: dict[str, LocalSystem] = {}
        now = wall_ms()
        async with open_store(settings.store, CATALOGUE) as store:
            for query in history_queries(now - REMEMBER_MS, now):
                for _, record in from_rows(await store.query(query)):
                    if isinstance(record, LocalSystem):
                        local_systems[record.device] = record
                    else:
                        neighbours.append(record)
        return build_graph(estate, neighbours, local_systems)

    try:
        graph = topology_output.restrict_to_site(run_async(read_graph()), estate, site)
    except (Away, QueryFailed, OSError, ValueError) as error:
        fail(f"the store does not answer: {error}")
    if json:
        sys.stdout.write(topology_output.as_json(graph, estate) + "\n")
    elif dot:
        sys.stdout.write(topology_output.as_dot(graph, estate))
    else:
        topology_output.show(graph, estate, output_console())
