"""The settings of a report, from `towpath.toml`."""

from __future__ import annotations

from dashboards.report import PollPeriods, ReportSettings
from towpath.config import TowpathConfig


def report_settings(config: TowpathConfig, pdf: bool) -> ReportSettings:
    """Returns the settings with which the council's reports are made."""
    return ReportSettings(
        alerts=config.alerts.standing,
        council=config.council,
        pdf=pdf,
        least=config.groups.least,
        periods=PollPeriods.of_seconds(
            config.snmp.period_s, config.vpn_gateways.period_s
        ),
    )
