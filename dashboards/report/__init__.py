"""Monthly reports for managers: what was observed, and what it says."""

from dashboards.report.gather import PollPeriods
from dashboards.report.make import Made, ReportError, chosen, site_report
from dashboards.report.month import Month

__all__ = ["Made", "Month", "PollPeriods", "ReportError", "chosen", "site_report"]
