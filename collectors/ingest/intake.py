"""`ReportIntake`: what HTTPS and MQTT share. It checks a body, writes its reports to
the journal, and returns the receipt once they are on disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence

import structlog

from collectors.batch import Batch
from collectors.deletion_clock import DeletionBound, as_it_is
from collectors.estate.estate_model import Estate
from collectors.ingest.body_quarantine import BodyQuarantine
from collectors.ingest.gzip_body import unpack
from collectors.ingest.ingest_config import IngestConfig, PolicyConfig
from collectors.ingest.ingest_stats import IngestStats
from collectors.ingest.laptop_limits import Busy, RateLimits, RecentReportIds
from collectors.ingest.policies import KnownSites
from collectors.ingest.registry_records import EnrolledAgent
from collectors.ingest.rejection_reasons import BodyRejected, RejectionReason
from collectors.ingest.report_body import (
    RejectedReport,
    read_report,
    split_body,
    with_plausible_time,
)
from collectors.ingest.report_rows import to_rows
from collectors.ingest.tag_limits import TagLimits
from collectors.journal import Append
from collectors.server_measurements import CATALOGUE
from probes.wire.catalogue import Catalogue
from probes.wire.clock import WallClock, wall_ms
from probes.wire.report import READ_VERSIONS, Receipt, Report, ReportRefusal

_log = structlog.get_logger()

# After so much work other tasks get a turn: a full body takes a hundred times as long
# as most.
_AT_ONCE_BYTES = 65_536
_AT_ONCE_VALUES = 8_000
# The reasons that need a look at what was sent. A report of another version is kept by
# its agent and comes again.
_QUARANTINED = frozenset({RejectionReason.UNREADABLE, RejectionReason.MALFORMED})


class NotDurable(Exception):
    """The journal could not write it. The agent keeps it and sends it again."""


class ReportIntake:
    """One per transport. `estate` has the sites and targets that reports may name;
    `versions` are the wire versions that are read. `measured` is called with an agent,
    and the time and software of its newest report, once that is stored."""

    def __init__(
        self,
        config: IngestConfig,
        append: Append,
        *,
        estate: Callable[[], Estate] = Estate,
        catalogue: Catalogue = CATALOGUE,
        versions: range = READ_VERSIONS,
        now_ms: WallClock = wall_ms,
        measured: Callable[[str, int, str], None] = lambda agent, time_ms, version: (
            None
        ),
        policy: Callable[[], PolicyConfig] | None = None,
        bounded: DeletionBound = as_it_is,
    ) -> None:
        limits = config.limits
        self._measured, self._bounded = measured, bounded
        self._append, self._catalogue = append, catalogue
        self._knows_site, self._now_ms = KnownSites(estate), now_ms
        policy = policy or (lambda: config.policy)
        self._tag_limits = TagLimits(estate, policy, catalogue)
        self._limits, self._versions = limits, versions
        self._quarantine = BodyQuarantine(config.aside, limits.kept_aside)
        self._rates = RateLimits(limits, time.monotonic)
        self._recent_ids = RecentReportIds(limits.remembered_ids)
        self._storing: dict[tuple[str, str], asyncio.Future[bool]] = {}
        self._writes = 0
        self.failing = False
        self.stats = IngestStats()

    def begin(self, payer: str, size: int) -> None:
        """Charges a request of `size` bytes to `payer`, before any of it is parsed.

        `payer` is the agent, or its network if reports are anonymous. Raises `Busy`.
        """
        try:
            self._rates.charge_request(payer)
        except Busy as busy:
            raise self.count_busy(busy) from None
        self.charge(payer, size)

    def charge(self, payer: str, size: int) -> None:
        """Charges further bytes. Raises `Busy`."""
        try:
            self._rates.charge_bytes(payer, size)
        except Busy as busy:
            raise self.count_busy(busy) from None

    def unpack(self, body: bytes, payer: str) -> bytes:
        """Unpacks a gzip body, and charges it. Raises `BodyRejected` or `Busy`."""
        try:
            content = unpack(body)
        except BodyRejected as fault:
            self.count_refused(fault.reason, body)
            raise
        self.charge(payer, len(content))
        return content

    async def accept(
        self, body: bytes, sender: EnrolledAgent | None, provider: str, payer: str
    ) -> Receipt:
        """Returns the receipt for a body, once the accepted reports are durable.

        `sender` is None if reports are anonymous. Raises `BodyRejected` if the body is
        not a list of reports, `Busy` if it must come later, and `NotDurable`.
        """
        now_ms = self._now_ms()
        try:
            parts = split_body(body)
        except BodyRejected as fault:
            self.count_refused(fault.reason, body)
            raise
        self._charge_reports(payer, len(parts))
        agent = None if sender is None else sender.agent
        ahead_ms = self._limits.max_ahead_s * 1000
        fresh: dict[str, list[Report]] = {}
        accepted: list[str] = []
        refused: list[ReportRefusal] = []
        # Reports that another body of the same agent is storing at this moment.
        elsewhere: set[asyncio.Future[bool]] = set()
        stored: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        durable = False
        parsed_bytes = 0
        try:
            for part in parts:
                parsed_bytes += memoryview(part).nbytes
                if parsed_bytes > _AT_ONCE_BYTES:
                    parsed_bytes = 0
                    await asyncio.sleep(0)
                result = read_report(part, agent, self._versions)
                if isinstance(result, RejectedReport):
                    self.count_refused(result.reason, result.raw)
                    refused.append(result.refusal())
                    continue
                report = with_plausible_time(result, now_ms, ahead_ms)
                self.stats.retimed += report is not result
                accepted.append(report.id)
                key = report.agent, report.id
                storing = self._storing.get(key, stored)
                if key in self._recent_ids or storing is not stored:
                    self.stats.duplicates += 1
                    elsewhere |= {storing} - {stored}
                    continue
                self._storing[key] = stored
                fresh.setdefault(report.agent, []).append(report)
            home_site = "" if sender is None else sender.home_site
            if fresh:
                await self._store(fresh, home_site, provider, now_ms)
            durable = True
        finally:
            for name, reports in fresh.items():
                for report in reports:
                    self._storing.pop((name, report.id), None)
            stored.set_result(durable)
        for other in elsewhere:
            if not await asyncio.shield(other):
                raise NotDurable("reports cannot be made durable at the moment")
        return Receipt(tuple(accepted), tuple(refused))

    def count_refused(self, reason: RejectionReason, body: bytes) -> None:
        """Counts a rejected body or report, and quarantines it if it is unreadable."""
        self.stats.refused += 1
        self.stats.reasons[reason] += 1
        if reason in _QUARANTINED:
            self._quarantine.put(body, reason.value, self._now_ms())

    def count_busy(self, busy: Busy) -> Busy:
        """Counts a request that must come later. Returns `busy`, to be raised."""
        self.stats.count_turned_away(busy.reason)
        return busy

    def _charge_reports(self, payer: str, count: int) -> None:
        try:
            if self._writes >= self._limits.in_flight:
                why = "too many reports at once, come back later"
                raise Busy(RejectionReason.BUSY, why, 2.0)
            self._rates.charge_reports(payer, count)
        except Busy as busy:
            raise self.count_busy(busy) from None

    async def _store(
        self,
        fresh: dict[str, list[Report]],
        home_site: str,
        provider: str,
        now_ms: int,
    ) -> None:
        batches: list[Batch] = []
        misfit_rows = expired = odd_values = 0
        for reports_of_one in _slices(fresh):
            report_rows = to_rows(
                [
                    self._tag_limits.limit_whereabouts(report, now_ms)
                    for report in reports_of_one
                ],
                home_site,
                provider,
                self._knows_site,
                self._catalogue,
                now_ms,
                self._tag_limits.limit_sample,
                self._bounded(now_ms),
            )
            batches += [*report_rows.batches, *report_rows.misfits]
            misfit_rows += report_rows.misfit_rows()
            expired += report_rows.expired
            odd_values += report_rows.odd_values
            await asyncio.sleep(0)
        count = sum(len(reports) for reports in fresh.values())
        await self._append_durably(batches, count)
        for agent, reports in fresh.items():
            for report in reports:
                self._recent_ids.add(agent, report.id)
            newest = max(reports, key=lambda report: report.sent_ms)
            self._measured(agent, newest.sent_ms, newest.software)
        self.stats.accepted += count
        self.stats.misfit_rows += misfit_rows
        self.stats.odd_values += odd_values
        self.stats.expired_rows += expired
        self.stats.other_targets = self._tag_limits.other_targets
        self.stats.other_whereabouts = self._tag_limits.other_whereabouts

    async def _append_durably(self, batches: Sequence[Batch], count: int) -> None:
        if not batches:
            return
        self._writes += 1
        self.stats.in_flight += count
        try:
            await self._append.append(*batches)
        except Exception as error:
            # Whatever the error was, the reports are not on disk.
            self.stats.failures += 1
            if not self.failing:
                _log.error("reports_not_durable", error=repr(error))
            self.failing = True
            raise NotDurable("reports cannot be made durable at the moment") from error
        finally:
            self._writes -= 1
            self.stats.in_flight -= count
        if self.failing:
            _log.info("reports_durable_again")
        self.failing = False


def _slices(fresh: dict[str, list[Report]]) -> Iterator[list[Report]]:
    """The reports of each agent in slices of about `_AT_ONCE_VALUES` values."""
    for reports in fresh.values():
        part: list[Report] = []
        values = 0
        for report in reports:
            part.append(report)
            values += sum(4 + len(result.values) for result in report.results)
            if values >= _AT_ONCE_VALUES:
                yield part
                part, values = [], 0
        if part:
            yield part
