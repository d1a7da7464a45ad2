"""Names of sites in tables whose rows have ids, by a further query of the panel. Pure.

Grafana's "Config from query results" makes a value mapping of the names: a cell shows
the name and holds the id, as links need it. The further query has columns of its own
names. If the panel has no other rows, Grafana shows those of this query, and then
`organize` leaves them out: nothing is left, as it should be.
"""

from __future__ import annotations

from typing import Any

from dashboards.grafana.board import Panel, PanelQuery, select
from dashboards.grafana.site_texts import named_columns

QUERY = "Sites"
_NAMES = PanelQuery(select("site_name", ("called", "last"), by=("site_id",)))
UNSHOWN = ("site_id", "called_last")


def site_column(panel: Panel) -> str:
    """Returns the column of a table whose texts are queried, if there is one: not one
    that has texts of its own already."""
    if panel.kind != "table":
        return ""
    untold = [n for n, shown in named_columns(panel).items() if not shown.value_texts]
    return untold[0] if untold else ""


def names_query(panel: Panel) -> list[str]:
    """Returns the further query of a panel, if it needs one."""
    if not site_column(panel):
        return []
    return [_NAMES.influxql("table", newest=panel.newest)]


def names_step(panel: Panel) -> list[dict[str, Any]]:
    """Returns the first transformation of such a panel."""
    name = site_column(panel)
    if not name:
        return []
    keys = ("mappings.value", "mappings.text")
    return [
        {
            "id": "configFromData",
            "options": {
                "configRefId": QUERY,
                "mappings": [
                    {"fieldName": field, "handlerKey": key, "reducerId": "allValues"}
                    for field, key in zip(UNSHOWN, keys, strict=True)
                ],
                "applyTo": {"id": "byName", "options": name},
            },
        }
    ]
