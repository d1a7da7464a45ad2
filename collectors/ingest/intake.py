"""`Intake`: what HTTPS and MQTT have in common: a body goes in, a receipt comes out,
and between the two the journal has it on disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence

import structlog

from collectors.batch import Batch
from collectors.estate.estate_model import Estate
from collectors.ingest.body_quarantine import BodyQuarantine
from collectors.ingest.gzip_body import unpack
from collectors.ingest.ingest_config import IngestConfig
from collectors.ingest.ingest_stats import IngestStats
from collectors.ingest.laptop_limits import Busy, Charges, Remembered
from collectors.ingest.policies import KnownSites
from collectors.ingest.registry_records import EnrolledAgent
from collectors.ingest.rejection_reasons import BodyRefused, Reason
from collectors.ingest.report_body import Rejected, in_time, read, split
from collectors.ingest.report_rows import rows
from collectors.ingest.tag_limits import Bounds
from collectors.journal import Append
from collectors.server_measurements import CATALOGUE
from probes.wire.catalogue import Catalogue
from probes.wire.clock import WallClock, wall_ms
from probes.wire.report import READ_VERSIONS, Receipt, Report, ReportRefusal

log = structlog.get_logger()

# Others come in between: a full body takes a hundred times as long as most.
_AT_ONCE_BYTES = 65_536
_AT_ONCE_VALUES = 8_000
# Reasons that are worth a look at what was sent; a wrong clock explains itself.
# One of another version is kept by its agent, and comes again.
_POISON = frozenset({Reason.UNREADABLE, Reason.MALFORMED})


class NotDurable(Exception):
    """The journal could not take it; the agent keeps it and comes back."""


class Intake:
    """One per transport. `estate` says which sites and targets there are, `versions`
    which versions of the wire are read."""

    def __init__(
        self,
        config: IngestConfig,
        append: Append,
        *,
        estate: Callable[[], Estate] = Estate,
        catalogue: Catalogue = CATALOGUE,
        versions: range = READ_VERSIONS,
        now_ms: WallClock = wall_ms,
    ) -> None:
        limits = config.limits
        self._append, self._catalogue = append, catalogue
        self._knows_site, self._now_ms = KnownSites(estate), now_ms
        self._bounds = Bounds(estate, config.policy, catalogue)
        self._limits, self._versions = limits, versions
        self._aside = BodyQuarantine(config.aside, limits.kept_aside)
        self._charges = Charges(limits, time.monotonic)
        self._remembered = Remembered(limits.remembered_ids)
        self._requests = 0
        self.failing = False
        self.stats = IngestStats()

    def begin(self, payer: str, size: int) -> None:
        """Charges a request of `size` bytes to the agent (or, if nobody was asked who
        they are, to the address) before a byte of it is looked at. Raises `Busy`."""
        try:
            self._charges.request(payer)
        except Busy as busy:
            raise self.turn_away(busy) from None
        self.charge(payer, size)

    def charge(self, payer: str, size: int) -> None:
        """Charges further bytes. Raises `Busy`."""
        try:
            self._charges.bytes(payer, size)
        except Busy as busy:
            raise self.turn_away(busy) from None

    def unpack(self, body: bytes, payer: str) -> bytes:
        """The content of a gzip body, charged as well. Raises `BodyRefused`, `Busy`."""
        try:
            content = unpack(body)
        except BodyRefused as fault:
            self.refuse(fault.reason, body)
            raise
        self.charge(payer, len(content))
        return content

    async def take(
        self, body: bytes, sender: EnrolledAgent | None, provider: str, payer: str
    ) -> Receipt:
        """The receipt for a body, once what it accepts is durable.

        `sender` None: nobody was asked who they are. Raises `BodyRefused` where the
        body is no list of reports, `Busy` where it must come later, `NotDurable`.
        """
        now_ms = self._now_ms()
        try:
            parts = split(body)
        except BodyRefused as fault:
            self.refuse(fault.reason, body)
            raise
        self._admit(payer, len(parts))
        agent = None if sender is None else sender.agent
        ahead_ms = self._limits.max_ahead_s * 1000
        fresh: dict[str, list[Report]] = {}
        accepted: list[str] = []
        refused: list[ReportRefusal] = []
        looked_at = 0
        for part in parts:
            looked_at += memoryview(part).nbytes
            if looked_at > _AT_ONCE_BYTES:
                looked_at = 0
                await asyncio.sleep(0)
            found = read(part, agent, self._versions)
            if isinstance(found, Rejected):
                self.refuse(found.reason, found.raw)
                refused.append(found.refusal())
                continue
            report = in_time(found, now_ms, ahead_ms)
            self.stats.retimed += report is not found
            accepted.append(report.id)
            if (report.agent, report.id) in self._remembered:
                self.stats.duplicates += 1
            else:
                fresh.setdefault(report.agent, []).append(report)
        home_site = "" if sender is None else sender.home_site
        if fresh:
            await self._keep(fresh, home_site, provider, now_ms)
        return Receipt(tuple(accepted), tuple(refused))

    def refuse(self, reason: Reason, body: bytes) -> None:
        """Counts a body or a report that is not taken, and keeps it where it may
        tell something."""
        self.stats.refused += 1
        self.stats.reasons[reason] += 1
        if reason in _POISON:
            self._aside.put(body, reason.value, self._now_ms())

    def turn_away(self, busy: Busy) -> Busy:
        """Counts what must come later; returns it, to be raised."""
        self.stats.turned_away += 1
        self.stats.reasons[busy.reason] += 1
        return busy

    def _admit(self, payer: str, count: int) -> None:
        try:
            if self._requests >= self._limits.in_flight:
                why = "too many reports at once, come back later"
                raise Busy(Reason.BUSY, why, 2.0)
            self._charges.reports(payer, count)
        except Busy as busy:
            raise self.turn_away(busy) from None

    async def _keep(
        self,
        fresh: dict[str, list[Report]],
        home_site: str,
        provider: str,
        now_ms: int,
    ) -> None:
        batches: list[Batch] = []
        misfit_rows = expired = odd_values = 0
        for some in _slices(fresh):
            made = rows(
                [self._bounds.report(report, now_ms) for report in some],
                home_site,
                provider,
                self._knows_site,
                self._catalogue,
                now_ms,
                self._bounds.sample,
            )
            batches += [*made.batches, *made.misfits]
            misfit_rows += made.misfit_rows()
            expired += made.expired
            odd_values += made.odd_values
            await asyncio.sleep(0)
        kept = sum(len(reports) for reports in fresh.values())
        await self._write(batches, kept)
        for agent, reports in fresh.items():
            for report in reports:
                self._remembered.add(agent, report.id)
        self.stats.accepted += kept
        self.stats.misfit_rows += misfit_rows
        self.stats.odd_values += odd_values
        self.stats.expired_rows += expired
        self.stats.other_targets = self._bounds.others
        self.stats.other_whereabouts = self._bounds.far

    async def _write(self, batches: Sequence[Batch], count: int) -> None:
        if not batches:
            return
        self._requests += 1
        self.stats.in_flight += count
        try:
            await self._append.append(*batches)
        except Exception as error:
            # Whatever it was, it is not on disk.
            self.stats.failures += 1
            if not self.failing:
                log.error("reports cannot be made durable", error=repr(error))
            self.failing = True
            raise NotDurable("reports cannot be made durable at the moment") from error
        finally:
            self._requests -= 1
            self.stats.in_flight -= count
        if self.failing:
            log.info("reports are made durable again")
        self.failing = False


def _slices(fresh: dict[str, list[Report]]) -> Iterator[list[Report]]:
    """The reports of each agent, some at a time."""
    for reports in fresh.values():
        some: list[Report] = []
        count = 0
        for report in reports:
            some.append(report)
            count += sum(4 + len(result.values) for result in report.results)
            if count >= _AT_ONCE_VALUES:
                yield some
                some, count = [], 0
        if some:
            yield some
