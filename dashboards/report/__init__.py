"""Monthly reports for managers: what was observed, and what it says."""

from dashboards.report.make import Made, ReportError, chosen, site_report
from dashboards.report.month import Month

__all__ = ["Made", "Month", "ReportError", "chosen", "site_report"]
