"""Monthly reports for managers, from what was observed."""

from dashboards.report.make_report import (
    ReportError,
    ReportFiles,
    select_sites,
    site_report,
)
from dashboards.report.month import Month, ReportPeriod, parse_period
from dashboards.report.report_data import ReportSettings
from dashboards.report.report_inputs import PollPeriods

__all__ = [
    "Month",
    "PollPeriods",
    "ReportError",
    "ReportFiles",
    "ReportPeriod",
    "ReportSettings",
    "parse_period",
    "select_sites",
    "site_report",
]
