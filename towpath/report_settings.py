"""The settings of a report, from `towpath.toml`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from collectors.server_measurements import CATALOGUE
from collectors.store import open_store
from dashboards.report import PollPeriods, ReportSettings
from dashboards.report_formats import DEFAULT_FORMATS, ReportFormat
from towpath.config import TowpathConfig

if TYPE_CHECKING:
    from collectors.store.influx_store import InfluxStore
    from collectors.store.parquet_store import EmbeddedStore

_TIMES_AS_LONG = 10


def report_store(config: TowpathConfig) -> EmbeddedStore | InfluxStore:
    """Returns the store to read a report from. One thread needs a sixth less processor
    time than two and half their memory, as each thread keeps values of every port.
    No page waits for it, so a query of a year may take longer."""
    changes = {
        "threads": 1,
        "query_timeout_s": _TIMES_AS_LONG * config.store.query_timeout_s,
    }
    return open_store(config.store.model_copy(update=changes), CATALOGUE)


def reports_folder(config: TowpathConfig) -> Path:
    """Returns the folder of scheduled reports: the one that the pages list, if any."""
    return config.web.reports or config.state / "reports"


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
