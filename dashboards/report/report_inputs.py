"""The inputs of a report's queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alerts.alert import Alert
from alerts.silence import Silence
from collectors.estate import Estate
from collectors.store.query import Store
from dashboards.observed import Span
from dashboards.report.month import ReportPeriod
from dashboards.report.planned_maintenance import planned_spans


@dataclass(frozen=True)
class PollPeriods:
    """Milliseconds between two polls of a device and of a VPN gateway, for times
    without a recorded period (`self_poll.period_s`)."""

    devices_ms: int = 60_000
    gateways_ms: int = 60_000

    @classmethod
    def of_seconds(cls, devices_s: float, gateways_s: float) -> PollPeriods:
        return cls(round(devices_s * 1000), round(gateways_s * 1000))


@dataclass(frozen=True)
class ReportInputs:
    """The inputs of all queries of one report. `sites` is None for all sites."""

    month: ReportPeriod
    to_ms: int
    store: Store
    estate: Estate
    alerts: Sequence[Alert]
    silences: Sequence[Silence]
    sites: tuple[str, ...] | None
    periods: PollPeriods

    @property
    def span(self) -> Span:
        return self.month.from_ms, self.to_ms

    @property
    def span_before(self) -> Span:
        past = self.month.before()
        return past.from_ms, past.to_ms

    def covers(self, site: str) -> bool:
        """Whether the report is about this site."""
        return self.sites is None or site in self.sites

    def maintenance(self, site: str, device: str | None = None) -> list[Span]:
        return planned_spans(self.silences, self.estate, site, device)
