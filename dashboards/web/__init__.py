"""The status page: what is wrong, why, and for whom, for on-call staff and managers."""

from typing import TYPE_CHECKING

from collectors.late_exports import export_late

if TYPE_CHECKING:
    from dashboards.web.action_pages import AlertActions
    from dashboards.web.api.api_routes import ApiSources
    from dashboards.web.fleet_page import FleetSource
    from dashboards.web.grafana_source import GrafanaSource
    from dashboards.web.site_rows import SiteRows
    from dashboards.web.status_page import AlertReader, PageError, StatusPage
    from dashboards.web.web_config import WebConfig
else:
    __getattr__ = export_late(__name__)

__all__ = [
    "AlertActions",
    "AlertReader",
    "ApiSources",
    "FleetSource",
    "GrafanaSource",
    "PageError",
    "SiteRows",
    "StatusPage",
    "WebConfig",
]
