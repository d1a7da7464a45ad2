"""All checks of one dashboard's JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dashboards.grafana.checks.dashboard_document import DashboardDocument
from dashboards.grafana.checks.finding import Finding
from dashboards.grafana.checks.layout_checks import check_layout
from dashboards.grafana.checks.panel_checks import check_panels
from dashboards.grafana.checks.query_checks import check_queries
from dashboards.grafana.checks.series_checks import check_series
from probes.wire.catalogue import Catalogue


def check_dashboard(
    dashboard: DashboardDocument,
    catalogue: Catalogue,
    boards: Mapping[str, frozenset[str]],
) -> Iterator[Finding]:
    """`boards`: the uid of each board that may be linked to → its variables."""
    yield from check_layout(dashboard, boards)
    yield from check_panels(dashboard, catalogue)
    yield from check_series(dashboard)
    yield from check_queries(dashboard, catalogue)
