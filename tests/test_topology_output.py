"""`towpath topology` shows the graph as tables, JSON and Graphviz."""

from __future__ import annotations

import json
import subprocess
from io import StringIO
from pathlib import Path

from rich.console import Console
from topology_estates import batches, estate, report_both, reports
from towpath_command import towpath

from collectors.server_measurements import CATALOGUE
from collectors.store import open_store
from collectors.topology import (
    build_graph,
    topology_output,
)
from probes.wire.clock import wall_ms
from towpath.config import read


def test_the_graph_is_shown_as_tables_json_and_graphviz() -> None:
    here = estate("router", "core", line_on="router")
    graph = build_graph(
        here,
        [
            *report_both("router", "1", "core", 'odd"port'),
            reports("core", "9", "stranger"),
        ],
        {},
    )
    out = StringIO()
    topology_output.show(graph, here, Console(file=out, width=120))
    for text in ("router", "neighbours", "both ways", "stranger", "Not in the estate"):
        assert text in out.getvalue()
    shown = json.loads(topology_output.as_json(graph, here))
    assert shown["devices"][1]["parent"] == "router"
    assert shown["devices"][1]["parent_by"] == "neighbours"
    assert shown["unknown"][0]["name"] == "stranger"
    dot = topology_output.as_dot(graph, here)
    assert '"core" -- "router"' in dot
    assert 'odd\\"port' in dot
    one = topology_output.restrict_to_site(graph, here, "hall")
    assert one == graph
    try:
        drawn = subprocess.run(
            ["dot", "-Tplain"], input=dot, text=True, capture_output=True, check=False
        )
    except FileNotFoundError:
        return
    assert drawn.returncode == 0, drawn.stderr


async def test_the_command_shows_the_stored_neighbours(tmp_path: Path) -> None:
    (tmp_path / "estate.toml").write_text(
        '[[sites]]\nid = "hall"\nname = "Hall"\n'
        '[[devices]]\nid = "router"\nsite = "hall"\naddress = "10.0.0.1"\n'
        'role = "router"\n'
        '[[devices]]\nid = "core"\nsite = "hall"\naddress = "10.0.0.2"\n'
    )
    settings = tmp_path / "towpath.toml"
    settings.write_text('state = "state"\n')
    at_ms = wall_ms() - 60_000
    async with open_store(read(settings).store, CATALOGUE) as store:
        await store.write(
            batches("core", report_both("core", "Te1", "router", "Gi0/1")[:1], at_ms)
            + batches("router", [reports("router", "Gi0/9", "stranger")], at_ms)
        )

    def shown(*more: str) -> str:
        ended = towpath("topology", "-c", str(settings), *more)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    graph = json.loads(shown("--json"))
    assert graph["devices"][1] == {
        "id": "core",
        "site": "hall",
        "parent": "router",
        "parent_by": "neighbours",
        "uplink_ports": ["Te1"],
    }
    assert graph["links"][0]["ports"] == [["Te1", "Gi0/1"]]
    assert graph["unknown"][0]["name"] == "stranger"
    assert (
        "router as a neighbour, but router does not have core" in graph["findings"][0]
    )
    assert '"core" -- "router"' in shown("--dot")
