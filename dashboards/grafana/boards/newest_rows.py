"""What tables of the present ask: the newest value of each field, by subject."""

from collections.abc import Mapping

from dashboards.grafana.board import PanelQuery, select


def newest_rows(
    measurement: str,
    *fields: str,
    by: tuple[str, ...],
    variables: Mapping[str, str] | None = None,
) -> tuple[PanelQuery]:
    """Returns the only query of a panel. It has a column `FIELD_last` for each field,
    and a row for each value of the tags `by`, of those that `variables` select."""
    query = select(measurement, *((name, "last") for name in fields), by=by)
    return (PanelQuery(query, variables=variables or {}),)
