"""When a scheduled report is due, and which time it is about. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from collectors.local_days import add_months, local_date
from dashboards.report.month import ReportPeriod
from dashboards.report_config import ReportSchedule

# How many months each kind of report is about, and the months in which it is due.
_MONTHS = {"month": 1, "quarter": 3, "year": 12, "financial-year": 12}
_DUE_IN = {
    "month": range(1, 13),
    "quarter": (1, 4, 7, 10),
    "year": (1,),
    "financial-year": (4,),
}


@dataclass(frozen=True)
class DueReport:
    """A report that is to be sent at `due_ms`."""

    due_ms: int
    period: ReportPeriod


def next_due(schedule: ReportSchedule, zone: ZoneInfo, after_ms: int) -> DueReport:
    """Returns the first report that is due later than `after_ms`."""
    # A local day before UTC's is the earliest that can matter.
    earliest = local_date(after_ms, zone)
    month = (earliest - timedelta(days=1)).replace(day=1)
    while True:
        report = _due_in(schedule, zone, month)
        if month.month in _DUE_IN[schedule.report] and report.due_ms > after_ms:
            return report
        month = add_months(month, 1)


def last_due(schedule: ReportSchedule, zone: ZoneInfo, now_ms: int) -> DueReport:
    """Returns the last report that was due at `now_ms`."""
    month = local_date(now_ms, zone).replace(day=1)
    while True:
        report = _due_in(schedule, zone, month)
        if month.month in _DUE_IN[schedule.report] and report.due_ms <= now_ms:
            return report
        month = add_months(month, -1)


def _due_in(schedule: ReportSchedule, zone: ZoneInfo, month: date) -> DueReport:
    hour, minute = map(int, schedule.at.split(":"))
    at = datetime(
        month.year, month.month, schedule.day, hour, minute, tzinfo=zone
    ).astimezone(UTC)
    first = add_months(month, -_MONTHS[schedule.report])
    return DueReport(int(at.timestamp() * 1000), ReportPeriod(first, month, zone))
