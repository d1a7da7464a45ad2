"""The status page: what is wrong, why, and for whom, for on-call staff and managers."""

from dashboards.web.config import WebConfig
from dashboards.web.page import AlertFile, PageError, StatusPage

__all__ = ["AlertFile", "PageError", "StatusPage", "WebConfig"]
