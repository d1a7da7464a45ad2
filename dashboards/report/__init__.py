"""Monthly reports for managers: what was observed, and what it says."""

from dashboards.report.make_report import Made, ReportError, chosen, site_report
from dashboards.report.month import Month
from dashboards.report.report_data import PollPeriods

__all__ = ["Made", "Month", "PollPeriods", "ReportError", "chosen", "site_report"]
