"""The piece of `towpath run` that sends the report of `[report.schedule]`."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from dashboards.report import ReportFiles, ReportPeriod
from dashboards.report.report_dispatch import ReportDispatch, report_channel
from probes.wire.clock import WallClock
from probes.wire.counted_text import counted
from towpath.config import TowpathConfig
from towpath.report_process import make_in_process
from towpath.report_settings import reports_folder


def scheduled_reports(
    config: TowpathConfig, now_ms: WallClock
) -> Iterator[tuple[str, ReportDispatch]]:
    """Yields (name, piece) if a report is scheduled."""
    schedule = config.report.schedule
    if schedule is None:
        return

    async def make(period: ReportPeriod) -> ReportFiles:
        return await make_in_process(config, schedule, period, reports_folder(config))

    dispatch = ReportDispatch(
        schedule,
        ZoneInfo(config.web.timezone),
        report_channel(config.alerts.channels, schedule),
        make,
        config.state / "sent_reports.json",
        config.alerts.base_url,
        now_ms,
    )
    many = counted(len(schedule.to), "address", "addresses")
    yield f"report of each {schedule.report} by e-mail to {many}", dispatch
