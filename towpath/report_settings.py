"""The settings of a report, from `towpath.toml`."""

from __future__ import annotations

from dashboards.report import PollPeriods, ReportSettings
from dashboards.report_formats import DEFAULT_FORMATS, ReportFormat
from towpath.config import TowpathConfig


def report_settings(
    config: TowpathConfig,
    formats: tuple[ReportFormat, ...] = DEFAULT_FORMATS,
    plain: bool = False,
) -> ReportSettings:
    """Returns the settings with which the council's reports are made."""
    return ReportSettings(
        alerts=config.alerts.standing,
        council=config.council,
        formats=formats,
        plain=plain,
        least=config.groups.least,
        periods=PollPeriods.of_seconds(
            config.snmp.period_s, config.vpn_gateways.period_s
        ),
        config=config.report,
    )
