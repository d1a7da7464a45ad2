"""The status page: what is wrong, why, and for whom, for on-call staff and managers."""

from dashboards.web.status_page import AlertFile, PageError, StatusPage
from dashboards.web.web_config import WebConfig

__all__ = ["AlertFile", "PageError", "StatusPage", "WebConfig"]
