"""The topology: configured parents, completed by what LLDP and CDP report.

`neighbour_records.py` converts rows of the store, `device_matching.py` finds the device
of the estate that a neighbour is, `site_graph.py` builds links, parents and uplinks,
and `topology_view.py` keeps them up to date while Towpath runs.
"""

from typing import TYPE_CHECKING

from collectors.late_exports import export_late

if TYPE_CHECKING:
    from collectors.topology.neighbour_records import DeviceNeighbour, LocalSystem
    from collectors.topology.site_graph import (
        Link,
        TopologyGraph,
        UnknownNeighbour,
        build_graph,
        with_parents,
    )
    from collectors.topology.topology_view import TopologyView
else:
    __getattr__ = export_late(__name__)

__all__ = [
    "DeviceNeighbour",
    "Link",
    "LocalSystem",
    "TopologyGraph",
    "TopologyView",
    "UnknownNeighbour",
    "build_graph",
    "with_parents",
]
