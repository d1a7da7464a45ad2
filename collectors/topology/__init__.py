"""Who hangs on whom: the estate's word, and where it has none, what devices hear.

`sighting.py` are rows of the journal, `match.py` says which device of the estate is
meant, `graph.py` makes links, parents and uplinks of them, `surroundings.py` keeps it
up to date while Towpath runs.
"""

from collectors.topology.sighting import Sighting, Who
from collectors.topology.site_graph import (
    Graph,
    Link,
    UnknownNeighbour,
    graph,
    with_parents,
)
from collectors.topology.topology_view import TopologyView

__all__ = [
    "Graph",
    "Link",
    "Sighting",
    "TopologyView",
    "UnknownNeighbour",
    "Who",
    "graph",
    "with_parents",
]
